"""How often 95 % intervals of a difference hold the truth, in simulated comparisons: ours, and the usual ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
from scipy import stats

from core.comparing import intervals
from core.comparing.intervals import TwoWay
from tests.benchmarks.measuring import Options, Table
from tests.core.comparing import simulated

Interval = Callable[[TwoWay], tuple[Any, Any]]


def measure(options: Options) -> Iterator[Table]:
    count = 500 if options.quick else 4000
    generator = np.random.default_rng(20261126)
    cases = simulated.grid(full=True)
    analysed = [simulated.analyses(case, count, generator) for case in cases]
    for name, interval in METHODS.items():
        table = Table(
            f"{name}: coverage in % of {count} comparisons in each of {len(cases)} cases",
            ("test images", "seeds", "lowest", "in the case (images)", "highest where seeds or splits dominate"),
        )
        found = [
            (case, 100 * float(np.mean((low <= case.truth) & (case.truth <= high))))
            for case, (low, high) in zip(cases, map(interval, analysed), strict=True)
        ]
        found.sort(key=lambda each: (-each[0].images, each[0].seeds))
        for (images, seeds), group in groupby(found, key=lambda each: (each[0].images, each[0].seeds)):
            members = list(group)
            worst, lowest = min(members, key=lambda each: each[1])
            highest = max((covered for case, covered in members if case.is_dominated), default=None)
            described = f"splits {worst.splits:g} ({worst.won:.0%} won), churn {worst.churn}, noise {worst.noise:g}"
            shown = "–" if highest is None else f"{highest:.1f}"
            table.add(f"{images:,}", str(seeds), f"{lowest:.1f}", described, shown)
        table.data = {str(tuple(case)): covered for case, covered in found}
        yield table


def _over_seeds(table: TwoWay) -> tuple[Any, Any]:
    half = stats.t.ppf(0.975, table.n_seeds - 1) * np.sqrt(table.seeds)
    return table.mean - half, table.mean + half


def _summed(table: TwoWay) -> tuple[Any, Any]:
    return _satterthwaite(table, table.seeds + table.images)


def _uncorrected(table: TwoWay) -> tuple[Any, Any]:
    return _satterthwaite(table, table.variance)


def _satterthwaite(table: TwoWay, variance: Any) -> tuple[Any, Any]:
    seeds, images = table.n_seeds - 1, table.n_images - 1
    parts = ((table.seeds, seeds), (table.images, images), (table.residual, seeds * images))
    spread = np.maximum(sum(part**2 / count for part, count in parts), 1e-300)
    half = stats.t.ppf(0.975, np.clip(variance**2 / spread, 1, 1e9)) * np.sqrt(variance)
    return table.mean - half, table.mean + half


METHODS: dict[str, Interval] = {
    "the interval of a comparison": intervals.difference_interval,
    "the same without the correction for few seeds and few differing images": _uncorrected,
    "the plain sum of both variances": _summed,
    "Student's over the seeds": _over_seeds,
}
