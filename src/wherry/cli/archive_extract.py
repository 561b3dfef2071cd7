"""Unpack a container's archive on this machine: the archive is hostile, the destination is the user's.

Every name is walked from the destination's descriptor without following links, so neither ``..``, an absolute
name nor a link made by an earlier member leads out of it (SECURITY.md, S69). Devices are not made. Owners are the
calling user's; modes lose setuid, setgid and sticky as Docker's client leaves them to umask-free chmod.
"""

import os
import tarfile

from wherry.cli.errors import CommandFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1 << 20


class _Pieces:
    """The ``read`` that tarfile's stream mode asks for, over the chunks of an answer."""

    def __init__(self, chunks: "Iterable[bytes]") -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        parts = [self._rest]
        held = len(self._rest)
        while held < size:
            data = next(self._chunks, b"")
            if not data:
                break
            parts.append(data)
            held += len(data)
        joined = b"".join(parts)
        self._rest = joined[size:]
        return joined[:size]


def extract(chunks: "Iterable[bytes]", folder: str, *, rename_to: str) -> None:
    """Unpack into ``folder``, giving the archive's root the name ``rename_to`` ('' drops the root)."""
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    modes: list[tuple[list[str], int]] = []
    try:
        # tarfile only reads headers and data here; nothing of its extraction is used.
        with tarfile.open(fileobj=_Pieces(chunks), mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                parts = _renamed(_parts(member.name), rename_to)
                if parts:
                    _extract_member(archive, member, root, parts, rename_to, modes)
        for parts, mode in reversed(modes):
            _chmod(root, parts, mode)
    except tarfile.TarError as exc:
        raise CommandFailed(f"unpack archive: {exc}") from exc
    except OSError as exc:
        raise CommandFailed(f"unpack into {folder}: {exc.filename or ''}: {exc.strerror}") from exc
    finally:
        os.close(root)


def _parts(name: str) -> list[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise CommandFailed(f"unpack archive: {name}: the name leads out of the destination")
    return parts


def _renamed(parts: list[str], rename_to: str) -> list[str]:
    if not parts:
        return []
    return [rename_to, *parts[1:]] if rename_to else parts[1:]


def _extract_member(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    root: int,
    parts: list[str],
    rename_to: str,
    modes: list[tuple[list[str], int]],
) -> None:
    parent = _open_folder(root, parts[:-1])
    name = parts[-1]
    try:
        if member.isdir():
            _make_folder(parent, name)
            modes.append((parts, member.mode & 0o7777))
            return
        if not (member.isfile() or member.issym() or member.islnk()):
            return  # a device, a fifo: nothing of the user's
        _clear(parent, name)
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=parent)
        elif member.islnk():
            _link(root, _renamed(_parts(member.linkname), rename_to), parent, name)
        else:
            _write_file(archive, member, parent, name)
    finally:
        os.close(parent)


def _open_folder(root: int, parts: list[str]) -> int:
    """The folder at ``parts`` below ``root``, made where it is missing, no link followed."""
    folder = os.dup(root)
    for part in parts:
        try:
            _make_folder(folder, part)
            deeper = os.open(part, _DIRECTORY, dir_fd=folder)
        finally:
            os.close(folder)
        folder = deeper
    return folder


def _make_folder(parent: int, name: str) -> None:
    try:
        os.mkdir(name, 0o777, dir_fd=parent)
    except FileExistsError:
        pass  # a directory stays; anything else fails when it is opened without following links


def _clear(parent: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass  # the usual case: nothing is in the way
    except IsADirectoryError as exc:
        raise CommandFailed(f"cannot overwrite directory {name} with a non-directory") from exc


def _link(root: int, target: list[str], parent: int, name: str) -> None:
    source = _open_folder(root, target[:-1])
    try:
        os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
    finally:
        os.close(source)


def _write_file(archive: tarfile.TarFile, member: tarfile.TarInfo, parent: int, name: str) -> None:
    content = archive.extractfile(member)
    descriptor = os.open(name, _NEW_FILE, 0o600, dir_fd=parent)
    with os.fdopen(descriptor, "wb") as file:
        while content is not None and (data := content.read(_PIECE)):
            file.write(data)
        file.flush()
        os.fchmod(file.fileno(), member.mode & 0o777)
        os.utime(file.fileno(), (member.mtime, member.mtime))


def _chmod(root: int, parts: list[str], mode: int) -> None:
    folder = _open_folder(root, parts)
    try:
        os.fchmod(folder, mode)
    finally:
        os.close(folder)
