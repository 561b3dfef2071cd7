"""The quick way to JSON gives what the standard one gives."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as some

from wherry import json_text

_DOCUMENTS = some.recursive(
    some.none()
    | some.booleans()
    | some.integers()
    | some.text()
    | some.floats(allow_nan=False, allow_infinity=False),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
)


@given(_DOCUMENTS)
def test_what_is_written_is_what_json_writes_and_reads_back(document: object) -> None:
    assert json_text.dumps(document) == json.dumps(document)
    assert json_text.loads(f" {json.dumps(document, indent=1)}\n") == document


@pytest.mark.parametrize("text", ["", "{", "{}x", "[1,]", '{"a"}', "nul", '"\n"', "NaN", "\ufeff{}"])
def test_bad_text_is_refused_whether_json_is_loaded_or_not(text: str) -> None:
    with pytest.raises(ValueError):  # the text is json's own
        json_text.loads(text)
    probe = f"import wherry.json_text as j\ntry: j.loads({text!r})\nexcept ValueError as e: print(e)\nelse: raise SystemExit(1)"
    answer = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=30, check=True)
    assert answer.stdout.strip()
    assert "Traceback" not in answer.stderr


def test_what_json_lacks_is_not_written() -> None:
    with pytest.raises(TypeError):
        json_text.dumps({"a": object()})
    with pytest.raises(ValueError):
        json_text.dumps(float("nan"))
