"""Simulated pairs of networks, whose true difference is known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from core.comparing import intervals, sequential
from core.comparing.intervals import TwoWay
from core.comparing.sequential import OUTCOMES

OPEN = OUTCOMES.index("open")
_CHANCE = 0.3
"""Probability that two networks differ on a hard image, with any one seed."""


class Case(NamedTuple):
    """Two networks: how they differ, in numbers of test images."""

    seeds: int
    images: int
    splits: float
    """Mean number of images on which the same network alone is right with every seed: another sample has others."""
    churn: int
    """Mean number of images on which only one network is right with one seed, and perhaps the other with the next."""
    noise: float = 0.0
    """Standard deviation over the seeds of the difference."""
    won: float = 0.5
    """Share of the consistent splits won by the first network; a half is no true difference."""

    @property
    def truth(self) -> float:
        """True difference of the accuracies, over all seeds and all images."""
        return self.splits * (2 * self.won - 1) / self.images

    @property
    def is_dominated(self) -> bool:
        """True if the seeds or at least 20 consistent splits, not the churn, make most of the variance of the mean.

        With fewer splits the coverage of any interval jumps from count to count.
        """
        seeds, churn = self.noise**2 / self.seeds, self.churn / self.seeds
        return max(seeds, self.splits if self.splits >= 20 else 0.0) > 2 / 3 * (seeds + churn + self.splits)


def tables(case: Case, count: int, generator: np.random.Generator) -> Any:
    """Draw `count` tables, each seeds × those images that may differ; 1 where only the first network is right."""
    splits = generator.poisson(case.splits, count)
    places = np.arange(splits.max(initial=0))
    signs = np.where(generator.random((count, len(places))) < case.won, 1, -1) * (places < splits[:, None])
    hard = round(case.churn / _CHANCE)
    lean = np.clip(generator.normal(0, case.noise, (count, case.seeds, 1)) / max(case.churn, 1), -1, 1)
    drawn = generator.random((count, case.seeds, hard), dtype=np.float32)
    first = drawn < _CHANCE * (1 + lean) / 2
    churned = first.astype(np.int8) - ((drawn < _CHANCE) & ~first)
    split = np.broadcast_to(signs[:, None, :].astype(np.int8), (count, case.seeds, len(places)))
    return np.concatenate([split, churned], axis=-1)


def analyses(case: Case, count: int, generator: np.random.Generator) -> TwoWay:
    """Return the analyses of variance of `count` simulated comparisons."""
    return intervals.two_way(tables(case, count, generator), case.images)


def coverage(case: Case, count: int, generator: np.random.Generator) -> float:
    """Return how often the 95 % interval holds the true difference."""
    low, high = intervals.difference_interval(analyses(case, count, generator))
    return float(((low <= case.truth) & (case.truth <= high)).mean())


def stopped(looks: Iterable[TwoWay], margin: float) -> tuple[Any, Any]:
    """Return the decision of each comparison, as its place in `OUTCOMES`, and the number of seeds that it took.

    `looks` are the analyses after 2, 3, 4, … seeds; a comparison that they do not decide is open after the last.
    """
    found: Any = None
    for look in looks:
        outcome = sequential.judge(look, margin)
        if found is None:
            found, seeds = np.full(outcome.shape, OPEN), np.full(outcome.shape, look.n_seeds)
        going = found == OPEN
        found = np.where(going, outcome, found)
        seeds = np.where(going, look.n_seeds, seeds)
    return found, seeds


def looks_at_images(case: Case, ahead: int, count: int, generator: np.random.Generator) -> Iterator[TwoWay]:
    """Yield the analyses of `count` comparisons after 2, 3, … seeds; `case.splits` must be 0.

    On these test images the first network is ahead by `ahead` images, on average over the seeds.
    """
    always = np.ones((count, case.seeds, ahead), np.int8)
    drawn = np.concatenate([always, tables(case, count, generator)], axis=-1)
    return (intervals.two_way(drawn[:, :seeds], case.images) for seeds in range(2, case.seeds + 1))


def looks_at_seeds(
    mean: float, deviation: float, seeds: int, count: int, generator: np.random.Generator
) -> Iterator[TwoWay]:
    """Yield analyses as of so many images that only the seeds' normal differences matter; these may be fractions."""
    drawn = generator.normal(mean, deviation, (count, seeds))
    for looked in range(2, seeds + 1):
        shown = drawn[:, :looked]
        yield TwoWay(shown.mean(1), shown.var(1, ddof=1) / looked, np.zeros(count), np.zeros(count), looked, 10**9)


def grid(*, full: bool) -> list[Case]:
    """Return cases on MNIST's 10,000 test images and on the sample's 1,000; without `full`, fewer of them."""
    mnist = [
        Case(seeds, 10_000, splits, churn, noise, won)
        for seeds, splits, (churn, noise), won in product(
            (3, 5, 10) if full else (3, 5),
            (0, 20, 100),
            ((20, 0), (20, 1), (20, 5), (100, 0), (100, 5), (100, 30)) if full else ((20, 0), (20, 5), (100, 30)),
            (0.5, 0.75, 1) if full else (0.5,),
        )
        if splits or won == 0.5
    ]
    sample = [
        Case(seeds, 1000, splits, churn, noise, won)
        for seeds, splits, (churn, noise), won in product(
            (3, 5, 10) if full else (3, 10),
            (0, 2, 10) if full else (2, 10),
            ((5, 0), (5, 1), (20, 0), (20, 5)),
            (0.5, 0.75, 1) if full else (1,),
        )
        if splits or won == 0.5
    ]
    return mnist + sample
