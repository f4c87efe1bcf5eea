"""Seeds added until a comparison is decided: seldom wrong, and fewer than a fixed number where the effect is large."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from scipy import integrate, stats

from core.comparing import sequential
from core.comparing.intervals import TwoWay
from core.comparing.sequential import OUTCOMES
from tests.core.comparing import simulated
from tests.core.comparing.simulated import Case

COUNT = 10_000
MARGIN_IMAGES = 10


def shares(looks: Iterable[TwoWay], margin: float) -> dict[str, float]:
    """Return how often each decision is taken."""
    found, _seeds = simulated.stopped(looks, margin)
    return {name: float(np.mean(found == place)) for place, name in enumerate(OUTCOMES)}


@pytest.mark.parametrize("case", [Case(12, 10_000, 0, 20, 5), Case(12, 10_000, 0, 2, 0)], ids=["many", "few"])
def test_false_alarms_on_simulated_images(case: Case) -> None:
    """Looking after each of 12 seeds, 10,000 comparisons of equal networks: at most 5 % call one of them better."""
    generator = np.random.default_rng(11)
    found = shares(simulated.looks_at_images(case, 0, COUNT, generator), MARGIN_IMAGES / case.images)
    assert found["better"] + found["worse"] <= 0.05
    found = shares(simulated.looks_at_images(case, MARGIN_IMAGES, COUNT // 4, generator), MARGIN_IMAGES / case.images)
    assert found["equivalent"] + found["worse"] <= 0.05


def test_false_alarms_over_many_seeds() -> None:
    generator = np.random.default_rng(12)
    equal = shares(simulated.looks_at_seeds(0.0, 1.0, 60, COUNT, generator), margin=0.3)
    assert 0.005 < equal["better"] + equal["worse"] <= 0.05
    apart = shares(simulated.looks_at_seeds(0.5, 1.0, 60, COUNT, generator), margin=0.5)
    assert apart["equivalent"] + apart["worse"] <= 0.05


def test_at_twice_the_design_effect_it_takes_30_percent_fewer_seeds() -> None:
    """A t-test of 10 seeds has 80 % power where the effect is a standard deviation; at twice that, 10 are too many."""
    design = stats.nct.sf(stats.t.ppf(0.975, 9), 9, np.sqrt(10))
    assert design == pytest.approx(0.8, abs=0.01)
    generator = np.random.default_rng(13)
    outcome, _seeds = simulated.stopped(simulated.looks_at_seeds(1.0, 1.0, 20, 2000, generator), 1.0)
    assert np.mean(outcome == OUTCOMES.index("better")) >= 0.8
    outcome, seeds = simulated.stopped(simulated.looks_at_seeds(2.0, 1.0, 20, 2000, generator), 1.0)
    assert np.mean(outcome == OUTCOMES.index("better")) >= 0.98
    assert seeds.mean() <= 7


@pytest.mark.parametrize(("n", "t"), [(4, 2.5), (8, 0.7), (20, -3.1)])
def test_the_limits_are_where_the_bayes_factor_passes_20(n: int, t: float) -> None:
    """The Bayes factor is the ratio of the t densities, integrated over the normal prior of the effect size."""

    def factor(t: float) -> float:
        scale = np.sqrt(sequential.EFFECT_VARIANCE)
        alternative, _error = integrate.quad(
            lambda effect: stats.nct.pdf(t, n - 1, effect * np.sqrt(n)) * stats.norm.pdf(effect, 0, scale), -12, 12
        )
        return float(alternative / stats.t.pdf(t, n - 1))

    def high(mean: float) -> float:
        return float(sequential.confidence_sequence(TwoWay(mean, 1.0, 0.0, 0.0, n, 10**9))[1])

    limit = high(0.0)  # in standard errors
    assert factor(limit) == pytest.approx(20, rel=1e-4)
    assert high(t) == pytest.approx(t + limit)


def test_a_lucky_streak_of_equal_differences_decides_nothing() -> None:
    """Six seeds, each with one image more for the first network, are no certainty, though they have no spread."""
    table = np.eye(6, 40, 2, dtype=int)
    found = sequential.decide(table, 10_000, 0.0005)
    assert found.outcome in ("open", "equivalent")
    assert found.low is not None
    assert found.low < 0
    assert sequential.decide(table, 1000, 0.0005).outcome == "images"


def test_the_first_decision_stands_however_many_seeds_follow() -> None:
    generator = np.random.default_rng(3)
    (table,) = simulated.tables(Case(20, 10_000, 0, 20, 1), 1, generator)
    ahead = np.concatenate([np.ones((20, 60), np.int8), table], axis=1)
    found = sequential.decide(ahead, 10_000, 0.001)
    assert found.outcome == "better"
    assert found.seeds < 20
    assert sequential.decide(ahead[: found.seeds], 10_000, 0.001) == found
    assert sequential.decide(ahead[: found.seeds - 1], 10_000, 0.001).outcome == "open"
    assert sequential.decide(-ahead, 10_000, 0.001).outcome == "worse"


def test_images_that_cannot_tell_end_it() -> None:
    """100 images split consistently, half each way: no number of seeds shows 0.1 points on others like these."""
    table = np.concatenate([np.ones((3, 50), int), -np.ones((3, 50), int)], axis=1)
    found = sequential.decide(table, 10_000, 0.001)
    assert (found.outcome, found.seeds) == ("images", 3)
    assert "not to be decided on these 10000 images" in str(sequential.sentences("A", "B", found, 10_000, 0.001)[0])
    assert sequential.decide(table, 10_000, 0.01).outcome != "images"
    assert sequential.decide(table[:2], 10_000, 0.001).outcome == "open"
