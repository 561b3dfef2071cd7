"""S03: a digest becomes a path and a URL, so its grammar is strict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.oci.digest import InvalidDigest, digest_of, is_digest, parse_digest

GOOD = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        "sha256:../../x",
        "sha256:" + "../" * 21 + "x",
        GOOD.upper(),
        "sha256:" + "AB" * 32,
        GOOD[:-1],
        GOOD + "0",
        GOOD + "\n",
        "md5:" + "ab" * 16,
        "sha512:" + "ab" * 32,
        "sha256-" + "ab" * 32,
        "sha256:" + "٣" * 64,
        "",
    ],
)
def test_s03_anything_but_an_exact_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidDigest):
        parse_digest(text)


def test_sha256_and_sha512_are_accepted() -> None:
    assert parse_digest(GOOD) == GOOD
    assert parse_digest("sha512:" + "0f" * 64)


@given(st.binary(max_size=64))
def test_what_is_computed_can_be_parsed(data: bytes) -> None:
    assert parse_digest(digest_of(data)) == digest_of(data)


@given(st.text(max_size=80))
def test_s03_nothing_with_a_slash_or_a_dot_is_a_digest(text: str) -> None:
    if is_digest(text):
        assert not set(text) & set("/.%\0\n")
