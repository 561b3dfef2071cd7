import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable

from tests.cli.engine_with_containers import ContainerEngine
from tests.client.fake_engine import FakeEngine, Handler, Request
from wherry.cli.terminal import RawMode

Serve = Callable[[Handler], FakeEngine]


def test_raw_mode_is_undone_after_an_exception() -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    try:
        with RawMode(slave):
            assert not termios.tcgetattr(slave)[3] & termios.ECHO
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


class _Shell(ContainerEngine):
    """A container with a terminal: raw output, and it never ends by itself."""

    def _attach(self, request: Request) -> bool:
        request.upgrade()
        self._started.wait(5)
        request.raw(b"prompt> ")
        while request.sock.recv(100):
            pass
        return False

    def _resize(self, request: Request) -> None:
        self.killed.append(request.query)
        request.answer(200)


def test_the_detach_keys_leave_the_container_and_give_the_terminal_back(serve: Serve) -> None:
    engine = _Shell()
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    command = [sys.executable, "-c", "from wherry.cli.main import main; main()", "-H", serve(engine).host]
    process = subprocess.Popen([*command, "run", "-it", "busybox"], stdin=slave, stdout=slave, stderr=slave)
    shown = b""
    deadline = time.monotonic() + 15
    while b"prompt> " not in shown and time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            shown += os.read(master, 1000)
    os.write(master, b"\x10\x11")
    assert process.wait(10) == 0
    assert b"prompt> " in shown
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)
