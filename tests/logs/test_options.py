"""--log-driver and --log-opt: values and Docker's words."""

import pytest

from wherry.errors import InvalidParameter
from wherry.logs.options import parse_size, select_attributes, validate


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10m", 10 << 20),
        ("1k", 1024),
        ("512", 512),
        ("1.5g", 3 << 29),
        ("100kb", 102400),
        ("2MiB", 2 << 20),
        ("-1", -1),
    ],
)
def test_sizes_are_gos_units(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("driver", "options", "words"),
    [
        ("syslogd", {}, "logger: no log driver named 'syslogd' is registered"),
        ("json-file", {"max-sise": "1m"}, "unknown log opt 'max-sise' for json-file log driver"),
        ("local", {"labels": "x"}, "unknown log opt 'labels' for log driver local"),
        ("json-file", {"max-size": "ten"}, "invalid size: 'ten'"),
        ("json-file", {"max-size": "0"}, "max-size must be a positive number"),
        ("json-file", {"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ("json-file", {"max-file": "0"}, "max-file cannot be less than 1"),
    ],
)
def test_wrong_options_are_refused_in_dockers_words(driver: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        validate(driver, options)
    assert caught.value.message == words


def test_options_become_numbers_and_defaults_are_capped() -> None:
    assert validate("json-file", {"max-size": "10m", "max-file": "2"}) == {
        "driver": "json-file", "max_size": 10 << 20, "max_files": 2,
    }  # fmt: skip
    assert validate("json-file", {}) == {"driver": "json-file", "max_size": 20 << 20, "max_files": 5}
    assert validate("none", {"whatever": "x"}) == {"driver": "none"}


def test_labels_and_variables_are_chosen_by_name_and_pattern() -> None:
    chosen = select_attributes(
        {"labels": "a,missing", "labels-regex": "^com", "env": "PATH"},
        labels={"a": "1", "b": "2", "com.x": "3"},
        environment={"PATH": "/bin", "HOME": "/"},
        tag="t",
    )
    assert chosen == {"a": "1", "com.x": "3", "PATH": "/bin", "tag": "t"}
