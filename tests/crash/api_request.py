"""One API request on a connection of its own, as bare as can be: what the engine says is what the test sees."""

import json
import socket
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 60.0


def request(path_of_socket: Path, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and decoded body. Raises ConnectionError when the engine goes away before its answer is whole."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        connection.connect(str(path_of_socket))
        data = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} /v1.51{path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        connection.sendall(head.encode() + data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    start, separator, rest = answer.partition(b"\r\n\r\n")
    if not separator:
        raise ConnectionResetError(f"{method} {path}: the engine hung up without an answer")
    if b"transfer-encoding: chunked" in start.lower():
        rest = _unchunk(rest)
    return int(start.split(b" ")[1]), json.loads(rest) if rest.strip() else None


def _unchunk(data: bytes) -> bytes:
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        whole += data[:length]
        data = data[length + 2 :]
    return whole
