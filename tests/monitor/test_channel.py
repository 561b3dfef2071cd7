"""The engine's reader of all connections, at its end."""

import subprocess
import sys

_CLOSE_WHILE_A_PEER_HANGS_UP = """
import os, socket, threading, time
from wherry.monitor.channel import Channel, Dispatcher

ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
before = len(os.listdir("/proc/self/fd"))
dispatcher = Dispatcher()
Channel(ours, dispatcher, "peer", lambda _event: None)
threading.Timer(0.1, theirs.close).start()
dispatcher.close()
theirs.close()
assert len(os.listdir("/proc/self/fd")) == before - 2, os.listdir("/proc/self/fd")
"""


def test_r12_a_dispatcher_may_close_at_the_moment_when_a_peer_hangs_up() -> None:
    """Its wake-up call is held for 0.3 s; meanwhile the reader wakes by the hang-up and finds that it is to end."""
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write", "-e", "inject=write:delay_enter=300000",
         sys.executable, "-c", _CLOSE_WHILE_A_PEER_HANGS_UP],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
