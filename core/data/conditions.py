"""Harder conditions for the test images, and a network's accuracy under them; needs no torch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import msgspec

from core.config import RunConfig
from core.messages import N_, InvalidSetting

Kind = Literal["shift", "turn", "noise"]
KINDS: tuple[str, ...] = get_args(Kind)

DEFAULTS: dict[Kind, tuple[float, ...]] = {"shift": (1, 2, 3, 4), "turn": (5, 15, 30, 45), "noise": (0.1, 0.3, 0.5)}


class Condition(msgspec.Struct, frozen=True, order=True):
    """A `shift` by pixels, a `turn` by degrees, or `noise` with a standard deviation given as a fraction of white."""

    kind: Kind
    strength: float


class UnderCondition(msgspec.Struct, frozen=True):
    """A run's accuracy under a condition, from 0 to 1: the mean over the directions of a shift or a turn."""

    condition: Condition | None
    """Condition, or None for the unmodified test images."""
    accuracy: float


class Robustness(msgspec.Struct, frozen=True, kw_only=True):
    """A run's accuracy on the test images, unmodified and under conditions."""

    run: str
    config: RunConfig
    dataset: str
    dataset_title: str
    tested: tuple[UnderCondition, ...]
    """Accuracies, the first of them without a condition."""


class _Range(NamedTuple):
    """The allowed strengths of a kind of condition, and the message for any other."""

    holds: Callable[[float], bool]
    text: str


_RANGES: dict[Kind, _Range] = {
    "shift": _Range(
        lambda value: value in (1, 2, 3, 4),
        N_("a shift must be a whole number of pixels from 1 to 4, not {value}"),
    ),
    "turn": _Range(lambda value: 5 <= value <= 45, N_("a rotation must be from 5 to 45 degrees, not {value}")),
    "noise": _Range(
        lambda value: 0 < value <= 1,
        N_("noise must be a number above 0 and at most 1 (standard deviation, 1 = white), not {value}"),
    ),
}


_COMMA = r",(?!(?<=(?<![\d.])0,)\d)"
"""Comma between strengths: not one after a lone zero, as in `0,5`."""


def from_text(kind: Kind, text: str) -> list[Condition]:
    """Parse the strengths of a kind as a user types them, such as `1,2,4`. Raises `InvalidSetting`.

    A comma may also be a decimal mark: after a zero, which is no strength, or where blanks or semicolons separate.
    """
    allowed = _RANGES[kind]
    found: list[Condition] = []
    text = text.strip()
    has_others = re.search(r"[;\s]", re.sub(r",\s+", ",", text)) is not None
    for part in re.split(r"\s*[;\s]\s*" if has_others else _COMMA, text):
        try:
            value = float(part.replace(",", "."))
        except ValueError:
            value = math.nan
        if not allowed.holds(value):
            raise InvalidSetting(kind, allowed.text, value=part.strip() or "''")
        condition = Condition(kind, value)
        if condition not in found:
            found.append(condition)
    return found


def default() -> list[Condition]:
    """Return conditions of every kind, at the usual strengths."""
    return [Condition(kind, strength) for kind, strengths in DEFAULTS.items() for strength in strengths]
