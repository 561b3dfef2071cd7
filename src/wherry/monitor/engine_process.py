"""The engine as the zygote's child: when it is started, and what clients hear while it does not start.

Contract with ``python -m wherry.api``: descriptor 3 is the listening API socket (``LISTEN_FDS=1``,
``LISTEN_PID``), descriptor 4 the connection to the zygote (``WHERRY_ZYGOTE_FD=4``); ``WHERRY_FOREGROUND=1`` means no
idle exit. It exits with 0 when it is idle or was told to, with anything else when it failed.
"""

import os
import select
import signal
import socket
from collections.abc import Callable

from wherry import json_text
from wherry.monitor.bootstrap import ZygoteConfig
from wherry.monitor.diagnostics import report
from wherry.monitor.exit_status import exit_code
from wherry.monitor.loop import EPOLLIN, Loop

_API_FD, _ZYGOTE_FD = 3, 4
_TERMINATE_SECONDS = 10.0
_FIRST_DELAY_SECONDS = 0.25
_LONGEST_DELAY_SECONDS = 10.0
_REQUEST_WAIT_SECONDS = 0.05
_WORDS_BYTES = 4096
_WORDS_LINES = 4
_OURS = r"\d{4}-\d\d-\d\dT[\d:]+Z wherry\["


def spawn_engine(config: ZygoteConfig) -> tuple[int, socket.socket]:
    """Start an engine; its pid and our end of its connection. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)  # Ctrl-C in `wherry serve` is the zygote's to handle
            for number in (signal.SIGPIPE, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            environment = {**_read_environment(config.environment_fd), "LISTEN_FDS": "1",
                           "LISTEN_PID": str(os.getpid()), "WHERRY_ZYGOTE_FD": str(_ZYGOTE_FD)}  # fmt: skip
            first, second = _out_of_the_way(config.api_fd), _out_of_the_way(theirs.fileno())
            os.dup2(first, _API_FD)
            os.dup2(second, _ZYGOTE_FD)
            os.closerange(5, 1024)
            os.execve(config.engine_command[0], config.engine_command, environment)
        except BaseException as exc:
            report(f"execute {config.engine_command[0]}: {exc}")
        finally:
            os._exit(127)
    theirs.close()
    return pid, ours


def _out_of_the_way(fd: int) -> int:
    """A duplicate that is neither of the two numbers."""
    spare = os.dup(fd)
    return spare if spare > _ZYGOTE_FD else _out_of_the_way(spare)


def _read_environment(fd: int) -> dict[str, str]:
    environment: dict[str, str] = json_text.loads(os.pread(fd, os.fstat(fd).st_size, 0).decode())
    return environment


class EngineProcess:
    """``add_peer`` takes the connection of each new engine. In the foreground the loop stops with the engine."""

    def __init__(
        self, loop: Loop, config: ZygoteConfig, api: socket.socket, add_peer: Callable[[socket.socket], None]
    ) -> None:
        self._loop = loop
        self._config = config
        self._api = api
        self._add_peer = add_peer
        self._ready = False
        self._failures = 0
        self._next_try = 0.0
        self._reason = ""
        self._on_terminated: Callable[[], None] | None = None
        self.pid = 0
        self.peer_fd = -1
        self.exit_code: int | None = None

    def adopt(self, pid: int, connection: socket.socket | None) -> None:
        """Take charge of an engine that was started before this process's code was loaded."""
        self.pid = pid
        self._loop.watch_child(pid, self._exited)
        if connection is not None:
            self.peer_fd = connection.fileno()
            self._add_peer(connection)

    def start(self) -> None:
        """Start one now."""
        try:
            pid, connection = spawn_engine(self._config)
        except OSError as exc:
            self._reason = f"start engine: {exc.strerror}"
            self._failed()
            return
        self._ready = False
        report(f"engine {pid} started")
        self.adopt(pid, connection)

    def ready(self) -> None:
        """The engine says that it serves."""
        self._ready = True
        self._failures = 0

    def terminate(self, then: Callable[[], None]) -> None:
        """End the engine (SIGTERM, SIGKILL later), then call ``then``. Idempotent."""
        if self._on_terminated is not None:
            return
        self._on_terminated = then
        if not self.pid:
            then()
            return
        os.kill(self.pid, signal.SIGTERM)  # our unreaped child: the pid cannot have been reused
        self._loop.call_later(_TERMINATE_SECONDS, self._kill)

    def _kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)

    def _exited(self, status: int) -> None:
        self.pid = 0
        self.peer_fd = -1
        code = exit_code(status)
        self.exit_code = code
        if self._on_terminated is not None:
            self._on_terminated()
        elif self._config.foreground:
            self._loop.stop()
        elif code == 0:
            self._wait_for_client()
        else:
            self._reason = f"engine ended with exit code {code}"
            report(self._reason)
            if self._ready:
                self.start()
            else:
                self._failed()

    def _wait_for_client(self) -> None:
        self._loop.add(self._api.fileno(), EPOLLIN, self._on_client)

    def _failed(self) -> None:
        """It died before it was ready: no new try before the back-off is over and somebody wants it."""
        delay = min(_FIRST_DELAY_SECONDS * 2**self._failures, _LONGEST_DELAY_SECONDS)
        self._failures += 1
        self._next_try = self._loop.clock() + delay
        self._refuse_clients()
        self._wait_for_client()

    def _on_client(self, _events: int) -> None:
        if self._loop.clock() < self._next_try:
            self._refuse_clients()
            return
        self._loop.remove(self._api.fileno())
        self.start()

    def _refuse_clients(self) -> None:
        """Answer everybody who waits with 503 and the reason. The listening socket stays blocking: its flags are
        the engine's too."""
        poll = select.poll()
        poll.register(self._api, select.POLLIN)
        while poll.poll(0):
            try:
                client, _ = self._api.accept()
            except OSError:
                return  # it gave up
            with client:
                _answer_unavailable(client, self._explain())

    def _explain(self) -> str:
        tail = "" if self._config.foreground else _last_words(self._config.log_file)
        return f"{self._reason}: {tail}" if tail else self._reason


def _answer_unavailable(client: socket.socket, reason: str) -> None:
    body = json_text.dumps({"message": reason}).encode()
    head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
    try:
        client.settimeout(_REQUEST_WAIT_SECONDS)
        try:
            client.recv(65536)
        except TimeoutError:
            pass  # it has not asked yet; the answer is the same
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    except OSError:
        pass  # it is gone


def _last_words(path: str) -> str:
    """What the engine said last: its last lines, of a traceback only the last one."""
    import re  # no monitor needs it

    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _WORDS_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    words: list[str] = []
    for line in reversed(lines):
        if re.match(_OURS, line):
            if words:
                break  # what stands before our own line belongs to an earlier engine
        elif line.strip():
            words.insert(0, line.strip())
    traceback = any(word.startswith("Traceback (most") for word in words)
    return words[-1] if traceback else "\n".join(words[-_WORDS_LINES:])
