"""Comparisons that add seeds until they are decided: how often they are wrong, and how many seeds they take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from core.comparing.sequential import OUTCOMES
from tests.benchmarks.measuring import Options, Table
from tests.core.comparing import simulated
from tests.core.comparing.simulated import Case

POWER = 0.8
_MARGIN_IMAGES = 10
_SEEDS = 20


def measure(options: Options) -> Iterator[Table]:
    count = 1000 if options.quick else 10_000
    generator = np.random.default_rng(20261126)
    yield _false_alarms(count, generator)
    yield _price(count, generator)


def _false_alarms(count: int, generator: np.random.Generator) -> Table:
    table = Table(
        f"wrong decisions in % of {count} comparisons on 10,000 images, margin {_MARGIN_IMAGES} images, looking after"
        f" each of {_SEEDS} seeds (at most 5 %)",
        ("churn of a seed (images)", "noise of a seed (images)", "equal, called better or worse",
         "apart by the margin, called equivalent or worse"),
    )  # fmt: skip
    margin = _MARGIN_IMAGES / 10_000
    for churn, noise in ((2, 0.0), (20, 0.0), (20, 5.0), (60, 20.0)):
        case = Case(_SEEDS, 10_000, 0, churn, noise)
        wrong = []
        for ahead, names in ((0, ("better", "worse")), (_MARGIN_IMAGES, ("equivalent", "worse"))):
            parts = [
                simulated.stopped(simulated.looks_at_images(case, ahead, count // 10, generator), margin)[0]
                for _part in range(10)  # in parts, for the memory
            ]
            wrong.append(100 * _share(np.concatenate(parts), *names))
        table.add(str(churn), f"{noise:g}", *(f"{share:.1f}" for share in wrong))
        table.data[f"churn {churn}, noise {noise:g}"] = wrong
    return table


def _price(count: int, generator: np.random.Generator) -> Table:
    """Compare the seeds taken with the fixed number whose t-test finds a difference of the margin as often."""
    table = Table(
        "seeds until decided, where the margin is the design's effect, and the seeds of a t-test of the same power",
        ("effect (standard deviations)", "t-test", "at most", "power", "at twice the effect", "at the effect",
         "at zero"),
    )  # fmt: skip
    for effect in (0.5, 0.75, 1.0, 1.5):
        fixed = next(seeds for seeds in range(2, 1000) if _t_power(effect, seeds) >= POWER)
        most, power = _cap(effect, _t_power(effect, fixed), count, generator)
        taken = []
        for times in (2, 1, 0):
            looks = simulated.looks_at_seeds(times * effect, 1.0, most, count, generator)
            taken.append(float(simulated.stopped(looks, effect)[1].mean()))
        shown = (f"{seeds:.1f} ({seeds / fixed - 1:+.0%})" for seeds in taken)
        table.add(f"{effect:g}", str(fixed), str(most), f"{power:.0%}", *shown)
        table.data[f"{effect:g}"] = {"fixed": fixed, "most": most, "power": power, "taken": taken}
    return table


def _t_power(effect: float, seeds: int) -> float:
    bound = stats.t.ppf(0.975, seeds - 1)
    return float(stats.nct.sf(bound, seeds - 1, effect * np.sqrt(seeds)))


def _cap(effect: float, power: float, count: int, generator: np.random.Generator) -> tuple[int, float]:
    """Return the largest number of seeds with which the sequence has this power, and the power that it has."""
    outcome, seeds = simulated.stopped(simulated.looks_at_seeds(effect, 1.0, 150, count, generator), effect)
    for most in range(2, 150):
        found = float(np.mean((outcome == OUTCOMES.index("better")) & (seeds <= most)))
        if found >= power:
            return most, found
    raise RuntimeError("150 seeds are too few")


def _share(outcome: Any, *names: str) -> float:
    return float(np.isin(outcome, [OUTCOMES.index(name) for name in names]).mean())
