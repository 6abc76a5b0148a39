"""A real llama.cpp server with a tiny random model: `python tests/llm/llama_server.py FOLDER` prints its address.

The model talks nonsense for as long as it may: its end-of-text token is never sampled.
"""

import sys
import threading
from pathlib import Path

import gguf
import numpy as np
import xllamacpp

_WIDTH = 256
_HEADS = 4
_LAYERS = 2
_CONTEXT = 16384


def write_model(path: Path) -> None:
    """A Llama with random weights whose tokens are the bytes."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256, gguf.TokenType.NORMAL]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(2 * _WIDTH)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template("{% for message in messages %}{{ message.content }}\n{% endfor %}")
    random = np.random.default_rng(1)
    for name, *shape in _tensors(len(tokens)):
        flat = np.ones(shape, np.float32) if len(shape) == 1 else random.standard_normal(shape).astype(np.float32) * 0.1
        writer.add_tensor(f"{name}.weight", flat)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(tokens: int) -> list[tuple[str | int, ...]]:
    """Names and shapes."""
    found: list[tuple[str | int, ...]] = [
        ("token_embd", tokens, _WIDTH),
        ("output", tokens, _WIDTH),
        ("output_norm", _WIDTH),
    ]
    for layer in range(_LAYERS):
        block = f"blk.{layer}"
        found += [(f"{block}.attn_{part}", _WIDTH, _WIDTH) for part in ("q", "k", "v", "output")]
        found += [(f"{block}.{part}_norm", _WIDTH) for part in ("attn", "ffn")]
        found += [(f"{block}.ffn_{part}", 2 * _WIDTH, _WIDTH) for part in ("gate", "up")]
        found.append((f"{block}.ffn_down", _WIDTH, 2 * _WIDTH))
    return found


def serve(model: Path) -> None:
    """Serve until the process is killed."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {"tiny"}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_parallel = 1
    params.n_ctx = _CONTEXT
    params.warmup = False
    params.endpoint_slots = True
    params.cpuparams.n_threads = 1
    params.sampling.ignore_eos = True
    server = xllamacpp.Server(params)
    print(f"listening at {server.listening_address}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    path = Path(sys.argv[1]) / "tiny.gguf"
    write_model(path)
    serve(path)
