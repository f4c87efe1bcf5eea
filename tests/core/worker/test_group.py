"""Runs carried out together in one process: each directory is that of a run alone, and no run takes another with it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.runs import control, directory, lease
from core.runs.control import Request
from core.runs.directory import Run
from core.runs.events import CheckpointSaved, Evaluated, Notice, Progress, RunEnded, RunStarted, SettingsChanged
from core.training import together
from core.worker import group_stages, stages
from core.worker.carry_out import carry_out
from core.worker.group import carry_out_together
from tests.core.training.sample_runs import after_batches, batch_losses, carried_out, configuration, events_of

pytestmark = pytest.mark.usefixtures("one_thread")


def created(folder: Path, seeds: int, **settings: Any) -> list[Run]:
    return [directory.create(folder, configuration(**{"seed": seed, **settings})) for seed in range(seeds)]


def found(run: Run, kind: type[Any]) -> list[Any]:
    return [event for event in events_of(run) if isinstance(event, kind)]


def never() -> bool:
    return False


@pytest.fixture
def _told_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PROGRESS_INTERVAL_S", 0.0)
    monkeypatch.setattr(together, "MAX_TELLING_SHARE", float("inf"))


def test_each_run_is_on_disk_as_if_it_had_been_alone(tmp_path: Path) -> None:
    runs = created(tmp_path / "together", 3)
    carry_out_together(runs, never)
    alone = carried_out(tmp_path / "alone", seed=1)
    assert [run.state() for run in runs] == ["done"] * 3
    kinds = {type(event) for event in events_of(alone)}
    assert {type(event) for event in events_of(runs[1])} == kinds | {Notice}
    assert sorted(path.name for path in alone.path.iterdir()) == sorted(path.name for path in runs[1].path.iterdir())
    (notice,) = found(runs[1], Notice)
    assert "trained together with others, 3 runs in all" in str(notice.message)
    ours, theirs = batch_losses(runs[1]), batch_losses(alone)
    assert ours.keys() == theirs.keys()
    first = [(1, step) for step in range(1, 11)]
    assert [ours[at] for at in first] == pytest.approx([theirs[at] for at in first], rel=1e-4)
    for run in runs:
        (result,) = found(run, Evaluated)
        with np.load(run.result_paths("predictions", ".npz")[0]) as predictions:
            assert int((predictions["label"] == predictions["predicted"]).sum()) == result.correct
        assert result.accuracy > 0.85
    assert len({found(run, Evaluated)[0].test_loss for run in runs}) == 3


@pytest.mark.usefixtures("_told_often")
def test_all_are_stopped_and_each_goes_on_alone(tmp_path: Path) -> None:
    """A run resumed alone has the losses that it would have had, and ends."""
    runs, whole = created(tmp_path / "stopped", 3), created(tmp_path / "whole", 3)
    carry_out_together(runs, after_batches(120))
    assert [run.state() for run in runs] == ["stopped"] * 3
    carry_out_together(whole, never)
    last = found(runs[1], CheckpointSaved)[-1]
    assert (1, 0) < (last.epoch, last.step) < (2, 63)
    assert carry_out(runs[1], lambda _event: None, never).status == "done"
    again = found(runs[1], RunStarted)[-1]
    assert (again.epoch, again.step) == (last.epoch, last.step)
    ours, theirs = batch_losses(runs[1]), batch_losses(whole[1])
    assert ours.keys() == theirs.keys()
    after = [(last.epoch, last.step + number) for number in range(1, 6)]
    assert [ours[at] for at in after] == pytest.approx([theirs[at] for at in after], rel=1e-4)
    carry_out_together([runs[0], runs[2]], never)
    assert [run.state() for run in runs] == ["done"] * 3


@pytest.mark.usefixtures("_told_often")
def test_what_happens_to_one_run_happens_to_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped, changed, deleted, taken, whole = runs = created(tmp_path, 5, epochs=1)
    asked = iter(range(10**6))
    is_free = False

    def disturb() -> bool:
        nonlocal is_free
        at = next(asked)
        if at == 30:
            stopped.request_stop()
            control.ask(changed.path, Request(lr=0.01))
        elif at == 60:
            shutil.rmtree(deleted.path)
        elif at == 120:
            is_free = stopped.state() == "stopped" and not stopped.is_at_work
        return False

    monkeypatch.setattr("core.worker.inbox._FILE_INTERVAL_S", 0.0)
    with lease.hold(taken.path):
        carry_out_together(runs, disturb)
    assert [run.state() for run in (stopped, changed, whole)] == ["stopped", "done", "done"]
    assert is_free  # to be gone on with elsewhere, while the others train
    assert found(changed, SettingsChanged)[0].lr == 0.01
    assert not deleted.path.exists()
    assert found(taken, Progress) == []
    assert not found(whole, SettingsChanged)
    assert "with others, 4 runs in all" in str(found(whole, Notice)[0].message)


def test_a_run_whose_checkpoint_cannot_be_used_fails_alone(tmp_path: Path) -> None:
    runs = created(tmp_path, 2, epochs=1)
    (runs[0].path / "checkpoint-0001-1-20.pt").write_bytes(b"damaged")
    carry_out_together(runs, never)
    assert [run.state() for run in runs] == ["failed", "done"]
    assert "damaged" in str(found(runs[0], RunEnded)[0].message)


def test_too_many_for_the_memory_can_be_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs say so and have not ended; one alone has failed, as it would have in a process of its own."""

    def full(_members: object) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(group_stages, "train_together", full)
    runs = created(tmp_path, 2, epochs=1)
    with pytest.raises(Exception, match="out of memory"):
        carry_out_together(runs, never)
    assert [run.state() for run in runs] == ["crashed"] * 2
    assert "2 runs at once do not fit" in str(found(runs[0], Notice)[-1].message)
    carry_out_together(runs[:1], never)
    assert runs[0].state() == "failed"
    assert "out of memory" in str(found(runs[0], RunEnded)[0].message)


@pytest.mark.parametrize("stage", ["begin", "finish"])
def test_a_memory_that_is_full_when_a_run_begins_or_is_tested_is_that_of_all(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done, calls = getattr(stages, stage), iter(range(9))

    def full(*arguments: Any) -> Any:
        if next(calls) == 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return done(*arguments)

    monkeypatch.setattr(stages, stage, full)
    runs = created(tmp_path, 3, epochs=1)
    with pytest.raises(Exception, match="out of memory"):
        carry_out_together(runs, never)
    ended = 1 if stage == "finish" else 0
    assert [run.state() for run in runs] == ["done"] * ended + ["crashed"] * (3 - ended)
    carry_out_together(runs[ended:], never)
    assert [run.state() for run in runs] == ["done"] * 3


def test_damaged_settings_end_only_their_run(tmp_path: Path) -> None:
    runs = created(tmp_path, 3, epochs=1)
    (runs[1].path / "config.json").write_text("{")
    carry_out_together(runs, never)
    assert [run.state() for run in runs] == ["done", "unreadable", "done"]


def test_a_device_that_is_not_there_fails_all_of_them(tmp_path: Path) -> None:
    runs = created(tmp_path, 2, device="cuda:99")
    carry_out_together(runs, never)
    assert [run.state() for run in runs] == ["failed"] * 2
    assert "cuda:99" in str(found(runs[1], RunEnded)[0].message)
