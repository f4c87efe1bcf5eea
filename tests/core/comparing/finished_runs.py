"""Finished runs written by hand, in the form that a worker leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from core.config import RunConfig
from core.runs import directory
from core.runs.directory import FollowedRun, Run
from core.runs.events import EpochEnded, Evaluated, Event, EventWriter, RunEnded
from tests.recorded import started

SETTINGS = RunConfig(dataset="sample", device="cpu", epochs=2, threads=1, seed=0, data_dir="/data")
LABELS = np.arange(1000) % 10


def predicted(wrong: range | list[int]) -> Any:
    """Return predictions that are all right, except for the images with these numbers."""
    found = LABELS.copy()
    found[list(wrong)] = (found[list(wrong)] + 1) % 10
    return found


def write(run: Run, *events: Event) -> None:
    writer = EventWriter(run.events_path, 1)
    for event in events:
        assert writer.write(event) is None
    assert writer.close() is None


def finished(folder: Path, config: RunConfig, wrong: range | list[int], labels: Any = LABELS, **fields: Any) -> Run:
    """Write a run that is done, as a worker leaves it."""
    run = directory.create(folder, config)
    correct = int((predicted(wrong) == labels).sum())
    epochs = (EpochEnded(epoch=epoch, loss=0.5 / epoch, seconds=2.0) for epoch in range(1, config.epochs + 1))
    result = Evaluated(correct=correct, total=1000, accuracy=correct / 1000, test_loss=0.25, confusion=())
    write(run, started(config, **fields), *epochs, result, RunEnded(status="done"))
    save_predictions(run, predicted(wrong), labels)
    return run


def save_predictions(run: Run, found: Any, labels: Any = LABELS) -> None:
    answers = {"label": labels.astype("uint8"), "predicted": found, "probability": np.ones(len(labels))}
    np.savez_compressed(run.path / "predictions.npz", **answers)


def record(run: Run) -> FollowedRun:
    read = FollowedRun(run)
    read.read()
    return read


def config_of(model: str, seed: int, **settings: Any) -> RunConfig:
    return msgspec.structs.replace(SETTINGS, model=model, seed=seed, **settings)
