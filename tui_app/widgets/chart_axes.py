"""The axes of a chart of losses: scales that move rarely, and where their ticks are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from core.history import Column

_LARGEST = 1e300
_SMALLEST = 1e-300
_CUT = 20
"""A loss so many times larger than all but the highest 5 % of the columns does not set the scale: it is drawn at its
edge. Smaller ones do."""

_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Scale:
    """The y axis. `bottom` and `top` are losses, or their common logarithms."""

    bottom: float
    top: float
    log: bool = False

    def fraction(self, loss: float) -> float:
        """0 at the bottom, 1 at the top; what lies beyond, at the edge."""
        if self.log:
            loss = math.log10(min(max(loss, _SMALLEST), _LARGEST))
        loss = min(max(loss, self.bottom), self.top)
        return (loss - self.bottom) / (self.top - self.bottom)

    def includes(self, other: Scale) -> bool:
        return self.log == other.log and self.bottom <= other.bottom and other.top <= self.top

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Fractions and labels: at most about `most`, at round numbers."""
        step = tick_step((self.top - self.bottom) / max(1, most))
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


def tick_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(least, _SMALLEST)))
    return next(power * digit for digit in _STEPS if power * digit >= least * (1 - 1e-9))


def _label(value: float, step: float) -> str:
    digits = -math.floor(math.log10(step)) + (0 if f"{step:.1e}"[2] == "0" else 1)
    if digits > 4 or abs(value) >= 1e5:
        return f"{value:.2g}".replace("e+", "e").replace("e-0", "e-")
    return f"{value:.{max(0, digits)}f}"


def _round_up(value: float) -> float:
    """The next round number."""
    value = min(max(value, _SMALLEST), _LARGEST)
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * digit for digit in _ROUND if power * digit >= value * (1 - 1e-9)), power * 10)


def _highest(values: Sequence[float]) -> float:
    """The greatest, but no few that would flatten all the others."""
    typical = sorted(values)[int(0.95 * (len(values) - 1))]
    greatest = max(values)
    return greatest if typical <= 0 or greatest <= _CUT * typical else 2 * typical


def fitting_scale(columns: Sequence[Column], log: bool) -> Scale:
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


def reach_of(end: float, total: float | None, live: bool) -> float:
    """The end of the x axis, in epochs: the whole of a short run; of a long one, a part that grows in jumps."""
    if not live and end > 0:
        total = min(total or math.inf, math.ceil(end - 1e-9))
    least = max(1.0, end) if total is None else max(10.0, 2 * end)
    power = 10.0 ** math.floor(math.log10(least))
    jump = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * (1 - 1e-9))
    return max(1.0, end, jump if total is None else min(total, jump))
