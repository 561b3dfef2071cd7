"""S27, S57-S59 from outside: who a process is, when the image's passwd and group are the attacker's."""

import tarfile
import time
from pathlib import Path

import pytest

from tests.attacks.conftest import ImageMaker
from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged

_PASSWD = b"root:x:0:0:root:/:/bin/sh\n"


def _special(path: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(path)
    info.type, info.mode = kind, 0o666
    return info


@pytest.mark.parametrize(
    "user", ["4294967296", "4294967295", "2147483648", "-1", "0:4294967296", "18446744073709551616"]
)
def test_s57_a_user_out_of_range_does_not_become_root(
    engine: EngineUnderTest, make_image: ImageMaker, user: str
) -> None:
    """The image's passwd says that the number is a name, and that the name is root."""
    lines = b"".join(b"%s:x:0:0::/:/bin/sh\n" % name.encode() for name in user.split(":"))
    image = make_image("s57", {"etc/passwd": lines, "etc/group": lines}, (f"USER {user}",))
    from_image = engine.wherry("run", "--rm", image, "id", check=False)
    from_option = engine.wherry("run", "--rm", "-u", user, image, "id", check=False)
    for done in (from_image, from_option):
        assert done.returncode == 125, done.stdout
        assert "uid=0" not in done.stdout


def test_s57_a_number_is_never_a_name(engine: EngineUnderTest, make_image: ImageMaker) -> None:
    image = make_image("s57-name", {"etc/passwd": b"1000:x:0:0::/:/bin/sh\n", "etc/group": b"1000:x:0:\n"})
    shown = engine.wherry("run", "--rm", "-u", "1000:1000", image, "sh", "-c", "id -u; id -g").stdout
    assert shown.split() == ["1000", "1000"]
    engine.wherry("run", "-d", "--name", "s57", image, "sleep", "100")
    assert engine.wherry("exec", "-u", "1000", "s57", "id", "-u").stdout == "1000\n"
    engine.wherry("rm", "-f", "s57")


@pytest.mark.parametrize("kind", ["fifo", "device", "link-out", "giant"])
def test_s27_s58_a_hostile_passwd_is_an_error_at_once(
    engine: EngineUnderTest, make_image: ImageMaker, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "passwd").write_bytes(_PASSWD + b"daemon:x:0:0::/:/bin/sh\n")
    content: dict[str, str | bytes | tarfile.TarInfo] = {
        "fifo": _special("etc/passwd", tarfile.FIFOTYPE),
        "device": _special("etc/passwd", tarfile.CHRTYPE),
        "link-out": str(tmp_path / "passwd"),
        "giant": b"a:x:5:5::/:/bin/sh\n" * 10_000_000,
    }
    image = make_image(f"s58-{kind}", {"etc/passwd": content[kind]})
    before = _engine_memory(engine)
    began = time.monotonic()
    done = engine.wherry("run", "--rm", "-u", "daemon", image, "id", check=False)
    assert time.monotonic() - began < 5
    assert done.returncode == 125, done.stdout
    assert "uid=" not in done.stdout
    assert _engine_memory(engine) - before < 64 << 20
    # A number needs no file (but `id` would read it, and wait), and the engine is well.
    assert engine.wherry("run", "--rm", "-u", "7:7", image, "stat", "-c", "%u", "/proc/self/stat").stdout == "7\n"


def _engine_memory(engine: EngineUnderTest) -> int:
    """Oracle L: the anonymous memory of the process that serves the API."""
    engine.wherry("ps")
    with open(f"/proc/{engine.engine_pid()}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("RssAnon"))
    return int(line.split()[1]) << 10


def test_s58_a_passwd_that_becomes_a_fifo_stops_no_exec(engine: EngineUnderTest, tools: str) -> None:
    engine.wherry("run", "-d", "--name", "s58", tools, "sh", "-c", "rm /etc/passwd; mkfifo /etc/passwd; sleep 100")
    began = time.monotonic()
    done = engine.wherry("exec", "-u", "nobody", "s58", "id", check=False)
    assert done.returncode != 0
    assert (
        engine.wherry("exec", "-u", "9", "s58", "sh", "-c", "stat -c %u /proc/self/stat; echo $HOME").stdout
        == "9\n/\n"
    )
    assert time.monotonic() - began < 5
    engine.wherry("rm", "-f", "s58")


def test_s59_the_primary_group_is_supplementary_and_a_negative_group_denies(
    engine: EngineUnderTest, make_image: ImageMaker
) -> None:
    """CVE-2022-36109: without the primary group in the list a process could drop it, and with it a denial."""
    image = make_image(
        "s59", {"etc/passwd": _PASSWD + b"u:x:1000:1000::/:/bin/sh\n", "etc/group": b"u:x:1000:\nextra:x:2000:u\n"}
    )
    groups = "grep ^Groups: /proc/self/status"
    assert engine.wherry("run", "--rm", "-u", "u", image, "sh", "-c", groups).stdout.split()[1:] == ["1000", "2000"]
    assert engine.wherry("run", "--rm", "-u", "1000:3000", image, "sh", "-c", groups).stdout.split()[1:] == ["3000"]
    engine.wherry("run", "-d", "--name", "s59", image, "sh", "-c",
                  "echo secret > /denied; chgrp 3000 /denied; chmod 604 /denied; touch /ready; sleep 100")  # fmt: skip
    deadline = time.monotonic() + 10
    while engine.wherry("exec", "s59", "ls", "/ready", check=False).returncode:
        assert time.monotonic() < deadline
    done = engine.wherry("exec", "-u", "1000:3000", "s59", "cat", "/denied", check=False)
    engine.wherry("rm", "-f", "s59")
    assert "secret" not in done.stdout
