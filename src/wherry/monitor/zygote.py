"""The zygote: forks monitors, holds the API socket, keeps an engine running while somebody needs one.

Single-threaded for ever, executed from a sealed memfd (bootstrap.py), imports nothing but what monitors use. It
lives at ``<run_root>``: ``zygote.lock`` (flock, held for life), ``zygote.sock`` (seqpacket, 0600), ``wherry.sock``
(the API, inherited by every engine).

An engine that exits with 0 went idle: the next one starts when a client connects. After any other end the next one
starts at once, with back-off when it happens again before the engine said that it was ready; clients that wait
meanwhile get the reason as 503.
"""

from __future__ import annotations

import gc
import os
import signal
import socket

from wherry.linux.process import command_line_area, set_command_line, set_dumpable, set_name
from wherry.monitor.bootstrap import ZygoteConfig, execute_zygote
from wherry.monitor.diagnostics import report, report_bug
from wherry.monitor.engine_process import EngineProcess
from wherry.monitor.fingerprint import code_fingerprint
from wherry.monitor.loop import EPOLLIN, Loop
from wherry.monitor.main import run_monitor
from wherry.monitor.protocol import PROTOCOL_VERSION, Message, ProtocolError, Receiver, send
from wherry.monitor.rehearsal import rehearse
from wherry.record import NamedTuple
from wherry.runtime.preload import preload
from wherry.security import capabilities
from wherry.security.bpf import compile_profile
from wherry.security.seccomp_profile import default_profile

# Containers have 0 or more.
OOM_SCORE_ADJUST = -999


class _Peer(NamedTuple):
    endpoint: socket.socket
    receiver: Receiver


class Zygote:
    """``config``'s descriptors were made by the bootstrap, or by the zygote that this one replaces."""

    def __init__(self, config: ZygoteConfig) -> None:
        self._config = config
        self._pid = os.getpid()
        self._argv_area = command_line_area()
        set_command_line(self._argv_area, b"wherry-zygote")
        self._loop = Loop()
        self._api = socket.socket(fileno=config.api_fd)
        self._listener = socket.socket(fileno=config.listener_fd)
        self._listener.setblocking(False)
        self._peers: dict[int, _Peer] = {}
        self._fingerprint = code_fingerprint()
        self._engine = EngineProcess(self._loop, config, self._api, self._add_peer)

    def run(self) -> None:
        """Serve until SIGTERM, or (foreground) until the engine ends."""
        # Monitors inherit the handlers, which then do nothing: ignored signals would stay ignored in containers.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_terminate)
        for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, lambda _number, _frame: None)
        self._loop.add(self._listener.fileno(), EPOLLIN, self._accept)
        connection = socket.socket(fileno=self._config.engine_fd) if self._config.engine_fd >= 0 else None
        self._engine.adopt(self._config.engine_pid, connection)
        preload()  # once here and not in every monitor
        filling = self._rehearse()
        self._loop.reap_children()  # after the engine is known: it may have ended already
        # Compiled once: nearly every container has exactly this filter.
        compile_profile(default_profile(capabilities.resolve((), (), privileged=False)))
        gc.collect()
        gc.freeze()
        gc.disable()  # a collection in a child would copy every page that it looks at
        self._loop.run()
        filling.clear()
        self._remove_sockets()

    def _rehearse(self) -> list[bytes]:
        try:
            return rehearse(self._config.run_root)
        except OSError as exc:
            report(f"rehearse a monitor: {exc}: monitors will be larger")
            return []

    def _on_terminate(self, _number: int, _frame: object) -> None:
        if os.getpid() == self._pid:
            self._engine.terminate(self._loop.stop)

    @property
    def exit_code(self) -> int:
        """Of this process: the engine's in the foreground."""
        return (self._engine.exit_code or 0) if self._config.foreground else 0

    def _remove_sockets(self) -> None:
        for path in (self._config.zygote_socket, *([] if self._config.activated else [self._config.api_socket])):
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass  # somebody cleaned up the run root

    # Peers

    def _accept(self, _events: int) -> None:
        try:
            endpoint, _ = self._listener.accept()
        except OSError:
            return  # the peer gave up, or no descriptor is free: it will try again
        self._add_peer(endpoint)

    def _add_peer(self, endpoint: socket.socket) -> None:
        endpoint.setblocking(False)
        fd = endpoint.fileno()
        self._peers[fd] = _Peer(endpoint, Receiver(endpoint))
        self._loop.add(fd, EPOLLIN, lambda _events: self._on_message(fd))

    def _drop(self, fd: int) -> None:
        peer = self._peers.pop(fd)
        self._loop.remove(fd)
        peer.receiver.close()
        peer.endpoint.close()

    def _on_message(self, fd: int) -> None:
        peer = self._peers[fd]
        try:
            received = peer.receiver.receive(socket.MSG_DONTWAIT)
            if received is None:
                self._drop(fd)
                return
            self._answer(peer, *received)
        except BlockingIOError:
            return
        except (ProtocolError, OSError) as exc:
            report(f"connection to zygote: {exc}")
            if fd in self._peers:
                self._drop(fd)

    def _answer(self, peer: _Peer, message: Message, fds: list[int]) -> None:
        op = message.get("op")
        sequence = message.get("seq")
        try:
            if op == "spawn":
                self._spawn(fds)
            elif op == "version":
                send(peer.endpoint, {"seq": sequence, "ok": self._describe()})
            elif op == "ready":
                self._engine.ready()
                send(peer.endpoint, {"seq": sequence, "ok": None})
            elif op == "replace":
                send(peer.endpoint, {"seq": sequence, "ok": None})
                self._replace()
            elif op == "stop":
                send(peer.endpoint, {"seq": sequence, "ok": None})
                self._engine.terminate(self._loop.stop)
            else:
                error = {"kind": "unavailable", "message": f"zygote does not know {op}"}
                send(peer.endpoint, {"seq": sequence, "error": error})
        finally:
            for fd in fds:
                os.close(fd)

    def _describe(self) -> Message:
        return {"protocol": PROTOCOL_VERSION, "fingerprint": self._fingerprint, "pid": os.getpid()}

    def _spawn(self, fds: list[int]) -> None:
        try:
            pid = os.fork()
        except OSError as exc:
            report(f"fork monitor: {exc.strerror}")  # the engine sees the end of the connection
            return
        if pid == 0:
            run_monitor(fds[0], api_socket=self._config.api_socket, argv_area=self._argv_area)

    def _replace(self) -> None:
        """Become the code that is on disk now; children, sockets, lock and engine stay."""
        report("replacing zygote by the code on disk")
        engine_fd = self._engine.peer_fd
        kept = [self._api.fileno(), self._listener.fileno(), self._config.lock_fd, self._config.environment_fd]
        if engine_fd in self._peers:
            kept.append(engine_fd)
        else:
            engine_fd = -1
        for fd in kept:
            os.set_inheritable(fd, True)
        try:
            execute_zygote(
                self._config._replace(
                    api_fd=self._api.fileno(),
                    listener_fd=self._listener.fileno(),
                    engine_pid=self._engine.pid,
                    engine_fd=engine_fd,
                )
            )
        except OSError as exc:
            report(f"replace zygote: {exc}")
            for fd in kept:
                os.set_inheritable(fd, False)


def main(config: ZygoteConfig) -> int:
    """The process, from the bootstrap on; its exit code."""
    set_name("wherry-zygote")
    set_dumpable(on=False)  # monitors inherit it
    _prefer_to_live()
    try:
        zygote = Zygote(config)
        zygote.run()
    except BaseException as exc:
        report_bug(exc)
        return 1
    return zygote.exit_code


def _prefer_to_live() -> None:
    """A lower oom_score_adj than any container's (R36), for engine and monitors too."""
    try:
        fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(OOM_SCORE_ADJUST).encode())
        finally:
            os.close(fd)
    except PermissionError:
        pass  # going below the inherited value needs CAP_SYS_RESOURCE
