"""What can go wrong with an answer of the fake registry."""

import time
import urllib.parse

from tests.registry.fake_registry import Fault, Handler


def cut_upload(count: int) -> Fault:
    """Take ``count`` bytes of a PATCH, keep them, and cut the connection."""

    def fault(handler: Handler, data: bytes) -> bool:
        identity = urllib.parse.urlsplit(handler.path).path.rpartition("/")[2]
        handler.server.registry.uploads[identity] += handler.rfile.read(count)
        handler.reset()
        return True

    return fault


def flip(position: int) -> Fault:
    """Send the blob with one bit wrong."""

    def fault(handler: Handler, data: bytes) -> bool:
        changed = bytearray(data)
        changed[position] ^= 1
        handler.send_blob(bytes(changed))
        return True

    return fault


def truncate(count: int) -> Fault:
    """Announce the whole blob and send ``count`` bytes less, then close."""

    def fault(handler: Handler, data: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) - count])
        handler.close_connection = True
        return True

    return fault


def announce(extra: int) -> Fault:
    """Announce and send another size than the blob has."""

    def fault(handler: Handler, data: bytes) -> bool:
        handler.send_blob(data + b"x" * extra if extra >= 0 else data[:extra])
        return True

    return fault


def over_send_chunked(extra: int) -> Fault:
    """Send the blob and more of it without announcing a size."""

    def fault(handler: Handler, data: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (data, b"x" * extra):
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")
        return True

    return fault


def reset_after(count: int) -> Fault:
    """Serve the asked range, but cut the connection after ``count`` bytes."""

    def fault(handler: Handler, data: bytes) -> bool:
        start = handler.range_start()
        rest = data[start:]
        if len(rest) <= count:
            return False
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(rest)))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        handler.end_headers()
        handler.wfile.write(rest[:count])
        handler.wfile.flush()
        time.sleep(0.02)  # a reset overtakes what the peer has not read yet
        handler.reset()
        return True

    return fault


def stall(seconds: float, after: int = 0) -> Fault:
    """Fall silent in the middle."""

    def fault(handler: Handler, data: bytes) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[:after])
        handler.wfile.flush()
        time.sleep(seconds)
        handler.close_connection = True
        return True

    return fault


def slow(seconds: float) -> Fault:
    """Answer as asked, but late."""

    def fault(handler: Handler, data: bytes) -> bool:
        time.sleep(seconds)
        return False

    return fault
