import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.client import json_codec

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_values_go_through_and_agree_with_the_standard_module(value: object) -> None:
    text = json_codec.dumps(value)
    assert json.loads(text) == json_codec.loads(text) == value
    assert json_codec.loads(json.dumps(value, indent=2).encode()) == value


@pytest.mark.parametrize("text", ["", "{", '{"a" 1}', "[1,]", "nul", "1 2", '"\n"', b"\xff"])
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        json_codec.loads(text)


def test_what_json_cannot_hold_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="set is not JSON serializable"):
        json_codec.dumps({"a": {1}})
