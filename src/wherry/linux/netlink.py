"""Netlink messages: building, batching, acknowledgement (netlink(7)).

Small on purpose: ``import pyroute2`` costs 150-250 ms, a whole container start takes 10 ms.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from types import TracebackType

from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Self

NLM_F_REQUEST = 0x01
NLM_F_ACK = 0x04
NLM_F_DUMP = 0x300
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400

NLMSG_ERROR = 2
NLMSG_DONE = 3

_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLM_F_ACK_TLVS = 0x200
_NLMSGERR_ATTR_MSG = 1
_NLA_TYPE_MASK = 0x3FFF
_RECEIVE_BYTES = 256 * 1024

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute: length, type, payload, padded to 4 bytes."""
    length = 4 + len(payload)
    return _ATTRIBUTE.pack(length, kind) + payload + b"\0" * (-length % 4)


def attribute_u8(kind: int, value: int) -> bytes:
    """An attribute that holds one byte."""
    return attribute(kind, struct.pack("=B", value))


def attribute_u32(kind: int, value: int) -> bytes:
    """An attribute that holds an unsigned 32-bit number in host order."""
    return attribute(kind, struct.pack("=I", value))


def attribute_string(kind: int, value: str) -> bytes:
    """An attribute that holds a NUL-terminated string."""
    return attribute(kind, value.encode() + b"\0")


def parse_attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """The attributes of a message body from ``offset`` on, by type (flags masked); the last of a type wins."""
    found: dict[int, bytes] = {}
    while offset + 4 <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


class NetlinkSocket:
    """One netlink socket; it stays in the network namespace in which it was made, whatever its owner does later."""

    def __init__(self, protocol: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        self._socket.bind((0, 0))
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; pending answers are lost."""
        self._socket.close()

    def execute(self, messages: list[tuple[str, int, int, bytes]]) -> None:
        """Send every message in one datagram and wait for all acknowledgements.

        A message is ``(what, type, flags, body)``; ``what`` names it in errors. The kernel goes on after an
        error, so the caller undoes what it must. Raises OSError(errno, "<what>: <kernel's words>") for the
        first refused message, after every answer was read.
        """
        names: dict[int, str] = {}
        parts = [self._message(kind, flags | NLM_F_ACK, body, names, what) for what, kind, flags, body in messages]
        self._socket.send(b"".join(parts))
        self._acknowledgements(names)

    def execute_transaction(
        self,
        begin: tuple[int, bytes],
        messages: list[tuple[str, int, int, bytes]],
        end: tuple[int, bytes],
    ) -> None:
        """Like ``execute``, between a begin and an end message ``(type, body)`` that make it all or nothing."""
        names: dict[int, str] = {}
        parts = [self._message(begin[0], 0, begin[1], names, "")]
        parts += [self._message(kind, flags | NLM_F_ACK, body, names, what) for what, kind, flags, body in messages]
        parts.append(self._message(end[0], 0, end[1], names, ""))
        self._socket.send(b"".join(parts))
        self._acknowledgements(names)

    def _message(self, kind: int, flags: int, body: bytes, names: dict[int, str], what: str) -> bytes:
        self._sequence += 1
        if what:
            names[self._sequence] = what
        length = _HEADER.size + len(body)
        header = _HEADER.pack(length, kind, flags | NLM_F_REQUEST, self._sequence, 0)
        return header + body + b"\0" * (-length % 4)

    def _acknowledgements(self, names: dict[int, str]) -> None:
        first_error: OSError | None = None
        while names:
            for kind, flags, sequence, body in self._receive():
                if kind != NLMSG_ERROR or sequence not in names:
                    continue
                what = names.pop(sequence)
                error = _error(what, flags, body)
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def dump(self, what: str, kind: int, body: bytes) -> list[tuple[int, bytes]]:
        """Every object of a dump request as ``(type, body)``."""
        self._sequence += 1
        length = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(length, kind, NLM_F_REQUEST | NLM_F_DUMP, self._sequence, 0) + body)
        found: list[tuple[int, bytes]] = []
        while True:
            for reply_kind, flags, sequence, reply in self._receive():
                if sequence != self._sequence:
                    continue
                if reply_kind == NLMSG_DONE:
                    return found
                if reply_kind == NLMSG_ERROR:
                    error = _error(what, flags, reply)
                    if error is not None:
                        raise error
                    return found
                found.append((reply_kind, reply))

    def get(self, what: str, kind: int, body: bytes) -> bytes:
        """The body of the single answer to a get request."""
        self._sequence += 1
        length = _HEADER.size + len(body)
        self._socket.send(_HEADER.pack(length, kind, NLM_F_REQUEST, self._sequence, 0) + body)
        while True:
            for reply_kind, flags, sequence, reply in self._receive():
                if sequence != self._sequence:
                    continue
                if reply_kind == NLMSG_ERROR:
                    error = _error(what, flags, reply)
                    raise error if error is not None else OSError(0, f"{what}: empty answer")
                return reply

    def _receive(self) -> Iterator[tuple[int, int, int, bytes]]:
        data = self._socket.recv(_RECEIVE_BYTES)
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, flags, sequence, _port = _HEADER.unpack_from(data, offset)
            yield kind, flags, sequence, data[offset + _HEADER.size : offset + length]
            offset += (length + 3) & ~3


def _error(what: str, flags: int, body: bytes) -> OSError | None:
    (code,) = struct.unpack_from("=i", body)
    if code == 0:
        return None
    words = os.strerror(-code)
    if flags & _NLM_F_ACK_TLVS:
        # With CAP_ACK only the header of the request (16 bytes) follows the error code.
        message = parse_attributes(body, 4 + _HEADER.size).get(_NLMSGERR_ATTR_MSG)
        if message:
            words = f"{words} ({message.rstrip(bytes(1)).decode(errors='replace')})"
    return OSError(-code, f"{what}: {words}")
