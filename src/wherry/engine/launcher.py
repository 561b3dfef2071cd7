"""Start the engine when a command needs it, stop it, or stay with it (``wherry serve``).

Part of the CLI's hot path: at import only ``os``, ``socket`` and ``time``; the rest when something is to be started.
"""

import os
import socket
import time
from typing import TYPE_CHECKING, NoReturn

from wherry.errors import Conflict, System, Unavailable
from wherry.settings import Settings, load

if TYPE_CHECKING:
    from wherry.monitor.bootstrap import ZygoteConfig

_WAIT_SECONDS = 20.0
_STEP_SECONDS = 0.002
_STOP_SECONDS = 20.0
_LOG_TAIL_BYTES = 2048
# What the engine may need of the caller's environment; the rest stays out of every process that lives on (S60).
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_DATA_HOME",
           "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE",
           "SSL_CERT_DIR", "NOTIFY_SOCKET")  # fmt: skip


def ensure_running(settings: Settings) -> None:
    """Return when the API socket accepts connections, starting zygote and engine when nobody listens.

    Costs one connect when it runs; a caller that connects anyway calls this only after ENOENT or ECONNREFUSED.
    Raises Unavailable with the end of engine.log when the start does not succeed.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while not _accepts(settings.api_socket):
        lock_fd = _take_lock(settings)
        if lock_fd is not None:
            try:
                _start(settings, lock_fd)
            finally:
                os.close(lock_fd)
        elif time.monotonic() > deadline:
            raise Unavailable(
                f"connect to {settings.api_socket}: the zygote that holds zygote.lock does not answer",
                hint="Run `wherry system stop` and try again.",
            )
        else:
            time.sleep(_STEP_SECONDS)  # another command is starting it


def stop_running(settings: Settings) -> bool:
    """End engine and zygote (containers live on); False when none ran. Raises Unavailable when they do not end."""
    from wherry.linux.fdsocket import connect_unix
    from wherry.monitor.protocol import send

    try:
        connection = connect_unix(settings.zygote_socket, socket.SOCK_SEQPACKET)
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    with connection:
        connection.settimeout(_STOP_SECONDS)
        send(connection, {"op": "stop", "seq": 1})
        try:
            while connection.recv(65536):
                pass  # the answer; then the end of the connection, which is the zygote's end
        except TimeoutError as exc:
            raise Unavailable(f"stop zygote: it did not end within {_STOP_SECONDS:.0f} s") from exc
    return True


def serve(settings: Settings) -> NoReturn:
    """Become the zygote in the foreground: the engine's log goes to the terminal, it never goes idle, Ctrl-C ends
    both. A socket that systemd passed (LISTEN_FDS) becomes the API socket. Raises Conflict when one runs already."""

    from wherry.engine.listeners import check_hosts
    from wherry.monitor.bootstrap import execute_zygote

    check_hosts(settings)
    lock_fd = _take_lock(settings)
    if lock_fd is None:
        raise Conflict("wherry is already running", hint="Stop it with `wherry system stop`.")
    activated = os.environ.get("LISTEN_PID") == str(os.getpid()) and os.environ.get("LISTEN_FDS") == "1"
    environment = {"WHERRY_FOREGROUND": "1", **_options(settings)}
    config = _configure(settings, environment, lock_fd=lock_fd, ready_fd=-1)
    for fd in (lock_fd, config.environment_fd):
        os.set_inheritable(fd, True)
    execute_zygote(config._replace(foreground=True, activated=activated, api_fd=3 if activated else -1))


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except PermissionError as exc:
            raise Unavailable(
                f"connect to {path}: Permission denied", hint="Add your user to the group that owns the socket."
            ) from exc
    return True


def _take_lock(settings: Settings) -> int | None:
    """The zygote's lock (kept by the open file, so that it passes on to the zygote); None when it is taken."""
    if os.geteuid() != 0:
        raise Unavailable("wherry runs as root only: rootless containers are not there yet", hint="Use sudo.")
    from wherry.linux.filesystem import lock_exclusive

    try:
        os.makedirs(settings.run_root, mode=0o711, exist_ok=True)
        fd = os.open(f"{settings.run_root}/zygote.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise System(f"open {settings.run_root}/zygote.lock: {exc.strerror}") from exc
    try:
        lock_exclusive(fd, blocking=False)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _configure(settings: Settings, environment: dict[str, str], *, lock_fd: int, ready_fd: int) -> "ZygoteConfig":
    import json
    import sys

    from wherry.linux.memfd import sealed_bytes
    from wherry.monitor.bootstrap import ZygoteConfig

    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    passed |= {name: value for name, value in os.environ.items() if name.startswith("WHERRY_")}
    passed |= {"WHERRY_DATA_ROOT": settings.data_root, "WHERRY_RUN_ROOT": settings.run_root, **environment}
    return ZygoteConfig(
        run_root=settings.run_root,
        api_socket=settings.api_socket,
        zygote_socket=settings.zygote_socket,
        log_file=f"{settings.run_root}/engine.log",
        interpreter=os.path.realpath(sys.executable),
        engine_command=(sys.executable, "-m", "wherry.api"),
        environment_fd=sealed_bytes(json.dumps(passed).encode(), "wherry-environment"),
        socket_gid=_group_id(settings.group),
        lock_fd=lock_fd,
        ready_fd=ready_fd,
    )


def _group_id(name: str) -> int:
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1  # no such group: only root may connect


def serve_detached(settings: Settings) -> None:
    """Start zygote and engine with these settings and return once the socket answers; it does from then on, for the
    zygote wakes an engine that went idle. Raises Conflict when one runs already."""
    from wherry.engine.listeners import check_hosts

    check_hosts(settings)
    lock_fd = _take_lock(settings)
    if lock_fd is None:
        raise Conflict("wherry is already running", hint="Stop it with `wherry system stop`.")
    try:
        _start(settings, lock_fd, _options(settings))
    finally:
        os.close(lock_fd)


def _options(settings: Settings) -> dict[str, str]:
    """What differs from the settings file, for the engine (``settings.load``)."""
    import json
    from dataclasses import fields

    plain = load()
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    options = {name: value for name, value in values.items() if value != getattr(plain, name)}
    return {"WHERRY_SERVE_OPTIONS": json.dumps(options)}


def _start(settings: Settings, lock_fd: int, environment: dict[str, str] | None = None) -> None:
    """Start a detached zygote and wait until it listens."""
    log_path = f"{settings.run_root}/engine.log"
    log_fd = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    ready_read, ready_write = os.pipe2(os.O_CLOEXEC)
    config = _configure(settings, environment or {}, lock_fd=lock_fd, ready_fd=ready_write)
    child = os.fork()
    if child == 0:
        _detach(config, log_fd)
    for fd in (log_fd, ready_write, config.environment_fd):
        os.close(fd)
    os.waitpid(child, 0)
    try:
        if not os.read(ready_read, 1):
            raise Unavailable(f"start wherry: {_tail(log_path)}", hint=f"The whole log is {log_path}.")
    finally:
        os.close(ready_read)


def _detach(config: "ZygoteConfig", log_fd: int) -> NoReturn:
    """In the child: a session of its own, a second fork, standard streams to the log, then the zygote."""
    import traceback

    from wherry.monitor.bootstrap import execute_zygote

    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        os.umask(0o022)
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log_fd, 1)
        os.dup2(log_fd, 2)
        # What the command had open must not live as long as the zygote does: everything else is made close-on-exec.
        for name in os.listdir("/proc/self/fd"):
            fd = int(name)
            if fd > 2:
                try:
                    os.set_inheritable(fd, fd in (config.lock_fd, config.ready_fd, config.environment_fd))
                except OSError:
                    pass  # the directory's own descriptor, closed by now
        execute_zygote(config)
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(1)


def _tail(path: str) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError as exc:
        return f"read {path}: {exc.strerror}"
    return "\n".join(lines[-10:]) or "the zygote ended without a word"
