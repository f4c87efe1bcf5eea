"""Curves drawn in characters."""

from __future__ import annotations

import pytest

from tui_app.charts.accuracy import Curve, draw, marker

FALLING = Curve("a", "o", "red", [(0, 1.0), (1, 0.8), (4, 0.2)])
LEVEL = Curve("b", "x", "blue", [(0, 0.9), (4, 0.9)])


def places(text: str, mark: str) -> list[tuple[int, int]]:
    return [
        (row, column) for row, line in enumerate(text.split("\n")) for column, char in enumerate(line) if char == mark
    ]


@pytest.mark.parametrize("plain", [False, True])
def test_points_stand_at_their_strength_and_accuracy(plain: bool) -> None:
    text = draw([FALLING, LEVEL], [0, 1, 4], 49, 19, plain=plain).plain
    (top, left), (middle, quarter), (bottom, right) = places(text, "o")
    assert (top, bottom) == (0, 16)
    assert middle == 4
    assert quarter - left == pytest.approx((right - left) / 4, abs=1)
    (first, _), (last, _) = places(text, "x")
    assert first == last == 2
    lines = text.split("\n")
    assert lines[top].lstrip().startswith("100%")
    assert lines[bottom].lstrip().startswith("20%")
    assert lines[-1].split() == ["0", "1", "4"]
    assert lines[-1].index("1") == quarter
    assert text.isascii() == plain


@pytest.mark.parametrize("size", [(0, 0), (8, 3), (10, 40), (200, 5), (30, 10), (31, 11)])
def test_any_size_holds_it(size: tuple[int, int]) -> None:
    for points in ([], [(0.0, 0.0)], [(0.0, 1.0), (45.0, 1.0)], [(5.0, 0.0), (45.0, 0.001)]):
        text = draw([Curve("a", "o", "", points)], [0, 5, 15, 45], *size, plain=False).plain
        assert all(len(line) <= size[0] for line in text.split("\n"))
        assert not text or len(text.split("\n")) == size[1]


def test_markers_are_told_apart() -> None:
    for plain in (False, True):
        assert len({marker(position, plain=plain) for position in range(6)}) == 6
