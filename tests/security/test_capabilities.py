"""Docker's rules for capabilities, and the kernel calls under them."""

import os

import pytest

from tests.security.conftest import Confined
from wherry.linux import capabilities as kernel
from wherry.security import capabilities
from wherry.security.capabilities import UnknownCapability

EVERYTHING = kernel.NAMES


def test_s50_the_default_set_is_dockers() -> None:
    assert kernel.mask(capabilities.resolve(present=EVERYTHING)) == 0xA80425FB


@pytest.mark.parametrize(
    ("add", "drop", "more", "fewer"),
    [
        (["NET_ADMIN"], [], {"CAP_NET_ADMIN"}, set()),
        (["cap_net_admin"], ["chown"], {"CAP_NET_ADMIN"}, {"CAP_CHOWN"}),
        (["CHOWN"], ["CHOWN"], set(), set()),
        ([], ["CAP_KILL", "MKNOD"], set(), {"CAP_KILL", "CAP_MKNOD"}),
    ],
)
def test_adding_and_dropping_change_the_default(
    add: list[str], drop: list[str], more: set[str], fewer: set[str]
) -> None:
    assert set(capabilities.resolve(add, drop, present=EVERYTHING)) == (set(capabilities.DEFAULT) | more) - fewer


def test_all_means_everything_here_but_what_is_dropped() -> None:
    assert capabilities.resolve(["ALL"], present=EVERYTHING) == EVERYTHING
    assert set(EVERYTHING) - set(capabilities.resolve(["ALL"], ["SYS_ADMIN"], present=EVERYTHING)) == {
        "CAP_SYS_ADMIN"
    }
    assert capabilities.resolve(["ALL"], ["ALL"], present=EVERYTHING) == EVERYTHING


def test_dropping_all_leaves_what_is_added() -> None:
    assert capabilities.resolve(["CHOWN"], ["ALL"], present=EVERYTHING) == ("CAP_CHOWN",)
    assert capabilities.resolve([], ["all"], present=EVERYTHING) == ()


def test_privileged_has_everything_whatever_is_dropped() -> None:
    assert capabilities.resolve([], ["ALL"], privileged=True, present=EVERYTHING) == EVERYTHING


def test_what_the_engine_lacks_is_not_given_by_default_and_refused_by_name() -> None:
    present = [name for name in EVERYTHING if name not in ("CAP_MKNOD", "CAP_SYS_RESOURCE")]
    assert "CAP_MKNOD" not in capabilities.resolve(present=present)
    with pytest.raises(UnknownCapability) as caught:
        capabilities.resolve(["SYS_RESOURCE"], present=present)
    assert str(caught.value) == (
        "invalid CapAdd: capability not supported by your kernel or not available in the current environment: "
        '"CAP_SYS_RESOURCE"'
    )


@pytest.mark.parametrize(("field", "add", "drop"), [("CapAdd", ["X"], []), ("CapDrop", [], ["cap_x"])])
def test_an_unknown_name_is_refused_with_dockers_words(field: str, add: list[str], drop: list[str]) -> None:
    with pytest.raises(UnknownCapability) as caught:
        capabilities.resolve(add, drop, present=EVERYTHING)
    assert str(caught.value) == f'invalid {field}: unknown capability: "CAP_X"'


def test_names_and_numbers_are_the_kernels() -> None:
    assert kernel.NUMBERS["CAP_CHECKPOINT_RESTORE"] == 40
    assert kernel.NUMBERS["CAP_SETFCAP"] == 31
    assert kernel.names(kernel.mask(["CAP_KILL", "CAP_BPF"])) == ["CAP_KILL", "CAP_BPF"]
    assert kernel.last_cap() >= 37


def test_the_three_sets_are_what_proc_shows() -> None:
    with open("/proc/self/status", encoding="ascii") as file:
        shown = dict(line.rstrip("\n").split(":\t") for line in file if line.startswith("Cap"))
    assert kernel.capget() == tuple(int(shown[key], 16) for key in ("CapEff", "CapPrm", "CapInh"))
    assert kernel.capget(os.getpid()) == kernel.capget()
    assert kernel.bounding() == int(shown["CapBnd"], 16)
    assert kernel.ambient() == int(shown["CapAmb"], 16)


@pytest.mark.privileged
def test_s50_sets_bounding_and_ambient_can_be_cut_down_to_a_policy(confined: Confined) -> None:
    got = confined("""
from wherry.linux import capabilities as kernel
keep = kernel.mask(["CAP_CHOWN", "CAP_KILL", "CAP_SETPCAP"])
kernel.drop_bounding(keep=keep)
kernel.set_keep_caps(on=True)
kernel.set_securebits(kernel.securebits() | kernel.SECBIT_NO_SETUID_FIXUP)
kernel.capset(effective=keep, permitted=keep, inheritable=keep)
kernel.raise_ambient(kernel.NUMBERS["CAP_KILL"])
first = kernel.ambient()
kernel.clear_ambient()
with open("/proc/self/status") as file:
    shown = {line.split()[0]: line.split()[1] for line in file if line.startswith("Cap")}
tell([shown, first, kernel.bounding(), kernel.securebits()])
""")
    shown, first, bounding, bits = got
    assert shown == {
        "CapInh:": "0000000000000121",
        "CapPrm:": "0000000000000121",
        "CapEff:": "0000000000000121",
        "CapBnd:": "0000000000000121",
        "CapAmb:": "0000000000000000",
    }
    assert (first, bounding) == (1 << 5, 0x121)
    assert bits == kernel.SECBIT_NO_SETUID_FIXUP | kernel.SECBIT_KEEP_CAPS


def test_ambient_needs_permitted_and_inheritable(confined: Confined) -> None:
    got = confined("""
from wherry.linux import capabilities as kernel
kernel.capset(effective=0, permitted=0, inheritable=0)
try:
    kernel.raise_ambient(0)
except OSError as exc:
    tell(errno.errorcode[exc.errno])
""")
    assert got == "EPERM"
