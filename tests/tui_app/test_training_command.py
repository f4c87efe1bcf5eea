"""Runs in the foreground: what is left of those that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.messages import Message
from core.runs.directory import Run
from core.runs.events import RunEnded
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
