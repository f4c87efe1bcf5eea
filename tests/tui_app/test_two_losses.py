"""The chart of two programs' batch losses."""

from __future__ import annotations

import math
import re

import pytest

from tui_app.charts.two_losses import BatchLosses, draw

FALLING = [2.3 * math.exp(-i / 20) for i in range(126)]


def drawn(changed: list[float], batches: int = 63, *, size: tuple[int, int] = (60, 20), plain: bool = False) -> str:
    curves = [BatchLosses("original", "", FALLING, 63), BatchLosses("changed", "", changed, batches)]
    return draw(curves, 2, *size, plain=plain).plain


def heights(text: str) -> dict[str, int]:
    """Return the row of each tick of the y axis."""
    found = [(re.match(r" *([\d.]+)┤", line), row) for row, line in enumerate(text.splitlines())]
    return {tick[1]: row for tick, row in found if tick}


def test_the_original_stays_legible_beside_a_loss_that_explodes() -> None:
    """What is not finite is left out, what is far beyond the original's losses drawn at the edge."""
    for changed in (FALLING, [1e300 + i for i in range(126)], [math.nan, math.inf, 9.0] * 42, []):
        ticks = heights(drawn(changed))
        assert 2 <= max(map(float, ticks)) <= 5
        assert len(re.findall("[\u2801-\u28ff]", drawn(changed))) > 20


def test_both_span_the_same_epochs_whatever_their_batches() -> None:
    text = drawn([2.0 for _batch in range(16)], 8)
    assert [line.index(sign) for sign in "●◆" for line in text.splitlines()[1:] if sign in line] == [59, 59]


@pytest.mark.parametrize("size", [(60, 20), (30, 8), (10, 3), (0, 0)])
def test_it_fits_or_is_not_there(size: tuple[int, int]) -> None:
    lines = drawn(FALLING, size=size, plain=True).splitlines()
    assert len(lines) in (0, size[1])
    assert all(len(line) <= max(size[0], 38) and line.isascii() for line in lines)
