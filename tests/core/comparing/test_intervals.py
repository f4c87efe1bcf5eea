"""Intervals: those of scipy and statsmodels where these have the method, and true as often as they claim."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from core.comparing import intervals
from tests.core.comparing import simulated


def test_the_two_way_analysis_is_that_of_statsmodels() -> None:
    """The mean squares are those of statsmodels 0.15.0, `anova_lm(ols("d ~ C(seed) + C(image)", table).fit())`."""
    table = np.array([[1, 0, -1, 0, 1, 0], [1, 1, 0, 0, 0, 0], [1, 0, -1, 0, 1, 1]])
    expected = (0.05555555555555555, 0.9888888888888889, 0.25555555555555554)
    for n_images, shown in ((6, table), (6, table[:, [0, 1, 2, 4, 5]])):  # images without a difference may be missing
        found = intervals.two_way(shown, n_images)
        assert found.mean == pytest.approx(table.mean(), abs=1e-12)
        assert 18 * np.array([found.seeds, found.images, found.residual]) == pytest.approx(expected, abs=1e-9)


def test_the_variance_counts_the_interaction_once_and_is_never_below_it() -> None:
    crossed = intervals.TwoWay(0.0, 5.0, 4.0, 1.0, 3, 1000)
    assert (crossed.variance, crossed.of_images_alone) == (8, 3)
    assert intervals.TwoWay(0.0, 0.5, 0.9, 1.0, 3, 1000).variance == 1
    assert intervals.TwoWay(0.0, 0.5, 0.9, 1.0, 3, 1000).of_images_alone == 0


@pytest.mark.parametrize("churn", [0, 40])
def test_the_parts_are_those_of_the_interval(churn: int) -> None:
    """Its half-width is Student's quantile times the standard error, even where the networks differ on no image."""
    (drawn,) = simulated.tables(simulated.Case(4, 1000, churn / 4, churn), 1, np.random.default_rng(2))
    table = intervals.two_way(drawn, 1000)
    parts = intervals.variance_parts(table)
    low, high = intervals.difference_interval(table)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, parts.degrees) * np.sqrt(parts.total), rel=1e-9)
    assert parts.total == pytest.approx(parts.seeds + parts.images - parts.residual)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """95 % intervals: at least 93 % in every case, and at most 97 % where seeds or consistent splits dominate."""
    generator = np.random.default_rng(20261126)
    for case in simulated.grid(full=False):
        found = simulated.coverage(case, 4000, generator)
        assert found >= 0.93, case
        if case.is_dominated and case.seeds >= 5:
            assert found <= 0.97, case


@pytest.mark.parametrize(("wrong", "seeds"), [(0, 1), (0, 3), (1, 1), (1, 3), (40, 1), (40, 5), (1000, 1), (1000, 2)])
def test_an_accuracy_never_passes_all_or_nothing(wrong: int, seeds: int) -> None:
    right = np.ones((seeds, 1000), dtype=bool)
    for seed, row in enumerate(right):
        row[seed : seed + wrong] = False
        row[: max(0, seed + wrong - 1000)] = False
    found = intervals.accuracy_estimate(right)
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.low < found.high
    assert found.mean == pytest.approx(right.mean())
    if seeds == 1:
        expected = stats.binomtest(1000 - wrong, 1000).proportion_ci(0.95, "wilson")
        assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-9)


def test_more_seeds_leave_the_part_of_the_images() -> None:
    """The seeds' part of a mean accuracy falls with the seeds; what a sample of images leaves does not."""
    generator = np.random.default_rng(1)
    few, many = (simulated.analyses(simulated.Case(seeds, 10_000, 100, 100, 10), 200, generator) for seeds in (5, 40))
    assert np.median(many.seeds) < np.median(few.seeds) / 4
    assert np.median(many.of_images_alone) == pytest.approx(100 / 10_000**2, rel=0.15)
    assert np.median(few.of_images_alone) == pytest.approx(100 / 10_000**2, rel=0.15)


def test_students_interval_is_scipys() -> None:
    values = [0.5, 0.25, 0.75, 0.3]
    found = intervals.student_estimate(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected), abs=1e-9)
    assert intervals.student_estimate([2.0, 2.0]).low is None
