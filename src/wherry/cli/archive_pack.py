"""A local file or directory as a tar stream, made in a thread while it is sent. For ``cp`` into a container."""

import os
import tarfile
import threading

from wherry.cli.errors import CommandFailed
from wherry.cli.files import pieces_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def pack(path: str, name: str) -> "Iterator[bytes]":
    """The archive of ``path``, whose root is called ``name`` in it; ``''`` for a directory's contents alone."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    failures: list[OSError] = []

    def write() -> None:
        try:
            with (
                os.fdopen(write_end, "wb") as sink,
                tarfile.open(fileobj=sink, mode="w|", format=tarfile.PAX_FORMAT) as archive,
            ):
                if name:
                    archive.add(path, name)
                else:
                    for entry in sorted(os.listdir(path)):
                        archive.add(os.path.join(path, entry), entry)
        except OSError as exc:
            failures.append(exc)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        yield from pieces_of(read_end)
    finally:
        os.close(read_end)
        writer.join()
    if failures:
        raise CommandFailed(f"archive {path}: {failures[0].strerror or failures[0]}") from failures[0]
