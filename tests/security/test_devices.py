"""Device rules: parsing, and what a list of them amounts to."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.security import devices
from wherry.security.devices import DeviceRule, InvalidDeviceRule


@pytest.mark.parametrize("line", ["c 1:3 rwm", "b 8:* r", "a *:* rwm", "c *:5 m"])
def test_a_rule_reads_and_writes_the_same(line: str) -> None:
    assert str(devices.parse_rule(line)) == line


def test_access_is_put_in_order() -> None:
    assert devices.parse_rule("c 1:3 mwr").access == "rwm"
    assert devices.parse_rule("c 1:3 rr").access == "r"


@pytest.mark.parametrize(
    "line", ["", "c 1:3", "d 1:3 r", "c 1:3 x", "c 1 r", "c -1:3 r", "c 1:3 rwm\n", "c  1:3 r", "c 1:3 rwmm"]
)
def test_a_rule_out_of_format_is_refused_with_dockers_words(line: str) -> None:
    with pytest.raises(InvalidDeviceRule) as caught:
        devices.parse_rule(line)
    assert str(caught.value) == f"invalid device cgroup rule format: '{line}'"


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "x"},
        {"type": "p", "major": 1},
        {"type": "c", "access": "rx"},
        {"type": "c", "major": "1"},
        {"major": -2},
    ],
)
def test_an_oci_rule_that_means_nothing_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(InvalidDeviceRule):
        devices.rule_from_oci(entry)


def test_an_oci_rule_has_wildcards_where_it_says_nothing() -> None:
    assert devices.rule_from_oci({"allow": False, "access": "rwm"}) == DeviceRule("a", None, None, "rwm", allow=False)
    assert devices.rule_from_oci({"allow": True, "type": "u", "major": 5, "minor": -1}) == DeviceRule(
        "c", 5, None, "rwm"
    )


def test_s65_docker_s_default_list_allows_the_default_devices_and_making_any_node() -> None:
    policy = devices.container_policy([{"allow": False, "access": "rwm"}])
    assert not policy.allow_all
    assert [str(rule) for rule in policy.exceptions] == [
        "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm",
        "c 136:* rwm", "c 5:2 rwm",
    ]  # fmt: skip


def test_a_list_that_allows_everything_stays_so() -> None:
    policy = devices.container_policy([{"allow": True, "access": "rwm"}])
    assert (policy.allow_all, policy.exceptions) == (True, ())


def test_denying_takes_from_what_was_allowed() -> None:
    rules = [
        devices.parse_rule("c 1:3 rwm"),
        DeviceRule("c", 1, 3, "w", allow=False),
        DeviceRule("c", 9, 9, "r", allow=False),
    ]
    assert [str(rule) for rule in devices.policy(rules).exceptions] == ["c 1:3 rm"]


def test_after_allow_all_denials_are_the_exceptions() -> None:
    policy = devices.policy([DeviceRule("a", None, None, "rwm"), DeviceRule("b", 8, None, "w", allow=False)])
    assert policy.allow_all
    assert [(str(rule), rule.allow) for rule in policy.exceptions] == [("b 8:* w", False)]


def test_a_rule_for_both_kinds_with_numbers_counts_for_both() -> None:
    policy = devices.policy([DeviceRule("a", 5, 0, "r")])
    assert [str(rule) for rule in policy.exceptions] == ["b 5:0 r", "c 5:0 r"]


@given(
    st.lists(
        st.builds(
            DeviceRule,
            st.sampled_from("bc"),
            st.sampled_from([None, 1, 2]),
            st.sampled_from([None, 1, 2]),
            st.sampled_from(["r", "w", "m", "rw", "rwm"]),
            st.booleans(),
        )
    )
)
def test_a_policy_applied_again_is_itself(rules: list[DeviceRule]) -> None:
    policy = devices.policy(rules)
    assert devices.policy(policy.exceptions) == policy
