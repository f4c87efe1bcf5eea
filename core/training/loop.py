"""The training loop, the exam's second stage, as a stream of events."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from core.config import RunConfig
from core.data.datasets import Dataset
from core.messages import N_, Message, Problem, reason
from core.networks.state import load_network_state, network_state
from core.randomness import RandomState, random_state, random_state_kept, restore_random_state
from core.runs.control import NOTHING, Request
from core.runs.events import (
    CheckpointSaved,
    Event,
    Notice,
    RunEnded,
    SettingsChanged,
    Validated,
    WeightsRestored,
    finite,
)
from core.training import acceleration
from core.training.batches import Batches, normalise
from core.training.evaluation import evaluate, evaluation_batch_size
from core.training.meter import Meter
from core.training.optimizer import make_optimizer, set_lr
from core.training.order import draw_order, num_steps
from core.training.steps.choose import Steps

HOLD_LOOK_S = 0.1
"""Seconds between two looks whether a pause is over."""
CHECKPOINT_INTERVAL_S = 5.0
"""Minimum seconds between checkpoints within an epoch."""
LOSS_NOT_FINITE = N_("the loss is no longer finite: epoch {epoch}, batch {step}")
PARAMETERS_NOT_FINITE = N_("the parameters are no longer finite: epoch {epoch}, batch {step}")


Look = Callable[[int, int], Request]
"""A function that returns what is asked of a training after a batch of an epoch."""


class Best(TypedDict):
    """The epoch with the least validation loss so far, where patience asks for its weights."""

    epoch: int
    loss: float
    network: dict[str, Any]


class Checkpoint(RandomState):
    """Everything that the rest of a training depends on: once resumed, it gives the same numbers as without a stop."""

    network: dict[str, Any]
    optimizer: dict[str, Any]
    epoch: int
    step: int
    running_loss: float
    elapsed_s: float
    epoch_elapsed_s: float
    order_state: torch.Tensor
    """State of the generator before it drew the order of the epoch's images."""
    best: Best | None


def train(
    network: nn.Module,
    dataset: Dataset,
    config: RunConfig,
    device: torch.device,
    *,
    resume_from: Checkpoint | None = None,
    save: Callable[[Checkpoint], None],
    look: Look = lambda _epoch, _step: NOTHING,
) -> Iterator[Event]:
    """Train `network` in place and yield events; end early with `RunEnded` if asked to stop or a loss is not finite.

    `save` stores a checkpoint, and raises `OSError` if it cannot: the training goes on without. `look` returns what is
    asked of the training after that batch of an epoch. Raises `Problem` if `resume_from` does not fit the network.
    """
    training = Training(network, dataset, config, device)
    try:
        yield from _train(training, resume_from, save, look)
    finally:
        training.steps.close()


def _train(
    training: Training, resume_from: Checkpoint | None, save: Callable[[Checkpoint], None], look: Look
) -> Iterator[Event]:
    meter = training.meter
    epoch, first_step = training.start_from(resume_from)
    while not training.is_over(epoch):
        batches = training.draw_batches()
        if first_step and resume_from is not None:
            training.restore_rng(resume_from)
        training.begin_epoch()
        for step, batch in enumerate(batches[first_step:], first_step + 1):
            meter.add(step, training.steps.take(batch))
            yield from training.notices()
            asked = look(epoch, step)
            # A checkpoint holds the losses reported so far: they are reported before it.
            save_now = asked.stop or bool(asked.paused) or meter.checkpoint_due(CHECKPOINT_INTERVAL_S)
            if meter.progress_due() or save_now or asked is not NOTHING or step == len(batches):
                progress = meter.progress(epoch, step)
                yield progress
                if progress.loss is None:
                    yield diverged(LOSS_NOT_FINITE, epoch, progress.step)
                    return
            if asked is not NOTHING:
                yield from training.change(epoch, step, asked)
            if save_now and step < len(batches):
                yield from training.checkpoint(epoch, step, save)
                if asked.paused:
                    asked = yield from training.hold(epoch, step, look)
            if asked.stop:
                break
        first_step = 0
        if step == len(batches):
            yield meter.epoch_ended(epoch)
            if not training.is_finite():
                yield diverged(PARAMETERS_NOT_FINITE, epoch, step)
                return
            asked = yield from training.end_epoch(epoch, step, asked, save, look)
        if asked.stop:
            yield RunEnded(status="stopped")
            return
        epoch += 1
    yield from training.restore_best(epoch - 1)


def diverged(text: str, epoch: int, step: int) -> RunEnded:
    """Return the end of a run with a loss or parameters that are not finite: no later loss would be finite either."""
    return RunEnded(
        status="diverged",
        message=Message(text, {"epoch": epoch, "step": step}),
        advice=Message("Try a lower learning rate. The last good checkpoint is kept."),
    )


class Training:
    """A network, its data and its optimizer on a device."""

    def __init__(
        self, network: nn.Module, dataset: Dataset, config: RunConfig, device: torch.device, *, is_alone: bool = True
    ) -> None:
        acceleration.prepare(device, config)
        self._network = network.to(device)
        acceleration.lay_out(network, device, exact=config.exact)
        self._forward = acceleration.fast_equivalent(network, device, exact=config.exact)
        self._config = config
        self._device = device
        self._dataset = dataset
        self.batches = Batches.of(dataset, device)
        self._validation_images = normalise(dataset.validation_images.to(device), dataset)
        self._validation_labels = dataset.validation_labels.to(device)
        self._optimizer = make_optimizer(network, config)
        # A parameter that is never used may start as whatever was in memory. Adam refuses those that are not strided.
        trained = [each for each in network.parameters() if each.requires_grad and each.layout is torch.strided]
        buffers = [each for each in network.buffers() if each.layout is torch.strided]
        self._finite_at_first = list(filter(_is_finite, [*trained, *buffers]))
        # An order drawn from the seed alone is the same for every network, so that their runs can be paired; but the
        # exam's program draws it from the generator that initialised the network.
        self._generator = torch.default_generator if config.exact else torch.Generator().manual_seed(config.seed)
        self._order_state = self._generator.get_state()
        self.meter = Meter(num_steps(dataset, config), config.batch_size, device)
        self._is_save_failing = False
        self._epochs = config.epochs
        self._best: Best | None = None
        # Last: nothing may fail between this and whoever closes them.
        self.steps = Steps(network, self._forward, self.batches, self._optimizer, config, device, fast=is_alone)

    def is_over(self, epoch: int) -> bool:
        """Tell if the training ends before an epoch: it was the last, or the validation loss has long not fallen."""
        patience, best = self._config.patience, self._best
        return epoch > self._epochs or bool(patience and best is not None and epoch - best["epoch"] > patience)

    def draw_batches(self) -> tuple[torch.Tensor, ...]:
        """Draw the order of a new epoch and return the indices of each batch."""
        self._order_state = self._generator.get_state()
        order = draw_order(len(self._dataset.train_labels), self._generator, exact=self._config.exact).to(self._device)
        return torch.split(order, self._config.batch_size)

    def begin_epoch(self) -> None:
        self._network.train()
        if self._forward is not self._network:  # a custom network may do something each time
            self._forward.train()

    def notices(self) -> Iterator[Notice]:
        """Return what there is to tell of the steps, once."""
        while self.steps.notices:
            yield Notice(message=self.steps.notices.pop(0))

    def end_epoch(
        self, epoch: int, step: int, asked: Request, save: Callable[[Checkpoint], None], look: Look
    ) -> Generator[Event, None, Request]:
        """Validate, save a checkpoint if one is due, and hold if that is asked; return what is asked for then."""
        if len(self._validation_labels):
            yield self.validate(epoch)
        if asked.stop or asked.paused or self.is_over(epoch + 1) or self.meter.checkpoint_due():
            yield from self.checkpoint(epoch, step, save)
        return (yield from self.hold(epoch, step, look)) if asked.paused else asked

    def is_finite(self) -> bool:
        """Return False once a parameter has a value that is not finite."""
        return all(map(_is_finite, self._finite_at_first))

    def validate(self, epoch: int) -> Validated:
        """Validate without affecting the training's random numbers, running statistics or time."""
        with self.meter.paused(), random_state_kept(self._device):
            size = evaluation_batch_size(self._config)
            evaluation = evaluate(self._forward, self._validation_images, self._validation_labels, size)
        loss = finite(evaluation.loss)
        if self._config.patience and loss is not None and (self._best is None or loss < self._best["loss"]):
            self._best = {"epoch": epoch, "loss": loss, "network": own_copy(network_state(self._network))}
        return Validated(epoch=epoch, loss=loss, accuracy=evaluation.accuracy)

    def restore_best(self, last: int) -> Iterator[Event]:
        """Put the best epoch's weights back after the `last` one, where patience asks for it."""
        if self._best is None:
            return
        epoch, loss = self._best["epoch"], self._best["loss"]
        if last < self._epochs:
            text = N_("the validation loss has not fallen since epoch {epoch}: training ends after epoch {last}")
            yield Notice(message=Message(text, {"epoch": epoch, "last": last}))
        load_network_state(self._network, self._best["network"])
        yield WeightsRestored(epoch=epoch, loss=loss)

    def change(self, epoch: int, step: int, asked: Request) -> Iterator[Event]:
        """Set the learning rate and the number of epochs if that is asked, from the next batch on."""
        if asked.lr is None and asked.epochs is None:
            return
        if asked.lr is not None:
            set_lr(self._optimizer, asked.lr)
        if asked.epochs is not None:
            self._epochs = max(asked.epochs, epoch)
        yield SettingsChanged(
            epoch=epoch, step=step, lr=asked.lr, epochs=None if asked.epochs is None else self._epochs
        )

    def hold(self, epoch: int, step: int, look: Look) -> Generator[Event, None, Request]:
        """Wait until `look` no longer asks for a pause, and return what it asks for then; no training time passes."""
        yield SettingsChanged(epoch=epoch, step=step, paused=True)
        with self.meter.paused():
            while not (asked := look(epoch, step)).stop and asked.paused:
                yield from self.change(epoch, step, asked)
                time.sleep(HOLD_LOOK_S)
        if not asked.stop:
            yield SettingsChanged(epoch=epoch, step=step, paused=False)
            yield from self.change(epoch, step, asked)
        return asked

    def checkpoint(self, epoch: int, step: int, save: Callable[[Checkpoint], None]) -> Iterator[Event]:
        """Save a checkpoint. Why that fails is said once, and again only when one was saved in between."""
        with self.meter.checkpointing():
            failure = self._save(epoch, step, save)
        if failure is None:
            yield CheckpointSaved(epoch=epoch, step=step)
        elif not self._is_save_failing:
            yield Notice(message=failure)
        self._is_save_failing = failure is not None

    def _save(self, epoch: int, step: int, save: Callable[[Checkpoint], None]) -> Message | None:
        """Return why there is no checkpoint, if there is none."""
        if not self.is_finite():
            return Message("no checkpoint: the parameters are no longer finite")
        try:
            save(self._capture(epoch, step))
        except OSError as error:
            text = N_("the checkpoint could not be saved ({reason}): training continues without it")
            return Message(text, {"reason": reason(error)})
        return None

    def _capture(self, epoch: int, step: int) -> Checkpoint:
        return {
            "network": network_state(self._network),
            "optimizer": self._optimizer.state_dict(),
            "epoch": epoch,
            "step": step,
            "running_loss": self.meter.running_loss,
            "elapsed_s": self.meter.elapsed_s,
            "epoch_elapsed_s": self.meter.epoch_elapsed_s,
            "order_state": self._order_state,
            "best": self._best,
            **random_state(self._device),
        }

    def start_from(self, checkpoint: Checkpoint | None) -> tuple[int, int]:
        """Return the epoch to begin with and its completed batches, after going on from a checkpoint if there is one.

        Raises `Problem` if that does not fit the network.
        """
        if checkpoint is None:
            return 1, 0
        epoch, step = self.restore(checkpoint)
        if step < num_steps(self._dataset, self._config):
            return epoch, step
        self.draw_batches()
        self.restore_rng(checkpoint)
        return epoch + 1, 0

    def restore(self, checkpoint: Checkpoint) -> tuple[int, int]:
        """Go on from a checkpoint, and return its epoch and step. Raises `Problem` if it does not fit the network."""
        (group,) = self._optimizer.param_groups
        settings = {name: value for name, value in group.items() if name != "params"}
        with misfit_refused():
            load_network_state(self._network, checkpoint["network"])
            self._optimizer.load_state_dict(checkpoint["optimizer"])
            # Another device or version may have had another implementation of Adam, which is one of its settings.
            self._optimizer.param_groups[0].update(settings)
            self._generator.set_state(checkpoint["order_state"])
            self._best = checkpoint.get("best")  # which older versions did not keep
        self.meter.restore(checkpoint)
        return checkpoint["epoch"], checkpoint["step"]

    def restore_rng(self, checkpoint: Checkpoint) -> None:
        with misfit_refused():
            restore_random_state(checkpoint, self._device)


def _is_finite(parameter: torch.Tensor) -> bool:
    return bool(parameter.detach().isfinite().all())


def own_copy(value: Any) -> Any:
    """Return a part of a state whose tensors share no memory with others; `copy` would copy all of a stack."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: own_copy(each) for key, each in value.items()}
    return copy.deepcopy(value)


@contextmanager
def misfit_refused() -> Iterator[None]:
    """Raise `Problem` for what torch says of a checkpoint that is not of this network."""
    try:
        yield
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        # Torch's first line only announces the others.
        why = str(error).split("\n")[1].strip() if str(error).startswith("Error(s) in loading") else reason(error)
        raise Problem("the checkpoint does not fit the network: {reason}", reason=why) from error
