"""The command that is executed when a run ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core.runs.directory import Run
from core.worker import at_end
from tests.core.runs.run_files import claim
from tests.tui_app.recorded import copy_runs


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(copy_runs(tmp_path / "runs") / "rn2-0002")


def test_a_command_is_told_of_the_run(run: Run, tmp_path: Path) -> None:
    told = tmp_path / "told"
    line = 'echo "$MNIST_TUI_RUN $MNIST_TUI_STATE $MNIST_TUI_ACCURACY $MNIST_TUI_EPOCH $MNIST_TUI_RUN_DIR"'
    assert at_end.run_command(f"{line} > '{told}'", run) is None
    accuracy = run.summary().accuracy
    assert told.read_text().split() == [run.id, "done", str(accuracy), "2", str(run.path)]


def test_a_failure_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "exit code 3" in str(at_end.run_command("exit 3", run, os.open(os.devnull, os.O_WRONLY)))
    monkeypatch.setattr(at_end, "_WAIT_S", 0.05)
    assert "goes on" in str(at_end.run_command("exec sleep 1", run))


def test_no_command_is_executed_while_another_process_trains_the_run(run: Run, tmp_path: Path) -> None:
    told = tmp_path / "told"
    fresh = Run(tmp_path / "rn1-0009")
    fresh.path.mkdir()
    (fresh.path / "config.json").write_bytes((run.path / "config.json").read_bytes())
    claim(fresh)
    assert at_end.run_command(f"touch '{told}'", fresh) is None
    assert at_end.run_command("", run) is None
    assert not told.exists()
