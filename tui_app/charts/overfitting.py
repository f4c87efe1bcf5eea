"""Where a validation loss turns up while the training loss goes on falling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from core.runs.history import Curve
from tui_app.charts.series import Series

Turn = tuple[int, float] | None
"""Step and value of the lowest validation loss, if overfitting begins there."""

_RISE = 1.02
"""Least ratio to the lowest validation loss that counts as risen, not as noise."""


def turning_point(series: Series) -> Turn:
    """Return the step and the value of the lowest validation loss, the seeds' mean, once overfitting has shown.

    That is once it was at least 2 % higher after two epochs in a row, and their training loss lower than at the lowest
    point. So one epoch's noise is not taken for it, and only a new lowest loss takes it back.
    """
    steps = max(1, series.steps_per_epoch)
    validation = _by_epoch([history.validation for history in series.histories], steps)
    training = _by_epoch([history.epochs for history in series.histories], steps)
    if not validation:
        return None
    lowest = min(validation, key=lambda epoch: validation[epoch][1])
    step, least = validation[lowest]
    if least <= 0 or lowest not in training:
        return None

    def overfits(epoch: int) -> bool:
        is_learning = epoch in training and training[epoch][1] < training[lowest][1]
        return is_learning and validation[epoch][1] > _RISE * least

    later = [overfits(epoch) for epoch in validation if epoch > lowest]
    return (step, least) if any(first and second for first, second in pairwise(later)) else None


def _by_epoch(curves: Sequence[Curve], steps: int) -> dict[int, tuple[int, float]]:
    """Return the step and the mean value of each epoch that all the curves have."""
    points = [{step // steps: (step, value) for step, value in curve.points} for curve in curves]
    epochs = [epoch for epoch in points[0] if all(epoch in each for each in points)]
    return {epoch: (points[0][epoch][0], sum(each[epoch][1] / len(points) for each in points)) for epoch in epochs}
