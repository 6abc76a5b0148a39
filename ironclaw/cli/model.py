"""`ironclaw model`: the language model of the running gateway. Keys are asked for or piped in, never arguments."""

import json
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import click

from ironclaw.cli.client import Gateway, fail, url_option

_HELP = {"help_option_names": ["-h", "--help"]}
_key_option = click.option("--key-stdin", is_flag=True, help="read the key from standard input")
_json_option = click.option("--json", "as_json", is_flag=True, help="print one JSON document")
_model_option = click.option("-m", "--model", metavar="NAME", help="the model [the server's first]")


@click.group(context_settings=_HELP, invoke_without_command=True)
@_json_option
@url_option
@click.pass_context
def command(context: click.Context, as_json: bool, url: str | None) -> None:
    """Show the connected language model, or connect another one.

    An ADDRESS is a host name (192.168.1.20), host:port, a URL, or a name: openai, anthropic, openrouter, groq, nearai,
    mistral, deepseek, gemini, together, ollama, lmstudio, llamacpp, vllm.

    Exit codes: 0 it works (or none is connected), 1 it does not, 69 gateway not reachable, 77 token refused.
    """
    context.obj = url
    if context.invoked_subcommand is None:
        state = Gateway.find(url).get("/api/model")
        click.echo(json.dumps(state, ensure_ascii=False) if as_json else _described(state))
        sys.exit(0 if state["state"] in {"none", "ready", "loading"} else 1)


@command.command(context_settings=_HELP)
@click.argument("address")
@_model_option
@_key_option
@_json_option
@url_option
@click.pass_obj
def test(
    group_url: str | None,
    *,
    address: str,
    model: str | None,
    key_stdin: bool,
    as_json: bool,
    url: str | None,
) -> None:
    """Try a model without connecting it: whether it answers a few words."""
    gateway = Gateway.find(url or group_url)
    body = _body(address=address, model=model, api_key=_piped_key(key_stdin))
    status, reply = _send(lambda body: gateway.post("/api/model/test", body), body)
    if status != 200:
        _refused(reply)
    if as_json:
        click.echo(json.dumps(reply, ensure_ascii=False))
    elif reply["ok"]:
        click.echo(f"{reply['model']} of {reply['provider']} at {reply['base_url']} answers ({reply['reply_ms']} ms).")
    else:
        _complain(reply["error"])
    sys.exit(0 if reply["ok"] else 1)


@command.command(context_settings=_HELP)
@click.argument("address", required=False)
@_model_option
@_key_option
@click.option("--no-test", is_flag=True, help="keep it also when it does not answer now")
@url_option
@click.pass_obj
def use(
    group_url: str | None,
    *,
    address: str | None,
    model: str | None,
    key_stdin: bool,
    no_test: bool,
    url: str | None,
) -> None:
    """Connect a model, after it has answered a few words; without ADDRESS another model of the same server.

    Where the server wants a key, it is asked for on the terminal. It is kept encrypted and is never shown again.
    """
    gateway = Gateway.find(url or group_url)
    body = _body(address=address, model=model, api_key=_piped_key(key_stdin), test=not no_test)
    status, reply = _send(lambda body: gateway.put("/api/model", body), body)
    if status != 200:
        _refused(reply)
    click.echo(_described(reply))


@command.command("list", context_settings=_HELP)
@url_option
@click.pass_obj
def list_models(group_url: str | None, *, url: str | None) -> None:
    """Print the models of the connected server, one a line."""
    for model in Gateway.find(url or group_url).get("/api/model/available")["models"]:
        click.echo(model["id"])


@command.command(context_settings=_HELP)
@url_option
@click.pass_obj
def forget(group_url: str | None, *, url: str | None) -> None:
    """Forget the connected model and its key; the built-in assistant answers from then on."""
    status, reply = Gateway.find(url or group_url).delete("/api/model")
    if status != 200:
        _refused(reply)
    click.echo(_described(reply))


def _body(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _piped_key(wanted: bool) -> str | None:
    return sys.stdin.readline().strip() if wanted else None


def _send(
    call: Callable[[dict[str, Any]], tuple[int, dict[str, Any]]], body: dict[str, Any]
) -> tuple[int, dict[str, Any]]:
    """The reply to *body*; when the server wants a key and somebody sits at the terminal, to *body* with that key."""
    status, reply = call(body)
    wants_key = (reply.get("error") or {}).get("code") == "key_refused"
    if wants_key and "api_key" not in body and sys.stdin.isatty():
        click.echo(f"ironclaw: {reply['error']['message']}", err=True)
        return call({**body, "api_key": click.prompt("Key (not shown)", hide_input=True, err=True)})
    return status, reply


def _described(state: dict[str, Any]) -> str:
    """The connection in a line or two."""
    if state["state"] == "none":
        return "No model is connected; the built-in assistant answers. Connect one: ironclaw model use ADDRESS"
    facts = [f"{state['state']}: {state['model'] or 'the first model'} of {state['provider']}"]
    facts += [f" at {state['base_url']}"] if state["base_url"] else []
    facts += [f" (set by the {state['source']})"]
    error = state.get("error")
    return "".join(facts) + (f"\n{error['message']} {error['fix']}" if error else "")


def _complain(error: dict[str, Any]) -> None:
    click.echo(f"ironclaw: {error['message']} {error['fix']}".rstrip(), err=True)


def _refused(reply: dict[str, Any]) -> NoReturn:
    fail(str(reply["error"]["message"]))
