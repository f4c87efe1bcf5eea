"""Real training runs on the sample, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.config import RunConfig
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import Event, Progress
from core.worker.carry_out import carry_out


def configuration(**settings: Any) -> RunConfig:
    return RunConfig(**{"dataset": "sample", "epochs": 2, "seed": 7, "threads": 1, "device": "cpu"} | settings)  # type: ignore[arg-type]


def events_of(run: Run) -> list[Event]:
    reader, found = run.reader(), []
    while new := reader.read_new():
        found += new
    assert reader.skipped == 0
    return found


def carried_out(folder: Path, should_stop: Callable[[], bool] = lambda: False, **settings: Any) -> Run:
    run = directory.create(folder, configuration(**settings))
    carry_out(run, lambda _event: None, should_stop)
    return run


def after_batches(number: int) -> Callable[[], bool]:
    """Return a stop condition, asked once per batch, that becomes true after `number` batches."""
    calls = iter(range(10**9))
    return lambda: next(calls) >= number


def batch_losses(run: Run) -> dict[tuple[int, int], float | None]:
    """Return the loss of every batch as it was last trained."""
    losses: dict[tuple[int, int], float | None] = {}
    for event in events_of(run):
        if isinstance(event, Progress):
            first = event.step - len(event.losses) + 1
            losses |= {(event.epoch, step): loss for step, loss in enumerate(event.losses, first)}
    return losses


def predictions_of(run: Run) -> bytes:
    """Return the run's predictions as they are on disk."""
    return run.result_paths("predictions", ".npz")[0].read_bytes()
