"""Counting a training's losses and time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from core.runs.events import EpochEnded, Progress, finite

if TYPE_CHECKING:
    from core.training.loop import Checkpoint

PROGRESS_INTERVAL_S = 0.1
CHECKPOINT_SHARE = 0.005
"""Maximum fraction of the training time for all but the first and last checkpoints: an epoch may take milliseconds."""


class Meter:
    """Counts of losses and time. Losses stay on the device until an event is due: reading one waits for the device."""

    def __init__(self, num_steps: int, batch_size: int, device: torch.device) -> None:
        self.running_loss = 0.0
        self._num_steps = num_steps
        self._batch_size = batch_size
        self._losses = torch.zeros(num_steps, device=device)
        self._reported = 0
        now = time.perf_counter()
        self._began = self._epoch_began = self._last_checkpoint = now
        self._last_progress = now
        self._next_progress = now  # the very first batch is reported
        self._checkpoint_cost = 0.0

    def restore(self, checkpoint: Checkpoint) -> None:
        if checkpoint["step"] < self._num_steps:
            self._reported = checkpoint["step"]
            self.running_loss = checkpoint["running_loss"]
            self._epoch_began -= checkpoint["epoch_elapsed_s"]
        self._began -= checkpoint["elapsed_s"]

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._began

    @property
    def epoch_elapsed_s(self) -> float:
        return time.perf_counter() - self._epoch_began

    def add(self, step: int, loss: torch.Tensor) -> None:
        self._losses[step - 1] = loss

    def add_all(self, first_step: int, losses: Sequence[float]) -> None:
        """Add the losses of several steps, which were read from the device together with those of other runs."""
        self._losses[first_step - 1 : first_step - 1 + len(losses)] = torch.tensor(losses)

    def progress_due(self) -> bool:
        return time.perf_counter() >= self._next_progress

    def progress(self, epoch: int, step: int) -> Progress:
        """Report the losses since the last progress, up to `step` or to the first that is not finite."""
        losses: list[float | None] = []
        for loss in self._losses[self._reported : step].tolist():
            losses.append(finite(loss))
            self.running_loss += loss
            if losses[-1] is None:
                break
        now = time.perf_counter()
        images_per_s = len(losses) * self._batch_size / max(now - self._last_progress, 1e-9)
        self._reported += len(losses)
        self._last_progress, self._next_progress = now, now + PROGRESS_INTERVAL_S
        return Progress(
            epoch=epoch,
            step=self._reported,
            loss=finite(self.running_loss / self._reported),
            losses=tuple(losses),
            images_per_s=images_per_s,
            elapsed_s=self.elapsed_s,
        )

    def epoch_ended(self, epoch: int) -> EpochEnded:
        event = EpochEnded(epoch=epoch, loss=self.running_loss / self._num_steps, seconds=self.epoch_elapsed_s)
        self._epoch_began = time.perf_counter()
        self._reported, self.running_loss = 0, 0.0
        return event

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude what happens inside from the training's time."""
        began = time.perf_counter()
        yield
        self.exclude(time.perf_counter() - began)

    def exclude(self, seconds: float) -> None:
        """Exclude the last seconds from the training's time."""
        self._began += seconds
        self._epoch_began += seconds
        self._last_progress += seconds

    def checkpoint_due(self, interval_s: float = 0.0) -> bool:
        wait = max(interval_s, self._checkpoint_cost / CHECKPOINT_SHARE)
        return time.perf_counter() - self._last_checkpoint >= wait

    @contextmanager
    def checkpointing(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._last_checkpoint = time.perf_counter()
        self._checkpoint_cost = self._last_checkpoint - began
