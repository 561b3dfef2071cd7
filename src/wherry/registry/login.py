"""Trying credentials at a registry (``docker login``, POST /auth). Nothing is stored here: the client does that."""

from http import HTTPStatus

from wherry.errors import InvalidParameter, Unauthorized
from wherry.registry.auth import Authenticator, Challenge, TokenCache
from wherry.registry.credentials import DOCKER_HUB_KEY, AuthConfig
from wherry.registry.endpoints import DOCKER_HUB, endpoints_for
from wherry.registry.errors import MAX_ERROR_BYTES, AuthenticationRequired
from wherry.registry.transport import Response, Transport
from wherry.settings import Settings


def check_credentials(settings: Settings, auth: AuthConfig) -> None:
    """Ask the registry of ``auth.server_address`` (docker.io when empty) for its base with these credentials.

    Raises Unauthorized in Docker's words when they are refused, ConnectionFailed without an answer.
    """
    bad = next((char for char in auth.server_address if char <= " " or char == "\x7f"), "")
    if bad:
        raise InvalidParameter(
            f'unable to parse server address: parse "https://{auth.server_address}": '
            f'invalid character "{bad}" in host name'
        )
    transport = Transport(endpoints_for(_domain(auth.server_address), settings)[-1])
    challenges: dict[str, Challenge] = {}
    authenticator = Authenticator(transport, auth, TokenCache(), challenges)
    try:
        response = transport.request("GET", "/v2/", {})
        if response.status == 401:
            try:
                authorization = authenticator.answer(response, "", refused="")
            except AuthenticationRequired as exc:
                raise AuthenticationRequired(f'Get "{response.url}": {exc.message}') from exc
            finally:
                _discard(response)
            response = transport.request("GET", "/v2/", {}, authorization=authorization)
        status, url = response.status, response.url
        _discard(response)
    finally:
        transport.close()
    if status != 200:
        reason = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        raise Unauthorized(f"login attempt to {url} failed with status: {status} {reason}".rstrip())


def _discard(response: Response) -> None:
    with response:
        response.read_all(MAX_ERROR_BYTES)


def _domain(server_address: str) -> str:
    if server_address in ("", DOCKER_HUB_KEY):
        return DOCKER_HUB
    host = server_address.partition("://")[2] or server_address
    host = host.partition("/")[0]
    return DOCKER_HUB if host in ("index.docker.io", "registry-1.docker.io") else host
