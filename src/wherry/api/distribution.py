"""/distribution and /auth: questions to a registry."""

from dataclasses import dataclass

import msgspec

from wherry.api.request import Request
from wherry.api.response import Response, json_response
from wherry.api.router import Route
from wherry.errors import InvalidParameter
from wherry.images.distribution import inspect_distribution
from wherry.registry.client import RegistryClient
from wherry.registry.credentials import AuthConfig, parse_header
from wherry.registry.login import check_credentials
from wherry.settings import Settings


@dataclass(frozen=True, slots=True)
class Registries:
    """What these routes need: the engine's client, and the settings that say how a registry is reached."""

    settings: Settings
    client: RegistryClient


class AuthRequest(msgspec.Struct, rename="lower"):
    """Body of POST /auth."""

    username: str = ""
    password: str = ""
    identity_token: str = msgspec.field(default="", name="identitytoken")
    server_address: str = msgspec.field(default="", name="serveraddress")


def _inspect(registries: Registries, request: Request) -> Response:
    auth = parse_header(request.headers.get("x-registry-auth", ""))
    return json_response(inspect_distribution(registries.client, request.params["name"], auth))


def _login(registries: Registries, request: Request) -> Response:
    try:
        wanted = msgspec.json.decode(request.json_body() or b"{}", type=AuthRequest)
    except msgspec.DecodeError as exc:
        raise InvalidParameter(f"invalid JSON: {exc}") from exc
    auth = AuthConfig(wanted.username, wanted.password, wanted.identity_token, "", wanted.server_address)
    check_credentials(registries.settings, auth)
    return json_response({"Status": "Login Succeeded", "IdentityToken": ""})


ROUTES: tuple[Route[Registries], ...] = (
    Route("GET", "/distribution/{name:path}/json", _inspect),
    Route("POST", "/auth", _login),
)
