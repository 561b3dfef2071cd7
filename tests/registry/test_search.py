"""Searching, at a registry that answers and at one that does not."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.registry.fake_registry import FakeRegistry
from wherry.errors import InvalidParameter, System
from wherry.registry.credentials import AuthConfig
from wherry.registry.search import search
from wherry.settings import Settings

RESULTS = [
    {"name": "busybox", "description": "small", "star_count": 30, "is_official": True, "is_automated": False},
    {"name": "me/busybox", "description": None, "star_count": 2, "is_official": False},
]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        fake.search = {"num_results": 2, "query": "busy", "results": RESULTS}
        yield fake


def test_a_search_asks_the_registry_of_the_term(registry: FakeRegistry) -> None:
    found = search(Settings(), f"{registry.host}/busy box", limit=7, auth=AuthConfig("me", "pw"))
    assert [item.name for item in found] == ["busybox", "me/busybox"]
    assert registry.requests[-1].path == "/v1/search?q=busy+box&n=7"
    assert registry.requests[-1].headers["Authorization"].startswith("Basic ")
    search(Settings(), f"{registry.host}/x")
    assert registry.requests[-1].path == "/v1/search?q=x&n=25"
    assert "Authorization" not in registry.requests[-1].headers


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"is-official": ["true"]}, ["busybox"]),
        ({"is-official": ["false"]}, ["me/busybox"]),
        ({"is-automated": ["true"]}, []),
        ({"stars": ["3"]}, ["busybox"]),
        ({"stars": ["1", "31"]}, []),
    ],
)
def test_filters_narrow_what_was_found(
    registry: FakeRegistry, filters: dict[str, list[str]], names: list[str]
) -> None:
    assert [item.name for item in search(Settings(), f"{registry.host}/x", filters=filters)] == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 101}, "limit 101 is outside the range of [1, 100]"),
        ({"limit": -1}, "limit -1 is outside the range of [1, 100]"),
        ({"filters": {"bad": ["x"]}}, "invalid filter 'bad'"),
        ({"filters": {"stars": ["x"]}}, "invalid filter 'stars=x'"),
        ({"filters": {"is-official": ["x"]}}, "invalid filter 'is-official=[x]'"),
    ],
)
def test_a_bad_question_is_refused_before_it_is_asked(
    registry: FakeRegistry, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidParameter) as caught:
        search(Settings(), f"{registry.host}/x", **options)
    assert caught.value.message == message
    assert registry.requests == []


def test_a_registry_without_search_says_so(registry: FakeRegistry) -> None:
    registry.search = None
    with pytest.raises(System, match=r"^Unexpected status code 404$"):
        search(Settings(), f"{registry.host}/x")
    registry.search = {"results": "none"}
    with pytest.raises(System, match="error decoding registry search results"):
        search(Settings(), f"{registry.host}/x")
