"""Redirects, downgrades and addresses (S09, S12)."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.fake_registry import FakeRegistry
from wherry.errors import Forbidden, Unavailable, WherryError
from wherry.oci import reference as references
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import Digest
from wherry.registry.blobs import fetch_blob
from wherry.registry.client import RegistryClient
from wherry.registry.credentials import AuthConfig
from wherry.registry.dial import check_address
from wherry.registry.endpoints import Endpoint, endpoints_for, is_insecure
from wherry.registry.origin import Origin
from wherry.registry.retry import Retry
from wherry.registry.transport import Timeouts, Transport
from wherry.settings import Settings

DATA = b"0123456789" * 1000


def client(**changes: object) -> RegistryClient:
    settings = Settings(**changes)  # type: ignore[arg-type]
    return RegistryClient(settings, retry=Retry(attempts=1), timeouts=Timeouts(connect=2, stall=1))


def fetch(registry: FakeRegistry, made: RegistryClient, auth: AuthConfig | None = None, host: str = "") -> bytes:
    blob = registry.repository("app").add_blob(DATA)
    reference = references.parse(f"{host or registry.host}/app:v1")
    descriptor = Descriptor(media_type="x", digest=Digest(blob["digest"]), size=blob["size"])
    out = bytearray()
    fetch_blob(made.repository(reference, auth), descriptor, 0, out.extend)
    return bytes(out)


@pytest.fixture
def other() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        fake.repository("app").add_blob(DATA)
        yield fake


def test_s09_authorization_does_not_cross_origins(other: FakeRegistry) -> None:
    with FakeRegistry(basic=("user", "secret")) as registry:
        registry.redirect_blobs_to = other.url
        made = client()
        assert fetch(registry, made, AuthConfig("user", "secret")) == DATA
        assert other.paths() == [registry.paths()[-1]]
        assert "Authorization" not in other.requests[0].headers
        registry.redirect_blobs_to = f"http://localhost:{other.port}"
        assert fetch(registry, made, AuthConfig("user", "secret")) == DATA
        assert all("Authorization" not in request.headers for request in other.requests)
        made.close()


def test_s09_a_circle_of_redirects_ends() -> None:
    with FakeRegistry() as registry:
        registry.redirect_blobs_to = registry.url
        made = client()
        with pytest.raises(Forbidden, match="stopped after 10 redirects"):
            fetch(registry, made)
        assert len(registry.requests) == 11
        made.close()


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd?", "ftp://host", "gopher://x", "http://user:pw@host", "http://", "http://[bad"]
)
def test_s09_other_schemes_are_refused(target: str) -> None:
    with FakeRegistry() as registry:
        registry.redirect_blobs_to = target
        made = client()
        with pytest.raises(Forbidden, match="refuse"):
            fetch(registry, made)
        made.close()


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1%eth0", "::ffff:169.254.169.254", "0.0.0.0", "224.0.0.1"]
)
def test_s09_link_local_addresses_are_refused(address: str) -> None:
    endpoint = Endpoint("registry.example", ("https",), verify=True)
    with pytest.raises(Forbidden, match="link-local"):
        check_address(address, endpoint, Origin("https", address, 443))


def test_s09_loopback_is_only_for_registries_on_loopback() -> None:
    origin = Origin("https", "127.0.0.1", 443)
    with pytest.raises(Forbidden, match="loopback"):
        check_address("127.0.0.1", Endpoint("registry.example", ("https",), verify=True), origin)
    check_address("127.0.0.1", Endpoint("localhost:5000", ("https", "http"), verify=False), origin)


def test_s09_the_check_is_made_on_the_connected_socket(other: FakeRegistry) -> None:
    """A registry that is not on loopback redirects to a name that resolves to loopback."""
    transport = Transport(Endpoint("registry.example", ("http",), verify=True), Timeouts(2, 1))
    with pytest.raises(Forbidden, match="loopback"):
        transport.request_url("GET", f"http://localhost:{other.port}/latest/meta-data", {})
    assert other.requests == []


def test_s12_plain_http_is_only_for_loopback_and_configured_hosts() -> None:
    assert endpoints_for("registry.example", Settings())[0].schemes == ("https",)
    assert endpoints_for("10.1.2.3:5000", Settings())[0].schemes == ("https",)
    assert endpoints_for("127.0.0.1:5000", Settings())[0].schemes == ("https", "http")
    configured = Settings(insecure_registries=("registry.example", "10.0.0.0/8", "h:5000"))
    for host in ("registry.example", "registry.example:80", "10.1.2.3:5000", "h:5000"):
        assert endpoints_for(host, configured)[0].schemes == ("https", "http")
    for host in ("h", "h:5001", "evil-registry.example", "11.0.0.1"):
        assert endpoints_for(host, configured)[0].schemes == ("https",)
    assert is_insecure("[::1]:5000", ())
    assert not is_insecure("127.0.0.1.evil.example", ())


def test_s12_a_reset_on_the_tls_port_does_not_lead_to_http() -> None:
    """The endpoint is strict; its server resets every TLS greeting and would talk HTTP."""
    with FakeRegistry() as registry:
        transport = Transport(Endpoint(registry.host, ("https",), verify=True), Timeouts(2, 1))
        with pytest.raises(Unavailable):
            transport.request("GET", "/v2/", {})
        assert registry.requests == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(path),
         "-out", f"{path}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


@pytest.fixture
def tls_port(certificate: Path) -> Iterator[int]:
    """A TLS server that answers 200 to everything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.settimeout(2)
                    if tls.recv(65536):
                        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            except OSError:
                continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    yield port
    done.set()
    socket.create_connection(("127.0.0.1", port)).close()
    thread.join(5)
    listener.close()


def test_s12_a_bad_certificate_is_an_error(tls_port: int) -> None:
    transport = Transport(Endpoint(f"localhost:{tls_port}", ("https",), verify=True), Timeouts(2, 1))
    with pytest.raises(Unavailable, match="tls: failed to verify certificate: x509: certificate signed by unknown"):
        transport.request("GET", "/v2/", {})


def test_an_own_certificate_authority_is_honoured(tls_port: int, certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_bytes(Path(f"{certificate}.crt").read_bytes())
    endpoint = Endpoint(f"localhost:{tls_port}", ("https",), verify=True, certificates=str(tmp_path))
    with Transport(endpoint, Timeouts(2, 1)).request("GET", "/v2/", {}) as response:
        assert (response.status, response.read_all(10)) == (200, b"{}")


def test_an_insecure_registry_needs_no_certificate(tls_port: int) -> None:
    endpoint = Endpoint(f"localhost:{tls_port}", ("https", "http"), verify=False)
    with Transport(endpoint, Timeouts(2, 1)).request("GET", "/v2/", {}) as response:
        assert response.status == 200


def test_connections_are_kept_alive() -> None:
    with FakeRegistry() as registry:
        transport = Transport(Endpoint(registry.host, ("http",), verify=False), Timeouts(2, 1))
        for _ in range(3):
            with transport.request("GET", "/v2/", {}) as response:
                assert response.read_all(10) == b"{}"
        assert len({request.headers["Host"] for request in registry.requests}) == 1
        assert sum(len(idle) for idle in transport._idle.values()) == 1
        transport.close()


def test_a_proxy_is_used_for_hosts_that_are_not_local(monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeRegistry() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        transport = Transport(Endpoint("registry.example", ("http",), verify=True), Timeouts(2, 1))
        with transport.request("GET", "/v2/", {}) as response:
            assert response.status == 200
        assert proxy.requests[0].path == "http://registry.example/v2/"
        assert proxy.requests[0].headers["Host"] == "registry.example"
        transport.close()


def test_an_unknown_host_is_told_as_docker_does() -> None:
    transport = Transport(Endpoint("no-such-host.invalid", ("https",), verify=True), Timeouts(2, 1))
    with pytest.raises(
        WherryError, match=r'Get "https://no-such-host.invalid/v2/": dial tcp: lookup no-such-host.inv'
    ):
        transport.request("GET", "/v2/", {})


def test_s09_an_upload_is_not_sent_from_https_to_http() -> None:
    transport = Transport(Endpoint("reg.example", ("https",), verify=True))
    with pytest.raises(Forbidden, match="https to http"):
        transport.request_location("PUT", "http://reg.example/v2/app/blobs/uploads/1", {})
