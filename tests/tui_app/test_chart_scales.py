"""The scales of charts, and the colours of lines."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES

from core.runs.history import Column
from tui_app.charts import palette
from tui_app.charts.scale import Scale, log_scale, percent_scale

COLOUR_BLIND = {
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    "none": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}
"""Matrices of Machado, Oliveira and Fernandes (2009), for linear RGB."""


def level(*values: float) -> list[Column]:
    return [Column(value, value, value) for value in values]


def rows_of_ticks(scale: Scale, rows: int, dots_per_row: int) -> list[int]:
    """Return the row of each tick, from the bottom."""
    dots = rows * dots_per_row
    return [round(place * (dots - 1)) // dots_per_row for place, _label in scale.ticks(rows // 2)]


@pytest.mark.parametrize("dots_per_row", [1, 4])
def test_decades_are_as_many_rows_apart(dots_per_row: int) -> None:
    for rows in range(7, 50):
        for least in (2e-2, 3.3e-3, 7e-5, 1.1e-8, 5e-15):
            scale = log_scale(level(2.3, least), rows * dots_per_row, dots_per_row)
            assert 10**scale.bottom <= least
            assert 10**scale.top >= 2.3
            at = rows_of_ticks(scale, rows, dots_per_row)
            apart = {after - before for before, after in pairwise(at)}
            assert len(at) >= 2, (rows, least)
            assert len(apart) == 1, (rows, least, at)
            assert min(apart) >= 2
            assert scale.top - scale.bottom < 2 * (np.log10(2.5 / least) + 0.4)  # the room that this costs


def test_fewer_decades_have_ticks_between_and_use_all_rows() -> None:
    for low, high in ((1.5, 2.3), (0.9, 1.1), (0.04, 0.3), (0.2, 2.4), (3e-5, 8e-5)):
        for rows in (8, 10, 30):
            scale = log_scale(level(low, high), 4 * rows, 4)
            ticks = scale.ticks(rows // 2)
            assert len(ticks) >= 3, (low, high, rows)
            at = rows_of_ticks(scale, rows, 4)
            assert len(set(at)) == len(at)
            assert scale.fraction(high) - scale.fraction(low) > 0.6
            for place, label in ticks:
                assert place == pytest.approx(scale.fraction(float(label)), abs=0.02)
    assert [label for _, label in log_scale(level(0.04, 0.3), 40, 4).ticks(5)] == ["0.05", "0.1", "0.2", "0.3"]
    assert "1e-6" in [label for _, label in log_scale(level(1e-8, 0.3), 80, 4).ticks(10)]


def test_accuracies_have_a_scale_of_their_own() -> None:
    scale = percent_scale(level(97.1, 98.3))
    assert (scale.bottom, scale.top) == (97.0, 98.5)
    assert percent_scale(level(100.0)).top == 100
    nothing_right = percent_scale(level(0.0, 0.0))
    assert nothing_right.bottom == nothing_right.fraction(0.0) == 0 < nothing_right.top


def linear_rgb(color: str) -> np.ndarray:
    srgb = np.array(Color.parse(color).normalized)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def luminance(color: str) -> float:
    return float(np.array((0.2126, 0.7152, 0.0722)) @ linear_rgb(color))


def lab(color: str, seen: str) -> np.ndarray:
    """Return CIELAB coordinates of a colour, as someone with a kind of colour blindness sees it."""
    linear = np.clip(np.array(COLOUR_BLIND[seen]) @ linear_rgb(color), 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    xyz = np.array(to_xyz) @ linear / (0.9505, 1.0, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array((116 * y - 16, 500 * (x - y), 200 * (y - z)))


@pytest.mark.parametrize("dark", [True, False])
def test_colours_hold_for_the_colour_blind_and_against_every_background(dark: bool) -> None:
    colors = palette.variables(dark=dark).values()
    for seen in COLOUR_BLIND:
        for first, second in combinations(colors, 2):
            assert np.linalg.norm(lab(first, seen) - lab(second, seen)) > 20, (seen, first, second)
    for theme in BUILTIN_THEMES.values():
        background = theme.to_color_system().generate()["background"]
        if theme.dark == dark and background.startswith("#"):
            for color in colors:
                darker, lighter = sorted((luminance(color), luminance(background)))
                assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (theme.name, color)  # as WCAG asks of text
