"""Platforms as containerd matches them."""

import pytest

from wherry.oci import platform
from wherry.oci.platform import InvalidPlatform, Platform, best_match, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("LINUX/AMD64", "linux/amd64"),
        ("s390x", "linux/s390x"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_spellings_are_normalised(text: str, expected: str) -> None:
    assert str(parse(text)) == expected


@pytest.mark.parametrize("text", ["", "linux/", "linux/amd64/v1/x", "lin ux/amd64", "nonsense", "linux/amd64/"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlatform):
        parse(text)


def test_the_best_candidate_wins() -> None:
    candidates = [Platform("arm", "linux", "v6"), None, Platform("arm", "linux", "v7"), Platform("amd64", "linux")]
    assert best_match(parse("linux/arm/v7"), candidates) == 2
    assert best_match(parse("linux/arm/v6"), candidates) == 0
    assert best_match(parse("linux/arm64"), candidates) == 2
    assert best_match(parse("linux/amd64"), candidates) == 3
    assert best_match(parse("linux/arm/v5"), candidates) is None
    assert best_match(parse("linux/s390x"), candidates) is None


def test_the_host_matches_itself() -> None:
    assert platform.matches(platform.host_platform(), platform.host_platform())
