"""How a zygote comes to be: the interpreter copied to a sealed memfd and executed from there.

A container's processes are forked from it, so ``/proc/<pid>/exe`` of everything that enters a container is a file
that nobody can write (S33). Its command line tells nothing, its environment is empty, and the engine's environment
is only read by the engine's own child: a container shares memory with it until its execve (S60). ``-I -S``: no
environment, no site-packages; ``sys.path`` is the standard library and ours.

The new process binds its sockets and starts the engine before it imports what monitors need: the engine's start is
what the first command waits for.
"""

from __future__ import annotations

import os
import socket
import sys

from wherry import json_text
from wherry.linux.fdsocket import listen_unix
from wherry.linux.memfd import sealed_bytes, sealed_copy
from wherry.record import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import NoReturn

_ENTER = "import sys; sys.path.insert(0, sys.argv[1]); from wherry.monitor.bootstrap import enter; enter(sys.argv[2])"


class ZygoteConfig(NamedTuple):
    """Everything a zygote knows. Descriptors are -1 where there is none.

    ``activated``: the API socket is somebody else's file (systemd's). ``environment_fd``: a memfd with the engine's
    environment as JSON.
    """

    run_root: str
    api_socket: str
    zygote_socket: str
    log_file: str
    interpreter: str
    engine_command: tuple[str, ...]
    environment_fd: int
    socket_gid: int = -1
    foreground: bool = False
    activated: bool = False
    lock_fd: int = -1
    ready_fd: int = -1
    api_fd: int = -1
    listener_fd: int = -1
    engine_fd: int = -1
    engine_pid: int = 0


def execute_zygote(config: ZygoteConfig) -> NoReturn:
    """Replace this process by a zygote. The configuration's descriptors must be inheritable. Raises OSError."""
    program = sealed_copy(config.interpreter, "wherry-python")
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    # argv[0] is where the interpreter looks for its standard library.
    settings = sealed_bytes(json_text.dumps(config._asdict()).encode(), "wherry-zygote")
    os.set_inheritable(settings, True)
    arguments = [config.interpreter, "-I", "-S", "-c", _ENTER, package_root, str(settings)]
    os.execve(f"/proc/self/fd/{program}", arguments, {"LC_CTYPE": "C.UTF-8"})


def enter(text: str) -> NoReturn:
    """The first code of a new zygote."""
    # Not the caller's (``wherry serve``): what is made in containers and volumes must be there for their users.
    os.umask(0o022)
    os.chdir("/")
    settings = int(text)
    values = json_text.loads(os.pread(settings, os.fstat(settings).st_size, 0).decode())
    os.close(settings)
    config = ZygoteConfig(**{**values, "engine_command": tuple(values["engine_command"])})
    for fd in (
        config.environment_fd,
        config.lock_fd,
        config.ready_fd,
        config.api_fd,
        config.listener_fd,
        config.engine_fd,
    ):
        if fd >= 0:
            os.set_inheritable(fd, False)
    config = _start_engine(_bind(config))
    if config.ready_fd >= 0:
        os.write(config.ready_fd, b"1")
        os.close(config.ready_fd)
    from wherry.monitor.zygote import main  # start-up cost: after the engine is on its way

    sys.exit(main(config._replace(ready_fd=-1)))


def _bind(config: ZygoteConfig) -> ZygoteConfig:
    api_fd, listener_fd = config.api_fd, config.listener_fd
    if api_fd < 0:
        api_fd = listen_unix(config.api_socket, socket.SOCK_STREAM).detach()
        if config.socket_gid >= 0:
            # First the group, then its right to connect (S91).
            os.chown(config.api_socket, -1, config.socket_gid)
            os.chmod(config.api_socket, 0o660)
    if listener_fd < 0:  # last: whoever finds it finds the API too
        listener_fd = listen_unix(config.zygote_socket, socket.SOCK_SEQPACKET).detach()
    return config._replace(api_fd=api_fd, listener_fd=listener_fd)


def _start_engine(config: ZygoteConfig) -> ZygoteConfig:
    from wherry.monitor.engine_process import spawn_engine  # the launcher imports this module and never needs it

    if config.engine_pid:
        return config
    pid, connection = spawn_engine(config)
    return config._replace(engine_pid=pid, engine_fd=connection.detach())
