"""POST /auth and GET /distribution against Debian's docker-registry with basic authentication."""

import base64
import hashlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.registry.debian_registry import debian_registry
from wherry.api.distribution import ROUTES, Registries
from wherry.api.http_server import ApiServer
from wherry.api.router import Router
from wherry.registry.client import RegistryClient
from wherry.settings import Settings

pytestmark = pytest.mark.peer

_BCRYPT_OF_SECRET = "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for the user ``sailor`` with the password ``secret``."""
    root = tmp_path_factory.mktemp("registry")
    (root / "htpasswd").write_text(f"sailor:{_BCRYPT_OF_SECRET}\n")
    with debian_registry(root, f"auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}\n") as address:
        _push_image(address)
        yield address


def _push_image(address: str) -> None:
    config = json.dumps(
        {"architecture": "arm64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    ).encode()
    upload = _registry(address, "POST", "/v2/boat/blobs/uploads/", b"")
    digest = f"sha256:{hashlib.sha256(config).hexdigest()}"
    location = upload.headers["Location"].partition(address)[2]
    assert _registry(address, "PUT", f"{location}&digest={digest}", config).status == 201
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": len(config)},
        "layers": [],
    }
    body = json.dumps(manifest).encode()
    assert _registry(address, "PUT", "/v2/boat/manifests/1", body, str(manifest["mediaType"])).status == 201


def _registry(address: str, method: str, path: str, body: bytes, kind: str = "application/octet-stream") -> Any:
    connection = http.client.HTTPConnection(address, timeout=10)
    credentials = base64.b64encode(b"sailor:secret").decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": kind}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


@pytest.fixture
def engine_socket(tmp_path: Path) -> Iterator[str]:
    """A server of these routes alone."""
    settings = Settings()
    client = RegistryClient(settings)
    router = Router()
    router.add(Registries(settings, client), ROUTES)
    server = ApiServer(router)
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        thread = threading.Thread(target=server.serve, args=(listener,))
        thread.start()
        yield path
        server.close()
        thread.join(5)
    client.close()


def _ask(path: str, line: str, body: bytes = b"", *, header: str = "X-A: b") -> tuple[int, dict[str, Any]]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(path)
        client.sendall(
            f"{line} HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n".encode()
            + (f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() if body else b"")
            + (body or b"\r\n")
        )
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return int(answer.split(b" ", 2)[1]), json.loads(answer.partition(b"\r\n\r\n")[2])


def _login(path: str, address: str, password: str) -> tuple[int, dict[str, Any]]:
    wanted = {"username": "sailor", "password": password, "serveraddress": address}
    return _ask(path, "POST /v1.41/auth", json.dumps(wanted).encode())


def test_login_with_the_right_password(engine_socket: str, registry: str) -> None:
    assert _login(engine_socket, registry, "secret") == (200, {"Status": "Login Succeeded", "IdentityToken": ""})


def test_login_with_the_wrong_password(engine_socket: str, registry: str) -> None:
    status, answer = _login(engine_socket, registry, "guess")
    assert status == 401
    assert answer["message"] == f"login attempt to http://{registry}/v2/ failed with status: 401 Unauthorized"


def test_login_where_nobody_answers(engine_socket: str) -> None:
    status, answer = _login(engine_socket, "127.0.0.1:1", "secret")
    assert status >= 500
    assert "connection refused" in answer["message"]


def test_distribution_tells_digest_and_platform(engine_socket: str, registry: str) -> None:
    credentials = json.dumps({"username": "sailor", "password": "secret"}).encode()
    encoded = base64.urlsafe_b64encode(credentials).decode()
    status, answer = _ask(
        engine_socket, f"GET /distribution/{registry}/boat:1/json", header=f"X-Registry-Auth: {encoded}"
    )
    assert status == 200, answer
    assert answer["Descriptor"]["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert answer["Platforms"] == [{"architecture": "arm64", "os": "linux"}]


def test_distribution_without_credentials_is_refused(engine_socket: str, registry: str) -> None:
    status, answer = _ask(engine_socket, f"GET /distribution/{registry}/boat:1/json")
    assert status in (401, 404), answer
