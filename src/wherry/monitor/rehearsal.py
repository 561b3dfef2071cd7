"""The zygote plays the first moments of a monitor before it forks one.

CPython writes where it only reads: into inline caches and the type cache until code has run about ten times, and
until then into the reference count of every name that is looked up. In a monitor each such write copies a page for
as long as the container lives. What was rehearsed finds its caches filled (docs/design/performance.md), and what a
rehearsal runs is known to be worth gathering (compaction.py).

Engine, loop, control and container are real; the runtime is a stand-in that creates nothing.
"""

import os
import socket
from functools import partial

from wherry.linux.namespaces import unshare
from wherry.linux.process import set_child_subreaper, set_command_line
from wherry.linux.rtnetlink import Rtnetlink
from wherry.logs.driver import open_driver
from wherry.monitor.compaction import fill_holes, gather_code
from wherry.monitor.container_runtime import Running
from wherry.monitor.container_spec import ContainerSpec
from wherry.monitor.diagnostics import set_name as set_report_name
from wherry.monitor.helper import run_in_helper
from wherry.monitor.loop import Loop
from wherry.monitor.main import Monitor, run_monitor, set_process_name
from wherry.monitor.own_runtime import OwnRuntime
from wherry.monitor.protocol import Message, Receiver, send
from wherry.monitor.sandbox import Sandbox
from wherry.monitor.stdio import Streams
from wherry.runtime.create import Created
from wherry.runtime.start import start_container

# CPython 3.11 specialises code at its ninth run, and some runs later what that run could not specialise.
_ROUNDS = 12
# Would reap the zygote's engine, enter a namespace, make a process, or not return.
_UNPLAYED = (
    run_monitor, set_command_line, unshare, run_in_helper,
    Loop.reap_children, Loop._on_signal, Loop._reap, Loop.run, OwnRuntime.create, OwnRuntime.start,
)  # fmt: skip


class _Understudy(OwnRuntime):
    """Plays a runtime whose container never comes to life. Has no state of its own, and is asked for no more."""

    def __init__(self) -> None:
        self._end, self._start = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._end.shutdown(socket.SHUT_WR)  # as after the init's execve

    def create(self, streams: Streams, sandbox: Sandbox) -> Running:
        """Pretend; the pid is one that no loop here waits for."""
        self.descriptor = os.open("/", os.O_PATH | os.O_CLOEXEC)
        return Running(os.getpid(), self.descriptor, None)

    def start(self) -> None:
        """Tell an init that has already gone ahead."""
        with self._end:
            start_container(Created(0, -1, start_socket=self._start))


def rehearse(directory: str) -> list[bytes]:
    """Takes about 30 ms; what it returns is to be kept. ``directory`` is where the monitor's socket is bound, and
    unlinked. Raises OSError."""
    filling = fill_holes()
    gather_code(partial(_round, directory), _UNPLAYED)
    for _ in range(_ROUNDS):
        _round(directory)
    return filling + fill_holes()


def _round(directory: str) -> None:
    _play(
        {
            "op": "begin",
            "request": {
                "id": "0" * 64,
                "bundle": "/",
                "log": {"driver": "none"},
                "network": {"mode": "host"},
                "facts": {"own_user_namespace": False, "cgroups_path": None},
                "run_dir": directory,
            },
            "attach": [],
        }
    )
    os.unlink(f"{directory}/monitor.sock")
    # What the play leaves out: it must not enter a namespace, and keeps no log.
    set_child_subreaper(on=False)
    set_process_name(b"wherry-zygote")
    set_report_name("wherry-zygote")
    Rtnetlink().close()
    log = open_driver({"path": os.devnull})
    log.write("stdout", b"line\n")
    log.close()


def _play(begin: Message) -> None:
    engine, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    send(engine, begin)
    received = Receiver(ours).receive()
    assert received is not None
    message, _ = received
    loop = Loop()
    OwnRuntime(message["request"], ContainerSpec(-1))
    runtime = _Understudy()
    monitor = Monitor(loop, message["request"], runtime, "")
    monitor.begin(ours, (), [])
    send(engine, {"op": "start", "seq": 1})
    loop.run_once(0)  # the request, and the end of the streams, whose other ends nobody has
    os.close(runtime.descriptor)
    monitor.control.close()
    engine.close()
    loop.close()
