"""Runs with a name, waiting for runs and stopping them: what is decided without a process that trains."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.messages import InvalidSetting
from core.runs import control
from core.runs.control import Request
from core.runs.directory import Run
from core.runs.events import SettingsChanged
from core.runs.record import State
from core.worker.at_end import AtEnd
from core.worker.detach import StopSignals
from tests.core.runs.run_files import ELSEWHERE, claim, new_run, write
from tests.recorded import started
from tui_app.console import job_commands, steering_commands, training_command


def test_a_run_that_cannot_be_stopped_keeps_no_other_from_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [new_run(tmp_path) for _ in range(3)]
    for run in runs:
        claim(run)
    (runs[0].path / "stop").mkdir()  # stands for another user's folder
    assert job_commands.stop(tmp_path, None, every=True, waits=False) == 1
    assert [(run.path / "stop").is_file() for run in runs] == [False, True, True]
    said = capsys.readouterr().err
    assert f"cannot write to {runs[0].path}" in said
    assert f"{runs[0].id} will stop" not in said


def test_a_named_run_that_crashes_between_two_looks_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path)
    write(run, started(run.config()))
    claim(run, lives=False)
    found: list[State] = ["crashed", "running"]
    trained: list[str] = []

    def carry_out(run: Run, _signals: StopSignals, _at_end: AtEnd, *, json: bool) -> int:
        trained.append(run.id)
        return 0

    monkeypatch.setattr(StopSignals, "install", lambda _self: None)
    monkeypatch.setattr(job_commands, "_obtain", lambda *_: (run, False))
    monkeypatch.setattr(training_command, "carry_out", carry_out)
    monkeypatch.setattr(Run, "state", lambda _run: found.pop() if len(found) > 1 else found[0])
    assert job_commands.train_named(tmp_path, "job", {}, AtEnd(), json=False) == 0
    assert trained == [run.id]


def test_who_waits_for_a_silent_run_says_so_once_and_gives_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path)
    write(run, started(run.config()))
    os.utime(claim(run, **ELSEWHERE), (1.0, 1.0))
    monkeypatch.setattr(training_command, "GIVE_UP_S", 0.5)
    assert job_commands.wait([run]) == os.EX_TEMPFAIL
    assert capsys.readouterr().err.count("No sign of the process") == 1
    assert training_command.follow(run, json=False) == os.EX_TEMPFAIL
    assert capsys.readouterr().err.count("No sign of the process") == 1


def test_a_run_of_another_user_is_not_the_one_that_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own, other = new_run(tmp_path), new_run(tmp_path)
    for run in (own, other):
        claim(run)
    with pytest.raises(InvalidSetting, match="several runs"):
        job_commands.stop(tmp_path, None, every=False, waits=False)
    monkeypatch.setattr(Run, "is_own", property(lambda self: self.id == own.id))
    assert job_commands.stop(tmp_path, None, every=False, waits=False) == 0
    assert (own.stop_requested(), other.stop_requested()) == (True, False)


def test_a_run_that_is_paused_already_is_not_the_one_to_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steering_commands, "_ANSWER_S", 0.0)
    going, paused = new_run(tmp_path), new_run(tmp_path)
    for run in (going, paused):
        claim(run)
        write(run, started(run.config()))
    write(paused, SettingsChanged(epoch=1, step=1, paused=True))
    assert steering_commands.pause(tmp_path, None, json=False) == 0
    assert [request for _path, request in control.pending(going.path)] == [Request(paused=True)]
    assert steering_commands.pause(tmp_path, paused.id, json=False) == 0
    write(going, SettingsChanged(epoch=1, step=1, paused=True))
    assert steering_commands.pause(tmp_path, None, json=False) == 0
    assert capsys.readouterr().err.count("is paused already") == 2
