"""Which code a zygote runs: it lives long, and an upgrade changes the files under it."""

import os
import zlib

import wherry

# The folders that a zygote has in memory.
_FOLDERS = ("linux", "runtime", "monitor", "logs", "security")


def code_fingerprint() -> str:
    """Version, and name, size and time of every module that zygote and monitors run."""
    package = os.path.dirname(os.path.abspath(wherry.__file__))
    parts = [wherry.__version__]
    for folder in _FOLDERS:
        with os.scandir(f"{package}/{folder}") as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    parts.append(f"{folder}/{entry.name}:{status.st_size}:{status.st_mtime_ns}")
    return f"{zlib.crc32(chr(10).join(parts).encode()):08x}"
