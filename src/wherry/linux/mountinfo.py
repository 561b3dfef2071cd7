"""/proc/<pid>/mountinfo (proc_pid_mountinfo(5))."""

from __future__ import annotations

from wherry.record import NamedTuple


class Mount(NamedTuple):
    """One line: what is mounted where."""

    mount_id: int
    parent_id: int
    device: str  # major:minor
    root: str
    mount_point: str
    options: tuple[str, ...]
    propagation: tuple[str, ...]  # shared:N, master:N, propagate_from:N, unbindable
    kind: str
    source: str
    super_options: tuple[str, ...]


def parse(text: str) -> list[Mount]:
    """The mounts in the order of the file (a later one may hide an earlier one)."""
    return [_parse_line(line) for line in text.splitlines() if line]


def read(pid: int | str = "self") -> list[Mount]:
    """The mounts that a process sees."""
    with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse(file.read())


def _parse_line(line: str) -> Mount:
    fields = line.split(" ")
    separator = fields.index("-", 6)
    return Mount(
        mount_id=int(fields[0]),
        parent_id=int(fields[1]),
        device=fields[2],
        root=_unescape(fields[3]),
        mount_point=_unescape(fields[4]),
        options=tuple(fields[5].split(",")),
        propagation=tuple(fields[6:separator]),
        kind=fields[separator + 1],
        source=_unescape(fields[separator + 2]),
        super_options=tuple(fields[separator + 3].split(",")) if len(fields) > separator + 3 else (),
    )


def _unescape(text: str) -> str:
    first, *escaped = text.split("\\")  # a backslash itself is written as one
    return first + "".join([chr(int(part[:3], 8)) + part[3:] for part in escaped])
