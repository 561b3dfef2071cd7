"""Docker's default profile as our data, and profiles in Docker's format."""

import json
import os
from typing import Any

import pytest

from wherry.security import bpf, capabilities, seccomp_profile
from wherry.security.seccomp_profile import InvalidProfile

REFERENCE = os.path.join(os.path.dirname(__file__), "../../../shared/reference/moby-seccomp-default.json")


def rules(profile: dict[str, Any]) -> set[tuple[str, str, object, str]]:
    """The profile as a set: (name, action, errno, arguments)."""
    return {
        (name, entry["action"], entry.get("errnoRet"), json.dumps(entry.get("args") or [], sort_keys=True))
        for entry in profile["syscalls"]
        for name in entry["names"]
    }


def verdicts(profile: dict[str, Any], name: str) -> list[tuple[str, object]]:
    return [(e["action"], e.get("errnoRet")) for e in profile["syscalls"] if name in e["names"]]


@pytest.mark.skipif(not os.path.exists(REFERENCE), reason="moby's file is not part of the project")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64", "s390x", "ppc64le", "riscv64", "armv7l"])
@pytest.mark.parametrize("kernel", [(4, 4), (6, 18)])
@pytest.mark.parametrize("granted", ["", *seccomp_profile._BY_CAPABILITY])
def test_our_data_says_what_mobys_file_says(machine: str, kernel: tuple[int, int], granted: str) -> None:
    with open(REFERENCE, encoding="utf-8") as file:
        text = file.read()
    capability_set = [*capabilities.DEFAULT, *([granted] if granted else [])]
    theirs = seccomp_profile.load_profile(text, capability_set, machine=machine, kernel=kernel)
    ours = seccomp_profile.default_profile(capability_set, machine=machine, kernel=kernel)
    assert theirs is not None
    assert rules(ours) == rules(theirs)
    assert {k: v for k, v in ours.items() if k != "syscalls"} == {k: v for k, v in theirs.items() if k != "syscalls"}


def test_s66_what_no_container_may_call_is_not_in_the_default_profile() -> None:
    named = {name for name, *_ in rules(seccomp_profile.default_profile(capabilities.DEFAULT, machine="x86_64"))}
    absent = (
        "io_uring_setup userfaultfd keyctl add_key request_key bpf mount unshare setns kexec_load init_module swapon"
    )
    assert not named & set(absent.split())


def test_clone3_does_not_exist_without_sys_admin_and_clone_makes_no_namespaces() -> None:
    plain = seccomp_profile.default_profile(capabilities.DEFAULT, machine="x86_64")
    assert verdicts(plain, "clone3") == [("SCMP_ACT_ERRNO", 38)]
    (clone,) = [entry for entry in plain["syscalls"] if "clone" in entry["names"]]
    assert clone["args"] == [{"index": 0, "value": 0x7E020000, "op": "SCMP_CMP_MASKED_EQ"}]
    trusted = seccomp_profile.default_profile([*capabilities.DEFAULT, "CAP_SYS_ADMIN"], machine="x86_64")
    assert verdicts(trusted, "clone3") == [("SCMP_ACT_ALLOW", None)]


def test_the_kernel_and_the_machine_decide() -> None:
    old = seccomp_profile.default_profile((), machine="aarch64", kernel=(4, 7))
    assert verdicts(old, "ptrace") == []
    assert verdicts(old, "set_tls") == [("SCMP_ACT_ALLOW", None)]
    assert old["architectures"] == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
    new = seccomp_profile.default_profile((), machine="x86_64", kernel=(4, 8))
    assert verdicts(new, "ptrace") == [("SCMP_ACT_ALLOW", None)]
    assert verdicts(new, "set_tls") == []


def load(profile: object, granted: tuple[str, ...] = ()) -> dict[str, Any] | None:
    return seccomp_profile.load_profile(json.dumps(profile), granted, machine="x86_64", kernel=(6, 1))


def test_a_profile_without_default_and_rules_means_no_filter() -> None:
    assert load({}) is None
    assert load({"architectures": ["SCMP_ARCH_X86_64"]}) is None


def test_the_old_format_with_one_name_an_entry_is_read() -> None:
    loaded = load({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "chmod", "action": "SCMP_ACT_ERRNO"}]})
    assert loaded is not None
    assert verdicts(loaded, "chmod") == [("SCMP_ACT_ERRNO", None)]


def test_flags_listener_and_errno_come_through() -> None:
    more = {
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath": "/run/x",
        "listenerMetadata": "m",
        "defaultErrnoRet": 5,
    }
    loaded = load({"defaultAction": "SCMP_ACT_ERRNO"} | more)
    assert loaded is not None
    assert {key: loaded[key] for key in more} == more


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/etc/profile.json", "Decoding seccomp profile failed: "),
        ("[]", "Decoding seccomp profile failed: "),
        ("[" * 100_000, "Decoding seccomp profile failed: "),
        (
            '{"architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}], "defaultAction": "x"}',
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either",
        ),
        (
            '{"syscalls": [{"name": "accept", "names": ["accept"], "action": "SCMP_ACT_ALLOW"}]}',
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
        ),
    ],
)
def test_a_profile_that_is_wrong_is_refused_with_dockers_words(text: str, message: str) -> None:
    with pytest.raises(InvalidProfile) as caught:
        seccomp_profile.load_profile(text, ())
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    "shape",
    [
        {"syscalls": [1]},
        {"syscalls": {"a": 1}},
        {"archMap": [1]},
        {"syscalls": [{"includes": 1}]},
        {"syscalls": [{"args": [1]}]},
    ],
)
def test_a_profile_of_the_wrong_shape_is_refused_and_is_no_bug(shape: dict[str, Any]) -> None:
    with pytest.raises(InvalidProfile, match="Decoding seccomp profile failed"):
        load({"defaultAction": "SCMP_ACT_ALLOW"} | shape)


def test_a_loaded_profile_compiles() -> None:
    loaded = load(seccomp_profile.docker_default(), capabilities.DEFAULT)
    assert loaded is not None
    assert bpf.compile_profile(loaded, machine="x86_64").instructions > 100


def test_reading_a_file_that_is_not_there_says_so_in_dockers_words() -> None:
    with pytest.raises(Exception, match=r"opening seccomp profile \(/nonexistent\) failed"):
        seccomp_profile.read_profile("/nonexistent")
