"""Who a process runs as: Docker's USER grammar against the container's own passwd and group files.

The files are the image's and hostile: a number is never taken for a name (S57), what is read is regular and
capped (S58), and the primary group is among the supplementary ones (S59). Source: moby/sys/user GetExecUser.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wherry.containers.account_files import AccountFiles
from wherry.errors import InvalidParameter

MAX_ID = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class User:
    """Numeric identity; ``groups`` starts with the primary group. ``home`` is "/" when nothing names one."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def resolve(text: str, group_add: Sequence[str], files: AccountFiles) -> User:
    """``""``, ``user``, ``uid``, ``user:group``, ``uid:gid``, ``:group`` → ids.

    Raises InvalidParameter with Docker's text for a name without an entry and for a number out of range.
    """
    user_text, separator, group_text = text.partition(":")
    uid, gid, home, name = 0, 0, "/", ""
    number = _number(user_text) if user_text else 0
    for entry in _passwd(files, needed=number is None):
        if (entry.uid == number) if number is not None else (entry.name == user_text):
            uid, gid, home, name = entry.uid, entry.gid, entry.home or "/", entry.name
            break
    else:
        if number is None:
            raise InvalidParameter(f"unable to find user {user_text}: no matching entries in passwd file")
        uid = number
    supplementary: list[int] = []
    if separator and group_text:
        gid = _group(group_text, files, f"unable to find group {group_text}: no matching entries in group file")
    elif name:
        supplementary = [group.gid for group in _groups(files, needed=False) if name in group.members]
    for extra in group_add:
        supplementary.append(_group(extra, files, f"Unable to find group {extra}: no matching entries in group file"))
    _check_range(uid, gid)
    return User(uid, gid, tuple(dict.fromkeys((gid, *supplementary))), home)


def _group(text: str, files: AccountFiles, missing: str) -> int:
    number = _number(text)
    if number is not None:
        return number
    for group in _groups(files, needed=True):
        if group.name == text:
            _check_range(0, group.gid)
            return group.gid
    raise InvalidParameter(missing)


@dataclass(frozen=True, slots=True)
class _PasswdEntry:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class _GroupEntry:
    name: str
    gid: int
    members: tuple[str, ...]


def _passwd(files: AccountFiles, *, needed: bool) -> Iterator[_PasswdEntry]:
    for fields in _lines(files.passwd(needed=needed)):
        if len(fields) >= 4 and (uid := _id(fields[2])) is not None and (gid := _id(fields[3])) is not None:
            yield _PasswdEntry(_text(fields[0]), uid, gid, _text(fields[5]) if len(fields) > 5 else "")


def _groups(files: AccountFiles, *, needed: bool) -> Iterator[_GroupEntry]:
    for fields in _lines(files.group(needed=needed)):
        if len(fields) >= 3 and (gid := _id(fields[2])) is not None:
            members = _text(fields[3]).split(",") if len(fields) > 3 else ()
            yield _GroupEntry(_text(fields[0]), gid, tuple(members))


def _lines(data: bytes) -> Iterator[list[bytes]]:
    for line in data.split(b"\n"):
        stripped = line.strip()
        if stripped and not stripped.startswith(b"#"):
            yield stripped.split(b":")


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")


def _id(field: bytes) -> int | None:
    """A line whose ids are no numbers in range is no entry: an image cannot smuggle one past ``_check_range``."""
    if not field.isdigit() or len(field) > 10:
        return None
    value = int(field)
    return value if value <= MAX_ID else None


def _number(text: str) -> int | None:
    """The id when the text is a number in any spelling; raises for one out of range rather than call it a name."""
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not digits.isascii() or not digits.isdigit():
        return None
    if text[0] == "-" or len(digits) > 10 or int(digits) > MAX_ID:
        raise InvalidParameter(f"uids and gids must be in range 0-{MAX_ID}")
    return int(digits)


def _check_range(uid: int, gid: int) -> None:
    if not 0 <= uid <= MAX_ID or not 0 <= gid <= MAX_ID:
        raise InvalidParameter(f"uids and gids must be in range 0-{MAX_ID}")
