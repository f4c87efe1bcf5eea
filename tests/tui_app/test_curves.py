"""Curves drawn in characters."""

from __future__ import annotations

import math

import pytest

from tui_app.charts.accuracy_chart import AccuracyCurve, draw, marker

FALLING = AccuracyCurve("a", "o", "red", [(0, 1.0), (1, 0.8), (4, 0.2)])
LEVEL = AccuracyCurve("b", "x", "blue", [(0, 0.9), (4, 0.9)])


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
        text = draw([AccuracyCurve("a", "o", "", points)], [0, 5, 15, 45], *size, plain=False).plain
        assert all(len(line) <= size[0] for line in text.split("\n"))
        assert not text or len(text.split("\n")) == size[1]


@pytest.mark.parametrize("plain", [False, True])
def test_labels_of_strengths_do_not_touch_and_what_is_no_number_has_no_point(plain: bool) -> None:
    curve = AccuracyCurve("a", "o", "", [(0, 0.9), (0.1, math.nan), (0.11, math.inf), (0.5, 0.4)])
    text = draw([curve], [0, 0.1, 0.11, 0.12, 0.3, 0.5], 50, 12, plain=plain).plain
    assert len(places(text, "o")) == 2
    assert text.split("\n")[-1].split() == ["0", "0.1", "0.3", "0.5"]
    assert text.isascii() == plain


def test_markers_are_told_apart() -> None:
    for plain in (False, True):
        assert len({marker(position, plain=plain) for position in range(6)}) == 6
