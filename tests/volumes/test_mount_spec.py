"""``-v`` strings."""

import pytest

from wherry.errors import InvalidParameter
from wherry.volumes.mount_spec import check_volume_name, clean, parse


def test_the_forms() -> None:
    assert parse("/data").source == ""
    bind = parse("/src/:/dst/:ro,rshared")
    assert (bind.source, bind.destination, bind.read_only, bind.propagation) == ("/src", "/dst", True, "rshared")
    volume = parse("name:/dst:nocopy")
    assert (volume.source, volume.is_bind, volume.no_copy) == ("name", False, True)


@pytest.mark.parametrize("spec", ["", ":/x", "/a:ro", "a:b:c:d", "/a:/b:/c:/d"])
def test_what_is_no_spec(spec: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid volume specification: '"):
        parse(spec)


@pytest.mark.parametrize("mode", ["x", "ro,rw", "z,Z", "private,shared", "ro,,rw"])
def test_modes_that_contradict_themselves(mode: str) -> None:
    with pytest.raises(InvalidParameter, match=f"^invalid mode: {mode}$"):
        parse(f"/a:/b:{mode}")


def test_dots_stop_at_the_root() -> None:
    assert clean("/../../etc/./x//y/..") == "/etc/x"


@pytest.mark.parametrize("name", ["..", ".", "../x", "a/b", "-a", "a", "", "a\n", "a b"])
def test_a_volume_name_is_one_safe_component(name: str) -> None:
    with pytest.raises(InvalidParameter, match="includes invalid characters for a local volume name"):
        check_volume_name(name)
