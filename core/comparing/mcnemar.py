"""McNemar's exact test of two networks on the same test images, for the runs of one seed and of all seeds at once."""

from __future__ import annotations

from typing import Any

import msgspec


class McNemar(msgspec.Struct, frozen=True, kw_only=True):
    """McNemar's exact test of the hypothesis that the two runs of a seed err equally often, with its image counts."""

    seed: int
    both_right: int
    only_first_right: int
    only_second_right: int
    both_wrong: int
    p: float


def mcnemar_test(seed: int, first: Any, second: Any) -> McNemar:
    """Test two runs of a seed; the arrays are masks of the images that each is right on."""
    return McNemar(
        seed=seed,
        both_right=int((first & second).sum()),
        only_first_right=int((first & ~second).sum()),
        only_second_right=int((~first & second).sum()),
        both_wrong=int((~first & ~second).sum()),
        p=swap_test(first.astype(int) - second.astype(int)),
    )


def swap_test(differences: Any) -> float:
    """Return the exact two-sided p of the hypothesis that, on each image, the two networks could be swapped.

    `differences` holds N integers: the seeds whose first network alone is right on an image, minus those whose second
    network alone is. For one seed this is McNemar's exact test. For several it is one test of all their networks as
    they were trained: the tests of the seeds, which share the images, depend on each other, so an image is swapped for
    all seeds at once, which keeps whatever its seeds have in common. The images are independent, so the sum of the
    differences is, under the hypothesis, that of independent ±w for the sizes w of the differences.
    """
    import numpy as np
    from scipy import stats

    differences = np.asarray(differences)
    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    won = np.ones(1)  # the distribution of the sum of the sizes that fall to the first network, from 0 up
    for size, count in zip(sizes, counts, strict=True):
        more = np.zeros(len(won) + size * count)
        for times, p in enumerate(stats.binom.pmf(np.arange(count + 1), count, 0.5)):
            more[size * times : size * times + len(won)] += p * won
        won = more
    least = int((sizes * counts).sum() - abs(differences.sum())) // 2
    return min(1.0, 2 * float(won[: least + 1].sum()))
