"""The process that trains a run, and whether it is alive."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from core.messages import Problem
from core.runs import lease
from core.runs.events import RunEnded
from tests.core.runs.run_files import PROGRESS, claim, new_run, write


def test_states_of_a_run_as_its_worker_comes_and_goes(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert run.state() == "starting"
    claim(run)
    assert run.state() == "running"
    claim(run, process_start=1.0)  # the pid has been given to another process since
    assert run.state() == "crashed"
    write(run, RunEnded(status="stopped"))
    assert run.state() == "stopped"
    claim(run, started=time.time() + 1)  # resumed
    assert run.state() == "running"


def test_a_worker_on_another_host_is_alive_while_it_writes(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    claim(run, host="elsewhere")
    write(run, PROGRESS)
    assert run.state() == "running"
    os.utime(run.events_path, (1.0, 1.0))
    assert run.state() == "crashed"


def test_only_one_process_trains_a_run(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with lease.hold(run.path), pytest.raises(Problem, match="already"), lease.hold(run.path):
        pass
