"""Sealed anonymous files: bytes that nobody can change any more, whoever opens them (fact S33)."""

import fcntl
import os

F_ADD_SEALS = 1033
F_GET_SEALS = 1034
F_SEAL_SEAL = 1
F_SEAL_SHRINK = 2
F_SEAL_GROW = 4
F_SEAL_WRITE = 8
ALL_SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE

_MFD_EXEC = 0x10  # Linux 6.3: asked for, so that vm.memfd_noexec=1 leaves it executable


def sealed_copy(path: str, name: str) -> int:
    """An executable sealed memfd with the content of the file ``path`` (CLOEXEC). Raises OSError."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        target = _create(name)
        try:
            remaining = os.fstat(source).st_size
            while remaining > 0:
                sent = os.sendfile(target, source, None, remaining)
                if sent == 0:
                    raise OSError(5, "file shrank while it was copied", path)
                remaining -= sent
            seal(target)
        except BaseException:
            os.close(target)
            raise
        return target
    finally:
        os.close(source)


def sealed_bytes(data: bytes, name: str) -> int:
    """A sealed memfd that holds ``data``, its offset at 0 (CLOEXEC)."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    seal(fd)
    return fd


def seal(fd: int) -> None:
    """Forbid writing, growing, shrinking and further seals. Raises OSError(EBUSY) while it is mapped writable."""
    fcntl.fcntl(fd, F_ADD_SEALS, ALL_SEALS)


def seals(fd: int) -> int:
    """The F_SEAL_* bits that are set."""
    return fcntl.fcntl(fd, F_GET_SEALS)


def _create(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError:
        return os.memfd_create(name, flags)  # kernels before 6.3 do not know the flag
