"""The verdict on two networks: better, worse, equivalent or undecided, in sentences that claim what the numbers do."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.comparing.intervals import Estimate, Parts
from core.messages import N_, InvalidSetting, Message

MARGIN = 0.001
"""Smallest difference in accuracy that matters, as a fraction, unless the user says otherwise."""

Outcome = Literal["better", "worse", "equivalent", "undecided"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The accuracy of the first network minus that of the second over several seeds, as fractions."""

    interval: Estimate
    """Mean with its 95 % interval."""
    inner: tuple[float, float]
    """90 % interval: within ±margin it shows equivalence (two one-sided tests at 5 %; Schuirmann, 1987)."""
    parts: Parts
    resolution: float
    """Half-width of the interval that would remain with any number of seeds."""
    seeds: int
    images: int


def check_margin(text: str) -> float:
    """Parse the smallest difference that matters, in points as a user types it. Raises `InvalidSetting`."""
    try:
        points = float(text.replace(",", "."))
    except ValueError:
        points = 0.0
    if not 0.01 <= points <= 100:
        message = N_("the margin must be a number of percentage points from 0.01 to 100, not {value}")
        raise InvalidSetting("margin", message, value=text or "''")
    return points / 100


def outcome(difference: Difference, margin: float) -> Outcome:
    """Judge the first network against the second; a difference shown to be below the margin makes them equivalent."""
    low, high = difference.interval.low, difference.interval.high
    assert low is not None
    assert high is not None
    if -margin < difference.inner[0] and difference.inner[1] < margin:
        return "equivalent"
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def sentences(first: str, second: str, difference: Difference, margin: float) -> list[Message]:
    """Put the outcome into words; fractions in the values are percentage points."""
    found = outcome(difference, margin)
    low, high = points(difference.interval.low or 0.0), points(difference.interval.high or 0.0)
    tells_them_apart = low > 0 or high < 0
    if found == "equivalent":
        low, high = points(difference.inner[0]), points(difference.inner[1])
    better, worse = first, second
    if tells_them_apart and high < 0:
        better, worse, low, high = second, first, -high, -low
    values: dict[str, str | int | float] = {
        "first": better,
        "second": worse,
        "low": low,
        "high": high,
        "seeds": difference.seeds,
        "margin": points(margin),
    }
    if found == "equivalent" and tells_them_apart:
        text = N_(
            "Equivalent: {first} is ahead of {second}, but only by {low} to {high} points (90% interval over {seeds}"
            " seeds and the test images); the {margin} points that would matter are ruled out."
        )
    elif found == "equivalent":
        text = N_(
            "Equivalent: {first} and {second} differ by less than the {margin} points that would matter. The difference"
            " lies between {low} and {high} points (90% interval over {seeds} seeds and the test images)."
        )
    elif found == "undecided":
        text = N_(
            "Undecided: {seeds} seeds do not tell which of {first} and {second} is more accurate. The difference lies"
            " between {low} and {high} points (95% interval over the seeds and the test images): it may be zero, and it"
            " may be more than the {margin} points that would matter."
        )
    elif low >= points(margin):
        text = N_(
            "{first} is more accurate than {second} by {low} to {high} points (95% interval over {seeds} seeds and the"
            " test images), at least the {margin} points that matter."
        )
    else:
        text = N_(
            "{first} is more accurate than {second} by {low} to {high} points (95% interval over {seeds} seeds and the"
            " test images). Whether by the {margin} points that matter remains open."
        )
    scope = N_("This is about images like these, and networks trained on this training set.")
    settled = found == "equivalent" or (found != "undecided" and low >= points(margin))
    return [Message(text, values), *([] if settled else _too_fine(difference, margin)), Message(scope)]


def _too_fine(difference: Difference, margin: float) -> list[Message]:
    if difference.resolution <= margin:
        return []
    text = N_(
        "A difference of {margin} points is less than these {images} test images can show: they alone leave"
        " ±{resolution} points, however many seeds there are. A margin of {possible} points could be shown."
    )
    resolution = points(difference.resolution)
    possible = -(-100 * resolution // 1) / 100
    values: dict[str, str | int | float]
    values = {"margin": points(margin), "images": difference.images, "resolution": resolution, "possible": possible}
    return [Message(text, values)]


def one_seed(first: str, second: str, difference: float, seed: int) -> Message:
    """Return the sentence on a single run of each."""
    if difference == 0:
        text = N_(
            "One run of each proves nothing: with seed {seed}, {first} and {second} are equally accurate, and another"
            " seed may separate them."
        )
        return Message(text, {"first": first, "second": second, "seed": seed})
    better, worse = (first, second) if difference > 0 else (second, first)
    text = N_(
        "One run of each proves nothing: with seed {seed}, {better} is {difference} points more accurate than"
        " {worse}, and another seed may reverse it."
    )
    return Message(text, {"better": better, "worse": worse, "difference": points(abs(difference)), "seed": seed})


def points(fraction: float) -> float:
    """Return a fraction in percentage points."""
    return round(100 * fraction, 4)
