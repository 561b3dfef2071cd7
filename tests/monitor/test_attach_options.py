"""Detach keys: Docker's syntax, and finding them in typed input."""

import pytest

from wherry.errors import InvalidParameter
from wherry.monitor.attach import DetachKeys
from wherry.monitor.attach_options import AttachOptions, parse_detach_keys


@pytest.mark.parametrize(
    ("text", "sequence"),
    [("", b"\x10\x11"), ("ctrl-a", b"\x01"), ("ctrl-@,x", b"\x00x"), ("ctrl-[,ctrl-_", b"\x1b\x1f"), ("a,b", b"ab")],
)
def test_detach_keys_are_read_as_docker_reads_them(text: str, sequence: bytes) -> None:
    assert parse_detach_keys(text) == sequence


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-A", "ab", "ctrl-1", "a,,b"])
def test_wrong_detach_keys_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="Unknown character"):
        parse_detach_keys(text)


def test_the_sequence_is_found_across_reads() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.filter(b"ab\x10") == (b"ab", False)
    assert keys.filter(b"\x11rest") == (b"", True)


def test_what_only_began_the_sequence_is_passed_on() -> None:
    keys = DetachKeys(b"\x10\x11")
    assert keys.filter(b"\x10x\x10\x10\x11") == (b"\x10x\x10", True)


def test_options_survive_their_message() -> None:
    options = AttachOptions(stdin=True, stderr=False, framed=False, detach_keys="a,b", leftover=b"\x00\xff")
    assert AttachOptions.from_message(options.to_message()) == options
