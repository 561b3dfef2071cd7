"""Command lines as a table, and the three ways they are run: dockerd by docker, ours by docker, ours by wherry.

A script is one command a line, without the program's name:

    run --name a1 busybox true       plain; standard input is empty
    'text' | exec -i a1 cat          with standard input
    tty: run --rm -it busybox tty    on a terminal of 80 columns
    ; rm -f a1                       run, but not compared
    ~ pull nosuch.invalid/x          only the exit code is compared: the texts differ on purpose
    28: stop -s TERM a1              left out with an older client, which cannot say it or words it otherwise
    =1 Error response from daemon: … what ours gives to the line above, with either client, in place of dockerd's
                                     answer: where Docker 28 differs from the dockerd that the test runs

``@side`` in an argument is another word on each side: for files that each of them writes, at the same time.
"""

import os
import pty
import select
import shlex
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fcntl import ioctl

_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left: its outputs (on a terminal all in ``stdout``) and its exit code."""

    stdout: str
    stderr: str
    code: int


@dataclass(frozen=True, slots=True)
class Step:
    """One command line. ``expected`` is (exit code, output) where dockerd's answer is not the measure."""

    line: str
    arguments: tuple[str, ...]
    stdin: bytes = b""
    terminal: bool = False
    compared: bool = True
    code_only: bool = False
    expected: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """A client with an engine behind it."""

    name: str
    prefix: tuple[str, ...]
    environment: dict[str, str]
    normalise: Callable[[str], str]

    def run(self, step: Step) -> Outcome:
        """Run one command line and normalise what it printed."""
        own = self.name.replace(" ", "-")
        command = [*self.prefix, *(argument.replace("@side", own) for argument in step.arguments)]
        stdout, stderr, code = (
            _on_a_terminal(command, self.environment)
            if step.terminal
            else _run(command, self.environment, step.stdin)
        )
        return Outcome(self.normalise(stdout), self.normalise(stderr), code)


def parse(script: str, *, same_words: bool = True) -> list[Step]:
    """The steps of a script; ``$`` and globs have no meaning in it. ``same_words``: the client is docker 28 or so."""
    steps: list[Step] = []
    left_out = False
    for line in filter(None, map(str.strip, script.splitlines())):
        if line.startswith("28: "):
            left_out = not same_words
            line = line[4:]
        elif not line.startswith("="):
            left_out = False
        if left_out:
            continue
        if line.startswith("="):
            code, _, text = line[1:].partition(" ")
            steps[-1] = replace(steps[-1], expected=(int(code), text.replace("\\n", "\n")))
            continue
        steps.append(_step(line))
    return steps


def _step(line: str) -> Step:
    words = shlex.split(line)
    stdin, terminal = b"", False
    sign = words.pop(0) if words[0] in (";", "~") else ""
    if words[0] == "tty:":
        terminal, words = True, words[1:]
    if len(words) > 1 and words[1] == "|":
        stdin, words = words[0].replace("\\n", "\n").encode(), words[2:]
    return Step(line, tuple(words), stdin, terminal, compared=sign != ";", code_only=sign == "~")


def _run(command: list[str], environment: dict[str, str], stdin: bytes) -> tuple[str, str, int]:
    done = subprocess.run(
        command, input=stdin, capture_output=True, env=environment, timeout=_TIMEOUT_SECONDS, check=False
    )
    return done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"), done.returncode


def _on_a_terminal(command: list[str], environment: dict[str, str]) -> tuple[str, str, int]:
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    ) as process:
        os.close(slave)
        try:
            output = _read_to_the_end(master, process)
            code = process.wait(_TIMEOUT_SECONDS)
        finally:
            process.kill()
            os.close(master)
    return output.decode(errors="replace"), "", code


def _read_to_the_end(master: int, process: subprocess.Popen[bytes]) -> bytes:
    output = bytearray()
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        ready, _, _ = select.select([master], [], [], 0.2)
        if ready:
            try:
                output += os.read(master, 65536)
            except OSError:  # EIO: no one holds the terminal any more
                return bytes(output)
        elif process.poll() is not None:
            return bytes(output)
    raise TimeoutError(f"no end after {_TIMEOUT_SECONDS} s: {bytes(output)!r}")
