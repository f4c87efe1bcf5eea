"""The events of a training run that never happened: a falling loss, and almost the recorded result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy

from core.config import RunConfig
from core.runs.directory import Run
from core.runs.events import (
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    Progress,
    RunEnded,
    RunStarted,
    Validated,
)
from tests.recorded import started
from tests.tui_app import recorded

STEPS = 63
"""Number of batches per epoch."""
_PARTS = 4
"""Number of progress events per epoch."""
_STEP_S = 0.01
_PARAMETERS = {"RN_1": 567_434, "RN_2": 421_642}
_MACS = {"RN_1": 566_528, "RN_2": 4_240_128}


@dataclass(frozen=True)
class Stage:
    """The next events to write, and the number of epochs trained once they are written."""

    events: tuple[Event, ...]
    epochs: float


def training(run: Run) -> Iterator[Stage]:
    """Yield the events of a run from its newest checkpoint to its end, as a worker would write them."""
    config = run.config()
    done = checkpointed(run)
    yield Stage((_started(config, done),), done / STEPS)
    while done < STEPS * config.epochs:
        epoch, step = divmod(done, STEPS)
        upto = min(STEPS, step + math.ceil(STEPS / _PARTS))
        events: list[Event] = [_progress(config, epoch, step, upto)]
        done = STEPS * epoch + upto
        if upto == STEPS:
            events += _epoch_end(config, epoch)
        yield Stage(tuple(events), done / STEPS)
    yield Stage((_result(run, config), RunEnded(status="done")), done / STEPS)


def stopped(epochs: float) -> tuple[Event, ...]:
    """Return the events of a worker that was asked to stop after so many epochs."""
    epoch, step = divmod(round(STEPS * epochs), STEPS)
    return CheckpointSaved(epoch=epoch + 1, step=step), RunEnded(status="stopped")


def checkpointed(run: Run) -> int:
    """Return the number of steps up to a run's newest checkpoint."""
    saved = [event for event in run.reader().read_new() if isinstance(event, CheckpointSaved)]
    return STEPS * (saved[-1].epoch - 1) + saved[-1].step if saved else 0


def _started(config: RunConfig, done: int) -> RunStarted:
    train_size, validation_size = (3600, 400) if config.validate else (4000, 0)
    return started(
        config,
        parameters=_PARAMETERS.get(config.model, 7850),
        macs=_MACS.get(config.model),
        steps_per_epoch=STEPS,
        train_size=train_size,
        validation_size=validation_size,
        epoch=done // STEPS + 1,
        step=done % STEPS,
    )


def _loss(config: RunConfig, step: int) -> float:
    return 2.2 * math.exp(-step / 25) + 0.15 + 0.1 * math.sin(7.0 * step + config.seed)


def _progress(config: RunConfig, epoch: int, step: int, upto: int) -> Progress:
    first = STEPS * epoch
    losses = [_loss(config, first + position) for position in range(upto)]
    return Progress(
        epoch=epoch + 1,
        step=upto,
        loss=sum(losses) / upto,
        losses=tuple(losses[step:]),
        images_per_s=config.batch_size / _STEP_S,
        elapsed_s=_STEP_S * (first + upto),
    )


def _epoch_end(config: RunConfig, epoch: int) -> list[Event]:
    losses = [_loss(config, STEPS * epoch + position) for position in range(STEPS)]
    events: list[Event] = [EpochEnded(epoch=epoch + 1, loss=sum(losses) / STEPS, seconds=_STEP_S * STEPS)]
    if config.validate:
        events.append(Validated(epoch=epoch + 1, loss=1.1 * losses[-1], accuracy=1 - 0.2 / (epoch + 1)))
    return [*events, CheckpointSaved(epoch=epoch + 1, step=STEPS)]


def _result(run: Run, config: RunConfig) -> Evaluated:
    """Return the recorded result with some images wrong, depending on the seed; write the predictions."""
    found = recorded.predictions_of(config.model)
    label, predicted = found["label"], found["predicted"].copy()
    lost = 2 + 5 * config.seed % 40 + (4 if config.model == "RN_1" else 0)
    worse = 37 * numpy.arange(lost) % len(label)
    predicted[worse] = (label[worse] + 1) % 10
    numpy.savez_compressed(run.path / "predictions.npz", allow_pickle=False, **(found | {"predicted": predicted}))
    confusion: Any = numpy.zeros((10, 10), int)
    numpy.add.at(confusion, (label, predicted), 1)
    correct = int((label == predicted).sum())
    return Evaluated(
        correct=correct,
        total=len(label),
        accuracy=correct / len(label),
        test_loss=(0.2 if config.model == "RN_2" else 0.29) + 0.002 * lost,
        confusion=tuple(map(tuple, confusion.tolist())),
    )
