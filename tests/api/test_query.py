"""Query parameters and filters, as Docker's clients write them."""

import pytest

from wherry.api.filters import parse_filters
from wherry.api.query import Query
from wherry.errors import InvalidParameter


@pytest.mark.parametrize("text", ["", "0", "no", "false", "none", "False", " NONE "])
def test_dockers_false_values_are_false(text: str) -> None:
    assert not Query(f"x={text.replace(' ', '+')}").flag("x")


@pytest.mark.parametrize("text", ["1", "true", "True", "yes", "banana"])
def test_everything_else_is_true(text: str) -> None:
    assert Query(f"x={text}").flag("x")


def test_a_missing_flag_has_its_default() -> None:
    assert Query("").flag("x", default=True)
    assert not Query("x=0").flag("x", default=True)


def test_values_are_decoded_and_repeatable() -> None:
    query = Query("names=a%2Fb&names=c+d&t=5&bad=5x&empty=")
    assert query.texts("names") == ["a/b", "c d"]
    assert query.text("names") == "a/b"
    assert query.number("t") == 5
    assert query.number("empty") is None
    assert query.number("absent") is None
    with pytest.raises(InvalidParameter, match=r'^strconv.Atoi: parsing "5x": invalid syntax$'):
        query.number("bad")


def test_a_query_with_thousands_of_fields_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        Query("&".join(f"a{n}=1" for n in range(2000)))


def test_filters_come_as_lists_or_as_the_older_maps() -> None:
    assert parse_filters('{"label":["a=b","c"]}') == {"label": ["a=b", "c"]}
    assert parse_filters('{"label":{"a=b":true,"c":false}}') == {"label": ["a=b"]}
    assert parse_filters("") == {}
    assert parse_filters('{"label":[]}') == {}


@pytest.mark.parametrize("raw", ["x", "[]", '{"label":"a"}', '{"label":[1]}', '{"label":{"a":"b"}}', "\udcff"])
def test_malformed_filters_are_refused(raw: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_filters(raw)


def test_an_unknown_filter_is_refused_in_dockers_words() -> None:
    with pytest.raises(InvalidParameter, match=r"^invalid filter 'foo'$"):
        parse_filters('{"foo":["a"]}', ("label",))
