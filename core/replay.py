"""The events of a run folded into what a panel shows of it, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import sqrt

from core.events import EpochEnded, Evaluated, Event, Notice, Progress, RunEnded, RunStarted, Validated
from core.history import LossHistory

MAX_LINES = 500


class Replay:
    """What is known of a run after the events so far; the same for a live run and an old one."""

    def __init__(self) -> None:
        self.started: RunStarted | None = None
        self.progress: Progress | None = None
        self.evaluated: Evaluated | None = None
        self.ended: RunEnded | None = None
        self.notice: Notice | None = None
        """The newest, until something else happens."""
        self.history = LossHistory()
        self.epochs: deque[EpochEnded] = deque(maxlen=MAX_LINES)
        """The newest ones."""
        self.validations: deque[Validated] = deque(maxlen=MAX_LINES)
        """The newest ones."""

    @property
    def is_sample(self) -> bool:
        return self.started is not None and self.started.dataset == "sample"

    @property
    def total_steps(self) -> int:
        return self.started.config.epochs * self.started.steps_per_epoch if self.started else 0

    @property
    def done_steps(self) -> int:
        """Of `total_steps`."""
        if self.started is None:
            return 0
        if self.progress is None:
            return self._global_step(self.started.epoch, self.started.step)
        return self._global_step(self.progress.epoch, self.progress.step)

    def apply(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Progress():
                    if self.started is not None:
                        self._add_progress(event)
                case EpochEnded():
                    if not self.epochs or event.epoch > self.epochs[-1].epoch:
                        self.epochs.append(event)
                        self.history.add_epoch(self._global_step(event.epoch + 1, 0) - 1, event.loss)
                case Validated():
                    if not self.validations or event.epoch > self.validations[-1].epoch:
                        self.validations.append(event)
                        self.history.add_validation(
                            self._global_step(event.epoch + 1, 0) - 1, event.loss, event.accuracy
                        )
                case RunStarted():
                    self._start(event)
                case Evaluated():
                    self.evaluated = event
                case RunEnded():
                    self.ended, self.notice = event, None
                case Notice():
                    self.notice = event

    def _start(self, event: RunStarted) -> None:
        self.started, self.ended, self.evaluated, self.notice = event, None, None, None
        # A resumed run repeats what came after its checkpoint.
        self.history.truncate(self._global_step(event.epoch, event.step))
        first_again = event.epoch if event.step < event.steps_per_epoch else event.epoch + 1
        for per_epoch in (self.epochs, self.validations):
            while per_epoch and per_epoch[-1].epoch >= first_again:
                per_epoch.pop()

    def _add_progress(self, event: Progress) -> None:
        step = self._global_step(event.epoch, event.step)
        self.history.extend(step - len(event.losses), event.losses)
        self.history.add_seconds(step, event.elapsed_s)
        if event.loss is not None:
            self.history.add_running(step - 1, event.loss)
        self.progress = event
        self.notice = None

    def _global_step(self, epoch: int, step: int) -> int:
        return (epoch - 1) * self.started.steps_per_epoch + step if self.started else 0


def wilson_interval(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion (Wilson, 1927): low, high, 0 to 1."""
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return max(0.0, centre - half), min(1.0, centre + half)
