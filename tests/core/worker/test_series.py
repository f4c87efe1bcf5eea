"""Runs one after another in one process: each is what it would be in a process of its own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.runs import directory, lease
from core.runs.directory import Run
from core.worker.launch import launch_run
from core.worker.warm_worker import WarmWorker, wait_for_any
from tests.core.training.sample_runs import batch_losses, configuration, predictions_of

SHORT: dict[str, Any] = {"epochs": 1, "batch_size": 256}

MEDDLER = """
import torch
from torch import nn

reset = nn.Linear.reset_parameters
nn.Linear.reset_parameters = lambda layer: (reset(layer), nn.init.zeros_(layer.bias))


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(784, 10))
"""


def created(folder: Path, **settings: Any) -> Run:
    return directory.create(folder, configuration(**SHORT | settings))


def pid_of(run: Run) -> int:
    held = lease.read(run.path)
    assert held is not None
    return held.pid


Start = Callable[..., WarmWorker]


@pytest.fixture
def start() -> Iterator[Start]:
    workers: list[WarmWorker] = []

    def begin(*runs: Run) -> WarmWorker:
        workers.append(WarmWorker(runs))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def finish(worker: WarmWorker) -> None:
    deadline = time.monotonic() + 60
    while worker.is_busy:
        wait_for_any([worker], 1.0)
        assert time.monotonic() < deadline


def test_each_run_is_what_it_would_be_alone(tmp_path: Path, start: Start) -> None:
    """After other settings and after a custom network, the process starts anew."""
    own = tmp_path / "meddler.py"
    own.write_text(MEDDLER)
    wanted: list[dict[str, Any]] = [
        {"model": "RN_2", "dropout": 0.2},
        {"model": "RN_1", "exact": True},
        {"model": f"{own}:Net"},
        {"model": "RN_1", "seed": 3},
    ]
    runs = [created(tmp_path / "series", **settings) for settings in wanted]
    worker = start(runs[0])
    for run in runs[1:]:
        finish(worker)
        assert worker.hand([run])
    finish(worker)
    assert not worker.has_ended
    assert {pid_of(run) for run in runs} == {pid_of(runs[0])}
    alone = [created(tmp_path / "alone", **settings) for settings in wanted]
    for run, other in zip(runs, alone, strict=True):
        assert launch_run(other).wait(60) == 0
        assert run.state() == "done"
        assert batch_losses(run) == batch_losses(other)
        assert predictions_of(run) == predictions_of(other)
        assert run.log_tail() == other.log_tail()


def test_what_python_prints_as_it_starts_is_no_end(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('ended')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    run = created(tmp_path / "runs")
    worker = start(run)
    finish(worker)
    assert not worker.has_ended
    assert run.state() == "done"


def test_a_group_and_a_run_take_turns(tmp_path: Path, start: Start) -> None:
    runs = [created(tmp_path, seed=seed) for seed in range(3)]
    worker = start(*runs[:2])
    finish(worker)
    assert worker.hand(runs[2:])
    finish(worker)
    assert [run.state() for run in runs] == ["done"] * 3


def test_a_process_that_dies_takes_only_its_run_with_it(tmp_path: Path, start: Start) -> None:
    done, killed, later = (created(tmp_path, seed=seed, epochs=epochs) for seed, epochs in ((0, 1), (1, 100), (2, 1)))
    worker = start(done)
    finish(worker)
    assert worker.hand([killed])
    while not killed.has_started():
        wait_for_any([worker], 0.05)
    os.kill(pid_of(killed), signal.SIGKILL)
    finish(worker)
    assert worker.has_ended
    assert not worker.hand([later])
    assert [run.state() for run in (done, killed)] == ["done", "crashed"]


def test_a_process_that_is_let_go_finishes_its_run(tmp_path: Path, start: Start) -> None:
    run = created(tmp_path)
    worker = start(run)
    worker.close()
    deadline = time.monotonic() + 60
    while run.state() != "done":
        time.sleep(0.05)
        assert time.monotonic() < deadline


def test_a_signal_stops_its_run_and_ends_it(tmp_path: Path, start: Start) -> None:
    run = created(tmp_path, epochs=100)
    worker = start(run)
    while not run.has_started():
        wait_for_any([worker], 0.05)
    os.kill(pid_of(run), signal.SIGTERM)
    finish(worker)
    assert run.state() == "stopped"
    assert worker.has_ended
