"""The states of a run's network that the worker can be asked about."""

from __future__ import annotations

from core.runs import snapshots
from core.runs.directory import Run
from core.worker.protocol import MomentView


def moment_views(run: Run, newest: tuple[int, int]) -> tuple[MomentView, ...]:
    """Return the states in the order of the training, the one with the newest parameters last.

    `newest` is the epoch of these and its completed batches.
    """
    kept = (moment for moment in snapshots.moments(run) if moment.position < newest)
    return (*(MomentView(moment.path.stem, *moment.position) for moment in kept), MomentView("", *newest))
