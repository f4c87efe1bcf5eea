"""The one fold of a run's events: everything that a reader asks about a run, in bounded memory.

A panel, the list of runs, the printed lines and a comparison read the same record, so they cannot disagree.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Literal

import msgspec

from core.config import RunConfig
from core.messages import N_, Message
from core.runs.events import (
    EpochEnded,
    Evaluated,
    Event,
    LayersMeasured,
    Notice,
    Progress,
    RunEnded,
    RunStarted,
    SettingsChanged,
    Validated,
    WeightsRestored,
)
from core.runs.history import LossHistory

State = Literal[
    "starting", "running", "paused", "silent", "crashed", "done", "stopped", "diverged", "failed", "unreadable"
]
LIVE: frozenset[State] = frozenset({"starting", "running", "paused"})
UNENDED: frozenset[State] = LIVE | {"silent"}
"""States that may still change without a resumption."""
RESUMABLE: frozenset[State] = frozenset({"silent", "crashed", "stopped", "diverged", "failed"})

MAX_MEASURED = 8
"""Number of newest epochs whose layers are kept."""
MAX_REMARKS = 20
_TOGETHER = N_(
    "trained together with others, {number} runs in all, of other seeds: each step is that of the run alone, up to"
    " rounding; its times are those of all of them"
)
MAX_LINES = 500
"""Number of newest epochs whose lines are kept."""


def trained_together(number: int) -> Message:
    """Return the remark of each of so many runs that one process trains at once."""
    return Message(_TOGETHER, {"number": number})


class Record:
    """Everything known about a run from its events so far, the same for a live run and an old one.

    The events may begin at the tail of the file, after the run's first `RunStarted`: `position` and what follows from
    it, the end and the result are then the same as from the whole file. Without `keep_losses`, `history` has only
    the losses of whole epochs and the validations.
    """

    def __init__(self, *, keep_losses: bool = True) -> None:
        self.started: RunStarted | None = None
        self.progress: Progress | None = None
        """Latest progress since the run was last started."""
        self.newest_progress: Progress | None = None
        """Latest progress, also one before the run was last started if it went on from there."""
        self.evaluated: Evaluated | None = None
        self.ended: RunEnded | None = None
        self.threads = 0
        """Number of CPU threads that the run trains with now; 0 if not known yet."""
        self.threads_changed = False
        """True once the number has been another, after which the run's numbers are those of no other."""
        self.paused = False
        self.is_steered = False
        """True once its learning rate or number of epochs was changed, after which it is like no other run."""
        self.changes: dict[Literal["lr", "epochs"], list[SettingsChanged]] = {"lr": [], "epochs": []}
        """Changes of a setting in the order of their batches, also those that a resumed run has yet to repeat."""
        self.restored: WeightsRestored | None = None
        """Epoch whose weights were tested, if not those of the last one."""
        self.notice: Notice | None = None
        """Latest notice, until the next progress, start or end."""
        self.remarks: deque[Notice] = deque(maxlen=MAX_REMARKS)
        """Newest notices that say more than how far something is."""
        self.epochs: deque[EpochEnded] = deque(maxlen=MAX_LINES)
        """Newest epochs."""
        self.validations: deque[Validated] = deque(maxlen=MAX_LINES)
        """Newest validations."""
        self.measured: deque[LayersMeasured] = deque(maxlen=MAX_MEASURED)
        """Layers after the newest epochs that they were measured after."""
        self.epoch_losses = array("d")
        """Loss of every epoch."""
        self.epoch_seconds = array("d")
        """Seconds of every epoch."""
        self._config: RunConfig | None = None
        self._epoch_numbers = array("q")
        self._keep_losses = keep_losses

    @cached_property
    def history(self) -> LossHistory:
        """Curves of the losses, made only when needed: the list of runs is twice as fast without them."""
        return LossHistory()

    # The task

    @property
    def is_sample(self) -> bool:
        return self.started is not None and self.started.dataset == "sample"

    @property
    def config(self) -> RunConfig:
        """Settings that the run trains with now, with what was changed. Only for a run that has started."""
        assert self._config is not None
        return self._config

    @property
    def total_steps(self) -> int:
        """Number of batches in the whole training."""
        return self.config.epochs * self.started.steps_per_epoch if self.started else 0

    # Progress

    @property
    def position(self) -> tuple[int, int]:
        """Current epoch, counted from 1, and its completed batches; 0, 0 before the run starts."""
        if self.started is None:
            return 0, 0
        at = self.progress or self.started
        if self.evaluated is not None and (at.epoch, at.step) == (1, 0):  # the progress was not read
            return self.config.epochs, self.started.steps_per_epoch
        return at.epoch, at.step

    @property
    def done_steps(self) -> int:
        """Number of completed batches, out of `total_steps`."""
        return self._steps_at(*self.position) if self.started else 0

    @property
    def share(self) -> float:
        """Completed fraction of the training, from 0 to 1."""
        if self.evaluated is not None:  # patience may have ended it early
            return 1.0
        return min(1.0, self.done_steps / self.total_steps) if self.total_steps else 0.0

    @property
    def mean_images_per_s(self) -> float:
        """Images trained with per second so far, over all epochs; 0 before the first progress."""
        if self.started is None or self.progress is None or self.progress.elapsed_s <= 0:
            return 0.0
        images = self.done_steps * self.started.train_size / max(1, self.started.steps_per_epoch)
        return images / self.progress.elapsed_s

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last batch at the current speed; None before the first progress."""
        if self.started is None or self.progress is None:
            return None
        steps = max(0, self.total_steps - self.done_steps)
        return steps * self.started.config.batch_size / max(self.progress.images_per_s, 1e-9)

    @property
    def total_seconds(self) -> float | None:
        """Seconds that the whole training takes at its pace so far; None before the first progress."""
        return self.progress.elapsed_s / self.share if self.progress is not None and self.share > 0 else None

    def status(self, attempt: int) -> State | None:
        """Return the status at the run's end; None if `attempt`, the newest, has not ended."""
        return self.ended.status if self.ended is not None and self.ended.attempt >= attempt else None

    # Folding in events

    def apply(self, events: Iterable[Event]) -> None:
        """Fold in the next events, in the order in which they were written."""
        for event in events:
            match event:
                case Progress():
                    self._add_progress(event)
                case EpochEnded():
                    self._add_epoch(event)
                case Validated():
                    if not self.validations or event.epoch > self.validations[-1].epoch:
                        self.validations.append(event)
                        if self._keep_losses:
                            self.history.add_validation(self._last_step(event.epoch), event.loss, event.accuracy)
                case LayersMeasured():
                    if not self.measured or event.epoch > self.measured[-1].epoch:
                        self.measured.append(event)
                case RunStarted():
                    self._start(event)
                case Evaluated():
                    self.evaluated = event
                case RunEnded():
                    self.ended, self.notice, self.paused = event, None, False
                case SettingsChanged():
                    self._change(event)
                case WeightsRestored():
                    self.restored = event
                case Notice():
                    self.notice = event
                    if event.fraction is None:
                        self.remarks.append(event)

    @property
    def is_together(self) -> bool:
        """True if its times are those of several runs, trained at once."""
        return any(remark.message.text == _TOGETHER for remark in self.remarks)

    def settings_at(self, epoch: int, step: int) -> dict[str, Any]:
        """Return what changes had made of the settings once that batch was completed."""
        found: dict[str, Any] = {}
        for name, changes in self.changes.items():
            for change in changes:
                if (change.epoch, change.step) <= (epoch, step):
                    found[name] = getattr(change, name)
        return found

    def changes_after(self, epoch: int, step: int) -> list[SettingsChanged]:
        """Return what changes made of the settings at each later batch, in order: a resumed run repeats that."""
        later: dict[tuple[int, int], dict[str, Any]] = {}
        for name, changes in self.changes.items():
            for change in changes:
                if (change.epoch, change.step) > (epoch, step):
                    later.setdefault((change.epoch, change.step), {})[name] = getattr(change, name)
        return [SettingsChanged(epoch=at[0], step=at[1], **values) for at, values in sorted(later.items())]

    def _change(self, event: SettingsChanged) -> None:
        if event.threads is not None:
            self._set_threads(event.threads)
        if event.paused is not None:
            self.paused = event.paused
        for name, changes in self.changes.items():
            if getattr(event, name) is None:
                continue
            while not event.repeated and changes and (changes[-1].epoch, changes[-1].step) >= (event.epoch, event.step):
                changes.pop()  # made before a resumption, and not to be made again
            if not event.repeated:
                changes.append(event)
            self._set(**{name: getattr(event, name)})

    def _set(self, **changed: Any) -> None:
        self.is_steered = True
        if self._config is not None:
            self._config = msgspec.structs.replace(self._config, **changed)

    def _set_threads(self, threads: int) -> None:
        self.threads_changed |= self.threads not in (0, threads)
        self.threads = threads

    def _start(self, event: RunStarted) -> None:
        self._set_threads(event.threads)
        self.started, self.progress, self._config = event, None, event.config
        at = self.newest_progress
        if at is not None and (at.epoch, at.step) != (event.epoch, event.step):
            self.newest_progress = None
        self.ended = self.evaluated = self.notice = self.restored = None
        self.paused = False
        if changed := self.settings_at(event.epoch, event.step):
            self._set(**changed)
        # A resumed run repeats what came after its checkpoint.
        if self._keep_losses:
            self.history.truncate(self._steps_at(event.epoch, event.step))
        first_again = event.epoch if event.step < event.steps_per_epoch else event.epoch + 1
        for per_epoch in (self.epochs, self.validations, self.measured):
            while per_epoch and per_epoch[-1].epoch >= first_again:
                per_epoch.pop()
        while self._epoch_numbers and self._epoch_numbers[-1] >= first_again:
            for values in (self._epoch_numbers, self.epoch_losses, self.epoch_seconds):
                values.pop()

    def _add_progress(self, event: Progress) -> None:
        if self.started is None:
            return
        self.progress = self.newest_progress = event
        self.notice = None
        for name in self.changes:  # known from the changes, except where only the tail was read
            value = getattr(event, name)
            if value is not None and not (self.is_steered and value == getattr(self.config, name)):
                self._set(**{name: value})
        if self._keep_losses:
            step = self._steps_at(event.epoch, event.step)
            self.history.extend(step - len(event.losses), event.losses)
            self.history.add_seconds(step, event.elapsed_s)
            if event.loss is not None:
                self.history.add_running(step - 1, event.loss)

    def _add_epoch(self, event: EpochEnded) -> None:
        if self._epoch_numbers and event.epoch <= self._epoch_numbers[-1]:
            return
        self.epochs.append(event)
        self._epoch_numbers.append(event.epoch)
        self.epoch_losses.append(event.loss)
        self.epoch_seconds.append(event.seconds)
        if self._keep_losses:
            self.history.add_epoch(self._last_step(event.epoch), event.loss)

    def _last_step(self, epoch: int) -> int:
        return self._steps_at(epoch + 1, 0) - 1

    def _steps_at(self, epoch: int, step: int) -> int:
        return (epoch - 1) * self.started.steps_per_epoch + step if self.started else 0
