"""Docker's grammar of references, and its texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.oci import reference
from wherry.oci.reference import InvalidReference, Reference

HEX = "0123456789abcdef" * 4
DIGEST = f"sha256:{HEX}"


@pytest.mark.parametrize(
    ("text", "full", "familiar"),
    [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("alpine:3.19", "docker.io/library/alpine:3.19", "alpine:3.19"),
        ("library/alpine", "docker.io/library/alpine", "alpine"),
        ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("index.docker.io/alpine", "docker.io/library/alpine", "alpine"),
        ("user/app", "docker.io/user/app", "user/app"),
        ("user/app/sub", "docker.io/user/app/sub", "user/app/sub"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/app:x", "localhost:5000/app:x", "localhost:5000/app:x"),
        ("quay.example/a/b:t", "quay.example/a/b:t", "quay.example/a/b:t"),
        ("Host/app", "Host/app", "Host/app"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}", f"app@{DIGEST}"),
        (f"app:t@{DIGEST}", f"docker.io/library/app:t@{DIGEST}", f"app:t@{DIGEST}"),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e", "a__b/c-d.e"),
    ],
)
def test_references_are_normalised_as_docker_does(text: str, full: str, familiar: str) -> None:
    parsed = reference.parse(text)
    assert str(parsed) == full
    assert parsed.familiar == familiar


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("app:", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("-app", "invalid reference format"),
        ("app@sha256:12", "invalid reference format"),
        ("app:" + "t" * 129, "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("../etc", "invalid reference format"),
        ("app\n", "invalid reference format"),
        ("Foo", "invalid reference format: repository name (library/Foo) must be lowercase"),
        ("user/Foo:x", "invalid reference format: repository name (user/Foo) must be lowercase"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        ("app@md5:" + "0" * 32, "unsupported digest algorithm"),
        ("app@sha256:" + "0" * 63, "invalid checksum digest length"),
    ],
)
def test_bad_references_are_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        reference.parse(text)
    assert str(caught.value) == message


COMPONENT = st.from_regex(r"\A[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+){0,2}\Z").filter(lambda text: len(text) < 30)
TAG = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}\Z")
DOMAIN = st.sampled_from(["localhost", "registry.example", "registry.example:5000", "[fd00::1]:80", "docker.io"])


@given(st.none() | DOMAIN, st.lists(COMPONENT, min_size=1, max_size=3), st.none() | TAG, st.booleans())
def test_a_valid_reference_round_trips(domain: str | None, path: list[str], tag: str | None, pinned: bool) -> None:
    name = "/".join([*([domain] if domain else ["user"]), *path])
    text = name + (f":{tag}" if tag else "") + (f"@{DIGEST}" if pinned else "")
    parsed = reference.parse(text)
    assert parsed.tag == tag
    assert reference.parse(str(parsed)) == parsed
    assert reference.parse(parsed.familiar) == parsed


@given(st.text(max_size=60))
def test_parsing_gives_a_reference_or_the_typed_error(text: str) -> None:
    try:
        parsed = reference.parse(text)
    except InvalidReference:
        return
    assert isinstance(parsed, Reference)
    assert ".." not in parsed.path.split("/")
    assert not set(str(parsed)) & set(" \n\0%?#\\")
