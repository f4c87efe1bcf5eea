"""The x axis of a chart: the part of it that is shown, and the positions of its ticks."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

from tui_app.charts.rounding import SMALLEST, label, tick_step

_PREFIXES = ("", "k", "M", "G", "T", "P", "E")

Unit = Literal["epochs", "seconds", "macs"]
"""Quantity on the x axis; multiply–accumulates are those of the forward passes."""
UNITS: tuple[Unit, ...] = get_args(Unit)


class XWindow(NamedTuple):
    """A part of the x axis, in its unit."""

    left: float
    right: float

    @property
    def width(self) -> float:
        return self.right - self.left

    def fraction(self, place: float) -> float:
        """Return the position of a place in the window: 0 at its left, 1 at its right."""
        return (place - self.left) / self.width

    def place(self, fraction: float) -> float:
        return self.left + fraction * self.width

    def zoomed(self, factor: float, about: float, least: float, whole: float) -> XWindow:
        """Return the window `factor` times as close, from the `least` width to the `whole` axis.

        The place `about` stays where it is.
        """
        width = min(whole, max(least, self.width / factor))
        return XWindow(0.0, width).moved(about - self.fraction(about) * width, whole)

    def within(self, whole: float) -> XWindow:
        """Return the window, or as much of it as the `whole` axis has room for."""
        return XWindow(self.left, self.left + min(self.width, whole)).moved(0.0, whole)

    def moved(self, distance: float, whole: float) -> XWindow:
        """Return the window moved, as far as the `whole` axis goes."""
        left = max(0.0, min(self.left + distance, whole - self.width))
        return XWindow(left, left + self.width)


def reach_in_epochs(end: float, planned: float | None, live: bool) -> float:
    """Return the end of the x axis in epochs: the whole of a short run, or a part of a long one, growing in jumps."""
    if not live and end > 0:
        planned = min(planned or math.inf, math.ceil(end - 1e-9))
    jump = jump_beyond(max(1.0, end) if planned is None else max(10.0, 2 * end))
    return max(1.0, end, jump if planned is None else min(planned, jump))


def jump_beyond(end: float) -> float:
    """Return the next of 1, 2, 5, 10, …: an axis that ends there rarely moves while its run continues."""
    power = 10.0 ** math.floor(math.log10(max(end, SMALLEST)))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= end * (1 - 1e-9))


def x_ticks(unit: Unit, window: XWindow, most: float) -> list[tuple[float, str]]:
    """Return the positions (0 to 1) and labels of the ticks in a window: roughly `most` at most, at round numbers."""
    least = window.width / max(1.0, most)
    if unit == "seconds":
        step, size, sign = _time_step(least)
    elif unit == "macs":
        power = min(len(_PREFIXES) - 1, max(0, math.floor(math.log10(max(window.right, 1.0)) / 3)))
        step, size, sign = tick_step(least), 1000.0**power, f" {_PREFIXES[power]}"
    elif window.width < 1 or (window.left > 0 and window.width < 2):
        step, size, sign = tick_step(least), 1.0, ""
    else:
        step, size, sign = max(1.0, math.ceil(tick_step(least))), 1.0, ""
    numbers = range(math.ceil(window.left / step - 1e-9), math.floor(window.right / step + 1e-9) + 1)
    labels = [f"{label(i * step / size, step / size)}{sign}".rstrip() if i else "0" for i in numbers]
    places = (min(max(0.0, window.fraction(i * step)), 1 - 1e-9) for i in numbers)
    return list(zip(places, labels, strict=True))


def _time_step(least: float) -> tuple[float, float, str]:
    """Return the seconds between two ticks and the unit of their labels, as its length in seconds and its suffix."""
    if least <= 1:
        return tick_step(least), 1, " s"
    for size, sign in ((1, " s"), (60, " min")):
        if least <= 30 * size:
            return next(size * number for number in (1, 2, 5, 10, 15, 30) if size * number >= least), size, sign
    return max(1, tick_step(least / 3600)) * 3600, 3600, " h"
