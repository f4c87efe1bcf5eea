"""As many seeds as it takes: a decision on two networks that stays valid while one looks after every seed.

It is about the test images at hand: more seeds tell ever more about these, and nothing about others. The seeds'
differences of accuracy on them are taken as independent and normal with unknown variance, and their mean gets a
confidence sequence: intervals that hold it, with 95 %, after every number of seeds at once. It is that of the t-test
with a normal prior on the effect size (Lai, 1976; Gönen and others, 2005; Wang and Ramdas, Anytime-valid t-tests and
confidence sequences for Gaussian means with unknown variance, 2023): with the improper prior 1/σ on the scale, the
Bayes factor against a mean is a martingale if that mean is true, and by Ville's inequality passes 20 with 5 % at most.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import msgspec

from core.comparing import intervals
from core.comparing.intervals import LEVEL, TwoWay
from core.comparing.verdict import points
from core.messages import N_, Message

EFFECT_VARIANCE = 2.0
"""Variance of the prior of the effect size: the seeds' mean difference divided by its standard deviation."""
IMAGES_FROM = 3
"""Number of seeds from which on the part of the images is known well enough to stop for it."""
Outcome = Literal["equivalent", "better", "worse", "images", "open"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
"""Decisions on the first network; `images` if these images cannot tell, `open` if more seeds may."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The first decision in the order of the seeds, or how things stand after all of them."""

    outcome: Outcome
    seeds: int
    """Number of seeds at the decision."""
    low: float | None = None
    """Lower limit of the difference on these images then, a fraction; None, as `high`, while the seeds are too few."""
    high: float | None = None
    resolution: float | None = None
    """Half-width of the 95 % interval that other test images would leave, a fraction; None below two seeds."""


def decide(differences: Any, n_images: int, margin: float) -> Decision:
    """Return the decision from a table of S seeds × K images, in the order of the seeds.

    An entry is 1 where only the first network is right, −1 where only the second is; on the other `n_images` − K
    images they never differ.
    """
    found = Decision(outcome="open", seeds=len(differences))
    for seeds in range(2, len(differences) + 1):
        table = intervals.two_way(differences[:seeds], n_images)
        low, high = (float(end) for end in confidence_sequence(table))
        found = Decision(
            outcome=OUTCOMES[int(judge(table, margin))],
            seeds=seeds,
            low=low if math.isfinite(low) else None,
            high=high if math.isfinite(high) else None,
            resolution=float(intervals.resolution(table)),
        )
        if found.outcome != "open":
            break
    return found


def judge(table: TwoWay, margin: float) -> Any:
    """Return the decision after the seeds of a table, as its place in `OUTCOMES`; an array for many tables."""
    import numpy as np

    low, high = confidence_sequence(table)
    resolution = intervals.resolution(table)
    images_cannot = (resolution > margin) & (np.abs(table.mean) <= resolution) & (table.n_seeds >= IMAGES_FROM)
    decided = [(-margin < low) & (high < margin), low > 0, high < 0, images_cannot]
    return np.select(decided, range(len(decided)), default=len(decided))


def confidence_sequence(table: TwoWay) -> tuple[Any, Any]:
    """Return the limits of the mean difference over all seeds on these images; infinite while there are few seeds.

    The variance of a seed is not taken to be less than the churn of single images gives it, nor than that of one
    image: the differences are whole numbers of images, and a few may be equal by chance.
    """
    import numpy as np

    seeds = table.n_seeds
    floor = 1 / (seeds * table.n_images**2)
    variance = np.maximum(np.maximum(table.seeds, table.residual), floor)
    half = _quantile(seeds) * np.sqrt(variance)
    return table.mean - half, table.mean + half


def _quantile(seeds: int) -> float:
    """Return the t above which the Bayes factor passes 1 / (1 − LEVEL)."""
    ratio = 1 + seeds * EFFECT_VARIANCE
    bound = (math.sqrt(ratio) / (1 - LEVEL)) ** (2 / seeds)
    return math.sqrt((seeds - 1) * (bound - 1) / (1 - bound / ratio)) if bound < ratio else math.inf


def sentences(first: str, second: str, found: Decision, n_images: int, margin: float) -> list[Message]:
    """Put a decision into words; fractions in the values are percentage points."""
    low, high = points(found.low or 0.0), points(found.high or 0.0)
    if found.outcome == "worse":
        first, second, low, high = second, first, -high, -low
    resolution = points(found.resolution or 0.0)
    values: dict[str, str | int | float] = {"first": first, "second": second, "seeds": found.seeds, "low": low}
    values |= {"high": high, "images": n_images, "margin": points(margin), "resolution": resolution}
    if found.outcome == "images":
        text = N_(
            "{first} and {second}: not to be decided on these {images} images. They alone leave ±{resolution} points,"
            " more than the {margin} points that matter, and more seeds would not change that."
        )
        return [Message(text, values)]
    if found.outcome == "equivalent":
        text = N_(
            "Decided after {seeds} seeds, on these {images} test images: {first} and {second} are equivalent. The"
            " difference lies between {low} and {high} points, less than the {margin} that would matter."
        )
    elif found.outcome in ("better", "worse"):
        text = N_(
            "Decided after {seeds} seeds, on these {images} test images: {first} is more accurate than {second} by"
            " {low} to {high} points."
        )
    elif found.low is None:
        text = N_("Not decided on these {images} test images: there are too few seeds of both {first} and {second}.")
        return [Message(text, values)]
    else:
        text = N_(
            "Not decided after {seeds} seeds, on these {images} test images: {first} minus {second} lies between {low}"
            " and {high} points."
        )
    after = N_(
        "These limits hold whenever one stops looking: a 95% interval that is valid after all seeds at once (a"
        " confidence sequence). Other test images could move the difference by ±{resolution} points."
    )
    return [Message(text, values), Message(after, values)]
