"""McNemar's exact test: scipy's for one seed, and one valid test over all of them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from core.comparing.mcnemar import mcnemar_test, swap_test
from tests.core.comparing import simulated


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(15, 15), (3, 9), (0, 0), (0, 5), (12, 13), (10, 60), (40, 40), (700, 900)]
)
def test_one_seed_is_scipys_exact_test(only_first: int, only_second: int) -> None:
    first, second = np.ones(2000, dtype=bool), np.ones(2000, dtype=bool)
    first[:only_second] = False
    second[only_second : only_second + only_first] = False
    first[-3:] = second[-3:] = False
    found = mcnemar_test(0, first, second)
    counts = (found.only_first_right, found.only_second_right, found.both_wrong, found.both_right)
    differ = only_first + only_second
    assert counts == (only_first, only_second, 3, 1997 - differ)
    assert found.p == pytest.approx(stats.binomtest(only_first, differ).pvalue if differ else 1, abs=1e-9)
    if only_first == only_second:
        assert found.p == 1


def test_over_several_seeds_every_image_is_swapped_for_all_of_them() -> None:
    """The p is the share of all 2^12 ways to swap the two networks that differ at least as much."""
    differences = np.array([3, 3, 2, 1, 1, 1, 0, -1, -2, 3, 2, 1, 0])
    swapped = np.array([np.dot(signs, differences) for signs in product((1, -1), repeat=len(differences))])
    expected = (np.abs(swapped) >= abs(differences.sum())).mean()
    assert swap_test(differences) == pytest.approx(expected, abs=1e-9)
    assert swap_test(-differences) == swap_test(differences)


def test_seeds_that_share_their_images_make_no_difference_significant_more_often() -> None:
    """Fisher's or Stouffer's combination of the seeds' own tests calls half of such comparisons significant."""
    case = simulated.Case(seeds=5, images=10_000, splits=60, churn=10)
    drawn = simulated.tables(case, 600, np.random.default_rng(7))
    alarms = np.mean([swap_test(differences) < 0.05 for differences in drawn.sum(axis=1)])
    assert 0.02 < alarms <= 0.065
