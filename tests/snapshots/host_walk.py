"""Oracle H: everything that an attack could touch, as a value that can be compared."""

import hashlib
import os
import stat
from pathlib import Path

Record = tuple[str, int, int, int, int, int, str]


def walk_host(root: Path, *, without: Path) -> list[Record]:
    """Path, mode, owner, link count, mtime and content of all below ``root`` but the tree ``without``."""
    records = []
    for directory, directories, files in os.walk(root):
        if Path(directory) == without.parent and without.name in directories:
            directories.remove(without.name)
        for name in [*directories, *files]:
            path = os.path.join(directory, name)
            status = os.lstat(path)
            content = ""
            if stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            records.append(
                (path, status.st_mode, status.st_uid, status.st_gid, status.st_nlink, status.st_mtime_ns, content)
            )
    return sorted(records)
