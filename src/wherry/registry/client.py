"""The client of the distribution specification: repositories on registries, tried endpoint by endpoint.

Out of scope: what is done with the content (``images/pull``), and checking blobs while they stream
(``content/ingest``). Manifests are small and checked here.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from wherry.errors import WherryError
from wherry.oci.reference import Reference
from wherry.registry.auth import Authenticator, Challenge, TokenCache
from wherry.registry.credentials import AuthConfig
from wherry.registry.endpoints import Endpoint, endpoints_for
from wherry.registry.errors import MAX_ERROR_BYTES, from_push_response, from_response
from wherry.registry.retry import Retry
from wherry.registry.transport import Body, Response, Timeouts, Transport
from wherry.settings import Settings

T = TypeVar("T")


class RegistryClient:
    """One for an engine: keeps connections, challenges and tokens. Thread-safe."""

    def __init__(self, settings: Settings, *, timeouts: Timeouts | None = None, retry: Retry | None = None) -> None:
        self._settings = settings
        self._timeouts = timeouts or Timeouts()
        self.retry = retry or Retry(attempts=settings.max_download_attempts)
        self._tokens = TokenCache()
        self._challenges: dict[str, Challenge] = {}
        self._lock = threading.Lock()
        self._transports: dict[Endpoint, Transport] = {}

    def repository(self, reference: Reference, auth: AuthConfig | None = None) -> "Repository":
        """The repository of ``reference``; credentials go to its own registry, not to mirrors."""
        sessions = []
        for endpoint in endpoints_for(reference.domain, self._settings):
            transport = self._transport(endpoint)
            used = None if endpoint.mirror else auth
            sessions.append(_Session(transport, Authenticator(transport, used, self._tokens, self._challenges)))
        return Repository(reference, sessions)

    def close(self) -> None:
        """Close idle connections."""
        with self._lock:
            transports, self._transports = self._transports, {}
        for transport in transports.values():
            transport.close()

    def _transport(self, endpoint: Endpoint) -> Transport:
        with self._lock:
            transport = self._transports.get(endpoint)
            if transport is None:
                transport = self._transports[endpoint] = Transport(endpoint, self._timeouts)
            return transport


class _Session:
    """One endpoint with the credentials for it."""

    def __init__(self, transport: Transport, authenticator: Authenticator) -> None:
        self.transport = transport
        self.authenticator = authenticator

    def send(
        self, method: str, target: str, headers: dict[str, str], scope: str, body: Body | None = None
    ) -> Response:
        """Send, answering one 401 with what the registry asks for. ``target``: ``/v2/…``, or a URL it has given."""
        request = self.transport.request if target.startswith("/") else self.transport.request_location
        authorization = self.authenticator.header(scope)
        response = request(method, target, headers, authorization=authorization, body=body)
        if response.status != 401:
            return response
        try:
            answer = self.authenticator.answer(response, scope, refused=authorization)
        except BaseException:
            response.close()
            raise
        if not answer:
            return response
        with response:
            response.read_all(MAX_ERROR_BYTES)
        return request(method, target, headers, authorization=answer, body=body)


class Repository:
    """One repository, on its endpoints in order. Cheap; keep none longer than a pull."""

    def __init__(self, reference: Reference, sessions: list[_Session]) -> None:
        self.reference = reference
        self._sessions = sessions

    def request(
        self, method: str, path: str, headers: dict[str, str], *, what: str, receive: Callable[[Response], T],
        statuses: tuple[int, ...] = (200,), actions: str = "pull",
    ) -> T:  # fmt: skip
        """Send ``/v2/<name>/<path>`` to the endpoints until one gives a wanted status, and ``receive`` its answer.

        The answer is open only while ``receive`` runs. When all endpoints fail the last one's error counts:
        it is the registry itself.
        """
        scope = f"repository:{self.reference.path}:{actions}"
        url_path = f"/v2/{self.reference.path}/{path}"
        failure: WherryError | None = None
        for session in self._sessions:
            try:
                response = session.send(method, url_path, headers, scope)
            except WherryError as exc:
                failure = exc
                continue
            with response:
                if response.status in statuses:
                    return receive(response)
                failure = self._failure(method, response, what)
        assert failure is not None
        raise failure

    def ping(self) -> None:
        """Find out whether the registry itself answers, and how it wants to be asked; raises ConnectionFailed."""
        with self._sessions[-1].transport.request("GET", "/v2/", {}) as response:
            response.read_all(MAX_ERROR_BYTES)

    def push_request(
        self, method: str, target: str, *, receive: Callable[[Response], T], statuses: tuple[int, ...],
        headers: dict[str, str] | None = None, body: Body | None = None, scope: str = "",
    ) -> T:  # fmt: skip
        """As :meth:`request`, to the registry itself and with the right to push; mirrors are only read from.

        ``target``: a path below ``/v2/<name>/``, or a URL that the registry gave. ``scope``: a right beyond it.
        """
        url = target if "://" in target else f"/v2/{self.reference.path}/{target}"
        scopes = f"repository:{self.reference.path}:pull,push {scope}".strip()
        with self._sessions[-1].send(method, url, headers or {}, scopes, body) as response:
            if response.status in statuses:
                return receive(response)
            raise from_push_response(
                response.status,
                b"" if method == "HEAD" else response.read_all(MAX_ERROR_BYTES),
                method=method,
                url=response.url,
                retry_after=response.header("Retry-After"),
                challenge=response.header("WWW-Authenticate"),
            )

    def _failure(self, method: str, response: Response, what: str) -> WherryError:
        return from_response(
            response.status,
            b"" if method == "HEAD" else response.read_all(MAX_ERROR_BYTES),
            method=method,
            url=response.url,
            name=self.reference.familiar_name,
            reference=self.reference.familiar,
            what=what,
            retry_after=response.header("Retry-After"),
            challenge=response.header("WWW-Authenticate"),
        )
