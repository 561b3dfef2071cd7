"""S33-S35, S52-S54, S60-S62: what enters a container, and what it brings along."""

import hashlib
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.attacks.conftest import ImageMaker, errnos
from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged

_CANARY = "canary-5c1e2f"


def _interpreter_hash() -> str:
    return hashlib.sha256(Path(sys.executable).resolve().read_bytes()).hexdigest()


def test_s33_the_program_that_enters_a_container_cannot_be_overwritten(
    engine: EngineUnderTest, make_image: ImageMaker
) -> None:
    image = make_image("s33", {"self": b"#!/proc/self/exe\n"})
    before = _interpreter_hash()
    opener = "while true; do for p in /proc/[0-9]*/exe; do (echo x > $p) 2>/dev/null && echo overwritten > /won; done; done"
    engine.wherry("run", "-d", "--name", "s33", image, "sh", "-c", opener)
    for _ in range(60):
        engine.wherry("exec", "s33", "/self", check=False)
        engine.wherry("exec", "s33", "true")
    # The loop may write to nothing but files of the container itself (busybox is busy: ETXTBSY).
    assert engine.wherry("exec", "s33", "cat", "/won", check=False).returncode != 0
    engine.wherry("run", "--rm", image, "/self", check=False)
    engine.wherry("rm", "-f", "s33")
    assert _interpreter_hash() == before


def test_s34_only_the_standard_descriptors_are_open(engine: EngineUnderTest, tools: str) -> None:
    listing = "for f in /proc/self/fd/*; do echo ${f##*/}; done"
    run = engine.wherry("run", "--rm", tools, "sh", "-c", listing).stdout.split()
    engine.wherry("run", "-d", "--name", "s34", tools, "sleep", "1000")
    executed = engine.wherry("exec", "s34", "sh", "-c", listing).stdout.split()
    with_terminal = engine.wherry("exec", "s34", "sh", "-c", "ls /proc/1/fd").stdout.split()
    engine.wherry("rm", "-f", "s34")
    # The glob itself holds one descriptor while it reads the directory.
    assert set(run) <= {"0", "1", "2", "3"}
    assert set(executed) <= {"0", "1", "2", "3"}
    assert with_terminal == ["0", "1", "2"]


def test_s35_a_working_directory_through_a_descriptor_is_refused(engine: EngineUnderTest, tools: str) -> None:
    engine.wherry("run", "-d", "--name", "s35", tools, "sleep", "1000")
    for number in (*range(3, 20), 100):
        run = engine.wherry("run", "--rm", "-w", f"/proc/self/fd/{number}", tools, "ls", "/", check=False)
        executed = engine.wherry("exec", "-w", f"/proc/self/fd/{number}", "s35", "pwd", check=False)
        assert run.returncode != 0, number
        assert executed.returncode != 0, number
        assert "root" not in executed.stdout
    engine.wherry("rm", "-f", "s35")


def test_s52_a_container_types_nothing_into_the_clients_terminal(
    engine: EngineUnderTest, tools: str, tmp_path: Path
) -> None:
    """The client's shell goes on after the container that injected input; nothing of it arrives."""
    marker = tmp_path / "pwned"
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(engine.environment)
        wherry = str(Path(sys.executable).parent / "wherry")
        script = f"{wherry} run --rm -it {tools} /probe 'tiocsti=touch {marker}\n'; echo finished"
        os.execv("/bin/sh", ["sh", "-c", f'{script}; read -t 1 line 2>/dev/null; echo "[$line]"'])
    seen = _read_until(terminal, b"[", 30)
    os.close(terminal)
    os.waitpid(pid, 0)
    assert b"finished" in seen
    assert b"tiocsti 0" in seen or b"tiocsti 5" in seen, seen  # 5: EIO, injection is switched off in the kernel
    assert not marker.exists()


def _read_until(terminal: int, word: bytes, seconds: float) -> bytes:
    seen = b""
    deadline = time.monotonic() + seconds
    while word not in seen and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 4096)
            except OSError:
                break  # the other end is closed
    return seen


def test_s53_nothing_of_the_engine_is_seen_while_it_enters(engine: EngineUnderTest, tools: str) -> None:
    """A scraper reads environ, descriptors and memory maps of every process it sees during execs."""
    scraper = (
        "while true; do for p in /proc/[0-9]*; do cat $p/environ 2>/dev/null; ls -l $p/fd $p/cwd $p/root 2>/dev/null; "
        f"done; done | tr '\\0' '\\n' | grep -E 'WHERRY|{_CANARY}|[.]sock|/engine|run/containers' >> /loot"
    )
    engine.environment["CANARY"] = _CANARY
    engine.wherry("run", "-d", "--name", "s53", tools, "sh", "-c", scraper)
    for _ in range(60):
        engine.wherry("exec", "s53", "true")
    loot = engine.wherry("exec", "s53", "cat", "/loot", check=False).stdout
    engine.wherry("rm", "-f", "s53")
    assert loot == ""


def test_s54_exec_is_as_confined_as_run(engine: EngineUnderTest, tools: str) -> None:
    shown = (
        "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp:)' /proc/self/status; cat /proc/self/cgroup; "
        "for n in cgroup ipc mnt net pid uts user time; do readlink /proc/self/ns/$n; done"
    )
    options = ("--security-opt", "no-new-privileges", "--cap-drop", "NET_RAW", "-u", "1000:1000")
    engine.wherry("run", "-d", "--name", "s54", *options, tools, "sh", "-c", f"{{ {shown}; }} > /tmp/run; sleep 1000")
    deadline = time.monotonic() + 5
    while not (from_run := engine.wherry("exec", "s54", "cat", "/tmp/run", check=False).stdout).count("time"):
        assert time.monotonic() < deadline
    from_exec = engine.wherry("exec", "s54", "sh", "-c", shown).stdout
    engine.wherry("rm", "-f", "s54")
    assert from_exec == from_run
    assert "NoNewPrivs:\t1" in from_exec
    assert "Seccomp:\t2" in from_exec


def test_s60_the_engines_environment_stays_outside(engine: EngineUnderTest, tools: str) -> None:
    engine.wherry("system", "stop")
    engine.environment["CANARY"] = _CANARY
    engine.wherry("ps")  # starts an engine that has the canary in its environment
    done = engine.wherry("run", "--rm", "-e", "MINE=1", tools, "sh", "-c", "env; tr '\\0' '\\n' < /proc/1/environ")
    assert "MINE=1" in done.stdout
    assert _CANARY not in done.stdout
    engine.wherry("run", "--name", "s60", tools, "env")
    assert _CANARY not in engine.wherry("exec", "s60", "env", check=False).stdout
    found = subprocess.run(
        ["grep", "-rl", _CANARY, str(engine.data_root)], capture_output=True, text=True, check=False, timeout=60
    )
    engine.wherry("rm", "-f", "s60")
    assert found.stdout == ""


def test_s61_no_code_of_the_container_is_loaded(engine: EngineUnderTest, make_image: ImageMaker) -> None:
    """The image ships modules and libraries at the places where a careless engine would look for them."""
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    evil = b"open('/pwned', 'w').write('x')\n"
    script = b"#!/bin/sh\necho x > /pwned\n"
    entries: dict[str, str | bytes] = {
        **{
            f"usr/lib/{python}/encodings/{name}.py": evil
            for name in ("__init__", "cp437", "idna", "ascii", "latin_1")
        },
        **{f"usr/lib/{python}/{name}.py": evil for name in ("os", "codecs", "pwd", "grp", "json", "site")},
        **{
            f"lib/x86_64-linux-gnu/{name}": b"\x7fELFevil" for name in ("libnss_files.so.2", "libc.so.6", "libz.so.1")
        },
        **{f"usr/bin/{name}": script for name in ("xz", "gzip", "nsenter", "ps", "tar", "id")},
        "etc/nsswitch.conf": b"passwd: evil files\ngroup: evil files\n",
    }
    image = make_image("s61", dict(entries))
    engine.wherry("run", "-d", "--name", "s61", "-u", "root", image, "sleep", "1000")
    engine.wherry("exec", "-u", "daemon", "s61", "/bin/true", check=False)
    engine.wherry("exec", "-it", "s61", "/bin/nosuchprogram", check=False)
    for command in (("top", "s61"), ("stats", "--no-stream", "s61"), ("cp", "s61:/etc", "-"), ("logs", "s61"),
                    ("pause", "s61"), ("unpause", "s61"), ("restart", "-t", "0", "s61"), ("diff", "s61")):  # fmt: skip
        engine.wherry(*command, check=False)
    changed = engine.wherry("exec", "s61", "/bin/busybox", "ls", "/pwned", check=False)
    engine.wherry("rm", "-f", "s61")
    assert changed.returncode != 0, changed.stdout
    assert not Path("/pwned").exists()


def test_s62_top_uses_the_hosts_ps(engine: EngineUnderTest, make_image: ImageMaker) -> None:
    fake = b"#!/bin/sh\ntouch /pwned\necho PID\n"
    image = make_image("s62", dict.fromkeys(("bin/ps", "usr/bin/ps", "usr/bin/nsenter", "bin/nsenter"), fake))
    engine.wherry("run", "-d", "--name", "s62", image, "sleep", "1000")
    shown = engine.wherry("top", "s62").stdout
    assert "sleep 1000" in shown
    assert engine.wherry("exec", "s62", "ls", "/pwned", check=False).returncode != 0
    engine.wherry("rm", "-f", "s62")


def test_s51_keyrings_are_out_of_reach(engine: EngineUnderTest, tools: str) -> None:
    assert errnos(engine, tools, "add_key", "keyctl") == {"add_key": 1, "keyctl": 1}
    assert engine.wherry("run", "--rm", tools, "cat", "/proc/keys").stdout == ""
