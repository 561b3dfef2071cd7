"""Read a container's output back, as it goes on the wire."""

import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import cast

from wherry.containers.container import Container
from wherry.containers.data_dir import log_path
from wherry.containers.hijack import STDERR, STDOUT, frame
from wherry.containers.services import Services
from wherry.containers.times import parse_time_ns
from wherry.errors import InvalidParameter
from wherry.logs.entry import Entry
from wherry.logs.reader import Follow, LogQuery, check_readable, read_log

_STREAMS = {"stdout": STDOUT, "stderr": STDERR}
_BATCH_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class LogOptions:
    """The query of GET /containers/{id}/logs. ``tail`` is "all", empty, or a number; times as Docker takes them."""

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    tail: str = ""
    since: str = ""
    until: str = ""
    timestamps: bool = False
    details: bool = False


class LogStream:
    """An opened log. ``tty``: the bytes are raw; otherwise stdcopy frames."""

    def __init__(self, services: Services, container: Container, options: LogOptions) -> None:
        self._container = container
        self._options = options
        self._query = _query(options)
        record = container.record
        self.tty = record.config.tty
        driver = record.host_config.log_config.type
        self._driver = driver
        self._path = log_path(services.settings, record.id, driver)
        check_readable(driver)  # now: it is refused before the answer's head goes out

    def _ended(self) -> bool:
        container = self._container
        return container.removed or not container.running

    def pump(self, write: Callable[[bytes], None], cancelled: Callable[[], bool]) -> None:
        """Write everything, and with ``follow`` what comes, until the container's end or the client's."""
        if not self._options.follow:
            self._pump(None, write)
            return
        with self._container.woken() as wake:
            self._pump(Follow(ended=self._ended, cancelled=cancelled, wake_fds=(wake,)), write)

    def _pump(self, follow: Follow | None, write: Callable[[bytes], None]) -> None:
        batch = bytearray()
        entries = read_log(self._driver, self._path, self._query, follow)
        with closing(cast(Generator[Entry, None, None], entries)):
            for entry in entries:
                piece = self._render(entry)
                if not piece:
                    continue
                batch += piece
                if follow is not None or len(batch) >= _BATCH_BYTES:
                    write(bytes(batch))
                    batch.clear()
            if batch:
                write(bytes(batch))

    def _render(self, entry: Entry) -> bytes:
        if not (self._options.stdout if entry.stream == "stdout" else self._options.stderr):
            return b""
        data = entry.data
        if self._options.details:
            data = b" " + data  # Docker prints the attributes here; without any it is the space alone
        if self._options.timestamps:
            data = f"{entry.fixed_time} ".encode() + data
        return data if self.tty else frame(_STREAMS[entry.stream], data)


def open_logs(services: Services, reference: str, options: LogOptions) -> LogStream:
    """Check everything that can be wrong; InvalidParameter, NotFound, Unimplemented (the driver cannot be read)."""
    if not options.stdout and not options.stderr:
        raise InvalidParameter("You must choose at least one stream")
    container = services.containers.get(reference)
    return LogStream(services, container, options)


def _query(options: LogOptions) -> LogQuery:
    now = time.time_ns()
    tail: int | None = None
    if options.tail not in ("", "all"):
        try:
            tail = int(options.tail)
        except ValueError:
            tail = None  # moby: what is no number means all
        if tail is not None and tail < 0:
            tail = None
    since = parse_time_ns(options.since, now) if options.since not in ("", "0") else None
    until = parse_time_ns(options.until, now) if options.until not in ("", "0") else None
    return LogQuery(tail=tail, since_ns=since, until_ns=until)
