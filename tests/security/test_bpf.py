"""The filter compiler against libseccomp and against the specification's words."""

import errno
import functools
import platform
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.security import classic_bpf, libseccomp
from wherry.security import bpf, capabilities, seccomp_profile, syscalls
from wherry.security.seccomp_rules import InvalidSeccomp

X86_64, I386, AARCH64, ARM = 0xC000003E, 0x40000003, 0xC00000B7, 0x40000028
X32 = 0x40000000
ALLOW, KILL_PROCESS, ENOSYS, EPERM = 0x7FFF0000, 0x80000000, 0x50000 | errno.ENOSYS, 0x50000 | errno.EPERM
X86_FAMILY = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers in this file are x86_64's")


def profile(*entries: dict[str, Any], default: str = "SCMP_ACT_ERRNO", **more: Any) -> dict[str, Any]:
    return {"defaultAction": default, "architectures": X86_FAMILY, "syscalls": list(entries)} | more


def entry(
    names: str, action: str = "SCMP_ACT_ALLOW", *args: tuple[int, str, int, int], **more: Any
) -> dict[str, Any]:
    keys = ("index", "op", "value", "valueTwo")
    return {"names": names.split(), "action": action, "args": [dict(zip(keys, a, strict=True)) for a in args]} | more


def answer(compiled: dict[str, Any], number: int, *arguments: int, arch: int = X86_64) -> int:
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    return classic_bpf.run(bpf.compile_profile(compiled).program, arch, number, padded)


@functools.cache
def number_of(architecture: str, name: str) -> int | None:
    return libseccomp.number(architecture, name)


def newest_of(reference: dict[str, Any], architecture: str) -> int:
    named = [number_of(architecture, name) for e in reference["syscalls"] for name in e["names"]]
    return max((n & ~X32 for n in named if n is not None and n & ~X32 < 0xF0000), default=-1)


def expected(
    oracle: bytes, reference: dict[str, Any], architecture: str, number: int, sample: tuple[int, ...]
) -> int:
    """libseccomp's answer, with runc's -ENOSYS stub in front of it."""
    if is_new(reference, architecture, number):
        return ENOSYS
    return classic_bpf.run(oracle, arch_of(architecture), number, sample)


def is_new(reference: dict[str, Any], architecture: str, number: int) -> bool:
    permissive = reference["defaultAction"] in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE")
    private = architecture == "SCMP_ARCH_ARM" and is_private(number)
    return not permissive and not private and 0 <= newest_of(reference, architecture) < number & ~X32


def is_private(number: int) -> bool:
    return any(number == number_of("SCMP_ARCH_ARM", name) for name in ("breakpoint", "cacheflush", "set_tls"))


def arch_of(architecture: str) -> int:
    return X86_64 if architecture == "SCMP_ARCH_X32" else libseccomp.TOKENS[architecture]


ARGUMENT_SAMPLES = [
    (0,) * 6,
    (2, 1, 6, 0, 0, 0),
    (38, 0, 0, 0, 0, 0),
    (39, 0, 0, 0, 0, 0),
    (40, 0, 0, 0, 0, 0),
    (41, 0, 0, 0, 0, 0),
    (0x10000000, 0x10000000, 0, 0, 0, 0),
    (0x1200011, 0, 0, 0, 0, 0),
    (0xFFFFFFFF, 0, 0, 0, 0, 0),
    (0xFFFFFFFF00000000, 0, 0, 0, 0, 0),
    (0x100000026, 0, 0, 0, 0, 0),
    (0x20008, 8, 8, 8, 8, 8),
]


@pytest.mark.parametrize(
    ("machine", "architectures"),
    [("x86_64", X86_FAMILY), ("x86_64", ["SCMP_ARCH_X86_64"]), ("aarch64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"])],
)
@pytest.mark.parametrize("granted", [capabilities.DEFAULT, (*capabilities.DEFAULT, "CAP_SYS_ADMIN"), ()])
def test_dockers_default_profile_answers_every_call_as_libseccomp_does(
    machine: str, architectures: list[str], granted: tuple[str, ...]
) -> None:
    reference = seccomp_profile.default_profile(granted, machine=machine, kernel=(6, 18))
    reference["architectures"] = architectures
    # Calls that this libseccomp does not know would make the two disagree about what is "newer".
    known = {
        n for e in reference["syscalls"] for n in e["names"] if libseccomp.number(architectures[0], n) is not None
    }
    for e in reference["syscalls"]:
        e["names"] = [n for n in e["names"] if n in known or any(libseccomp.number(a, n) for a in architectures)]
    reference["syscalls"] = [e for e in reference["syscalls"] if e["names"]]
    program = bpf.compile_profile(reference, machine=machine).program
    oracle = libseccomp.compile_profile(reference)
    conditional = {n for e in reference["syscalls"] if e.get("args") for n in e["names"]}
    for architecture in architectures:
        base = X32 if architecture == "SCMP_ARCH_X32" else 0
        arch = arch_of(architecture)
        looked_into = {libseccomp.number(architecture, name) for name in conditional}
        extra = [0xF0001, 0xF0002, 0xF0005, 9999] if architecture == "SCMP_ARCH_ARM" else [9999]
        for number in [*range(base, base + 560), *(base + n for n in extra)]:
            for arguments in ARGUMENT_SAMPLES if number in looked_into else ARGUMENT_SAMPLES[:2]:
                got = classic_bpf.run(program, arch, number, arguments)
                want = expected(oracle, reference, architecture, number, arguments)
                assert got == want, (architecture, number, arguments, hex(got), hex(want))


CALLS = (
    "read write close stat mmap ioctl dup2 getpid fcntl openat personality mount setns getrandom clone3 chown32 fork"
)
VALUES = st.one_of(
    st.sampled_from([0, 1, 2, 38, 0xFFFFFFFF, 0x100000000, 0x7FFFFFFF00000001, 2**64 - 1]), st.integers(0, 2**64 - 1)
)
CONDITIONS = st.fixed_dictionaries(
    {
        "index": st.integers(0, 5),
        "op": st.sampled_from([f"SCMP_CMP_{n}" for n in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")]),
        "value": VALUES,
        "valueTwo": VALUES,
    }
)
ACTIONS = st.sampled_from(
    [("SCMP_ACT_ALLOW", None), ("SCMP_ACT_ERRNO", 7), ("SCMP_ACT_KILL_PROCESS", None), ("SCMP_ACT_LOG", None),
     ("SCMP_ACT_TRAP", None), ("SCMP_ACT_TRACE", 3), ("SCMP_ACT_KILL_THREAD", None)]
)  # fmt: skip


@st.composite
def profiles(draw: st.DrawFn) -> dict[str, Any]:
    """One action a call: libseccomp leaves the order of rules with different actions open."""
    entries = []
    for name in draw(st.lists(st.sampled_from(CALLS.split()), unique=True, min_size=1, max_size=6)):
        action, errno_ret = draw(ACTIONS)
        for args in draw(
            st.lists(st.lists(CONDITIONS, max_size=3, unique_by=lambda c: c["index"]), min_size=1, max_size=3)
        ):
            made = {"names": [name], "action": action, "args": args}
            entries.append(made if errno_ret is None else made | {"errnoRet": errno_ret})
    default = draw(st.sampled_from(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"]))
    architectures = draw(st.sampled_from([X86_FAMILY, X86_FAMILY[:1], X86_FAMILY[:2]]))
    return {"defaultAction": default, "architectures": architectures, "syscalls": entries}


def holds(condition: dict[str, Any], arguments: tuple[int, ...], *, wide: bool) -> bool:
    """The specification's operators, word for word."""
    mask = 2**64 - 1 if wide else 2**32 - 1
    argument, value, two = (
        arguments[condition["index"]] & mask,
        condition["value"] & mask,
        condition["valueTwo"] & mask,
    )
    outcomes: dict[str, bool] = {
        "SCMP_CMP_NE": argument != value,
        "SCMP_CMP_LT": argument < value,
        "SCMP_CMP_LE": argument <= value,
        "SCMP_CMP_EQ": argument == value,
        "SCMP_CMP_GE": argument >= value,
        "SCMP_CMP_GT": argument > value,
        "SCMP_CMP_MASKED_EQ": argument & value == two & value,
    }
    return outcomes[condition["op"]]


def by_the_words(reference: dict[str, Any], architecture: str, number: int, arguments: tuple[int, ...]) -> int:
    """What the specification says, without a compiler: every rule is tried."""
    default = libseccomp.action(reference["defaultAction"], reference.get("defaultErrnoRet"))
    found = None
    for rule in reference["syscalls"]:
        for name in rule["names"]:
            matches = all(holds(c, arguments, wide=architecture == "SCMP_ARCH_X86_64") for c in rule["args"])
            if number_of(architecture, name) == number and matches and found is None:
                found = libseccomp.action(rule["action"], rule.get("errnoRet"))
    if found is not None:
        return found
    return ENOSYS if is_new(reference, architecture, number) else default


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(profiles(), st.lists(st.tuples(*[VALUES] * 6), min_size=1, max_size=8), st.data())
def test_any_profile_answers_as_the_specification_says(
    reference: dict[str, Any], arguments: list[tuple[int, ...]], data: st.DataObject
) -> None:
    program = bpf.compile_profile(reference).program
    # Also the very values of the conditions: that is where comparisons go wrong.
    values = [c[key] for e in reference["syscalls"] for c in e["args"] for key in ("value", "valueTwo")]
    for value in values[:6]:
        arguments.append(
            tuple(data.draw(st.sampled_from([value, (value + 1) % 2**64, value ^ 1 << 32])) for _ in range(6))
        )
    for architecture in reference["architectures"]:
        arch = arch_of(architecture)
        base = X32 if architecture == "SCMP_ARCH_X32" else 0
        numbers = {libseccomp.number(architecture, name) for name in CALLS.split()} - {None}
        for number in [*numbers, base + 1000]:
            assert number is not None
            for sample in arguments:
                got = classic_bpf.run(program, arch, number, sample)
                assert got == by_the_words(reference, architecture, number, sample), (architecture, number, sample)


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(profiles(), st.lists(st.tuples(*[VALUES] * 6), min_size=1, max_size=8))
def test_a_rule_per_call_answers_as_libseccomp_does(
    reference: dict[str, Any], arguments: list[tuple[int, ...]]
) -> None:
    reference["syscalls"] = list({e["names"][0]: e for e in reference["syscalls"]}.values())
    # libseccomp 2.5.4 forgets to load the call's number for some small profiles of several architectures (two rules,
    # read(arg0 != 0) and chown32, are enough): it is asked about one at a time. The test above has no such limit.
    reference["architectures"] = ["SCMP_ARCH_X86_64"]
    program, oracle = bpf.compile_profile(reference).program, libseccomp.compile_profile(reference)
    for architecture in reference["architectures"]:
        arch = arch_of(architecture)
        for name in CALLS.split():
            number = libseccomp.number(architecture, name)
            for sample in arguments if number is not None else ():
                assert number is not None
                got = classic_bpf.run(program, arch, number, sample)
                assert got == expected(oracle, reference, architecture, number, sample), (architecture, name, sample)


def test_conditions_of_a_rule_must_all_hold_and_rules_of_a_call_are_alternatives() -> None:
    compiled = profile(
        entry("mmap", "SCMP_ACT_ALLOW", (0, "SCMP_CMP_EQ", 1, 0), (1, "SCMP_CMP_EQ", 2, 0)),
        entry("mmap", "SCMP_ACT_LOG", (5, "SCMP_CMP_GE", 2**40, 0)),
    )
    assert answer(compiled, 9, 1, 2) == ALLOW
    assert answer(compiled, 9, 1, 3) == EPERM
    assert answer(compiled, 9, 0, 2) == EPERM
    assert answer(compiled, 9, 0, 0, 0, 0, 0, 2**40) == 0x7FFC0000


def test_two_conditions_on_one_argument_are_alternatives_as_in_runc() -> None:
    compiled = profile(entry("dup2", "SCMP_ACT_ALLOW", (0, "SCMP_CMP_EQ", 1, 0), (0, "SCMP_CMP_EQ", 2, 0)))
    assert [answer(compiled, 33, n) for n in (1, 2, 3)] == [ALLOW, ALLOW, EPERM]


def test_a_rule_without_conditions_beats_those_with_them_wherever_it_stands() -> None:
    conditional = entry("dup2", "SCMP_ACT_KILL_PROCESS", (0, "SCMP_CMP_EQ", 1, 0))
    for rules in ([entry("dup2"), conditional], [conditional, entry("dup2")]):
        assert answer(profile(*rules), 33, 1) == ALLOW


def test_a_rule_with_the_default_action_is_void_as_in_runc() -> None:
    compiled = profile(entry("dup2", "SCMP_ACT_ERRNO"), entry("dup2", "SCMP_ACT_ALLOW", (0, "SCMP_CMP_EQ", 1, 0)))
    assert [answer(compiled, 33, n) for n in (1, 2)] == [ALLOW, EPERM]


@pytest.mark.parametrize(
    ("action", "errno_ret", "value"),
    [
        ("SCMP_ACT_KILL", None, 0),
        ("SCMP_ACT_KILL_THREAD", None, 0),
        ("SCMP_ACT_KILL_PROCESS", None, 0x80000000),
        ("SCMP_ACT_TRAP", None, 0x30000),
        ("SCMP_ACT_ERRNO", 13, 0x5000D),
        ("SCMP_ACT_TRACE", 9, 0x7FF00009),
        ("SCMP_ACT_LOG", None, 0x7FFC0000),
        ("SCMP_ACT_NOTIFY", None, 0x7FC00000),
    ],
)
def test_every_action_has_the_kernels_number(action: str, errno_ret: int | None, value: int) -> None:
    rule = entry("getpid", action) | ({} if errno_ret is None else {"errnoRet": errno_ret})
    compiled = profile(rule, default="SCMP_ACT_ALLOW", listenerPath="/run/listener.sock")
    assert answer(compiled, 39) == value
    assert bpf.compile_profile(compiled).needs_listener == (action == "SCMP_ACT_NOTIFY")


def test_s48_x32_and_foreign_architectures_kill_where_they_are_not_listed() -> None:
    compiled = profile(entry("getpid mount"), architectures=["SCMP_ARCH_X86_64"])
    assert answer(compiled, 39) == ALLOW
    assert answer(compiled, 39 | X32) == KILL_PROCESS
    assert answer(compiled, 20, arch=I386) == KILL_PROCESS
    assert answer(compiled, 39, arch=AARCH64) == KILL_PROCESS
    assert answer(compiled, 0xFFFFFFFF) == EPERM  # what a tracer writes to skip a call


def test_s48_x32_and_i386_are_filtered_by_their_own_numbers() -> None:
    compiled = profile(entry("getpid ioctl"))
    assert answer(compiled, 39 | X32) == ALLOW
    assert answer(compiled, 514 | X32) == ALLOW  # x32 has an ioctl of its own
    assert answer(compiled, 16 | X32) == EPERM
    assert answer(compiled, 165 | X32) == EPERM
    assert answer(compiled, 20, arch=I386) == ALLOW
    assert answer(compiled, 39, arch=I386) == EPERM  # mkdir there


def test_s49_calls_newer_than_the_profile_do_not_exist() -> None:
    compiled = profile(entry("getpid"), entry("clone3", "SCMP_ACT_ERRNO", errnoRet=38))
    assert answer(compiled, 435) == ENOSYS
    assert answer(compiled, 436) == ENOSYS
    assert answer(compiled, 9999) == ENOSYS
    assert answer(compiled, 434) == EPERM
    assert answer(compiled, 9999, arch=I386) == ENOSYS
    assert answer(compiled, 9999 | X32) == ENOSYS


@pytest.mark.parametrize("default", ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"])
def test_new_calls_pass_where_the_default_lets_calls_pass(default: str) -> None:
    compiled = profile(entry("mount", "SCMP_ACT_KILL_PROCESS"), default=default)
    assert answer(compiled, 9999) == libseccomp.action(default, None)


def test_i386_socketcall_and_ipc_follow_the_calls_they_carry() -> None:
    compiled = profile(entry("socket semget getpid"))
    assert answer(compiled, 102, 1, arch=I386) == ALLOW  # socketcall(SYS_SOCKET)
    assert answer(compiled, 102, 2, arch=I386) == EPERM
    assert answer(compiled, 117, 2, arch=I386) == ALLOW  # ipc(SEMGET)
    assert answer(compiled, 117, 1, arch=I386) == EPERM
    assert answer(compiled, 359, arch=I386) == ALLOW


def test_i386_socketcall_is_never_wider_than_a_conditional_rule() -> None:
    allowed = profile(entry("socket", "SCMP_ACT_ALLOW", (0, "SCMP_CMP_EQ", 2, 0)))
    assert answer(allowed, 102, 1, arch=I386) == EPERM
    refused = profile(entry("socket", "SCMP_ACT_ERRNO", (0, "SCMP_CMP_EQ", 38, 0)), default="SCMP_ACT_ALLOW")
    assert answer(refused, 102, 1, arch=I386) == EPERM


def test_a_profile_with_a_different_answer_for_every_call_stays_within_the_jumps_reach() -> None:
    numbers = syscalls.table("x86_64")
    rules = [entry(name, "SCMP_ACT_ERRNO", errnoRet=100 + index) for index, name in enumerate(numbers)]
    compiled = profile(*rules, default="SCMP_ACT_KILL_PROCESS")
    program = bpf.compile_profile(compiled).program
    assert len(program) > 8 * 1000
    for index, number in enumerate(numbers.values()):
        action, steps = classic_bpf.trace(program, X86_64, number)
        assert action == 0x50000 | 100 + index
        assert steps < 30


def test_many_conditions_stay_within_the_jumps_reach() -> None:
    rules = [
        entry(name, "SCMP_ACT_ALLOW", (0, "SCMP_CMP_EQ", 1000 * n + k, 0), (3, "SCMP_CMP_NE", 2**63 + k, 0))
        for n, name in enumerate(CALLS.split()[:12])
        for k in range(20)
    ]
    compiled = profile(*rules, architectures=["SCMP_ARCH_X86_64"])
    for n, name in enumerate(CALLS.split()[:12]):
        number = syscalls.table("x86_64")[name]
        for k in range(20):
            assert answer(compiled, number, 1000 * n + k, 0, 0, 5) == ALLOW
            assert answer(compiled, number, 1000 * n + k, 0, 0, 2**63 + k) == EPERM
        assert answer(compiled, number, 1000 * n + 20) == EPERM


def test_the_default_profile_is_short_and_answers_in_a_few_steps() -> None:
    compiled = bpf.compile_profile(seccomp_profile.default_profile(capabilities.DEFAULT, machine="x86_64"))
    assert compiled.instructions < 500
    assert max(classic_bpf.trace(compiled.program, X86_64, n)[1] for n in range(500)) < 25


def test_a_profile_over_the_kernels_limit_is_refused_by_name() -> None:
    rules = [entry("ioctl", "SCMP_ACT_ALLOW", (1, "SCMP_CMP_EQ", 2**40 + n, 0)) for n in range(1100)]
    with pytest.raises(InvalidSeccomp, match="the kernel's limit is 4096"):
        bpf.compile_profile(profile(*rules, architectures=[]))


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (profile(default="SCMP_ACT_NONSENSE"), "action 'SCMP_ACT_NONSENSE' is not known"),
        (profile(default="SCMP_ACT_NOTIFY"), "cannot be used as default action"),
        (profile(entry("write", "SCMP_ACT_NOTIFY"), listenerPath="/x"), "cannot be used for the write syscall"),
        (profile(entry("read", "SCMP_ACT_NOTIFY")), "listenerPath is not set"),
        (profile(entry("read", "SCMP_ACT_ALLOW", errnoRet=1)), "does not take an errnoRet"),
        (profile(entry("read", "SCMP_ACT_ERRNO", errnoRet=70000)), "errnoRet 70000"),
        (profile(entry("read", "SCMP_ACT_ALLOW", (6, "SCMP_CMP_EQ", 0, 0))), "index 6"),
        (profile(entry("read", "SCMP_ACT_ALLOW", (0, "SCMP_CMP_XX", 0, 0))), "operator 'SCMP_CMP_XX'"),
        (profile(entry("read", "SCMP_ACT_ALLOW", (0, "SCMP_CMP_EQ", 2**64, 0))), "not an unsigned 64-bit number"),
        (profile(entry("")), "empty string is not a valid syscall"),
        (profile({"names": "read", "action": "SCMP_ACT_ALLOW"}), "empty string is not a valid syscall"),
        ({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [None]}, "encountered nil syscall"),
        (profile(architectures=["SCMP_ARCH_PDP11"]), "architecture 'SCMP_ARCH_PDP11' is not known"),
        (profile(flags=["SECCOMP_FILTER_FLAG_X"]), "flag 'SECCOMP_FILTER_FLAG_X' is not known"),
    ],
)
def test_a_bad_profile_is_refused_with_its_fault(broken: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSeccomp, match=message):
        bpf.compile_profile(broken)


def test_flags_are_the_profiles_and_without_any_speculation_stays_as_it_is() -> None:
    assert bpf.compile_profile(profile(flags=[])).flags == 0
    assert bpf.compile_profile(profile(flags=["SECCOMP_FILTER_FLAG_LOG"])).flags == 2
    assert bpf.compile_profile(profile()).flags == 4


def test_an_architecture_that_this_machine_cannot_run_is_passed_over() -> None:
    assert bpf.compile_profile(profile(entry("getpid"), architectures=["SCMP_ARCH_S390X"])).instructions < 20


def test_a_compiled_profile_is_kept_by_content() -> None:
    first = bpf.compile_profile(profile(entry("getpid getuid")))
    assert bpf.compile_profile(profile(entry("getpid getuid"))) is first
    assert bpf.compile_profile(profile(entry("getpid"))) is not first


@pytest.mark.parametrize("abi", ["x86_64", "x86", "x32", "aarch64", "arm", "riscv64"])
def test_the_tables_agree_with_libseccomp_wherever_it_knows_a_call(abi: str) -> None:
    table = syscalls.table(abi)
    known = {name: libseccomp.number(f"SCMP_ARCH_{abi.upper()}", name) for name in table}
    multiplexed = set(syscalls.parse(syscalls.SOCKETCALLS)) | set(syscalls.parse(syscalls.IPC_CALLS))
    wrong = {n: (table[n], v) for n, v in known.items() if v is not None and v != table[n] and n not in multiplexed}
    assert not wrong
    assert len([v for v in known.values() if v is not None]) > 300
