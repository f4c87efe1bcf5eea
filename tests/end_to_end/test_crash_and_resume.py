"""A worker killed at any moment: its run shows as crashed, and resumes to the numbers of a run never interrupted."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

import pytest

from core.messages import Message
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import CheckpointSaved, EpochEnded, Progress, RunEnded, RunStarted, encode
from tests.core.runs.run_files import checkpoints_of
from tests.end_to_end.terminal import (
    Background,
    Place,
    all_events,
    batch_losses,
    predictions,
    wait_for_event,
    wait_until,
)

pytestmark = pytest.mark.slow

OPTIONS = ("--epochs", "3", "--seed", "5", "--batch-size", "100")
STEPS = 40
BALLAST = str(5_000_000)
"""Number of extra parameters, large enough for a save to take some time."""


@pytest.fixture(scope="module")
def reference(shared_place: Place) -> dict[str, Any]:
    """Train a run that is never disturbed, and return its losses and predictions."""
    assert shared_place.train(*OPTIONS).wait() == 0
    return _outcome(shared_place.run())


def _outcome(run: Run) -> dict[str, Any]:
    return {"losses": batch_losses(run), "predictions": predictions(run)}


def _assert_crashed(place: Place, run: Run) -> None:
    """Wait until the list of runs shows the crash, within the promised time."""
    wait_until(lambda: place.listed()[run.id]["state"] == "crashed", "the run to show as crashed", timeout=5)


def _resume(place: Place, run: Run, **env: str) -> Background:
    return place.fork("resume", run.id, "--no-ui", "--lang", "en", **env)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.alike) for seed in (1, 2))])
def test_killed_at_random_moments(place: Place, reference: dict[str, Any], seed: int) -> None:
    """The same run is killed three times, each time after a random batch."""
    moments = random.Random(seed)
    worker = place.train(*OPTIONS, pause=0.004)
    run = place.run()
    for _ in range(3):
        started = wait_until(lambda: _newest_start(run), "the start of the run")
        batches = moments.randrange(1, 2 * STEPS)
        seen = len(all_events(run))
        goal = min((started.epoch - 1) * STEPS + started.step + batches, 3 * STEPS - 5)
        _wait_for_batch(run, goal, seen)
        worker.kill()
        assert run.state() == "crashed"
        worker = _resume(place, run, PAUSE="0.004")
        _wait_for_start_after(run, started)
    assert worker.wait() == 0
    assert _outcome(run) == reference


def _wait_for_batch(run: Run, goal: int, seen: int) -> None:
    """Wait until training has passed so many batches, judging by the events after its first `seen`."""
    wait_until(
        lambda: any(
            isinstance(event, Progress) and (event.epoch - 1) * STEPS + event.step >= goal
            for event in all_events(run)[seen:]
        ),
        "the moment",
    )


def _wait_for_start_after(run: Run, known: RunStarted) -> None:
    wait_until(lambda: _newest_start(run) != known, "the resumption")


def _newest_start(run: Run) -> RunStarted | None:
    starts = [event for event in all_events(run) if isinstance(event, RunStarted)] if run.events_path.exists() else []
    return starts[-1] if starts else None


def test_checkpoint_within_an_epoch(place: Place, reference: dict[str, Any]) -> None:
    """A long epoch has checkpoints; a run killed after one resumes from it, not from the start of the epoch."""
    worker = place.train(*OPTIONS, pause=0.2)
    run = place.run()
    saved = wait_for_event(run, CheckpointSaved)
    assert saved.epoch == 1
    assert 0 < saved.step < STEPS
    worker.kill()
    _assert_crashed(place, run)
    resumed = _resume(place, run)
    assert resumed.wait() == 0
    assert f"epoch 1, batch {saved.step}" in resumed.err
    assert resumed.out.splitlines()[0].startswith("Epoch 1/3, Loss: ")
    assert _outcome(run) == reference


def test_killed_in_the_middle_of_a_save(place: Place) -> None:
    """The older checkpoint stays whole, and the half-written one gets in nobody's way."""
    options = ("--epochs", "40", "--seed", "6", "--batch-size", "4000")
    worker = place.train(*options, BALLAST=BALLAST)
    run = place.run()
    wait_for_event(run, CheckpointSaved)
    for _ in range(5):
        before = checkpoints_of(run)[-1].stat().st_mtime_ns
        worker.signal(signal.SIGINT)  # the worker saves, then ends
        half_written = _wait_for_unfinished_save(run, worker)
        worker.kill()
        if half_written is not None and half_written.exists():
            break
        worker = _resume(place, run, BALLAST=BALLAST)  # too late: try again
    assert half_written is not None
    assert half_written.exists()
    assert checkpoints_of(run)[-1].stat().st_mtime_ns >= before
    assert half_written.stat().st_size < checkpoints_of(run)[-1].stat().st_size
    assert place.listed()[run.id]["state"] == "crashed"

    resumed = _resume(place, run, BALLAST=BALLAST)
    wait_until(lambda: "Resumed at epoch" in resumed.err, lambda: f"the resumption:\n{resumed.err}")
    assert not half_written.exists()
    ended = len([event for event in all_events(run) if isinstance(event, EpochEnded)])
    wait_until(lambda: len([e for e in all_events(run) if isinstance(e, EpochEnded)]) > ended, "another epoch")
    resumed.signal(signal.SIGINT)
    assert resumed.wait() == 130


def _wait_for_unfinished_save(run: Run, worker: Background) -> Path | None:
    """Return the file being written, or None if the worker ended first."""
    found: list[Path] = []

    def is_writing() -> bool:
        found.extend(filter(None, [_unfinished_save(run)]))
        return bool(found) or worker.poll() is not None

    wait_until(is_writing, "a save in progress")
    return found[0] if found else None


def _unfinished_save(run: Run) -> Path | None:
    return next(run.path.glob(".checkpoint*"), None)


def test_torn_last_line_is_not_in_the_way(place: Place, reference: dict[str, Any]) -> None:
    """The fragment of a killed worker's last event is skipped, and does not swallow a later event."""
    worker = place.train(*OPTIONS, pause=0.01)
    run = place.run()
    wait_for_event(run, CheckpointSaved)
    worker.kill()
    with run.events_path.open("ab") as file:
        file.write(encode(Progress(epoch=2, step=9, loss=9.0, losses=(9.0,), images_per_s=1, elapsed_s=1))[:-20])
    assert place.listed()[run.id]["state"] == "crashed"
    assert _resume(place, run).wait() == 0
    assert _outcome(run) == reference


def test_dashboard_shows_a_crash_with_its_log(place: Place) -> None:
    """It shows within 5 s, the end of the log is one key away, and the list of runs and `follow` report it too."""
    worker = place.train(*OPTIONS, pause=0.05)
    run = place.run()
    wait_for_event(run, Progress)
    terminal = place.terminal("attach", run.id)
    terminal.wait_for("running")
    with run.log_path.open("a") as log:
        log.write("the last words of a library\n")
    worker.kill()
    terminal.wait_for("crashed", timeout=5)
    terminal.wait_for("The training process died")
    terminal.keys("f4")
    terminal.wait_for("the last words of a library")
    terminal.keys("escape")
    terminal.wait_for(lambda text: "the last words" not in text)
    followed = place.command("follow", run.id)
    assert followed.code == 1
    assert "crashed" in followed.err
    assert "the last words of a library" in followed.err
    terminal.keys("f7")
    terminal.wait_for(lambda text: "Result: " in text and "done · epoch" in text)
    assert run.state() == "done"
    assert [event.status for event in all_events(run) if isinstance(event, RunEnded)] == ["done"]
    terminal.keys("f10")
    assert terminal.wait_end() == 0


def test_finished_run_is_not_resumed(place: Place) -> None:
    run = _made(place)
    run.events_path.write_bytes(encode(RunEnded(status="done", message=Message("over"))))
    ended = place.fork("resume", run.id, "--no-ui")
    assert ended.wait() == 1
    assert ended.out == ""
    assert run.id in ended.err
    assert len(ended.err.splitlines()) == 1
    assert [type(event) for event in all_events(run)] == [RunEnded]


def _made(place: Place) -> Run:
    from core.config import RunConfig

    return directory.create(place.runs_dir, RunConfig(dataset="sample"))


def test_live_run_is_not_resumed(place: Place) -> None:
    place.train(*OPTIONS, pause=0.05)
    run = place.run()
    wait_for_event(run, Progress)
    for command in (("resume", run.id, "--no-ui"), ("resume", run.id)):
        refused = place.fork(*command)
        assert refused.wait() == 1
        assert "already being trained" in refused.err
    assert run.state() == "running"


def test_two_resumptions_at_once(place: Place, reference: dict[str, Any]) -> None:
    """However close together, one of them trains and the other is refused with a reason."""
    worker = place.train(*OPTIONS, pause=0.01)
    run = place.run()
    wait_for_event(run, CheckpointSaved)
    worker.kill()
    both = [_resume(place, run, PAUSE="0.01") for _ in range(2)]
    codes = sorted(one.wait() for one in both)
    assert codes == [0, 1]
    refused = next(one for one in both if one.poll() == 1)
    assert "already being trained" in refused.err
    assert refused.out == ""
    assert _outcome(run) == reference
