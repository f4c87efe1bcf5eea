"""A run's events on one scale of steps and with a time for each batch, as other tools want them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from core.runs.events import Event, Progress
from core.runs.record import Record, State

_LAST_STEP = 1 << 53
"""Largest step: no run gets there, and beyond it a float cannot tell one step from the next."""


class Batch(NamedTuple):
    """A completed batch."""

    step: int
    """Number of batches completed with it, over the whole run."""
    epoch: int
    number: int
    """Position in its epoch, counted from 1."""
    loss: float | None
    """Loss; None if it is not finite."""
    time: float
    """Seconds since the Unix epoch."""


class RunWriter(Protocol):
    """A writer of one run in a format of another tool. Its methods raise `OSError`."""

    def add(self, event: Event) -> None:
        """Write the next event of the run."""

    def flush(self) -> None:
        """Make everything so far readable by others."""

    def close(self, state: State) -> None:
        """Write what is known only at the end, of a run in this state, and close the files."""


class Timeline:
    """The record of a run, and the steps and times of its events, in memory that does not grow with its batches."""

    def __init__(self) -> None:
        self.record = Record(keep_losses=False)
        self._before: Progress | None = None

    def apply(self, event: Event) -> None:
        """Take in the next event."""
        self._before = self.record.progress
        self.record.apply((event,))

    def step(self, epoch: int, batch: int | None = None) -> int | None:
        """Return the batches completed after one of an epoch, or after all of it; None before the run has started."""
        if self.record.started is None:
            return None
        per_epoch = self.record.started.steps_per_epoch
        step = (epoch - 1) * per_epoch + (per_epoch if batch is None else batch)
        return step if step <= _LAST_STEP else None

    def batches(self, event: Progress) -> Iterator[Batch]:
        """Yield the batches of the newest event. They share the training time since the last one evenly."""
        last, count = self.step(event.epoch, event.step), len(event.losses)
        if self.record.started is None or last is None or last < count:
            return
        since = max(0.0, event.time - (self._before or self.record.started).time)
        if self._before is not None:  # a pause or a validation took no training time
            since = min(since, max(0.0, event.elapsed_s - self._before.elapsed_s))
        for i, loss in enumerate(event.losses, 1):
            left = count - i
            yield Batch(last - left, event.epoch, event.step - left, loss, event.time - since * left / count)
