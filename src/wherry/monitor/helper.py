"""Heavy work in a child of the monitor, so that the monitor itself stays small.

Creating a container runs a good part of the runtime's Python code; each page that it touches would be copied for as
long as the monitor lives (4 MB per container instead of 1). So a short-lived fork does it and hands back what it
made: a small result and descriptors. Its own children (the container's init, an exec'd process) become the
monitor's when it ends: the monitor is a subreaper.
"""

import errno
import gc
import os
import signal
import socket
from collections.abc import Callable

from wherry.errors import InvalidParameter, System, WherryError
from wherry.monitor.diagnostics import report_bug
from wherry.monitor.protocol import Message, Receiver, send
from wherry.runtime.failure import RuntimeFailure

Job = Callable[[], tuple[Message, list[int]]]


def run_in_helper(job: Job, *, limit_seconds: float) -> tuple[Message, list[int]]:
    """Fork, run ``job`` there, return its result; the descriptors are the caller's. Blocks until it has ended.

    Raises what the job raised of RuntimeFailure and InvalidParameter; other errors as System. After the limit the
    helper is killed: a container can stop (SIGSTOP) a process that enters its PID namespace, or let it wait for a
    file system of its own, and must not keep the monitor from ending the container by that.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        pid = os.fork()
        if pid == 0:
            _run(job, theirs)
        theirs.close()
        ours.settimeout(limit_seconds)
        try:
            received = Receiver(ours).receive()
        except TimeoutError:
            raise RuntimeFailure(f"set up process: not done within {limit_seconds:g} s") from None
        finally:
            os.kill(pid, signal.SIGKILL)  # our unreaped child; it has nothing more to do once it has answered
            os.waitpid(pid, 0)
    if received is None:
        raise RuntimeFailure("set up container: the helper process died")
    message, fds = received
    if "error" in message:
        raise _error(message["error"])
    return message, fds


def _run(job: Job, endpoint: socket.socket) -> None:
    try:
        gc.disable()
        signal.set_wakeup_fd(-1)  # the pipe is the monitor's
        send(endpoint, *_outcome(job))
    except OSError as exc:
        if exc.errno != errno.EPIPE:  # the monitor was killed meanwhile
            report_bug(exc)
    finally:
        os._exit(0)


def _outcome(job: Job) -> tuple[Message, list[int]]:
    try:
        return job()
    except RuntimeFailure as exc:
        return {"error": {"kind": "runtime", "message": exc.message, "exit_code": exc.exit_code}}, []
    except InvalidParameter as exc:
        return {"error": {"kind": "invalid", "message": exc.message}}, []
    except WherryError as exc:
        return {"error": {"kind": "system", "message": exc.message}}, []
    except OSError as exc:
        where = f"{exc.filename}: " if exc.filename else ""
        return {"error": {"kind": "system", "message": f"{where}{exc.strerror or exc}"}}, []
    except Exception as exc:  # a bug: said to the user, told in full in engine.log, and never unwound further
        report_bug(exc)
        return {"error": {"kind": "system", "message": f"internal error: {type(exc).__name__}: {exc}"}}, []


def _error(error: Message) -> WherryError:
    if error["kind"] == "runtime":
        return RuntimeFailure(error["message"], exit_code=error["exit_code"])
    if error["kind"] == "invalid":
        return InvalidParameter(error["message"])
    return System(error["message"])
