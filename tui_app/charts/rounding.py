"""Round numbers: the bounds and steps of axes, and their labels."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

LARGEST = 1e300
SMALLEST = 1e-300
_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
_STEPS = (1, 2, 2.5, 5, 10)
_EXPONENT = re.compile(r"e\+?(-?)0*")


def tick_step(least: float) -> float:
    """Return the next round step."""
    power = 10.0 ** math.floor(math.log10(max(least, SMALLEST)))
    return next(power * digit for digit in _STEPS if power * digit >= least * (1 - 1e-9))


def label(value: float, step: float) -> str:
    """Return a multiple of `step` with as many digits as the step needs."""
    decimals = -math.floor(math.log10(step)) + (0 if f"{step:.1e}"[2] == "0" else 1)
    if decimals > 4 or abs(value) >= 1e5:
        before = math.floor(math.log10(max(abs(value), step)) + 1e-9) + 1
        return short(value, max(1, before + decimals))
    return f"{value:.{max(0, decimals)}f}"


def short(value: float, digits: int = 6) -> str:
    """Return a number with so many significant digits at most, with an exponent where that is shorter."""
    return _EXPONENT.sub(r"e\1", f"{value:.{digits}g}")


def round_up(value: float) -> float:
    """Return the next round number."""
    value = min(max(value, SMALLEST), LARGEST)
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * digit for digit in _ROUND if power * digit >= value * (1 - 1e-9)), power * 10)


def round_down(value: float, digits: Sequence[float] = _ROUND) -> float:
    """Return the round number before, which begins with one of the digits."""
    value = min(max(value, SMALLEST), LARGEST)
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * digit for digit in reversed(digits) if power * digit <= value * (1 + 1e-9)), power)
