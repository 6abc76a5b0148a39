"""Puts into words how a model's server failed: what happened and what to do. Nothing that it quotes holds the key."""

from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp

from ironclaw.errors import ProviderError
from ironclaw.llm.endpoint import Endpoint
from ironclaw.llm.refusals import Refusal, read_error
from ironclaw.redact import MASK, printable, redact
from ironclaw.values import frozen

_LONGEST_QUOTE = 300
_LONGEST_READ = 64 * 1024
_SHORTEST_KEY = 6  # shorter ones are placeholders ("none"), and would mask ordinary words
_OLLAMA_PORT = 11434
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@frozen
class Failures:
    """The failures of one server, asked for *model* ("" when it is asked for no model)."""

    endpoint: Endpoint
    model: str = ""

    @property
    def _name(self) -> str:
        return self.endpoint.name

    @property
    def _at(self) -> str:
        return f"{self._name} at {self.quote(_address(self.endpoint.base_url))}"

    def quote(self, text: str) -> str:
        """Text from outside, on one line, short, without secrets."""
        key = self.endpoint.api_key or ""
        if len(key) >= _SHORTEST_KEY:
            text = text.replace(key, MASK)
        return printable(" ".join(redact(text[:_LONGEST_READ]).split()))[:_LONGEST_QUOTE]

    def malformed_key(self) -> ProviderError:
        """The key can't be sent at all."""
        return ProviderError(
            f"The key for {self._name} has characters that no key has, such as a line break or an accent.",
            code="key_refused",
            fix="Copy the key again and set it anew.",
        )

    def connecting(self, error: Exception) -> ProviderError:
        """There is no connection, or it broke before an answer came."""
        if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
            what, fix = f"The proxy on the way to {self._at} failed.", "Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY."
        elif isinstance(error, aiohttp.ClientConnectorDNSError):
            what, fix = f"No machine has the name in the address of {self._at}.", "Check the address, and the network."
        elif isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
            what = f"There is no secure connection to {self._at}: {self.quote(_tls_reason(error))}."
            fix = "Check whether the address begins with https or http, and the server's certificate."
        elif isinstance(getattr(error, "os_error", None), ConnectionRefusedError):
            what, fix = f"Nothing answers at the address of {self._at}: the connection is refused.", self._start_it()
        elif isinstance(error, aiohttp.ClientResponseError):
            return self.not_this_api()
        elif isinstance(error, ValueError):
            what, fix = f"The address of {self._at} can't be used.", "Write it like http://192.168.1.20:8080/v1."
        else:
            what, fix = f"The connection to {self._at} broke before an answer came.", "Try again; check the network."
        return ProviderError(what, code="unreachable", fix=fix)

    def connecting_took(self, seconds: float) -> ProviderError:
        """Nobody took the connection in time."""
        return ProviderError(
            f"{self._at} took no connection within {seconds:g} seconds.",
            code="unreachable",
            fix="Check the address, and that no firewall is in between.",
        )

    def no_answer(self, seconds: float) -> ProviderError:
        """The answer did not come in time."""
        return ProviderError(
            f"{self._at} did not answer within {seconds:g} seconds.", code="timeout", fix="Try again in a moment."
        )

    def silent(self, seconds: float, *, began: bool) -> ProviderError:
        """No byte came for too long."""
        if began:
            what, fix = "went silent in the middle of its reply", "Try again."
        else:
            what, fix = "sent no first token", "Try again, or choose a smaller model."
        return ProviderError(f"{self._name} {what}: nothing for {seconds:g} seconds.", code="timeout", fix=fix)

    def cut_off(self) -> ProviderError:
        """The reply ended before its end."""
        return ProviderError(f"The reply of {self._name} was cut off.", code="cut_off", fix="Try again.")

    def not_this_api(self) -> ProviderError:
        """Something else answers at the address."""
        api = "Ollama" if self.endpoint.kind == "ollama" else "OpenAI-compatible"
        fix = "Check the address; " + (
            "for Ollama it has no path." if self.endpoint.kind == "ollama" else "most end with /v1."
        )
        return ProviderError(f"That is no {api} API at the address of {self._at}.", code="bad_reply", fix=fix)

    def unreadable(self, why: str) -> ProviderError:
        """A piece of the reply can't be used; *why* completes "sent"."""
        return ProviderError(f"{self._name} sent {why}.", code="bad_reply", fix="Try again, or choose another model.")

    def redirected(self, status: int, location: str) -> ProviderError:
        """The server sends us elsewhere, and keys are not carried elsewhere."""
        return ProviderError(
            f"{self._at} sends us on to {self.quote(_target(self.endpoint.base_url, location))}, where we don't follow.",
            code="bad_reply",
            fix="Set the address that it names, if you trust it.",
            status=status,
        )

    def in_stream(self, error: object) -> ProviderError:
        """The `error` in a stream that began well."""
        return self.refused(read_error(error))

    def refused(self, refusal: Refusal) -> ProviderError:
        """An error answer."""
        said = self.quote(refusal.message)
        tail = f": {said}" if said else "."
        status = refusal.status
        match refusal.meaning:
            case "key":
                what = "refuses the key" if self.endpoint.api_key else "wants a key, and none is set"
                return self._error("key_refused", f"{what} ({status}){tail}", "Set a valid key for it.", refusal)
            case "credit":
                fix = "Add credit there, or choose another provider."
                return self._error("rate_limited", f"says that the account has no credit left{tail}", fix, refusal)
            case "rate":
                when = "in a moment" if refusal.retry_after is None else f"in {refusal.retry_after:.0f} seconds"
                return self._error("rate_limited", f"gets too many requests{tail}", f"Try again {when}.", refusal)
            case "overflow":
                fix = "Start a new thread, or set a larger context."
                return self._error(
                    "context_overflow", f"says that the conversation is too long for the model{tail}", fix, refusal
                )
            case "model" if self.model:
                return self._error(
                    "model_missing", f"has no model {self.quote(self.model)}{tail}", self._get_it(), refusal
                )
            case "model" | "page":
                return self.not_this_api()
            case "server":
                return self._error("provider_failed", f"failed ({status}){tail}", "Try again in a moment.", refusal)
            case "request":
                fix = "Check the model and its settings."
                return self._error("refused", f"refuses the request ({status}){tail}", fix, refusal)

    def _error(self, code: str, what: str, fix: str, refusal: Refusal) -> ProviderError:
        sentence = what if what.endswith((".", "!", "?")) else f"{what}."
        return ProviderError(
            f"{self._name} {sentence}", code=code, fix=fix, status=refusal.status, retry_after=refusal.retry_after
        )

    def _get_it(self) -> str:
        if self.endpoint.kind == "ollama":
            return f"Run `ollama pull {self.quote(self.model)}` on that machine, or choose another model."
        return "Check the model's name, and that the address is right (most end with /v1)."

    def _start_it(self) -> str:
        url = urlsplit(self.endpoint.base_url)
        if url.port == _OLLAMA_PORT and url.hostname not in _LOOPBACK:
            return "If Ollama runs there, set OLLAMA_HOST=0.0.0.0 on that machine: else it answers only the machine itself."
        return (
            "Start it with `ollama serve`." if self.endpoint.kind == "ollama" else "Start the server; check the port."
        )


def _origin(url: SplitResult) -> str:
    """Scheme, host and port: no path, no user, no query."""
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"


def _address(url: str) -> str:
    """The origin of an address, or nothing for what is none."""
    try:
        return _origin(urlsplit(url))
    except ValueError:
        return ""


def _target(base_url: str, location: str) -> str:
    """Where a redirect leads, without user and query."""
    try:
        url = urlsplit(urljoin(base_url, location))
    except ValueError:
        return "another address"
    return f"{_origin(url)}{url.path}"


def _tls_reason(error: Exception) -> str:
    cause = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
    return str(getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "TLS failed")
