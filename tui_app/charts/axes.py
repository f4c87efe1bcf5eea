"""Axes of a loss chart: scales that rarely move, and the positions of their ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from core.runs.history import Column

_LARGEST = 1e300
_SMALLEST = 1e-300
_CUT = 20
"""Multiple of the columns' 95th percentile beyond which a loss is an outlier: it does not set the scale, and is drawn
at its edge.
"""

_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_STEPS = (1, 2, 2.5, 5, 10)
_PREFIXES = ("", "k", "M", "G", "T", "P", "E")

Unit = Literal["epochs", "seconds", "macs"]
"""Quantity on the x axis; multiply–accumulates are those of the forward passes."""
UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True)
class Scale:
    """The y axis. `bottom` and `top` are losses, or their base-10 logarithms if `log`."""

    bottom: float
    top: float
    log: bool = False

    def fraction(self, loss: float) -> float:
        """Return the position of a loss: 0 at the bottom, 1 at the top. A loss beyond either is put at the edge."""
        if self.log:
            loss = math.log10(min(max(loss, _SMALLEST), _LARGEST))
        loss = min(max(loss, self.bottom), self.top)
        return (loss - self.bottom) / (self.top - self.bottom)

    def includes(self, other: Scale) -> bool:
        return self.log == other.log and self.bottom <= other.bottom and other.top <= self.top

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Return the positions (0 to 1) and labels of the ticks: roughly `most` at most, at round numbers."""
        step = _tick_step((self.top - self.bottom) / max(1, most))
        if self.log:
            apart = max(1, math.ceil(step))
            exponents = range(math.ceil(self.bottom), math.floor(self.top) + 1)
            ticks = [(10.0**e, f"{10.0**e:g}") for e in exponents if e % apart == 0]
            if len(ticks) < 2 <= most:
                ticks = [(v, f"{v:g}") for e in exponents for v in (10.0**e, 2 * 10.0**e, 5 * 10.0**e)]
                ticks = [tick for tick in ticks if self.bottom <= math.log10(tick[0]) <= self.top]
            return [(self.fraction(value), label) for value, label in ticks]
        first, last = math.ceil(self.bottom / step - 1e-9), math.floor(self.top / step + 1e-9)
        return [(self.fraction(i * step), _label(i * step, step)) for i in range(first, last + 1)]


def _tick_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(least, _SMALLEST)))
    return next(power * digit for digit in _STEPS if power * digit >= least * (1 - 1e-9))


def _label(value: float, step: float) -> str:
    digits = -math.floor(math.log10(step)) + (0 if f"{step:.1e}"[2] == "0" else 1)
    if digits > 4 or abs(value) >= 1e5:
        return f"{value:.2g}".replace("e+", "e").replace("e-0", "e-")
    return f"{value:.{max(0, digits)}f}"


def _round_up(value: float) -> float:
    """Return the next round number."""
    value = min(max(value, _SMALLEST), _LARGEST)
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * digit for digit in _ROUND if power * digit >= value * (1 - 1e-9)), power * 10)


def _highest(values: Sequence[float]) -> float:
    """Return the maximum, or twice the 95th percentile if a few outliers would flatten everything else."""
    typical = sorted(values)[int(0.95 * (len(values) - 1))]
    greatest = max(values)
    return greatest if typical <= 0 or greatest <= _CUT * typical else 2 * typical


def fitting_scale(columns: Sequence[Column], log: bool) -> Scale:
    """Return a scale with round bounds around all but a few outliers."""
    if not columns:
        return Scale(-2, 1, log) if log else Scale(0, 2.5)
    lows, highs = [c.low for c in columns], [c.high for c in columns]
    if log:
        positive = sorted(min(value, _LARGEST) for value in (*lows, *highs) if value > _SMALLEST)
        if not positive:
            return Scale(-2, 1, log)
        bottom: float = math.floor(math.log10(positive[len(positive) // 20]))
        top = math.log10(_round_up(positive[-1]))
        return Scale(bottom, max(top, bottom + 1), log)
    top = _highest(highs)
    bottom = -_highest([-low for low in lows])
    top = _round_up(top) if top > 0 else 0.0
    bottom = -_round_up(-bottom) if bottom < 0 else 0.0
    return Scale(bottom, top if top > bottom else 1.0)


def reach_in_epochs(end: float, planned: float | None, live: bool) -> float:
    """Return the end of the x axis in epochs: the whole of a short run, or a part of a long one, growing in jumps."""
    if not live and end > 0:
        planned = min(planned or math.inf, math.ceil(end - 1e-9))
    jump = jump_beyond(max(1.0, end) if planned is None else max(10.0, 2 * end))
    return max(1.0, end, jump if planned is None else min(planned, jump))


def jump_beyond(end: float) -> float:
    """Return the next of 1, 2, 5, 10, …: an axis that ends there rarely moves while its run continues."""
    power = 10.0 ** math.floor(math.log10(max(end, _SMALLEST)))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= end * (1 - 1e-9))


def x_ticks(unit: Unit, reach: float, most: float) -> list[tuple[float, str]]:
    """Return the positions (0 to 1) and labels of ticks from 0 to `reach`: roughly `most` at most, at round numbers."""
    least = reach / max(1.0, most)
    if unit == "seconds":
        step, size, sign = _time_step(least)
    elif unit == "macs":
        power = min(len(_PREFIXES) - 1, max(0, math.floor(math.log10(max(reach, 1.0)) / 3)))
        step, size, sign = _tick_step(least), 1000.0**power, f" {_PREFIXES[power]}"
    else:
        step, size, sign = max(1.0, math.ceil(_tick_step(least))), 1.0, ""
    number = math.floor(reach / step + 1e-9)
    labels = [f"{_label(i * step / size, step / size)}{sign}".rstrip() if i else "0" for i in range(number + 1)]
    return [(min(i * step / reach, 1 - 1e-9), label) for i, label in enumerate(labels)]


def _time_step(least: float) -> tuple[float, float, str]:
    """Return the seconds between two ticks and the unit of their labels, as its length in seconds and its suffix."""
    if least <= 1:
        return _tick_step(least), 1, " s"
    for size, sign in ((1, " s"), (60, " min")):
        if least <= 30 * size:
            return next(size * number for number in (1, 2, 5, 10, 15, 30) if size * number >= least), size, sign
    return max(1, _tick_step(least / 3600)) * 3600, 3600, " h"
