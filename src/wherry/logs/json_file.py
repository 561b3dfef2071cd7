"""Docker's json-file: one JSON object a line, byte for byte as Docker writes it.

``{"log":"text\\n","stream":"stdout","time":"2024-05-01T10:20:30.123456789Z"}``; a piece of a line over 16 KiB has
no newline in its text (moby ``daemon/logger/jsonfilelog``). Whole chunks are encoded at once: the head and tail of
every object of a chunk are equal, so one ``bytes.replace`` makes the objects.
"""

import time
from collections.abc import Mapping

from wherry.logs.line_splitter import LineSplitter
from wherry.logs.rotate import RotatingFile
from wherry.logs.timestamp import format_timestamp

# What moby's jsonlog encoder escapes (ffjson's rules), backslash first so that escapes are not escaped again.
_ESCAPES: dict[int, bytes] = {ord("\\"): b"\\\\", ord('"'): b'\\"', ord("\r"): b"\\r"}
_ESCAPES.update(
    {byte: b"\\u%04x" % byte for byte in (*range(0x20), ord("<"), ord(">"), ord("&")) if byte not in (0x0A, 0x0D)}
)
_UNESCAPED = bytes(byte for byte in range(256) if byte not in _ESCAPES)
_INVALID = dict.fromkeys(range(0xDC80, 0xDD00), "\\ufffd")


def escape(text: bytes) -> bytes:
    """The inside of a JSON string, newlines left as they are. Every byte that is not UTF-8 becomes ``\\ufffd``."""
    special = text.translate(None, _UNESCAPED)
    if special:
        for byte, replacement in _ESCAPES.items():
            if byte in special:
                text = text.replace(bytes((byte,)), replacement)
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode(errors="surrogateescape").translate(_INVALID).encode()
    return text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


class JsonFileDriver:
    """Writes to a rotating file. ``attributes`` are the labels and variables that log-opts chose."""

    def __init__(self, file: RotatingFile, attributes: Mapping[str, str]) -> None:
        self._file = file
        self._splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}
        middle = ""
        if attributes:
            import json  # a monitor without attributes does without it

            attrs = json.dumps(dict(sorted(attributes.items())), separators=(",", ":"), ensure_ascii=False)
            middle = f',"attrs":{attrs}'
        self._tails = {
            "stdout": f'","stream":"stdout"{middle},"time":"'.encode(),
            "stderr": f'","stream":"stderr"{middle},"time":"'.encode(),
        }

    def write(self, stream: str, chunk: bytes) -> None:
        """See :class:`wherry.logs.driver.LogDriver`."""
        runs = self._splitters[stream].feed(chunk)
        if runs:
            self._store(stream, runs)

    def end_stream(self, stream: str) -> None:
        """See :class:`wherry.logs.driver.LogDriver`."""
        pending = self._splitters[stream].end()
        if pending:
            self._store(stream, [(pending, True)])

    def _store(self, stream: str, runs: list[tuple[bytes, bool]]) -> None:
        tail = self._tails[stream] + format_timestamp(time.time_ns()).encode() + b'"}\n'
        records = bytearray()
        for run, partial in runs:
            text = escape(run)
            if partial:
                records += b'{"log":"' + text + tail
            else:
                records += b'{"log":"'
                records += text[:-1].replace(b"\n", b"\\n" + tail + b'{"log":"')
                records += b"\\n" + tail
        self._file.write(bytes(records))

    def close(self) -> None:
        """See :class:`wherry.logs.driver.LogDriver`."""
        self._file.close()
