"""One of several runs that are trained together, and the step that those take that are as far as each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from core.config import RunConfig
from core.data.datasets import Dataset
from core.randomness import random_state
from core.runs.control import NOTHING
from core.training.loop import Checkpoint, Look, Training, misfit_refused, own_copy
from core.training.meter import Meter
from core.training.order import draw_order, num_steps
from core.training.stacked import Stack
from core.training.steps.plain import autocast

_CPU = torch.device("cpu")


def on_device(dataset: Dataset, device: torch.device) -> Dataset:
    """Return the data to train on where they are needed, once for all runs."""
    names = ("train_images", "train_labels", "validation_images", "validation_labels")
    return replace(dataset, **{name: getattr(dataset, name).to(device) for name in names})


class Member(Training):
    """One of the runs."""

    def __init__(
        self,
        network: nn.Module,
        dataset: Dataset,
        config: RunConfig,
        device: torch.device,
        *,
        resume_from: Checkpoint | None,
        save: Callable[[Checkpoint], None],
        look: Look,
    ) -> None:
        """Take a network over just after it was built: the state of the random generators is now the run's own.

        `save` and `look` are as in `loop.train`. Raises `Problem` if `resume_from` does not fit the network.
        """
        super().__init__(network, dataset, config, device, is_alone=False)
        self.num_steps = num_steps(dataset, config)
        self.meter = Meter(self.num_steps, config.batch_size, _CPU)  # the losses of all runs are read at once
        self.save, self.look = save, look
        self._random: dict[str, Any] = dict(random_state())
        self._generator_of_dropout = torch.Generator()
        self._generator_of_dropout.set_state(self._random["rng_state"])
        self._order: Tensor | None = None
        self._drawn_ahead: tuple[Tensor, Tensor] | None = None
        self.asked = NOTHING
        self.is_paused = False
        self.has_left = False
        self.ends_finite = True
        """False if the last epoch has left a parameter that is not finite."""
        self.idle_since: float | None = time.perf_counter()
        """Time since when the member waits for others, or in a pause; None while it trains."""
        self.epoch, self.step_done = self.start_from(resume_from)
        if self.step_done and resume_from is not None:
            self.order()
            self.restore_rng(resume_from)

    @property
    def position(self) -> tuple[int, int]:
        """The epoch, and its completed batches."""
        return self.epoch, self.step_done

    @property
    def has_validation(self) -> bool:
        return len(self._validation_labels) > 0

    @property
    def lr(self) -> float:
        return float(self._optimizer.param_groups[0]["lr"])

    def order(self) -> Tensor:
        """Return the order of the epoch's images, int64, on the CPU."""
        if self._order is None:
            self._order_state, self._order = self._drawn_ahead or self._draw_order()
            self._drawn_ahead = None
        return self._order

    def draw_ahead(self) -> None:
        """Draw the order of the next epoch, while the device still has steps of this one to take."""
        self._drawn_ahead = self._drawn_ahead or self._draw_order()

    def share_validation(self, other: Member) -> None:
        """Validate on the other's images, which are the same, in the same place of memory."""
        self._validation_images, self._validation_labels = other._validation_images, other._validation_labels

    def leave(self) -> None:
        """Take no further part: nothing more is reported or saved of this run."""
        self.has_left = True

    def end_of_epoch(self) -> None:
        """Stand before the next epoch."""
        self.epoch, self.step_done, self._order = self.epoch + 1, 0, None

    def restore_rng(self, checkpoint: Checkpoint) -> None:
        with misfit_refused():
            self._generator_of_dropout.set_state(checkpoint["rng_state"])
        self._random |= {name: value for name, value in checkpoint.items() if name in self._random}

    def _draw_order(self) -> tuple[Tensor, Tensor]:
        """Draw the order of a new epoch; return the generator's state before it, and the order."""
        return self._generator.get_state(), draw_order(len(self.batches.labels), self._generator, exact=False)

    def _capture(self, epoch: int, step: int) -> Checkpoint:
        """Return the state of this run alone, to be resumed alone: nothing in it is part of what others share."""
        captured: dict[str, Any] = {**super()._capture(epoch, step), **self._random}
        captured["rng_state"] = self._generator_of_dropout.get_state()
        if self._device.type == "cuda":
            # The device has drawn for all runs at once: resumed alone, each goes on from a state of its own.
            generator = torch.Generator(self._device).manual_seed(_seed_at([self]))
            captured["cuda_rng_state"] = generator.get_state()
        own = {name: own_copy(captured[name]) for name in ("network", "optimizer")}
        return cast(Checkpoint, captured | own)


class StackedTraining:
    """The members that are at the same batch, and the step that all of them take at once."""

    def __init__(self, members: list[Member]) -> None:
        self.members = list(members)
        first = members[0]
        self._batches = first.batches
        self._autocast = autocast(first._config, first._device)
        self._batch_size = first._config.batch_size
        generators = None
        if first._device.type == "cpu":  # dropout draws as in each run alone; elsewhere that takes a kernel for each
            generators = [member._generator_of_dropout for member in members]
        else:
            torch.manual_seed(_seed_at(members))
        self._stack = Stack([each._network for each in members], [each._optimizer for each in members], generators)
        self.are_finite, self.release = self._stack.are_finite, self._stack.release

    def orders(self) -> Tensor:
        """Return the orders of all members' images, on the device."""
        return torch.stack([member.order() for member in self.members]).to(self._batches.labels.device)

    def step(self, orders: Tensor, step: int) -> Tensor:
        """Take a step: the `step`-th, counted from 1, of an epoch with these orders; return the losses."""
        batch = orders[:, (step - 1) * self._batch_size : step * self._batch_size]
        shape = (len(self.members), -1)
        images, labels = self._batches.take(batch.flatten())
        return self._stack.step(images.view(*shape, *images.shape[2:]), labels.view(shape), self._autocast)


def _seed_at(members: Sequence[Member]) -> int:
    """Return a seed that is another for other members, and at another batch."""
    return hash((*(member._config.seed for member in members), *members[0].position)) % 2**63
