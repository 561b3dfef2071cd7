"""The engine over TCP: mutual TLS or not at all (S91, S92, S93)."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged


class Served:
    """An engine on loopback TCP, and a client's certificates in docker's places."""

    def __init__(self, root: Path) -> None:
        self.authority = Authority(root / "ca")
        certificate, key = self.authority.issue("server", server=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.engine = EngineUnderTest(root, {
            "hosts": [self.address], "tlsverify": True, "tlscacert": str(self.authority.certificate),
            "tlscert": str(certificate), "tlskey": str(key), "allowed-hosts": ["engine.example"],
        })  # fmt: skip
        self.certificates = root / "client"
        self.certificates.mkdir()
        shutil.copy(self.authority.certificate, self.certificates / "ca.pem")
        certificate, key = self.authority.issue("client")
        shutil.copy(certificate, self.certificates / "cert.pem")
        shutil.copy(key, self.certificates / "key.pem")
        self.environment = {
            "DOCKER_HOST": self.address, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self.certificates),
        }  # fmt: skip

    def docker(self, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["docker", *arguments], input=stdin, capture_output=True, timeout=60, check=False,
            env=self.engine.environment | self.environment,
        )  # fmt: skip

    def context(self, certificate: tuple[Path, Path] | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        if certificate is not None:
            context.load_cert_chain(*certificate)
        return context

    def ask(self, context: ssl.SSLContext, host: str) -> bytes:
        """GET /_ping with that Host; the answer. Raises OSError when the engine does not want us."""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            client.sendall(f"GET /_ping HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while piece := client.recv(4096):
                answer += piece
            return answer


@pytest.fixture(scope="module")
def served(busybox_tar: Path) -> Iterator[Served]:
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    served = Served(root)
    try:
        served.engine.import_busybox(busybox_tar)
        yield served
    finally:
        served.engine.stop()
        shutil.rmtree(root, ignore_errors=True)


def test_dockers_cli_works_over_tls_with_streams_both_ways(served: Served) -> None:
    assert served.docker("run", "--rm", "-i", "busybox", "sh", "-c", "cat; exit 4", stdin=b"in\n").returncode == 4
    data = os.urandom(3 << 20)
    echoed = served.docker("run", "--rm", "-i", "busybox", "cat", stdin=data)
    assert echoed.stdout == data, echoed.stderr
    served.docker("run", "-d", "--name", "web", "busybox", "sleep", "60")
    assert served.docker("exec", "-i", "web", "wc", "-c", stdin=b"12345").stdout.strip() == b"5"
    assert json.loads(served.docker("inspect", "web").stdout)[0]["State"]["Running"]
    served.docker("rm", "-f", "web")


def test_our_cli_is_a_tls_client_by_environment_and_by_options(served: Served) -> None:
    run = served.engine.wherry(
        "run", "--rm", "-i", "busybox", "sh", "-c", "cat; exit 3", stdin=b"in\n", check=False,
        environment=served.environment,
    )  # fmt: skip
    assert (run.stdout, run.returncode) == ("in\n", 3)
    files = served.certificates
    listed = served.engine.wherry(
        "-H", served.address, "--tlsverify", "--tlscacert", f"{files}/ca.pem", "--tlscert", f"{files}/cert.pem",
        "--tlskey", f"{files}/key.pem", "images", "--format", "{{.Repository}}",
    )  # fmt: skip
    assert listed.stdout == "busybox\n"


def test_s91_no_wrong_and_expired_certificates_are_refused(served: Served, tmp_path: Path) -> None:
    stranger = Authority(tmp_path).issue("client")
    expired = served.authority.issue("expired", days=-1)
    for certificate in (None, stranger, expired):
        with pytest.raises(OSError, match=r"certificate|unknown ca|reset|EOF"):
            served.ask(served.context(certificate), "localhost")
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as plain:
        plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" not in plain.recv(4096)


def test_s92_only_the_engines_own_names_are_answered(served: Served) -> None:
    context = served.context((served.certificates / "cert.pem", served.certificates / "key.pem"))
    for name in ("localhost", f"127.0.0.1:{served.port}", "engine.example:2376", socket.gethostname()):
        assert b" 200 " in served.ask(context, name).split(b"\r\n")[0]
    for name in ("evil.example", f"evil.example:{served.port}", "127.0.0.2"):
        assert b" 403 " in served.ask(context, name).split(b"\r\n")[0]


def test_s93_slow_handshakes_end_and_keep_nobody_out(served: Served) -> None:
    served.engine.wherry("ps")
    slow = [socket.create_connection(("127.0.0.1", served.port), timeout=30) for _ in range(50)]
    for client in slow:
        client.sendall(b"\x16\x03\x01")
    context = served.context((served.certificates / "cert.pem", served.certificates / "key.pem"))
    assert b" 200 " in served.ask(context, "localhost").split(b"\r\n")[0]
    for client in slow:
        with client:
            assert client.recv(4096) == b""


def test_s91_plain_tcp_is_refused_with_a_remedy(tmp_path: Path) -> None:
    engine = EngineUnderTest(tmp_path, {})
    refused = engine.wherry("serve", "-H", "tcp://127.0.0.1:2375", check=False)
    assert refused.returncode == 1
    assert "TCP needs certificates" in refused.stderr and "tlsverify" in refused.stderr
    engine = EngineUnderTest(tmp_path, {"hosts": ["tcp://127.0.0.1:2375"], "tls": True})
    assert "TCP needs certificates" in engine.wherry("ps", check=False).stderr
    engine.wherry("system", "stop")


def test_serve_listens_on_another_unix_socket_too(tmp_path: Path) -> None:
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    engine = EngineUnderTest(root, {})
    other = root / "other.sock"
    process = engine.start("serve", "-H", f"unix://{other}", "--tlscacert", "nowhere.pem")
    try:
        deadline = time.monotonic() + 20
        while not other.exists():
            assert time.monotonic() < deadline and process.poll() is None, process.communicate()
            time.sleep(0.05)
        assert other.stat().st_mode & 0o777 in (0o600, 0o660)
        assert engine.wherry("-H", f"unix://{other}", "info", "--format", "{{.DockerRootDir}}").stdout.strip() == str(
            engine.data_root
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
        shutil.rmtree(root, ignore_errors=True)
