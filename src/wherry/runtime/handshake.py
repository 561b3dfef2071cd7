"""The conversation between the caller and the process that becomes the container's init (or an exec).

One seqpacket socket; a message is a tag byte, a payload and perhaps one descriptor. Nothing here imports or looks
anything up when it is used: the child speaks after it has entered the container's root.
"""

import os

from wherry.linux import sockets
from wherry.linux.sockets import Socket, receive_with_fds, send_with_fds
from wherry.runtime.failure import RuntimeFailure, StartFailed

PID = b"P"  # child → parent: a staged clone's pid (text) and pidfd
MAP_USERS = b"U"  # child → parent: write my uid and gid maps
RUN_HOOKS = b"H"  # child → parent: the mounts are made, run prestart and createRuntime
LIMITS = b"L"  # child → parent: are my ceilings raised?
CONSOLE = b"C"  # child → parent: the pty's master
LISTENER = b"N"  # child → parent: the seccomp listener
READY = b"R"  # child → parent: one execve away
FAILED = b"E"  # child → parent: "<exit code> <message>"
GO = b"g"  # parent → child: continue

_MESSAGE_SIZE = 16384


class Handshake:
    """Both ends; each side closes the other's after the clone."""

    def __init__(self) -> None:
        self.parent, self.child = sockets.pair(sockets.SOCK_SEQPACKET)

    def close(self) -> None:
        """Close what is still open of both ends."""
        self.parent.close()
        self.child.close()


def send(endpoint: Socket, tag: bytes, payload: bytes = b"", fd: int | None = None) -> None:
    """Send one message."""
    send_with_fds(endpoint, tag + payload, [] if fd is None else [fd])


def fail(endpoint: Socket, message: str, exit_code: int) -> None:
    """Report an error; the child ends after it. A parent that is gone cannot be told."""
    text = f"{exit_code} {message}".encode(errors="surrogateescape")[: _MESSAGE_SIZE - 16]
    try:
        send_with_fds(endpoint, FAILED + text, [])
    except OSError:
        pass  # nobody listens any more; the exit status still tells that it went wrong


def receive(endpoint: Socket) -> tuple[bytes, bytes, int | None]:
    """(tag, payload, descriptor); an empty tag is the end. A FAILED message raises RuntimeFailure."""
    data, fds = receive_with_fds(endpoint, _MESSAGE_SIZE)
    if data[:1] == FAILED:
        code, _, text = data[1:].decode(errors="surrogateescape").partition(" ")
        raise RuntimeFailure(text, exit_code=int(code))
    return data[:1], data[1:], fds[0] if fds else None


def ask(endpoint: Socket, tag: bytes) -> None:
    """In the child: send a request and wait until the parent has done it."""
    send(endpoint, tag)
    wait_go(endpoint)


def wait_go(endpoint: Socket) -> None:
    """In the child: wait for the parent; end quietly when it is gone."""
    if endpoint.recv(1) != GO:
        os._exit(1)


def release(endpoint: Socket) -> None:
    """Say go on the init's connection and wait for its end, which execve brings, as long as the socket's time-out."""
    try:
        endpoint.send(GO)
        receive(endpoint)
    except (BrokenPipeError, ConnectionResetError):
        return  # the init is dead
    except TimeoutError:
        raise StartFailed("the container's init did not execute its program in time", exit_code=126) from None
    except RuntimeFailure as exc:
        raise StartFailed(exc.message, exit_code=exc.exit_code) from exc
