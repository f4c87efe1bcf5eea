"""Following a run in text: the exit code says how it ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.messages import Message
from core.runs.events import Notice, RunEnded, Status
from tests.core.runs.run_files import claim, new_run, write
from tests.recorded import started
from tui_app.console.training_command import follow


@pytest.mark.parametrize(("status", "code"), [("done", 0), ("failed", 1), ("diverged", 3), ("stopped", 130)])
def test_the_exit_code_is_that_of_the_run(status: Status, code: int, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    write(run, started(run.config()), RunEnded(status=status))
    assert follow(run, json=False) == code


def test_an_older_end_is_not_that_of_a_resumed_run_that_crashed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path)
    write(run, started(run.config()), RunEnded(status="stopped", time=1.0), Notice(message=Message("downloading")))
    claim(run, lives=False)  # a process that no longer exists
    assert follow(run, json=False) == 1
    assert "crashed" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"host": "box"}, {"node": "gpu-7"}, {}])
def test_the_machine_is_named_if_it_is_another(
    changes: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = new_run(tmp_path)
    claim(run, lives=False, **changes)
    write(run, started(run.config()), RunEnded(status="done"))
    follow(run, json=False)
    where = f"on cpu ({next(iter(changes.values()))})," if changes else "on cpu,"
    assert where in capsys.readouterr().err
