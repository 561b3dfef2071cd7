"""/info and /system/df as clients of each API version know them."""

from typing import Any

import pytest

from wherry.api.system_versions import info_for, usage_for


def info() -> dict[str, Any]:
    return {
        "FirewallBackend": {"Driver": "nftables"},
        "ContainerdCommit": {"ID": "N/A"},
        "RuncCommit": {"ID": "1"},
        "InitCommit": {"ID": "1"},
        "RegistryConfig": {},
        "KernelMemoryTCP": True,
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
    }


def test_the_newest_info_is_left_alone() -> None:
    assert info_for((1, 51), info()) == info()


def test_older_clients_find_the_fields_that_were_taken_away() -> None:
    assert info_for((1, 49), info())["BridgeNfIptables"] is True
    older = info_for((1, 41), info())
    assert "FirewallBackend" not in older
    assert older["RuncCommit"] == {"ID": "1", "Expected": "1"}
    assert older["KernelMemory"] is True
    assert older["SecurityOptions"] == info()["SecurityOptions"]
    oldest = info_for((1, 24), info())
    assert oldest["SecurityOptions"] == ["seccomp", "cgroupns"]
    assert oldest["ExecutionDriver"] == "<not supported>"


@pytest.mark.parametrize(
    ("version", "builder_size", "virtual_size"), [((1, 30), 7, True), ((1, 42), None, True), ((1, 51), None, False)]
)
def test_disk_usage_has_its_old_and_its_new_form(
    version: tuple[int, int], builder_size: int | None, virtual_size: bool
) -> None:
    document: dict[str, Any] = {"Images": [{"Size": 1, "VirtualSize": 1}], "BuildCache": [{"Size": 7}]}
    told = usage_for(version, document)
    assert told.get("BuilderSize") == builder_size
    assert ("VirtualSize" in told["Images"][0]) is virtual_size
    assert usage_for(version, {"Images": None, "BuildCache": None})["Images"] is None
