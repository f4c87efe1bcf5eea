"""A digit drawn with the mouse in a real terminal, and the answers of the two trained networks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest

from tests.end_to_end.terminal import Place, Terminal

pytestmark = pytest.mark.slow

Point = tuple[int, int]
"""Column and row of a pixel, from 0 to 27."""

DIGITS: dict[int, Sequence[Sequence[Point]]] = {
    1: [[(14, 4), (14, 24)]],
    7: [[(8, 6), (20, 6), (13, 24)]],
}


def _drag(terminal: Terminal, origin: Point, zoom: int, points: Sequence[Point]) -> None:
    """Drag the mouse in SGR encoding: press, move with the button held, release. A pixel is `zoom` columns wide."""
    cells = [(origin[0] + x * zoom, origin[1] + y * zoom // 2) for x, y in points]
    terminal.keys("\x1b[<0;{};{}M".format(*cells[0]))
    for (x0, y0), (x1, y1) in pairwise(cells):
        steps = max(abs(x1 - x0), abs(y1 - y0))
        for step in range(1, steps + 1):
            x, y = round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps)
            terminal.keys(f"\x1b[<32;{x};{y}M")
    terminal.keys("\x1b[<0;{};{}m".format(*cells[-1]))


def test_a_digit_drawn_with_the_mouse_is_recognised_by_both_networks(place: Place) -> None:
    """It works in a wide terminal, and again after it has become a small one."""
    for model, epochs in (("RN_1", "5"), ("RN_2", "3")):
        assert place.train("--epochs", epochs, "--seed", "4", model=model).wait() == 0
    terminal = place.terminal("attach", "rn1-0001", "--lang", "en")
    terminal.wait_for("errors in 1,000")
    terminal.keys("o")  # puts the newest run, that of RN_2, on the chart
    terminal.wait_for("━━ rn2-0002")
    _draw_the_digits(terminal)
    terminal.resize(80, 24)
    terminal.wait_for("Loss  Progress  Layers")  # the panels are tabs now
    terminal.wait_for("━━ rn2-0002")
    _draw_the_digits(terminal)

    # From the last drawing down to a value, and up again
    terminal.keys("w")
    terminal.wait_for("Draw a digit")
    terminal.keys("enter")
    terminal.wait_for("a drawing · taken for")
    terminal.keys("enter")
    terminal.wait_for("Definition:")
    terminal.keys("enter")
    terminal.wait_for(" ≈ ")
    terminal.keys("escape")
    terminal.wait_for("Definition:")
    terminal.keys("f10")
    assert terminal.wait_end() == 0


def _draw_the_digits(terminal: Terminal) -> None:
    terminal.keys("w")
    screen = terminal.wait_for("Draw a digit").splitlines()
    row = next(number for number, line in enumerate(screen) if "Draw a digit" in line)
    origin = (screen[row].index("╭") + 3, row + 2)  # counted from 1, past the frame
    zoom = (screen[row].index("╮") - screen[row].index("╭") - 3) // 28
    for digit, strokes in DIGITS.items():
        for stroke in strokes:
            _drag(terminal, origin, zoom, stroke)
        _wait_for_both_answers(terminal, digit)
        terminal.keys("c")
        terminal.wait_for(lambda text: "██████" not in text)
    terminal.keys("escape")
    terminal.wait_for(lambda text: "Draw a digit" not in text)


def _wait_for_both_answers(terminal: Terminal, digit: int) -> None:
    terminal.wait_for(lambda text: len(re.findall(rf"\b{digit} ██████", text)) == 2)
