"""A trial of a custom network before its run: what is tried is what trains."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from math import isclose, isfinite
from typing import NamedTuple

import msgspec
import torch
from torch import nn

from core.catalogue import DATA_SETS, NUM_CLASSES, SIDE
from core.config import RunConfig
from core.data.datasets import Dataset
from core.messages import N_, Message, Problem
from core.networks.build import build_network
from core.networks.own import OwnNetwork
from core.networks.state import network_state
from core.networks.trail import Trail
from core.randomness import random_state_kept, seed_all
from core.training import checkpoints, devices
from core.training.batches import normalise
from core.training.evaluation import evaluate, evaluation_batch_size
from core.training.loop import Checkpoint, Training, own_copy

_ROUNDING = 1e-3
"""Difference of two losses that rounding may make: a step need not add up in the same order twice."""
_ROUNDING_ON_CPU = 1e-5
"""The same in single precision on a CPU, where it mostly does."""
_REST = 16
"""Images of the last batch of a test, which is smaller."""


class Remarks(NamedTuple):
    """What the user should know of a custom network that trains."""

    of_result: Message | None = None
    """What is wrong with any result of it."""
    of_resuming: Message | None = None
    """Why a run that is resumed goes on otherwise than one that was never stopped."""


def try_out(config: RunConfig, device: torch.device, train_size: int) -> Remarks:
    """Train a throwaway instance of a custom network by the run's own step, evaluate it, and resume it.

    It takes one step on a whole batch and one on the last batch of `train_size` images if that is smaller. Return what
    the user should know before the run, if there is anything. Of the built-in networks, only the last batch is checked.
    Raises `Problem` with the line in the user's file if a step fails. The random generators are left as they were.
    """
    if config.batch_norm and train_size % config.batch_size == 1:
        raise Problem(
            "batch norm cannot train on one image, and {size} images in batches of {batch_size} leave one for the"
            " last batch",
            advice=N_("Choose another batch size."),
            size=train_size,
            batch_size=config.batch_size,
        )
    if config.architecture.is_built_in:
        return Remarks()
    with random_state_kept(device):
        trial = _Trial(config, device)
        for size in dict.fromkeys([min(config.batch_size, train_size), train_size % config.batch_size]):
            if size:
                trial.step(size, train_size)
        return Remarks(trial.remark(), trial.remark_on_resuming(min(config.batch_size, train_size)))


class _Trial:
    def __init__(self, config: RunConfig, device: torch.device) -> None:
        self._config = config
        self._device = device
        self._culprit = OwnNetwork.of(config.architecture)
        self._name = config.model.rpartition("/")[2]
        self._network = self._new_network()

    def step(self, size: int, train_size: int) -> None:
        """Train on one batch. Raises `Problem`."""
        trail = Trail()
        try:
            with trail.following(self._network):
                self._take_step(self._config, self._network, size)
        except (KeyboardInterrupt, Problem):
            raise
        except BaseException as error:
            if problem := devices.out_of_memory(error):
                raise problem from error
            is_last = size == train_size % self._config.batch_size and size < self._config.batch_size
            text = N_("{where}: {class_name} fails in a training step on a batch of {size}: {reason}")
            problem = self._culprit.blamed(text, error, trail, line=self._line_by_anomaly(size), size=size)
            if is_last and self._succeeds(self._config, self._config.batch_size):
                problem.advice = Message(
                    "The last batch of {train_size} images has {size}: choose another batch size, such as {other}.",
                    {"train_size": train_size, "size": size, "other": str(self._other_batch_size(size, train_size))},
                )
            elif self._config.precision != "fp32":
                in_fp32 = msgspec.structs.replace(self._config, precision="fp32")
                if self._succeeds(in_fp32, size):
                    problem.advice = Message("It trains with the precision fp32.")
            raise problem from error

    @torch.no_grad()
    def remark(self) -> Message | None:
        """Evaluate the network, and return what is wrong with it although it trains."""
        batch_size = evaluation_batch_size(self._config)
        data = _some_data(batch_size + _REST)
        images = normalise(data.train_images.to(self._device), data)
        labels = torch.zeros(len(images), dtype=torch.int64, device=self._device)
        trail = Trail()
        try:
            with trail.following(self._network):
                evaluate(self._network, images, labels, batch_size)
                self._network.train()
                outputs = self._network(images[:batch_size]).float()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if problem := devices.out_of_memory(error):
                raise problem from error
            text = N_("{where}: {class_name} fails on test images: {reason}")
            raise self._culprit.blamed(text, error, trail) from error
        checkpoints.check_keepable(network_state(self._network))
        sums = outputs.sum(1)
        if bool((outputs >= 0).all()) and torch.allclose(sums, torch.ones_like(sums), atol=1e-3):
            return Message(
                "The outputs of {network} are probabilities, as after a softmax: the loss has a softmax of its own, and"
                " on top of another it stays above 1.46. Return the values before the softmax.",
                {"network": self._name},
            )
        return None

    def remark_on_resuming(self, size: int) -> Message | None:
        """Resume from a checkpoint after a step, and return what is wrong if the next step has another loss."""
        printed = io.StringIO()  # what it prints in each forward pass was seen before
        try:
            with redirect_stdout(printed), redirect_stderr(printed):
                loss, loss_resumed = self._next_losses(size)
        except KeyboardInterrupt:
            raise
        except BaseException:  # what fails here has succeeded before, and may do so in the run
            return None
        is_precise = self._device.type == "cpu" and self._config.precision == "fp32"
        rounding = _ROUNDING_ON_CPU if is_precise else _ROUNDING
        if not isfinite(loss) or isclose(loss, loss_resumed, rel_tol=rounding, abs_tol=rounding):
            return None
        text = N_(
            "{network} computes with something that is neither a parameter nor a buffer, such as a counter or a random"
            " generator of its own: a checkpoint lacks it, and a resumed run will differ from one never stopped. Keep"
            " it in a buffer, or draw from torch's own generator."
        )
        return Message(text, {"network": self._name})

    def _next_losses(self, size: int) -> tuple[float, float]:
        """Return the losses of a step after a checkpoint: without a stop, and resumed from it."""
        saved: list[Checkpoint] = []
        with self._training(self._config, self._new_network(), size) as never_stopped:
            _take(never_stopped, size)
            for _event in never_stopped.checkpoint(1, 1, lambda state: saved.append(own_copy(state))):
                pass
            loss = _take(never_stopped, size)
        with self._training(self._config, self._new_network(), size) as resumed:
            (checkpoint,) = saved
            resumed.restore(checkpoint)
            resumed.restore_rng(checkpoint)
            return loss, _take(resumed, size)

    def _new_network(self) -> nn.Module:
        seed_all(self._config.seed)
        return build_network(self._config.architecture)

    def _take_step(self, config: RunConfig, network: nn.Module, size: int) -> None:
        with self._training(config, network, size) as training:
            _take(training, size)

    @contextmanager
    def _training(self, config: RunConfig, network: nn.Module, size: int) -> Iterator[Training]:
        training = Training(network, _some_data(size), config, self._device)
        try:
            training.begin_epoch()
            yield training
        finally:
            training.steps.close()

    def _succeeds(self, config: RunConfig, size: int) -> bool:
        try:
            self._take_step(config, build_network(config.architecture), size)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return False
        return True

    def _line_by_anomaly(self, size: int) -> int | None:
        """Return the line of the forward pass whose gradient fails, by a step in torch's anomaly mode."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.filterwarnings("always", message="Error detected in")
            with torch.autograd.detect_anomaly(check_nan=False):
                self._succeeds(self._config, size)
        for warning in caught:
            lines = re.findall(r'File "(.+?)", line (\d+)', str(warning.message))
            own = [int(line) for file, line in lines if self._culprit.is_its_file(file)]
            if own:
                return own[-1]
        return None

    def _other_batch_size(self, size: int, train_size: int) -> int:
        """Return the nearest smaller batch size whose last batch is whole or larger than `size`, else a divisor."""
        smaller = range(self._config.batch_size - 1, 1, -1)
        return next((other for other in smaller if not 0 < train_size % other <= size), 1)


def _take(training: Training, size: int) -> float:
    """Take a step on the first images, and return the loss."""
    return float(training.steps.take(torch.arange(size, device=training.batches.labels.device)))


def _some_data(size: int) -> Dataset:
    """Return random images, N×28×28, to train on; their values are like those of the real ones."""
    generator = torch.Generator().manual_seed(0)
    entry = DATA_SETS["mnist"]
    images = torch.randint(0, 256, (size, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, NUM_CLASSES, (size,), generator=generator)
    return Dataset(entry.name, entry.title, images, labels, images, labels, entry.mean, entry.std, entry.class_names)
