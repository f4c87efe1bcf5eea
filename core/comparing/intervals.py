"""Confidence intervals of accuracies, of their differences and of measured quantities.

Two things vary in a comparison: the seeds, and the test images, which are a sample of all the images that there could
be. The seeds are crossed with the images (each network of each seed is tested on every image), so the variance of a
mean over both is that of a two-way layout with one value per cell (Searle, Casella and McCulloch, Variance
Components, 1992, chapter 4).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import fmean, stdev
from typing import Any, NamedTuple

import msgspec

LEVEL = 0.95
Z = 1.959963984540054
"""Quantile of the normal distribution for `LEVEL`."""
ADDED_IMAGES = 2
"""Number of images, one won by each network, added to the variance of a difference (Bonett and Price, 2012).

Without them, two networks that happen to differ on no image of a small test set would be equal for certain.
"""


class Estimate(msgspec.Struct, frozen=True):
    """A mean with its 95 % interval; `low` and `high` are None where there is none."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half the width of the interval, or None without one."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The variance that the interval of a difference has, and what it is made of."""

    total: float
    """Variance of the mean over seeds and images, with `ADDED_IMAGES`."""
    seeds: float
    """Variance as the seeds alone show it. More seeds make it smaller."""
    images: float
    """Variance as the images alone show it, with `ADDED_IMAGES`."""
    residual: float
    """Variance of their interaction, which `seeds` and `images` both contain."""
    degrees: float
    """Degrees of freedom of `total`."""


class TwoWay(NamedTuple):
    """The two-way analysis of variance of a table of seeds × images; numbers, or arrays with one for each table."""

    mean: Any
    seeds: Any
    """Variance of the mean from the mean square of the seeds."""
    images: Any
    """Variance of the mean from the mean square of the images."""
    residual: Any
    """Variance of the mean from the residual mean square."""
    n_seeds: int
    n_images: int

    @property
    def variance(self) -> Any:
        """Variance of the mean; the interaction, in both parts, is counted once, and never missing."""
        import numpy as np

        return np.maximum(self.seeds + self.images - self.residual, self.residual)

    @property
    def of_images_alone(self) -> Any:
        """Variance of the mean that would remain with any number of seeds."""
        import numpy as np

        return np.maximum(self.images - self.residual, 0.0)


def two_way(table: Any, n_images: int) -> TwoWay:
    """Analyse a table of S seeds × K images, S and K its last axes; the other `n_images` − K images are 0 throughout.

    Needs at least two seeds and two images.
    """
    import numpy as np

    table = np.asarray(table, dtype=float)
    n_seeds = table.shape[-2]
    cells = n_seeds * n_images
    of_seeds, of_images = table.sum(-1), table.sum(-2)
    total = of_seeds.sum(-1)
    correction = total**2 / cells
    squares_seeds = (of_seeds**2).sum(-1) / n_images - correction
    squares_images = (of_images**2).sum(-1) / n_seeds - correction
    squares_residual = (table**2).sum((-1, -2)) - correction - squares_seeds - squares_images
    return TwoWay(
        mean=total / cells,
        seeds=np.maximum(squares_seeds, 0) / (n_seeds - 1) / cells,
        images=np.maximum(squares_images, 0) / (n_images - 1) / cells,
        residual=np.maximum(squares_residual, 0) / ((n_seeds - 1) * (n_images - 1)) / cells,
        n_seeds=n_seeds,
        n_images=n_images,
    )


def degrees_of_freedom(table: TwoWay, variance: Any) -> Any:
    """Return the degrees of freedom of a variance made of the table's mean squares (Satterthwaite, 1946).

    With k degrees of freedom, the square of a mean square is taken (k + 2)/k times as large. Without that, the interval
    of 3 seeds covers the truth in 92 % of cases where the seeds have some 80 % of the variance: when they happen to lie
    close together, the formula takes the variance to be that of the many images. `python -m tests.benchmarks coverage`
    measures both.
    """
    import numpy as np

    seeds, images = table.n_seeds - 1, table.n_images - 1
    parts = ((table.seeds, seeds), (table.images, images), (table.residual, seeds * images))
    spread = sum(part**2 / count * (count + 2) / count for part, count in parts)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.asarray(variance) ** 2 / spread
    return np.where(spread > 0, np.clip(found, seeds, seeds * images), images)


def difference_interval(table: TwoWay, level: float = LEVEL) -> tuple[Any, Any]:
    """Return the interval of the mean difference of two accuracies, low and high, between −1 and 1."""
    import numpy as np
    from scipy import stats

    variance = table.variance + _added(table)
    half = stats.t.ppf((1 + level) / 2, degrees_of_freedom(table, variance)) * np.sqrt(variance)
    return np.maximum(table.mean - half, -1.0), np.minimum(table.mean + half, 1.0)


def variance_parts(table: TwoWay) -> Parts:
    """Return the variance of the interval of one table's mean with what it is made of."""
    total = table.variance + _added(table)
    return Parts(
        total=float(total),
        seeds=float(table.seeds),
        images=float(table.images + _added(table)),
        residual=float(table.residual),
        degrees=float(degrees_of_freedom(table, total)),
    )


def resolution(table: TwoWay) -> Any:
    """Return the half-width of the interval that would remain with any number of seeds."""
    import numpy as np

    return Z * np.sqrt(table.of_images_alone + _added(table))


def _added(table: TwoWay) -> float:
    return ADDED_IMAGES / table.n_images**2


def accuracy_estimate(right: Any) -> Estimate:
    """Return the mean accuracy of S seeds on I images, with its interval; `right` is a mask, S × I.

    The interval is Wilson's for one seed. For several it is Wilson's for as many images as would give the variance that
    seeds and images have, with Student's quantile (Franco, Little, Louis and Slud, 2019): never beyond 0 or 1.
    """
    import numpy as np
    from scipy import stats

    wrong = ~np.asarray(right, dtype=bool)
    n_seeds, n_images = wrong.shape
    accuracy = 1 - float(wrong.mean())
    images, quantile = float(n_images), Z
    if n_seeds > 1 and n_images > 1:
        table = two_way(wrong[:, wrong.any(axis=0)], n_images)
        if table.variance > 0:
            images = accuracy * (1 - accuracy) / float(table.variance)
            quantile = float(stats.t.ppf((1 + LEVEL) / 2, degrees_of_freedom(table, table.variance)))
    return Estimate(accuracy, *wilson_interval(accuracy * images, images, quantile))


def wilson_interval(correct: float, total: float, z: float = Z) -> tuple[float, float]:
    """Return the 95 % confidence interval of a proportion, low and high, from 0 to 1 (Wilson, 1927)."""
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))  # not past it by rounding


def student_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of at least one value, with Student's interval if there are several that differ."""
    mean = fmean(values)
    if len(values) < 2 or math.isclose(min(values), max(values), rel_tol=1e-12, abs_tol=1e-12):
        return Estimate(mean)
    half_width = student_factor(len(values)) * stdev(values) / math.sqrt(len(values))
    return Estimate(mean, mean - half_width, mean + half_width)


@cache
def student_factor(count: int) -> float:
    """Return how many standard errors Student's interval of the mean of `count` values, two or more, extends."""
    from scipy import special  # a third of the time that loading its stats takes

    return float(special.stdtrit(count - 1, (1 + LEVEL) / 2))
