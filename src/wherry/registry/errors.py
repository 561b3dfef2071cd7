"""What registries and the network can refuse, in Docker's words.

A registry answers errors as ``{"errors": [{"code", "message", "detail"}]}`` (distribution specification,
"Error Codes"). Docker prints ``<code in lower case>: <message>``.
"""

import json
import re
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from wherry.errors import Forbidden, NotFound, System, Unauthorized, Unavailable, WherryError

MAX_ERROR_BYTES: Final = 64 << 10
_TOKEN: Final = re.compile(r"[^\x20-\x7e]")


class RegistryError(System):
    """An answer that has no better kind."""


class AccessDenied(NotFound):
    """Docker reports a denied pull as not found: registries do not tell the two apart."""


class RequestDenied(Forbidden):
    """The registry does not let these credentials do that: push, or look."""


class ManifestUnknown(NotFound):
    """No such tag or digest in the repository."""


class RepositoryUnknown(NotFound):
    """No such repository."""


class BlobUnknown(NotFound):
    """The manifest names a blob that the registry does not have."""


class AuthenticationRequired(Unauthorized):
    """Credentials are missing or were refused."""


class RegistryForbidden(Forbidden):
    """Something that this client refuses to do on a registry's word (S08 to S10)."""


class TooManyRequests(Unavailable):
    """Rate limit; ``retry_after_seconds`` when the registry said so."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, hint="docker.io limits anonymous pulls: log in, or use a mirror.")
        self.retry_after_seconds = retry_after_seconds


class ConnectionFailed(Unavailable):
    """No answer: name, network, TLS, time-out, or a connection cut short. Worth trying again."""


class Unreachable(ConnectionFailed):
    """No such host, nobody listens, or a certificate that is wrong: trying again at once changes nothing."""


class TooLarge(System):
    """More in one request than the registry, or a proxy before it, takes (413)."""


class ServerUnwell(Unavailable):
    """A 5xx answer. Worth trying again."""


def retryable(error: WherryError) -> bool:
    """Whether the same request may succeed later."""
    return isinstance(error, (ConnectionFailed, ServerUnwell, TooManyRequests)) and not isinstance(error, Unreachable)


def parse_errors(body: bytes) -> tuple[str, str]:
    """The first error's code and message; empty when the body is not of that form."""
    try:
        document = json.loads(body[:MAX_ERROR_BYTES])
        first = document["errors"][0]
        return _clean(str(first.get("code", ""))), _clean(str(first.get("message", "")))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        try:
            return "", _clean(str(document["details"])) if isinstance(document, dict) else ""
        except (KeyError, UnboundLocalError):
            return "", ""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """An answer that is an error, as far as a pull and a push read it alike."""

    status: int
    code: str
    message: str
    method: str
    url: str
    retry_after: str
    challenge: str

    @property
    def text(self) -> str:
        """The registry's own words; empty when it gave none in the form of the specification."""
        return f"{self.code.lower().replace('_', ' ')}: {self.message}" if self.code else ""

    @property
    def wants_basic(self) -> bool:
        return self.status == 401 and self.challenge.lower().startswith("basic")

    def limited(self) -> TooManyRequests | None:
        if self.status != 429 and self.code != "TOOMANYREQUESTS":
            return None
        seconds = float(self.retry_after) if self.retry_after.isdecimal() else None
        message = f"toomanyrequests: {self.message or 'too many requests'}"
        return TooManyRequests(message, retry_after_seconds=seconds)

    def denial(self) -> str:
        """Why access is denied; empty when it is not."""
        if self.code == "DENIED":
            return self.text
        if (self.status == 403 and not self.code) or (self.status == 401 and "insufficient_scope" in self.challenge):
            return "denied: requested access to the resource is denied"
        return ""

    def other(self) -> WherryError:
        """What has no meaning of its own."""
        if self.status >= 500:
            tail = f": {self.text}" if self.text else ""
            return ServerUnwell(f"received unexpected HTTP status: {self.status} from {self.method} {self.url}{tail}")
        return RegistryError(
            self.text or f"unexpected status from {self.method} request to {self.url}: {self.status}"
        )


def from_response(
    status: int, body: bytes, *, method: str, url: str, name: str, reference: str, what: str,
    retry_after: str = "", challenge: str = "",
) -> WherryError:  # fmt: skip
    """Translate an answer to a request for ``what`` ("manifest" or "blob") as Docker's ``translatePullError``.

    ``name`` is the familiar repository, ``reference`` the familiar reference, ``url`` free of credentials.
    """
    refusal = _Refusal(status, *parse_errors(body), method, url, retry_after, challenge)
    if limited := refusal.limited():
        return limited
    if denial := refusal.denial():
        return AccessDenied(
            f"pull access denied for {name}, repository does not exist or may require 'docker login': {denial}"
        )
    if refusal.wants_basic:
        return AuthenticationRequired(f'{method.capitalize()} "{url}": no basic auth credentials')
    if status == 401:
        return AuthenticationRequired(refusal.text or "unauthorized: authentication required")
    if refusal.code == "NAME_UNKNOWN":
        return RepositoryUnknown(f"repository {name} not found: {refusal.text}")
    if status == 404 and what == "manifest":
        text = refusal.text or "manifest unknown: manifest unknown"
        return ManifestUnknown(f"manifest for {reference} not found: {text}")
    if status == 404:
        return BlobUnknown(refusal.text or f"blob unknown: {what} of {name} is not in the registry")
    return refusal.other()


def from_push_response(
    status: int, body: bytes, *, method: str, url: str, retry_after: str = "", challenge: str = ""
) -> WherryError:
    """Translate the refusal of a step of a push: the registry's own words, as Docker prints them."""
    refusal = _Refusal(status, *parse_errors(body), method, url, retry_after, challenge)
    if limited := refusal.limited():
        return limited
    if denial := refusal.denial():
        return RequestDenied(denial)
    if refusal.wants_basic:
        return AuthenticationRequired("no basic auth credentials")
    if status == 401:
        return AuthenticationRequired(refusal.text or "unauthorized: authentication required")
    if status == 413:
        text = f"unexpected status from {method} request to {url}: 413 Request Entity Too Large"
        return TooLarge(refusal.text or text)
    unknown = ("", "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UNKNOWN")
    if status in (404, 416) and refusal.code in unknown:
        return BlobUnknown(refusal.text or "blob upload unknown: blob upload unknown to registry")
    return refusal.other()


def from_network(exc: Exception, *, url: str, host: str, address: str = "") -> ConnectionFailed:
    """Translate a socket's, TLS' or http.client's exception into what Docker (Go's net/http) prints."""
    final = isinstance(exc, (socket.gaierror, ConnectionRefusedError, ssl.SSLCertVerificationError))
    kind = Unreachable if final else ConnectionFailed
    return kind(f'Get "{url}": {_go_text(exc, host, address)}')


def _go_text(exc: Exception, host: str, address: str) -> str:
    target = f" {address}" if address else ""
    if isinstance(exc, socket.gaierror):
        return f"dial tcp: lookup {host}: no such host"
    if isinstance(exc, ConnectionRefusedError):
        return f"dial tcp{target}: connect: connection refused"
    if isinstance(exc, ssl.SSLCertVerificationError):
        reason = "x509: certificate signed by unknown authority"
        if exc.verify_code == 10:
            reason = "x509: certificate has expired or is not yet valid"
        elif exc.verify_code in (62, 64):
            reason = f"x509: certificate is not valid for {host}"
        return f"tls: failed to verify certificate: {reason}"
    if isinstance(exc, ssl.SSLError):
        if exc.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
            return "http: server gave HTTP response to HTTPS client"
        return f"tls: {(exc.reason or str(exc)).lower().replace('_', ' ')}"
    if isinstance(exc, TimeoutError):
        return f"dial tcp{target}: i/o timeout" if address else "net/http: timeout awaiting response headers"
    if isinstance(exc, ConnectionResetError):
        return "read: connection reset by peer"
    if isinstance(exc, OSError) and exc.strerror:
        return f"dial tcp{target}: connect: {exc.strerror.lower()}"
    return "unexpected EOF" if "IncompleteRead" in repr(exc) or "RemoteDisconnected" in repr(exc) else str(exc)


def _clean(text: str) -> str:
    return _TOKEN.sub("?", text)[:1000]
