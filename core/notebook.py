"""Training in a notebook or a script: load, build, train and test, without run directories.

The arithmetic is that of the runs: RN_1 and RN_2 have the losses of `mnist-tui --seed` with the same seed and threads.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import msgspec
from torch import nn

from core import paths
from core.config import Architecture, RunConfig, check_new, setting_from_text
from core.data import datasets
from core.data.datasets import Dataset
from core.data.split_and_permute import prepared
from core.networks.build import build_network, is_built_in
from core.randomness import seed_all
from core.runs.events import EpochEnded, Notice, Progress, RunEnded, Validated
from core.training import acceleration, batches, devices, evaluation, loop

__all__ = ["Trained", "build", "load", "test", "train"]

_SETTINGS = frozenset({"epochs", "batch_size", "lr", "device", "precision", "validate"})
"""Settings of a run that `train` can keep: others are the network's or the data's, or need a run's beginning."""


_TEST_BATCH_SIZE = 64
"""Batch size of the exam's test: a network of one's own may not take larger ones."""


@dataclass(frozen=True)
class Trained:
    """The outcome of a training. `losses` are the mean losses of the epochs."""

    losses: list[float]
    validations: list[float] = field(default_factory=list)
    """Accuracy after each epoch on the images held out, from 0 to 1, if any were."""
    seconds: float = 0.0
    diverged: str = ""
    """Why the training ended early; empty if it did not."""

    def __repr__(self) -> str:
        loss = f", loss {self.losses[-1]:.4f}" if self.losses else ""
        return f"<{len(self.losses)} epochs{loss}, {self.seconds:.1f} s{self.diverged and ', ' + self.diverged}>"


def load(name: str = "auto", data_dir: str | Path | None = None) -> Dataset:
    """Load a data set by its name on the command line; `auto` is MNIST, or the embedded sample where there is none.

    What is missing in `data_dir`, by default the command's, is downloaded into it. Raises `core.messages.Problem`.
    """
    line = _Line(sys.stderr)
    try:
        return datasets.load(
            name,
            Path(data_dir) if data_dir is not None else paths.default_data_dir(),
            notify=lambda message: line.print(str(message)),
            progress=lambda message, share: line.draw(f"{message} {share:.0%}"),
            should_stop=lambda: False,
        )
    finally:
        line.erase()


def build(model: str = "RN_1", *, seed: int = 0, **options: Any) -> nn.Module:
    """Build a network with parameters drawn from `seed`: `RN_1`, `RN_2`, or `path/to/file.py:ClassName`.

    `options` are those of `core.config.Architecture`. Raises `core.messages.Problem`.
    """
    architecture = Architecture(model=setting_from_text("model", model), **options)
    check_new(RunConfig(seed=seed, **msgspec.structs.asdict(architecture)))
    seed_all(seed)
    return build_network(architecture)


def train(network: nn.Module, data: Dataset, *, seed: int = 0, progress: bool = True, **settings: Any) -> Trained:
    """Train a network in place, any that maps N×1×28×28 images to N×10 logits; `seed` decides the order of the images.

    `settings` are some of `core.config.RunConfig`: `epochs`, `batch_size`, `lr`, `device`, `precision` and `validate`.
    The network stays on the device. A loss that is not finite ends the training early. Raises `core.messages.Problem`.
    """
    for name in settings.keys() - _SETTINGS:
        raise TypeError(f"train() has no setting {name!r}: choose from {', '.join(sorted(_SETTINGS))}")
    config = RunConfig(seed=seed, **settings)
    check_new(config)
    device = devices.resolve(config.device)
    acceleration.keep_freed_memory()
    seed_all(seed)
    line = _Line(sys.stderr if progress else None)
    losses: list[float] = []
    validations: list[float] = []
    seconds, diverged = 0.0, ""
    try:
        for event in loop.train(network, prepared(data, config), config, device, save=lambda _checkpoint: None):
            match event:
                case Progress(epoch=epoch, step=step, loss=loss) if loss is not None:
                    line.draw(f"Epoch {epoch}/{config.epochs}, batch {step}, loss {loss:.4f}")
                    seconds = event.elapsed_s
                case EpochEnded():
                    losses.append(event.loss)
                    line.print(f"Epoch {event.epoch}/{config.epochs}, Loss: {event.loss:.4f}")
                case Validated():
                    validations.append(event.accuracy)
                case Notice(message=message):
                    line.print(str(message))
                case RunEnded(message=message):
                    diverged = str(message)
                    line.print(diverged)
    finally:
        line.erase()
    return Trained(losses, validations, seconds, diverged)


def test(network: nn.Module, data: Dataset) -> evaluation.Evaluation:
    """Test a network on the test images, on the device where it is; leave it in eval mode.

    The result has `accuracy`, from 0 to 1, `correct`, `loss` and, per image, `labels`, `predicted` and `probability`.
    """
    device = next(network.parameters()).device
    images = batches.normalise(data.test_images.to(device), data)
    size = evaluation.BATCH_SIZE if is_built_in(network) else _TEST_BATCH_SIZE
    return evaluation.evaluate(network, images, data.test_labels.to(device), size)


class _Line:
    """The last line of a terminal or notebook, drawn again and again; nothing is written to None."""

    def __init__(self, out: TextIO | None) -> None:
        self._out = out
        self._drawn = 0

    def draw(self, text: str) -> None:
        if self._out is not None:
            self._out.write(f"\r{text:<{self._drawn}}")
            self._out.flush()
            self._drawn = len(text)

    def erase(self) -> None:
        if self._drawn and self._out is not None:
            self._out.write("\r" + " " * self._drawn + "\r")
        self._drawn = 0

    def print(self, text: str) -> None:
        self.erase()
        if self._out is not None:
            print(text, file=self._out, flush=True)
