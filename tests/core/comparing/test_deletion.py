"""Deleting runs: what is in progress stays, also if it starts while it is looked at."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core import files
from core.comparing import deletion, stored
from core.comparing.stored import PartStanding, Standing
from core.config import RunConfig
from core.messages import Problem
from core.runs import labels, lease, names
from core.runs.directory import Listing, Run, Summary
from core.runs.events import RunEnded
from tests.core.runs.run_files import ELSEWHERE, PROGRESS, claim, new_run, write
from tests.recorded import started


def ended_run(folder: Path, **end: Any) -> Run:
    run = new_run(folder)
    with lease.hold(run.path):
        write(run, RunEnded(status=end.get("status", "done")))
    return run


def test_only_what_has_ended_is_deleted(tmp_path: Path) -> None:
    ended, starting, living, silent, link = ended_run(tmp_path), *(new_run(tmp_path) for _ in range(4))
    claim(living)
    claim(silent, lives=False, **ELSEWHERE)
    os.utime(lease.path(silent.path).with_name("attempt-0001.json"), (1, 1))
    target = link.path.rename(tmp_path / "elsewhere")
    link.path.symlink_to(target)
    broken = ended_run(tmp_path)
    (broken.path / "config.json").write_bytes(b"{")
    at_work = ended_run(tmp_path)
    (at_work.path / "config.json").write_bytes(b"{")
    claim(at_work)
    assert deletion.size_of(ended) == sum(path.stat().st_size for path in ended.path.iterdir()) > 100
    runs = [ended, starting, living, silent, link, broken, at_work]
    problems = [str(problem) for problem in deletion.delete(tmp_path, runs).values()]
    assert [run.path.exists() for run in runs] == [False, True, True, True, True, False, True]
    assert [next(run.id for run in runs if run.id in text) for text in problems] == [
        run.id for run in (starting, living, silent, link, at_work)
    ]
    assert "another host" in problems[2]
    assert (target / "config.json").exists()
    assert not list(tmp_path.glob(".rn*"))


def test_a_run_that_starts_between_the_look_and_the_deletion_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ended_run(tmp_path)
    look = Run.state

    def start_after_the_look(self: Run) -> str:
        state = look(self)
        claim(self)
        return state

    monkeypatch.setattr(Run, "state", start_after_the_look)
    problem = deletion.delete(tmp_path, [run])[run.id]
    assert "already being trained" in str(problem)
    assert (run.path / "events.jsonl").exists()


def test_nobody_can_start_a_run_that_is_being_deleted_and_one_that_cannot_be_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ended_run(tmp_path)

    def refuse(old: Path, new: Path) -> None:
        if old != run.path:
            old.rename(new)
            return
        with pytest.raises(Problem, match="already being trained"), lease.hold(old):
            pass
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "rename", refuse)
    problem = deletion.delete(tmp_path, [run])[run.id]
    assert "Permission denied" in str(problem)
    assert (run.state(), run.attempt) == ("done", 1)
    assert lease.path(run.path).samefile(run.path / "attempt-0001.json")
    monkeypatch.undo()
    (left := tmp_path / ".rn1-0009.0123456789abcdef").mkdir()  # of a deletion that was killed
    assert deletion.delete(tmp_path, [run]) == {}
    assert not run.path.exists()
    assert not left.exists()


def test_runs_of_a_comparison_in_progress_stay(tmp_path: Path) -> None:
    run = ended_run(tmp_path)
    plan = stored.make_plan(["RN_1", "RN_2"], 1, RunConfig(seed=0))
    comparison = stored.store(tmp_path, plan)
    with lease.hold(comparison.path) as held:
        comparison.keep(Standing(attempt=held.attempt, parts=(PartStanding(run.id, "done"),)))
        problem = deletion.delete(tmp_path, [run])[run.id]
    assert "part of a comparison in progress" in str(problem)
    assert deletion.delete(tmp_path, [run]) == {}


def test_what_is_pruned(tmp_path: Path) -> None:
    now = time.time()

    def summary(number: int, state: Any, **rest: Any) -> Summary:
        return Summary(id=f"rn1-{number:04}", state=state, ended=now - (10 - number) * 3600, **rest)

    runs = [
        summary(1, "done", accuracy=0.9, epochs_done=2),
        summary(2, "failed"),
        summary(3, "diverged", note="why?"),
        summary(4, "crashed", epochs_done=1),
        summary(5, "running"),
        summary(6, "silent"),
        summary(7, "unreadable"),
        summary(8, "stopped", epochs_done=3),
    ]

    def pruned(**rules: Any) -> list[int]:
        return [int(each.id[-4:]) for each in deletion.prunable(runs, **rules)]

    assert pruned() == [2]
    assert pruned(marked=True) == [2, 3]
    assert pruned(keep=1) == [1, 2, 4]
    assert pruned(keep=0, marked=True) == [1, 2, 3, 4, 8]
    assert pruned(older_than_s=6.5 * 3600) == [1, 2]
    assert pruned(older_than_s=6.5 * 3600, keep=4) == [1]


def test_a_deleted_run_frees_its_name(tmp_path: Path) -> None:
    run = ended_run(tmp_path)
    names.rename(tmp_path, run.id, "job")
    labels.tag(run.path, ["a"])
    assert deletion.delete(tmp_path, [run]) == {}
    assert names.find(tmp_path, "job") is None
    assert Listing(tmp_path).read() == []


def test_a_crashed_run_is_as_old_as_its_last_progress(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    claim(run, lives=False)
    write(run, started(run.config()), msgspec.structs.replace(PROGRESS, time=time.time()))
    os.utime(run.path / "config.json", (1, 1))
    [crashed] = Listing(tmp_path).read()
    assert crashed.state == "crashed"
    assert deletion.prunable([crashed], older_than_s=3600) == []
    assert deletion.prunable([crashed], older_than_s=0) == [crashed]
