"""`mnist-tui compare --together` on the sample, with runs that are really trained, several in one process."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import psutil
import pytest

from core.comparing.stored import StoredComparison
from core.runs import lease
from core.runs.directory import Run
from core.runs.events import CheckpointSaved, Notice, Progress, RunEnded
from tests.end_to_end.terminal import Place, all_events, wait_for_event, wait_until
from tests.json_checks import check_json

pytestmark = pytest.mark.slow

OPTIONS = ("--dataset", "sample", "--device", "cpu", "--threads", "1", "--together", "--lang", "en")
SMALL = ("RN_1+width=0.1", "RN_1+width=0.2")


def _runs(place: Place) -> list[Run]:
    return [Run(path) for path in sorted(place.runs_dir.glob("rn1-*"))]


def _pid(folder: Path) -> int:
    held = lease.read(folder)
    assert held is not None
    return held.pid


def test_runs_of_a_group_are_runs_like_any_other(place: Place) -> None:
    options = (*OPTIONS, "--seeds", "2", "--epochs", "1", "--json", "--report", "report.md")
    ended = place.fork("compare", *SMALL, place.slow, *options)
    assert ended.wait() == 0, ended.err
    assert "only built-in networks go together" in ended.err
    found = check_json(ended.out, "compare")
    assert found["command"].endswith("--together")
    assert [[run["seed"] for run in network["runs"]] for network in found["networks"]] == [[0, 1]] * 3
    assert len({_pid(run.path) for run in _runs(place)}) == 2
    listed = place.fork("runs", "--json")
    assert listed.wait() == 0
    assert [run["state"] for run in json.loads(listed.out)] == ["done"] * 6
    assert (place.folder / "report.md").is_file()
    first = _runs(place)[0]
    remarks = [str(event.message) for event in all_events(first) if isinstance(event, Notice)]
    assert any("trained together with others, 2 runs in all" in remark for remark in remarks)
    more = place.fork("resume", first.id, "--no-ui", "--epochs", "2", "--lang", "en")
    assert more.wait() == 0, more.err
    assert "Epoch 2/2" in more.out


def test_a_group_is_killed_and_stopped_and_goes_on(place: Place) -> None:
    """The same command finishes what was killed with its comparison; a run that was stopped goes on alone."""
    options = (*OPTIONS, "--seeds", "2", "--epochs", "40", "--batch-size", "16")
    killed = place.fork("compare", *SMALL, *options)
    wait_until(lambda: len(_runs(place)) == 4, "four runs")
    for run in _runs(place):
        wait_for_event(run, CheckpointSaved)
    killed.kill()
    (comparison,) = (place.runs_dir / ".comparisons").iterdir()
    for pid in {_pid(folder) for folder in (comparison, *(run.path for run in _runs(place)))}:
        psutil.Process(pid).kill()
    place.wait_alone()
    again = place.fork("compare", *SMALL, *options)
    for run in _runs(place):
        wait_until(lambda run=run: run.attempt == 2 and run.has_checkpoint(), "a second attempt")  # type: ignore[misc]
        wait_for_event(run, Progress)
    again.signal(signal.SIGTERM)
    assert again.wait() == 143
    place.wait_alone()
    assert StoredComparison(comparison).standing().outcome == "stopped"
    assert {run.state() for run in _runs(place)} <= {"stopped", "done"}
    stopped = next(run for run in _runs(place) if run.state() == "stopped")
    (last,) = [event for event in all_events(stopped) if isinstance(event, CheckpointSaved)][-1:]
    alone = place.fork("resume", stopped.id, "--no-ui", "--epochs", str(last.epoch + 1), "--lang", "en")
    assert alone.wait() == 0, alone.err
    ended = [event for event in all_events(stopped) if isinstance(event, RunEnded)]
    assert [event.status for event in ended] == ["stopped", "done"]
    assert len(_runs(place)) == 4


def test_it_is_refused_where_it_could_do_nothing(place: Place) -> None:
    ended = place.fork("compare", place.slow, f"{place.slow}+lr=0.1", *OPTIONS)
    assert ended.wait() == 2
    assert len(ended.err.splitlines()) == 1
    assert "--together is for RN_1, RN_2" in ended.err
