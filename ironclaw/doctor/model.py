"""Checks the language model: does it answer, and can it do what the agent needs? It costs one short call."""

import contextlib
import sqlite3
from urllib.parse import urlsplit

import attrs

from ironclaw import snapshot
from ironclaw.doctor.finding import Finding, Patient, failure, ok, warning
from ironclaw.errors import ConfigError, Invalid, ProviderError
from ironclaw.llm import store
from ironclaw.llm.address import Address, origin_of, variants
from ironclaw.llm.environment import Configured, configured
from ironclaw.llm.known import title_of
from ironclaw.llm.probe import Proven, prove
from ironclaw.llm.servers import Dialer
from ironclaw.llm.transport import ModelHTTP
from ironclaw.secretbox import read_secret

_SMALL_CONTEXT = 8_000
_WAIT = 60.0  # seconds that a model gets for its first word


async def model(patient: Patient) -> list[Finding]:
    """The model that the settings or the page name answers."""
    try:
        wanted = configured(patient.settings) or _of_page(patient)
    except ConfigError as error:
        return failure("model", error.message, "Until then the gateway does not start.")
    if wanted is None or wanted.endpoint is None:
        return ok("model", "None is set; the built-in assistant answers. `ironclaw model use ADDRESS` connects one.")
    http = ModelHTTP()
    try:
        dialer = Dialer.of(http, attrs.evolve(patient.settings, llm_first_token_timeout=_WAIT))
        address = Address(urlsplit(wanted.endpoint.base_url).hostname or "", variants(wanted.endpoint))
        return _judged(await prove(dialer, address, wanted.model))
    except ProviderError as error:
        return failure("model", error.what, error.fix or "Check it with: ironclaw model test")
    except Invalid as error:
        return failure("model", error.message, "Connect another one: ironclaw model use ADDRESS")
    finally:
        await http.aclose()


def _judged(proven: Proven) -> list[Finding]:
    name = f"{proven.model} of {title_of(proven.endpoint.name)}"
    context = proven.abilities.context_tokens
    if proven.abilities.tools is False:
        return warning("model", f"{name} answers, but can't call tools.", "Take a model that can, such as qwen3.")
    if context is not None and context < _SMALL_CONTEXT:
        fix = "Give it more (LLM_CONTEXT_TOKENS, or in the model's server): 8,000 at least, 32,000 is good."
        return warning("model", f"{name} answers, but has a context of {context:,} tokens only.", fix)
    return ok("model", f"{name} answers, its first word after {proven.reply_ms / 1000:.1f} s.")


def _of_page(patient: Patient) -> Configured | None:
    """The model that was connected in the page, with its key. None where there is none, or its database can't be read."""
    with contextlib.suppress(sqlite3.Error), contextlib.closing(snapshot.open_readonly(patient.database)) as db:
        db.row_factory = sqlite3.Row
        stored = store.read(db)
        if stored is None:
            return None
        key = read_secret(db, patient.home, store.SECRET, origin=origin_of(stored.base_url))
        return Configured(stored.endpoint(key), stored.model)
    return None
