"""The first command starts everything, once; the last one stops it."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.monitor.conftest import read_to_end, wait_until
from wherry.linux.fdsocket import connect_unix

ENSURE = (
    "from wherry.engine.launcher import ensure_running; from wherry.settings import paths; ensure_running(paths())"
)
STOP = (
    "from wherry.engine.launcher import stop_running; from wherry.settings import paths; print(stop_running(paths()))"
)


def open_links(pid: int) -> list[str]:
    """What a process's descriptors name; one that is closed while we look is not listed."""
    links = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            links.append(os.readlink(fd))
    return links


def open_inodes(pid: int) -> list[int]:
    """The inode numbers of a process's open files; one that is closed while we look is not listed."""
    inodes = []
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            inodes.append(fd.stat().st_ino)
    return inodes


class Root:
    """A data and run root of its own for commands in processes of their own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path / "run"
        self.environment = {
            **os.environ,
            "WHERRY_DATA_ROOT": str(path / "data"),
            "WHERRY_RUN_ROOT": str(self.run),
            "WHERRY_CONFIG": str(path / "daemon.json"),
            "SECRET_CANARY": "zwitscher",
        }

    def start(self, code: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", code],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def command(self, code: str) -> str:
        result = subprocess.run(
            [sys.executable, "-c", code], env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    def zygotes(self) -> list[int]:
        lock = os.stat(self.run / "zygote.lock").st_ino
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "comm").read_text() == "wherry-zygote\n":
                    found += [int(process.name)] if lock in open_inodes(int(process.name)) else []
            except OSError:
                continue  # it ended while we looked
        return found

    def request(self, path: str) -> bytes:
        with connect_unix(str(self.run / "wherry.sock"), socket.SOCK_STREAM) as connection:
            connection.settimeout(20)
            connection.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path.encode())
            return read_to_end(connection)


@pytest.fixture
def root() -> Iterator[Root]:
    with tempfile.TemporaryDirectory(prefix="wh-lau-", dir="/tmp") as path:
        made = Root(Path(path))
        try:
            yield made
        finally:
            if made.run.exists():
                made.command(STOP)


@pytest.mark.privileged
def test_one_zygote_is_started_however_many_commands_come_at_once(root: Root) -> None:
    commands = [root.start(ENSURE) for _ in range(6)]
    for command in commands:
        _, errors = command.communicate(timeout=60)
        assert command.returncode == 0, errors
    wait_until(lambda: root.zygotes(), what="zygote")
    assert len(root.zygotes()) == 1
    root.command(ENSURE)
    assert len(root.zygotes()) == 1


@pytest.mark.privileged
def test_the_zygote_outlives_the_command_and_inherits_nothing_of_it(root: Root) -> None:
    canary = root.path / "canary"
    code = f"import os; fd = os.open({str(canary)!r}, os.O_RDWR | os.O_CREAT); os.set_inheritable(fd, True); {ENSURE}"
    root.command(code)
    (zygote,) = wait_until(lambda: root.zygotes(), what="zygote")
    assert os.getsid(zygote) != os.getsid(0)
    assert os.readlink(f"/proc/{zygote}/cwd") == "/"
    children = wait_until(lambda: Path(f"/proc/{zygote}/task/{zygote}/children").read_text().split(), what="engine")
    for pid in (zygote, *map(int, children)):
        assert str(canary) not in open_links(pid)
        assert b"zwitscher" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert Path(f"/proc/{zygote}/environ").read_bytes() == b"LC_CTYPE=C.UTF-8\0"


@pytest.mark.privileged
def test_stop_ends_it_and_says_whether_there_was_one(root: Root) -> None:
    root.command(ENSURE)
    (zygote,) = wait_until(lambda: root.zygotes(), what="zygote")
    assert root.command(STOP) == "True"
    assert not os.path.exists(f"/proc/{zygote}") or Path(f"/proc/{zygote}/stat").read_text().split()[2] == "Z"
    assert not (root.run / "wherry.sock").exists()
    assert root.command(STOP) == "False"


@pytest.mark.privileged
def test_settings_that_are_wrong_reach_the_first_command(root: Root) -> None:
    (root.path / "daemon.json").write_text('{"no-such-setting": 1}')
    root.command(ENSURE)
    answer = root.request("/_ping")
    assert answer.startswith(b"HTTP/1.1 503 ")
    message = json.loads(answer.partition(b"\r\n\r\n")[2])["message"]
    assert "no-such-setting" in message


@pytest.mark.privileged
def test_a_run_root_that_cannot_be_made_is_one_clear_line(root: Root) -> None:
    root.environment["WHERRY_RUN_ROOT"] = "/proc/none"
    command = root.start(ENSURE)
    _, errors = command.communicate(timeout=30)
    assert errors.splitlines()[-1].startswith("wherry.errors.System: open /proc/none/zygote.lock: ")


@pytest.mark.privileged
def test_a_dead_socket_file_does_not_stop_the_next_start(root: Root) -> None:
    root.run.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(root.run / "wherry.sock"))
    root.command(ENSURE)
    assert len(wait_until(lambda: root.zygotes(), what="zygote")) == 1


@pytest.mark.privileged
def test_a_plain_user_is_told_in_one_line(root: Root) -> None:
    root.path.chmod(0o755)
    # Imported as root: the checkout may lie where a plain user cannot read.
    code = f"import os, wherry.engine.launcher, wherry.settings; os.setresuid(65534, 65534, 65534); {ENSURE}"
    command = root.start(code)
    _, errors = command.communicate(timeout=30)
    assert "rootless containers are not there yet" in errors.splitlines()[-1]


@pytest.mark.privileged
def test_serve_in_the_foreground_ends_with_sigint_and_frees_the_sockets(root: Root) -> None:
    serve = root.start("from wherry.engine.launcher import serve; from wherry.settings import paths; serve(paths())")
    try:
        wait_until(lambda: (root.run / "wherry.sock").exists(), what="socket")
        second = root.start(
            "from wherry.engine.launcher import serve; from wherry.settings import paths; serve(paths())"
        )
        _, errors = second.communicate(timeout=30)
        assert errors.splitlines()[-1].endswith("wherry is already running")
        time.sleep(0.3)
    finally:
        serve.send_signal(2)
        serve.communicate(timeout=30)
    assert not (root.run / "wherry.sock").exists()


def test_the_launcher_imports_nearly_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import wherry.engine.launcher; print(len(set(sys.modules) - before))"
    )
    count = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(count) < 90  # a test counts modules, not time
