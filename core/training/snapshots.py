"""Snapshots taken while a network trains: at moments that are dense at the beginning, in little space and time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from core import files
from core.config import MAX_SNAPSHOTS, RunConfig
from core.messages import N_, Message, reason
from core.networks.state import network_state
from core.runs import snapshots
from core.runs.directory import Run
from core.runs.events import RunStarted
from core.runs.lease import Held
from core.training import weights

MAX_MEGABYTES = 10
"""Most space that a run's snapshots take, in millions of bytes."""
MAX_SHARE = 0.01
"""Most of a training's time that its snapshots take."""
_WARM_UP = 5
"""Batches that may take longer than the others: kernels are chosen, and captured."""
_MEASURED = 20
"""Batches after these from which the pace is known."""
_ASSUMED_BYTES_PER_S = 2e8
"""Pace of the first snapshot, before one is measured."""


def planned_steps(number: int, total: int) -> list[int]:
    """Return the completed batches at `number` moments before the last of `total` batches: 0, then a geometric series.

    Four before 4,690 are 0, 8, 68 and 567.
    """
    steps: list[int] = []
    for index in range(number):
        geometric = round(total ** (index / number)) if index else 0
        steps.append(max(geometric, steps[-1] + 1) if steps else geometric)
    return [step for step in steps if step < total]


class SnapshotKeeper:
    """Takes the snapshots of an attempt at a run, as long as they take little of its time.

    Those of the first batches wait in memory until the pace of the training is known.
    """

    def __init__(
        self,
        run: Run,
        held: Held,
        network: nn.Module,
        started: RunStarted,
        config: RunConfig,
        tell: Callable[[Message], None],
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Plan the snapshots from where the attempt has started, and take the first one if that is the beginning.

        Raises `Lost`.
        """
        import safetensors.torch  # noqa: F401 - a snapshot's time is not that of the import

        self._run, self._held, self._network = run, held, network
        self._steps_per_epoch = started.steps_per_epoch
        self._tell, self._clock = tell, clock
        self._asks_for_all = config.snapshots == MAX_SNAPSHOTS
        self._start = self._at = self._position(started.epoch, started.step)
        self._total = config.epochs * started.steps_per_epoch
        self._began = self._last = clock()
        self._size = max(1, sum(map(_size, _tensors(network).values())))
        self._waiting: list[tuple[int, int, dict[str, torch.Tensor]]] = []
        self._spent_s = 0.0
        self._num_tried = self._num_left_out = 0
        self._is_failing = False
        self._planned = self._plan(config.snapshots - 1, self._kept_before())
        if self._planned and self._planned[0] == self._start:
            self._take(started.epoch, started.step)

    def after_batch(self, epoch: int, step: int) -> None:
        """Take a snapshot if one is planned after a batch; in a pause after it this is called again. Raises `Lost`."""
        if not (self._planned or self._waiting):
            return
        now, at = self._clock(), self._position(epoch, step)
        if at == self._at:
            self._began += now - self._last  # a pause takes none of the training's time
        elif at == self._start + _WARM_UP:
            self._began = now = self._synchronised()
        self._at, self._last = at, now
        if self._planned and at >= self._planned[0]:
            self._take(epoch, step)
        if self._waiting and at >= self._start + _WARM_UP + _MEASURED:
            self._keep_waiting()

    def end_early(self) -> None:
        """Keep what waits when the training is stopped or has diverged: nobody can take it again. Raises `Lost`."""
        for epoch, step, tensors in self._waiting:
            self._write(epoch, step, tensors)
        self._waiting.clear()

    def finish(self) -> None:
        """Say at the end of the training if snapshots were left out that were asked for."""
        self._num_left_out += len(self._waiting)
        if self._num_left_out and not self._asks_for_all:
            text = N_("snapshots left out, as they would take more than a hundredth of the time: {number}")
            self._tell(Message(text, {"number": self._num_left_out}))

    def _plan(self, asked: int, kept: Sequence[snapshots.Moment]) -> deque[int]:
        """Return the completed batches at the moments to come. Those kept by earlier attempts count."""
        fitting = min(asked, MAX_MEGABYTES * 1_000_000 // self._size)
        if fitting < asked and not self._asks_for_all:
            text = N_(
                "snapshots: {number} of the {asked} asked for before the end of the training fit in {megabytes} MB"
            )
            self._tell(Message(text, {"number": fitting, "asked": asked, "megabytes": MAX_MEGABYTES}))
        to_come = [at for at in planned_steps(fitting, self._total) if at > self._start or not self._start]
        return deque(to_come[: max(0, fitting - len(kept))])

    def _kept_before(self) -> list[snapshots.Moment]:
        """Return the snapshots of earlier attempts up to the start, and remove the others, which are abandoned."""
        self._held.look()
        files.sweep(snapshots.folder(self._run.path))
        for moment in snapshots.stored(self._run.path):
            if self._position(*moment.position) > self._start or not self._start:
                with suppress(OSError):
                    moment.path.unlink()
        return snapshots.moments(self._run)

    def _position(self, epoch: int, step: int) -> int:
        """Return the completed batches of the whole training."""
        return (epoch - 1) * self._steps_per_epoch + step

    def _take(self, epoch: int, step: int) -> None:
        began = self._synchronised()
        self._planned.popleft()
        copies = {name: value.detach().clone() for name, value in _tensors(self._network).items()}
        self._waiting.append((epoch, step, copies))
        self._charge(self._synchronised() - began)

    def _keep_waiting(self) -> None:
        """Write what waits, as far as it takes little of the time that the whole training takes at its pace so far."""
        measured = self._at - self._start - _WARM_UP
        total_s = (self._synchronised() - self._began) / measured * (self._total - self._start)
        for epoch, step, tensors in self._waiting:
            expected_s = self._spent_s / self._num_tried if self._num_tried else self._size / _ASSUMED_BYTES_PER_S
            if self._spent_s + expected_s > MAX_SHARE * total_s:
                self._num_left_out += 1
                continue
            began = self._clock()
            self._write(epoch, step, tensors)
            self._charge(self._clock() - began)
            self._num_tried += 1
        self._waiting.clear()

    def _charge(self, seconds: float) -> None:
        """Count the time of snapshots, which is no part of the training's pace."""
        self._spent_s += seconds
        self._began += seconds

    def _write(self, epoch: int, step: int, tensors: dict[str, torch.Tensor]) -> None:
        """Write a snapshot. Why that fails is said once. Raises `Lost`."""
        self._held.look()
        folder = snapshots.folder(self._run.path)
        try:
            folder.mkdir(exist_ok=True)
            if folder.is_symlink():
                raise OSError(f"{folder} is a link")
            path = snapshots.snapshot_path(self._run.path, self._held.attempt, epoch, step)
            files.replace(path, weights.pack(tensors), durable=False)
        except OSError as error:
            if not self._is_failing:
                text = N_("a snapshot could not be saved ({reason}): training continues without it")
                self._tell(Message(text, {"reason": reason(error)}))
            self._is_failing = True

    def _synchronised(self) -> float:
        """Return the time once a GPU has done what it was given: what it still has to do is no snapshot's time."""
        device = next((parameter.device for parameter in self._network.parameters()), None)
        if device is not None and device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device is not None and device.type == "mps":
            torch.mps.synchronize()
        return self._clock()


def _tensors(network: nn.Module) -> dict[str, torch.Tensor]:
    state: dict[str, Any] = network_state(network)
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


def _size(tensor: torch.Tensor) -> int:
    """Return the bytes that a tensor takes in a file."""
    return tensor.numel() * tensor.element_size()
