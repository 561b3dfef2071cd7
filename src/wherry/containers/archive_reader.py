"""What ``docker cp`` accepts into a container, checked member by member."""

import os
import stat
from collections.abc import Iterator

from wherry.errors import InvalidParameter
from wherry.linux.filesystem import open_in_root
from wherry.snapshots.snapshotter import Source
from wherry.snapshots.tar_reader import Entry, TarReader


class ContainerTarReader(TarReader):
    """``owner`` replaces the members' owners. ``keep_kinds``: a directory may not replace something else, nor be
    replaced."""

    def __init__(self, source: Source, *, target_fd: int, owner: tuple[int, int] | None, keep_kinds: bool) -> None:
        super().__init__(source)
        self._target_fd = target_fd
        self._owner = owner
        self._keep_kinds = keep_kinds

    def __iter__(self) -> Iterator[Entry]:
        for entry in super().__iter__():
            if self._keep_kinds and entry.path:
                self._check_kind(entry)
            if self._owner is not None:
                entry.uid, entry.gid = self._owner
            yield entry

    def _check_kind(self, entry: Entry) -> None:
        head, _, name = entry.path.rpartition(b"/")
        try:
            parent = open_in_root(self._target_fd, head or b".", os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return  # no such directory yet: there is nothing to overwrite
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        finally:
            os.close(parent)
        path = os.fsdecode(entry.path)
        if stat.S_ISDIR(found.st_mode) and entry.file_type != stat.S_IFDIR:
            raise InvalidParameter(f'cannot overwrite directory "{path}" with non-directory "{path}"')
        if not stat.S_ISDIR(found.st_mode) and entry.file_type == stat.S_IFDIR:
            raise InvalidParameter(f'cannot overwrite non-directory "{path}" with directory "{path}"')
