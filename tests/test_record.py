"""record.NamedTuple behaves as typing's."""

from __future__ import annotations

import pytest

from wherry.record import NamedTuple


class Point(NamedTuple):
    """A record."""

    x: int
    y: int = 2

    @property
    def total(self) -> int:
        """Their sum."""
        return self.x + self.y


def test_fields_are_given_by_position_or_name_and_have_defaults() -> None:
    assert Point(1) == Point(x=1) == Point(1, y=2) == (1, 2)
    assert (Point(3, 4).x, Point(3, 4).y, Point(3, 4).total) == (3, 4, 7)
    assert hash(Point(1)) == hash((1, 2))
    assert repr(Point(1)) == "Point(x=1, y=2)"
    x, y = Point(5)
    assert (x, y) == (5, 2)


def test_changes_and_dictionaries() -> None:
    assert Point(1)._replace(y=5) == Point(1, 5)
    assert Point(1)._asdict() == {"x": 1, "y": 2}


@pytest.mark.parametrize("arguments", [((), {}), ((1, 2, 3), {}), ((1,), {"x": 1}), ((1,), {"z": 1})])
def test_wrong_arguments_are_refused(arguments: tuple[tuple[int, ...], dict[str, int]]) -> None:
    positional, named = arguments
    with pytest.raises(TypeError):
        Point(*positional, **named)


def test_a_field_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Point(1).x = 2  # type: ignore[misc]
