"""WebSocket frames around a raw stream, against the RFC's own examples and real sockets."""

import base64
import os
import socket
import struct
import threading

import pytest

from wherry.api.websocket import FrameReader, accept_key, bridge, encode_frame
from wherry.errors import InvalidParameter


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    mask = os.urandom(4)
    data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    length = len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack(">H", length)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", length)
    return head + mask + data


def test_the_handshake_of_the_rfc() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("key", ["", "x", "dGhl", base64.b64encode(b"x" * 17).decode()])
def test_a_wrong_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidParameter, match="bad websocket handshake"):
        accept_key(key)


def test_frames_of_the_rfc() -> None:
    assert encode_frame(1, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert encode_frame(2, b"x" * 256)[:4] == bytes.fromhex("827e0100")
    assert encode_frame(2, b"x" * 65536)[:10] == bytes.fromhex("827f0000000000010000")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(bytes.fromhex("818537fa213d7f9f4d5158"))
        assert FrameReader(ours, b"").read() == (1, b"Hello")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 1 << 20])
def test_payloads_of_every_length_class(size: int) -> None:
    payload = os.urandom(size)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        frame = masked(2, payload)
        writer = threading.Thread(target=theirs.sendall, args=(frame[3:],))
        writer.start()
        assert FrameReader(ours, frame[:3]).read() == (2, payload)
        writer.join()


@pytest.mark.parametrize("frame", [b"\x81\x05Hello", b"\x82\xff" + struct.pack(">Q", 1 << 40) + b"mask"])
def test_s97_unmasked_and_giant_frames_are_refused(frame: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frame)
        with pytest.raises(InvalidParameter):
            FrameReader(ours, b"").read()


def test_a_stream_is_carried_both_ways_until_it_ends() -> None:
    browser, client = socket.socketpair()
    container, stream = socket.socketpair()
    with browser, client, container, stream:
        for sock in (browser, container):
            sock.settimeout(5)
        runner = threading.Thread(target=bridge, args=(client, masked(1, b"early "), stream))
        runner.start()
        browser.sendall(masked(2, b"in") + masked(9, b"alive?") + masked(8, b""))
        assert b"".join(iter(lambda: container.recv(100), b"")) == b"early in"
        container.sendall(b"out")
        container.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: browser.recv(100), b""))
        assert data == encode_frame(10, b"alive?") + encode_frame(2, b"out") + encode_frame(8, b"\x03\xe8")
        runner.join(5)
        assert not runner.is_alive()


def test_s97_a_client_that_breaks_the_rules_ends_the_stream() -> None:
    browser, client = socket.socketpair()
    container, stream = socket.socketpair()
    with browser, client, container, stream:
        container.settimeout(5)
        runner = threading.Thread(target=bridge, args=(client, b"\x81\x05Hello", stream))
        runner.start()
        assert container.recv(1) == b""
        with pytest.raises(BrokenPipeError):
            container.sendall(b"more output")
        runner.join(5)
        assert not runner.is_alive()


def test_s97_a_client_that_vanishes_ends_the_stream() -> None:
    browser, client = socket.socketpair()
    container, stream = socket.socketpair()
    with client, container, stream:
        container.settimeout(5)
        runner = threading.Thread(target=bridge, args=(client, b"", stream))
        runner.start()
        browser.close()
        assert container.recv(1) == b""
        container.close()
        runner.join(5)
        assert not runner.is_alive()
