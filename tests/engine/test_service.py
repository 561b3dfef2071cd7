"""The socket is there without anybody's command: ``serve --detach``, a socket that systemd passed, units."""

import configparser
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged


@pytest.fixture
def engine() -> Iterator[EngineUnderTest]:
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    engine = EngineUnderTest(root, {})
    try:
        yield engine
    finally:
        engine.wherry("system", "stop", check=False)
        shutil.rmtree(root, ignore_errors=True)


def test_a_detached_engine_answers_dockers_client_after_it_went_idle(engine: EngineUnderTest) -> None:
    assert engine.wherry("serve", "--detach", "--idle-timeout", "1s").stdout == f"unix://{engine.socket}\n"
    assert engine.docker("version", "--format", "{{.Server.Platform.Name}}").stdout == "wherry\n"
    deadline = time.monotonic() + 20
    while engine.engine_pid():
        assert time.monotonic() < deadline, "it does not go idle"
        time.sleep(0.1)
    assert engine.docker("ps", "-q").stdout == ""
    again = engine.wherry("serve", "--detach", check=False)
    assert (again.returncode, again.stderr.splitlines()[0]) == (1, "wherry is already running")


def test_a_socket_that_systemd_passes_is_served_and_left_alone(engine: EngineUnderTest) -> None:
    engine.run_root.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(engine.socket))
        listener.listen()
        inode = engine.socket.stat().st_ino
        program = Path(sys.executable).parent / "wherry"
        process = subprocess.Popen(
            ["bash", "-c", f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve 3<&{listener.fileno()}', str(program)],
            pass_fds=(listener.fileno(),), env=engine.environment, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert engine.docker("version", "--format", "{{.Server.Platform.Name}}").stdout == "wherry\n"
            assert engine.socket.stat().st_ino == inode
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        assert engine.socket.stat().st_ino == inode
        assert process.returncode == 0


def test_units_are_written_and_removed(engine: EngineUnderTest) -> None:
    directory = engine.root / "100%"
    printed = engine.wherry("system", "service", "install", "--unit-dir", str(directory))
    assert printed.stdout.split() == [f"{directory}/wherry.socket", f"{directory}/wherry.service"]
    units = {}
    for path in directory.iterdir():
        units[path.name] = configparser.ConfigParser(strict=False, interpolation=None)
        units[path.name].read(path)
    assert units["wherry.socket"]["Socket"]["ListenStream"] == str(engine.socket)
    assert units["wherry.socket"]["Socket"]["SocketMode"] in ("0660", "0600")
    service = units["wherry.service"]["Service"]
    assert service["KillMode"] == "process" and service["Delegate"] == "yes"
    assert Path(service["ExecStart"].split()[0]).is_file()
    assert f"WHERRY_DATA_ROOT={engine.data_root}" in (directory / "wherry.service").read_text()
    removed = engine.wherry("system", "service", "uninstall", "--unit-dir", str(directory))
    assert len(removed.stdout.split()) == 2
    assert list(directory.iterdir()) == []
    assert engine.wherry("system", "service", "uninstall", "--unit-dir", str(directory)).stdout == ""


def test_a_users_own_service_is_refused_with_the_reason(engine: EngineUnderTest) -> None:
    refused = engine.wherry("system", "service", "install", "--user", check=False)
    assert refused.returncode == 1
    assert "rootless containers are not there yet" in refused.stderr
