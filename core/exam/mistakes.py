"""Which mistakes explain an answer: those that all of the smallest sets contain that yield it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from core.exam.sheet import Kind, Reason

MOST_MISTAKES = 2
"""Mistakes that are looked for in one cell at most."""

Reasons = frozenset[Reason]
NONE: Reasons = frozenset()


@dataclass(frozen=True)
class Attempt:
    """Numbers that a student may have arrived at, factors or the sides of a size, with the mistakes in them."""

    numbers: tuple[int, ...]
    reasons: Reasons = NONE

    @cached_property
    def cost(self) -> int:
        return cost(self.reasons)


def cost(reasons: Reasons) -> int:
    """Return the number of mistakes that are marked here: what was carried from another cell counts there."""
    return sum(not reason.carried_from for reason in reasons)


def certain(found: Iterable[Reasons], odd: Iterable[Reasons] = ()) -> tuple[Reason, ...]:
    """Return the mistakes that every smallest set contains; details are left out where the sets differ in them.

    `odd` are further sets, which nobody would think of first: they only keep others from being certain. That something
    is of another layer is not certain either where two things would have to be.
    """
    plain, further = list(found), list(odd)
    if not plain:
        return ()
    least = min(map(cost, (*plain, *further)))
    smallest = [each for each in (*plain, *further) if cost(each) == least]
    if not any(cost(each) == least for each in plain):
        return ()
    common = frozenset.intersection(*smallest)
    kinds = [kind for kind in _kinds(smallest[0]) if all(kind in _kinds(each) for each in smallest)]
    exact = sorted(common, key=lambda reason: (reason.kind, reason.layer, reason.written))
    named = (*exact, *(_agreed(kind, smallest) for kind in kinds if kind not in _kinds(common)))
    if any(sum(reason.kind == "other_layer" for reason in each) > 1 for each in smallest):
        return tuple(reason for reason in named if reason.kind != "other_layer")
    return named


def _kinds(reasons: Reasons) -> list[Kind]:
    return sorted({reason.kind for reason in reasons})


def _agreed(kind: Kind, sets: Sequence[Reasons]) -> Reason:
    """Return a mistake that all sets contain, without the details in which they differ."""
    of_kind = [reason for each in sets for reason in each if reason.kind == kind]
    details = {
        name: values.pop() if len(values := {getattr(reason, name) for reason in of_kind}) == 1 else ""
        for name in ("written", "expected", "layer", "carried_from")
    }
    return Reason(kind, **details)


def is_slip(written: int, expected: int) -> bool:
    """Tell if a number of two digits or more has one digit wrong, or two neighbouring ones exchanged."""
    one, other = str(written), str(expected)
    if len(one) != len(other) or len(one) < 2:
        return False
    wrong = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    if len(wrong) == 2:
        first, second = wrong
        return second == first + 1 and one[first] == other[second] and one[second] == other[first]
    return len(wrong) == 1


def slip(written: int, expected: int) -> Reason:
    return Reason("slip", str(written), str(expected))


def carried(reasons: tuple[Reason, ...], origin: str, written: str, expected: str) -> Reasons:
    """Return the mistakes of a cell as they are carried into others."""
    if not reasons:
        return frozenset((Reason("carried", written, expected, carried_from=origin),))
    return frozenset(msgspec.structs.replace(reason, carried_from=reason.carried_from or origin) for reason in reasons)
