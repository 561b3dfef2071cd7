"""A registry that works, in this process, and that can be told to misbehave.

Speaks the distribution specification over plain HTTP on loopback: manifests by tag and digest, blobs with ranges,
uploads, mounts, lists of tags in pages, token and basic authentication, redirects. Every request is recorded.
"""

import base64
import hashlib
import json
import socket
import struct
import threading
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

JSON = dict[str, Any]
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Recorded:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Repository:
    """Content of one repository: tags and digests to (media type, bytes), blobs by digest."""

    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)

    def add_blob(self, data: bytes) -> JSON:
        digest = sha256(data)
        self.blobs[digest] = data
        return {"digest": digest, "size": len(data)}

    def add_manifest(self, document: JSON | bytes, *tags: str, media_type: str = OCI_MANIFEST) -> str:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = sha256(data)
        for name in (digest, *tags):
            self.manifests[name] = (media_type, data)
        return digest


Fault = Callable[["Handler", bytes], bool]
"""Called instead of sending a blob; True when it has answered itself."""


class FakeRegistry:
    """Start with ``with``. ``host`` is ``127.0.0.1:port``."""

    def __init__(self, *, token: bool = False, basic: tuple[str, str] | None = None) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Recorded] = []
        self.token = token
        self.basic = basic
        self.users: dict[str, str] = {}
        self.realm = ""
        self.anonymous_pull = True
        self.faults: list[Fault] = []
        """Each is used for one blob request, in order."""
        self.always: Fault | None = None
        self.redirect_blobs_to = ""
        self.next_statuses: list[tuple[int, dict[str, str], bytes]] = []
        self.issued: set[str] = set()
        self.uploads: dict[str, bytearray] = {}
        self.read_only: set[str] = set()
        """Users who may not push; "" is the one without a name."""
        self.upload_faults: list[Fault] = []
        """Each is used for one PATCH, with the body that came so far, in order."""
        self.upload_limit = 1 << 30
        self.page = 2
        self.search: JSON | None = None
        """What /v1/search answers."""
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.registry = self
        self.port = self._server.server_address[1]
        self.host = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )

    def repository(self, name: str) -> Repository:
        return self.repositories.setdefault(name, Repository())

    def paths(self, method: str = "") -> list[str]:
        return [r.path for r in self.requests if not method or r.method == method]

    def __enter__(self) -> "FakeRegistry":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    registry: FakeRegistry
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is what many of the tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def handle(self) -> None:
        if self.connection.recv(1, socket.MSG_PEEK) == b"\x16":  # a TLS greeting: this is plain HTTP
            return
        super().handle()

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        registry = self.server.registry
        length = int(self.headers.get("Content-Length") or 0)
        path = urllib.parse.urlsplit(self.path)
        if length > registry.upload_limit:
            registry.requests.append(Recorded(self.command, self.path, dict(self.headers.items())))
            self.send(413, b"", {"Connection": "close"})
            self.rfile.read(length)
            self.close_connection = True
            return
        if self.command == "PATCH" and registry.upload_faults and registry.upload_faults.pop(0)(self, b""):
            registry.requests.append(Recorded(self.command, self.path, dict(self.headers.items())))
            return
        body = self.rfile.read(length)
        registry.requests.append(Recorded(self.command, self.path, dict(self.headers.items()), body))
        if path.path == "/token":
            self._token(path.query, body)
            return
        if registry.next_statuses:
            status, headers, data = registry.next_statuses.pop(0)
            self.send(status, data, headers)
            return
        if not self._authorized(path.path):
            return
        parts = path.path.strip("/").split("/")
        if path.path == "/v2/":
            self.send(200, b"{}")
        elif path.path == "/v1/search" and registry.search is not None:
            self.send(200, json.dumps(registry.search).encode(), {"Content-Type": "application/json"})
        elif len(parts) >= 4 and parts[-2:] == ["tags", "list"]:
            self._tags("/".join(parts[1:-2]), dict(urllib.parse.parse_qsl(path.query)))
        elif "uploads" in parts:
            at = parts.index("uploads")
            self._upload("/".join(parts[1 : at - 1]), "/".join(parts[at + 1 :]), path.query, body)
        elif self.command == "PUT" and parts[-2] == "manifests":
            kind = self.headers.get("Content-Type", "")
            digest = registry.repository("/".join(parts[1:-2])).add_manifest(body, parts[-1], media_type=kind)
            self.send(201, b"", {"Docker-Content-Digest": digest})
        elif len(parts) >= 4 and parts[-2] == "manifests":
            self._manifest("/".join(parts[1:-2]), parts[-1])
        elif len(parts) >= 4 and parts[-2] == "blobs":
            self._blob("/".join(parts[1:-2]), parts[-1])
        else:
            self.error(404, "UNSUPPORTED", "no such route")

    def _authorized(self, path: str) -> bool:
        registry = self.server.registry
        sent = self.headers.get("Authorization", "")
        if registry.basic is not None:
            expected = "Basic " + base64.b64encode(":".join(registry.basic).encode()).decode()
            if sent != expected:
                self.error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": 'Basic realm="fake"'})
                return False
        if registry.token and sent.removeprefix("Bearer ") not in registry.issued:
            name = "/".join(path.strip("/").split("/")[1:-2])
            realm = registry.realm or f"{registry.url}/token"
            challenge = f'Bearer realm="{realm}",service="fake",scope="repository:{name}:pull"'
            if sent:
                challenge += ',error="insufficient_scope"'
            self.error(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})
            return False
        return True

    def _token(self, query: str, body: bytes) -> None:
        registry = self.server.registry
        values = dict(urllib.parse.parse_qsl(query or body.decode()))
        sent = self.headers.get("Authorization", "")
        user = ""
        asked = [value for key, value in urllib.parse.parse_qsl(query or body.decode()) if key == "scope"]
        if sent.startswith("Basic "):
            user, _, password = base64.b64decode(sent[6:]).decode().partition(":")
            if registry.users.get(user) != password:
                self.error(401, "UNAUTHORIZED", "incorrect username or password")
                return
        elif "refresh_token" in values:
            user = values["refresh_token"]
        token = f"token-{user}-{len(registry.issued)}"
        if any("push" in scope for scope in asked) and user in registry.read_only:
            pass  # a token that is good for nothing, as Docker Hub gives
        elif user or registry.anonymous_pull:
            registry.issued.add(token)
        self.send(200, json.dumps({"token": token, "expires_in": 300}).encode())

    def _manifest(self, name: str, reference: str) -> None:
        repository = self.server.registry.repositories.get(name)
        if repository is None:
            self.error(404, "NAME_UNKNOWN", "repository name not known to registry")
        elif reference not in repository.manifests:
            self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        else:
            media_type, data = repository.manifests[reference]
            self.send(200, data, {"Content-Type": media_type, "Docker-Content-Digest": sha256(data)})

    def _tags(self, name: str, query: dict[str, str]) -> None:
        registry = self.server.registry
        repository = registry.repositories.get(name)
        if repository is None:
            self.error(404, "NAME_UNKNOWN", "repository name not known to registry")
            return
        tags = sorted(tag for tag in repository.manifests if not tag.startswith("sha256:"))
        rest = [tag for tag in tags if tag > query.get("last", "")]
        page, more = rest[: registry.page], rest[registry.page :]
        link = {"Link": f'</v2/{name}/tags/list?last={page[-1]}&n={registry.page}>; rel="next"'} if more else {}
        self.send(200, json.dumps({"name": name, "tags": page}).encode(), link)

    def _upload(self, name: str, identity: str, query: str, body: bytes) -> None:
        registry = self.server.registry
        values = dict(urllib.parse.parse_qsl(query))
        if self.command == "POST":
            source = registry.repositories.get(values.get("from", ""))
            if source is not None and values["mount"] in source.blobs:
                registry.repository(name).blobs[values["mount"]] = source.blobs[values["mount"]]
                self.send(201, b"", {"Location": f"/v2/{name}/blobs/{values['mount']}"})
                return
            identity = f"u{len(registry.uploads)}"
            registry.uploads[identity] = bytearray()
        if identity not in registry.uploads:
            self.error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
            return
        data = registry.uploads[identity]
        if self.command != "POST" and values.get("state") != "s":
            self.error(400, "BLOB_UPLOAD_INVALID", "blob upload invalid")
            return
        start = self.headers.get("Content-Range", "").partition("-")[0]
        if start and int(start) != len(data):
            self.error(416, "BLOB_UPLOAD_INVALID", "blob upload invalid")
            return
        if self.command in ("PATCH", "PUT"):
            data += body
        if self.command == "PUT":
            if sha256(bytes(data)) != values["digest"]:
                self.error(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
                return
            registry.repository(name).add_blob(bytes(data))
            del registry.uploads[identity]
            self.send(201, b"", {"Location": f"/v2/{name}/blobs/{values['digest']}"})
            return
        headers = {
            "Location": f"/v2/{name}/blobs/uploads/{identity}?state=s",
            "Range": f"0-{max(len(data) - 1, 0)}",
            "Docker-Upload-UUID": identity,
        }
        self.send(204 if self.command == "GET" else 202, b"", headers)

    def _blob(self, name: str, digest: str) -> None:
        registry = self.server.registry
        repository = registry.repositories.get(name)
        if repository is None or digest not in repository.blobs:
            self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return
        if registry.redirect_blobs_to:
            self.send(307, b"", {"Location": registry.redirect_blobs_to + self.path})
            return
        data = repository.blobs[digest]
        fault = registry.faults.pop(0) if registry.faults else registry.always
        if fault is not None and fault(self, data):
            return
        self.send_blob(data)

    def send_blob(self, data: bytes) -> None:
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            start = int(wanted[6:].partition("-")[0])
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self.send(206, data[start:], headers)
        else:
            self.send(200, data)

    def range_start(self) -> int:
        return int((self.headers.get("Range") or "bytes=0-")[6:].partition("-")[0])

    def send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def error(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.send(status, body, {"Content-Type": "application/json", **(headers or {})})

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


# -- faults
