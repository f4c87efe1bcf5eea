"""The threads of parallel runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.runs import directory, lease
from core.runs.directory import Run
from core.runs.events import RunStarted
from core.training import devices
from core.worker.carry_out import carry_out
from tests.core.runs.run_files import ELSEWHERE, claim
from tests.core.training.sample_runs import after_batches, carried_out, configuration, events_of

pytestmark = pytest.mark.usefixtures("one_thread")


def started(run: Run) -> RunStarted:
    return [event for event in events_of(run) if isinstance(event, RunStarted)][-1]


def test_runs_side_by_side_share_the_cores_and_a_resumed_one_keeps_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "default_threads", lambda: 2)
    quick: dict[str, Any] = {"epochs": 1, "batch_size": 1000, "width": 0.1}
    run = carried_out(tmp_path, after_batches(2), threads=0, **quick)
    assert started(run).threads == 2
    other = directory.create(tmp_path, configuration())
    with lease.hold(other.path):  # as if this process were training it
        assert other.state() == "running"
        assert started(carried_out(tmp_path, after_batches(2), threads=0, **quick)).threads == 1
    claim(other, **ELSEWHERE)
    assert other.state() == "running"
    assert started(carried_out(tmp_path, after_batches(2), threads=0, **quick)).threads == 2
    carry_out(run, lambda _event: None, lambda: False)
    assert started(run).threads == 2
