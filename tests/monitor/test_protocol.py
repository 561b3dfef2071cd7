"""Messages and descriptors over seqpacket sockets."""

import os
import socket
from collections.abc import Iterator

import pytest

from tests.descriptors import open_descriptors
from wherry.linux.fdsocket import send_with_fds
from wherry.monitor.protocol import INLINE_LIMIT, ProtocolError, Receiver, send


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        yield ours, theirs


def test_a_message_comes_as_it_went(pair: tuple[socket.socket, socket.socket]) -> None:
    send(pair[0], {"op": "x", "text": "ä\n"})
    assert Receiver(pair[1]).receive() == ({"op": "x", "text": "ä\n"}, [])


def test_a_large_message_travels_in_a_memfd(pair: tuple[socket.socket, socket.socket]) -> None:
    text = "x" * (INLINE_LIMIT * 40)
    read_end, write_end = os.pipe()
    send(pair[0], {"text": text}, [write_end])
    message, fds = Receiver(pair[1]).receive() or ({}, [])
    assert message == {"text": text}
    assert len(fds) == 1
    assert not os.get_inheritable(fds[0])
    for fd in (read_end, write_end, *fds):
        os.close(fd)


def test_more_descriptors_than_a_packet_holds_arrive_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    made = [os.memfd_create(str(number)) for number in range(600)]
    send(pair[0], {"op": "x"}, made)
    message, fds = Receiver(pair[1]).receive() or ({}, [])
    assert message == {"op": "x"}
    assert [os.readlink(f"/proc/self/fd/{fd}") for fd in fds] == [f"/memfd:{n} (deleted)" for n in range(600)]
    for fd in (*made, *fds):
        os.close(fd)


@pytest.mark.parametrize("packet", [b"{", b"[1]", b"\xff\xfe", b'{"memfd":10}'])
def test_nonsense_is_a_protocol_error_and_leaks_no_descriptor(
    pair: tuple[socket.socket, socket.socket], packet: bytes
) -> None:
    before = open_descriptors()
    send_with_fds(pair[0], packet, [])
    receiver = Receiver(pair[1])
    with pytest.raises(ProtocolError):
        receiver.receive()
    receiver.close()
    assert open_descriptors() <= before


def test_a_payload_that_lies_about_its_size_is_refused(pair: tuple[socket.socket, socket.socket]) -> None:
    fd = os.memfd_create("x")
    os.write(fd, b"{}")
    for size in (1, 3, 1 << 40, 0, -1):
        send_with_fds(pair[0], b'{"memfd":%d}' % size, [fd])
        with pytest.raises(ProtocolError):
            Receiver(pair[1]).receive()
    os.close(fd)


def test_the_end_is_none_and_closes_what_has_no_message(pair: tuple[socket.socket, socket.socket]) -> None:
    before = open_descriptors()
    fd = os.memfd_create("x")
    send_with_fds(pair[0], b'{"part":true}', [fd])
    os.close(fd)
    pair[0].close()
    assert Receiver(pair[1]).receive() is None
    assert open_descriptors() <= before - 1
