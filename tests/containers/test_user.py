"""USER against hostile passwd and group files (S27, S57, S58, S59)."""

import os
import time
from pathlib import Path

import pytest

from wherry.containers.account_files import MAX_BYTES, AccountFiles
from wherry.containers.user import User, resolve
from wherry.errors import InvalidParameter

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\n4294967296:x:0:0::/:/bin/sh\n77:x:0:0::/:\n"
GROUP = b"root:x:0:\nwheel:x:10:root,app\nstaff:x:50:app\napp:x:1001:\nsecret:x:99:\n"


def accounts(passwd: bytes = PASSWD, group: bytes = GROUP) -> AccountFiles:
    return AccountFiles(passwd, group)


def test_no_user_is_root_with_its_groups() -> None:
    assert resolve("", (), accounts()) == User(0, 0, (0, 10), "/root")


def test_a_name_brings_its_group_home_and_memberships() -> None:
    assert resolve("app", (), accounts()) == User(1000, 1001, (1001, 10, 50), "/home/app")


def test_a_number_finds_its_entry_and_needs_none() -> None:
    assert resolve("1000", (), accounts()) == User(1000, 1001, (1001, 10, 50), "/home/app")
    assert resolve("4711", (), accounts()) == User(4711, 0, (0,), "/")


def test_an_explicit_group_replaces_the_memberships() -> None:
    assert resolve("app:staff", (), accounts()) == User(1000, 50, (50,), "/home/app")
    assert resolve("1:2", (), accounts()) == User(1, 2, (2,), "/")


def test_unknown_names_have_dockers_text() -> None:
    with pytest.raises(InvalidParameter, match=r"^unable to find user x: no matching entries in passwd file$"):
        resolve("x", (), accounts())
    with pytest.raises(InvalidParameter, match=r"^unable to find group y: no matching entries in group file$"):
        resolve("app:y", (), accounts())


@pytest.mark.parametrize("text", ["4294967296", "2147483648", "-1", "0:-1", "0:4294967296", "99999999999999999999"])
def test_s57_a_number_out_of_range_is_refused_and_never_a_name(text: str) -> None:
    with pytest.raises(InvalidParameter, match="uids and gids must be in range 0-2147483647"):
        resolve(text, (), accounts())


def test_s57_a_number_is_not_looked_up_as_a_name() -> None:
    assert resolve("77", (), accounts()).uid == 77


def test_s57_an_entry_whose_ids_are_out_of_range_is_no_entry() -> None:
    with pytest.raises(InvalidParameter, match="unable to find user evil"):
        resolve("evil", (), accounts(b"evil:x:4294967296:0::/:\n"))


def test_s59_the_primary_group_is_among_the_supplementary_ones() -> None:
    assert resolve("app", ("secret", "7"), accounts()).groups == (1001, 10, 50, 99, 7)
    assert resolve("0:99", (), accounts()).groups == (99,)


def root_with(tmp_path: Path, name: str) -> int:
    (tmp_path / "etc").mkdir(exist_ok=True)
    return os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)


def test_s27_a_fifo_for_passwd_is_refused_at_once(tmp_path: Path) -> None:
    root = root_with(tmp_path, "passwd")
    os.mkfifo(tmp_path / "etc/passwd")
    began = time.monotonic()
    files = AccountFiles.read(root)
    with pytest.raises(InvalidParameter, match="not a regular file"):
        resolve("x", (), files)
    assert resolve("5", (), files).uid == 5
    assert time.monotonic() - began < 1
    os.close(root)


def test_s58_a_symlink_leads_inside_the_root_only(tmp_path: Path) -> None:
    root = root_with(tmp_path, "passwd")
    (tmp_path / "outside").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/../../../../../../etc/passwd")
    with pytest.raises(InvalidParameter):
        resolve("root", (), AccountFiles.read(root))  # the link names itself inside the root: a loop, not the host
    (tmp_path / "etc/passwd").unlink()
    (tmp_path / "etc/real").write_bytes(b"u:x:5:6::/h:\n")
    (tmp_path / "etc/passwd").symlink_to("/etc/real")
    assert resolve("u", (), AccountFiles.read(root)).uid == 5
    os.close(root)


def test_s58_an_endless_passwd_is_capped(tmp_path: Path) -> None:
    root = root_with(tmp_path, "passwd")
    with (tmp_path / "etc/passwd").open("wb") as file:
        file.truncate(10 << 30)
    began = time.monotonic()
    with pytest.raises(InvalidParameter, match="larger than 4 MiB"):
        resolve("x", (), AccountFiles.read(root))
    assert time.monotonic() - began < 1
    os.close(root)


def test_s58_the_largest_allowed_file_is_read_in_a_second() -> None:
    line = b"a:x:1:1::/:\n"
    began = time.monotonic()
    with pytest.raises(InvalidParameter):
        resolve("nobody", (), accounts(line * (MAX_BYTES // len(line))))
    assert time.monotonic() - began < 1
