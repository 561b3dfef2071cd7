"""Streams between files and the engine: reading in pieces, writing a file that is complete or absent."""

import os

from wherry.cli.app import write_all
from wherry.cli.errors import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PIECE = 1 << 20


def pieces_of(descriptor: int) -> "Iterator[bytes]":
    """The rest of a file or pipe, a piece at a time."""
    while data := os.read(descriptor, _PIECE):
        yield data


def open_input(path: str) -> int:
    """Open for reading; the caller closes it. Raises CommandFailed in Go's words."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        raise CommandFailed(f"open {path}: {(exc.strerror or str(exc)).lower()}") from None


def save_stream(chunks: "Iterable[bytes]", path: str) -> None:
    """Write a stream to stdout, or to ``path`` through a draft beside it so that a cut stream leaves no file."""
    if not path:
        if os.isatty(1):
            raise CommandFailed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        for data in chunks:
            write_all(1, data)
        return
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise CommandFailed(f'invalid output path: directory "{folder}" does not exist')
    if os.path.isdir(path):
        raise CommandFailed(f'invalid output path: "{path}" must be a regular file')
    if os.path.lexists(path) and not os.path.isfile(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for data in chunks:
                write_all(descriptor, data)
        finally:
            os.close(descriptor)
        return
    draft = os.path.join(folder, f".tmp-{os.path.basename(path)}-{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for data in chunks:
            write_all(descriptor, data)
        os.close(descriptor)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
