"""Runs in the foreground: what is left of those that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.messages import Message
from core.runs import control
from core.runs.control import Request
from core.runs.directory import Run
from core.runs.events import RunEnded
from core.runs.lease import Held
from core.worker import carry_out as worker
from core.worker.at_end import AtEnd
from core.worker.detach import StopSignals
from tests.core.runs.run_files import claim, new_run
from tui_app.console import training_command


@pytest.mark.parametrize("is_taken_over", [False, True])
def test_a_run_that_fails_at_its_start_leaves_nothing_behind_unless_another_process_has_taken_it_over(
    is_taken_over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(run: Run, *_: object, **_begin: object) -> RunEnded:
        claim(run, lives=False)
        if is_taken_over:
            claim(run)
        return RunEnded(status="failed", message=Message("lost"))

    monkeypatch.setattr(worker, "carry_out", fail)
    monkeypatch.setattr(training_command, "redirect_output", lambda _path: None)
    monkeypatch.setattr(training_command, "prepare_for_torch", lambda: None)
    run = new_run(tmp_path)
    assert training_command.carry_out(run, StopSignals(), AtEnd(), json=False) == 1
    assert run.path.exists() == is_taken_over


def test_what_a_resumption_is_to_change_is_asked_of_its_own_process_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_command, "redirect_output", lambda _path: None)
    monkeypatch.setattr(training_command, "prepare_for_torch", lambda: None)
    monkeypatch.setattr(StopSignals, "install", lambda _signals: None)
    run, asked = new_run(tmp_path), Request(lr=0.1)
    lock = claim(run)
    assert training_command.resume(run, asked, AtEnd(), json=False) == 1
    assert control.pending(run.path) == []
    lock.unlink()
    pending: list[Request] = []

    def train(run: Run, _held: Held, _emit: object, _inbox: object) -> RunEnded:
        pending.extend(request for _path, request in control.pending(run.path))
        return RunEnded(status="done")

    monkeypatch.setattr(worker, "_train_and_test", train)
    assert training_command.resume(run, asked, AtEnd(), json=False) == 0
    assert pending == [asked]
