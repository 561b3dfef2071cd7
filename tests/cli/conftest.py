import io
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.client.conftest import serve as serve
from wherry.cli import main


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str


@pytest.fixture
def wherry(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Outcome]]:
    """Run a command line in this process: ``wherry("-H", host, "ps")``."""
    monkeypatch.setattr(sys, "stdin", io.StringIO())

    def run(*argv: str) -> Outcome:
        code = main.run(argv)
        sys.stdout.flush()
        sys.stderr.flush()
        captured = capfd.readouterr()
        return Outcome(code, captured.out, captured.err)

    yield run


def lines(*texts: str) -> str:
    """Lines, each ended by a newline."""
    return "".join(f"{text}\n" for text in texts)


Run = Callable[..., Outcome]
Argv = Sequence[str]
