"""Runs on machines that are shared: other hosts and containers, job schedulers, other users, damage."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.runs import directory, lease
from core.runs.directory import Run
from core.runs.events import CheckpointSaved, Event, Progress, RunEnded, RunStarted
from core.worker.launch import launch_run
from tests.core.runs.run_files import checkpoints_of
from tests.core.training.sample_runs import configuration
from tests.end_to_end.namespaces import CONTAINER, age, another_host, has_namespaces
from tests.end_to_end.terminal import Place, all_events, batch_losses, predictions, wait_for_event, wait_until
from tests.json_checks import check_json

pytestmark = pytest.mark.slow

OPTIONS = ("--epochs", "2", "--seed", "3")
JOB = ("--dataset", "sample", "--threads", "1", "--lang", "en", *OPTIONS)
needs_namespaces = pytest.mark.skipif(not has_namespaces(), reason="needs namespaces")


def states(place: Place, prefix: Sequence[str] = ()) -> dict[str, str]:
    listed = place.start("runs", "--json", prefix=prefix)
    assert listed.wait() == 0, listed.err
    return {entry["id"]: entry["state"] for entry in json.loads(listed.out)}


@needs_namespaces
def test_a_living_run_is_not_called_crashed_from_a_container_nor_from_another_host(place: Place) -> None:
    place.train(*OPTIONS, pause=0.2)
    run = place.run()
    wait_for_event(run, Progress)
    for prefix in (CONTAINER, another_host(place)):
        assert states(place, prefix) == {run.id: "running"}
        refused = place.start("resume", run.id, "--no-ui", "--lang", "en", prefix=prefix)
        assert refused.wait() == 1
        assert "already being trained" in refused.err
    assert place.start("stop", run.id, prefix=another_host(place)).wait() == 0
    wait_until(lambda: states(place) == {run.id: "stopped"}, "the end")


@needs_namespaces
def test_a_process_that_halts_is_superseded_from_another_host_and_writes_nothing_more(place: Place) -> None:
    reference = place.train(*OPTIONS)
    assert reference.wait() == 0
    expected = batch_losses(place.run()), predictions(place.run())
    halted = place.train(*OPTIONS, pause=0.02)
    run = Run(place.runs_dir / "slow-0002")
    wait_for_event(run, CheckpointSaved)
    halted.signal(signal.SIGSTOP)
    age(run)
    assert states(place, another_host(place))[run.id] == "silent"
    assert states(place)[run.id] == "running"  # on its own host, the lock knows better
    resume = ("resume", run.id, "--no-ui", "--lang", "en")
    interrupted = place.start(*resume, prefix=another_host(place))
    wait_until(lambda: "waiting at most" in interrupted.err, "the countdown")
    interrupted.signal(signal.SIGINT)
    assert interrupted.wait() == 130
    assert not (run.path / "attempt-0002.json").exists()
    resumed = place.start(*resume, prefix=another_host(place))
    wait_for_event(run, RunStarted, lambda event: event.attempt == 2)
    assert "waiting at most" in resumed.err
    halted.signal(signal.SIGCONT)
    assert halted.wait() == 1
    assert "was taken over by another process" in halted.err
    assert resumed.wait() == 0, resumed.err
    assert (batch_losses(run), predictions(run)) == expected
    lines = [json.loads(line) for line in run.events_path.read_bytes().splitlines()]
    attempts = [line["attempt"] for line in lines]
    assert attempts == sorted(attempts)
    assert {line["run"] for line in lines} == {run.id}


def test_a_run_killed_before_it_wrote_a_word_is_resumed_at_once(place: Place) -> None:
    started = place.command("--detach", "--dataset", "sample", *OPTIONS, "--threads", "1")
    assert started.code == 0
    run = Run(place.runs_dir / started.out.strip())
    newest = wait_until(lambda: lease.read(run.path), "the lease, long before torch is loaded")
    os.kill(newest.pid, signal.SIGKILL)
    wait_until(lambda: run.state() == "crashed", "the end")
    resumed = place.fork("resume", run.id, "--no-ui", "--lang", "en")
    assert resumed.wait() == 0, resumed.err
    assert "waiting" not in resumed.err


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_batch_system_s_warning_saves_a_checkpoint_and_asks_to_be_tried_again(
    number: signal.Signals, place: Place
) -> None:
    """The same line in a job script starts the run, goes on with it, and says that it is done."""
    command = ("--name", "my-job", *JOB, "--model", place.slow)
    job = place.fork(*command, PAUSE="0.02")
    run = place.run()
    wait_for_event(run, Progress, lambda event: event.step > 3)
    for each in (number, signal.SIGTERM, number):  # batch systems repeat themselves, also while a checkpoint is saved
        job.signal(each)
    assert job.wait() == 75
    assert len(checkpoints_of(run)) == 1
    again = place.fork(*command)
    assert again.wait() == 0
    assert "Resumed at epoch 1" in again.err
    done = place.fork(*command)
    assert done.wait() == 0
    assert "my-job is run slow-0001: done." in done.err
    assert done.out.splitlines()[-1] == again.out.splitlines()[-1]
    other = place.fork(*command, "--lr", "0.1")
    assert other.wait() == 2
    assert "which has other settings: lr=0.001" in other.err
    assert [path.name for path in place.runs_dir.glob("slow-*")] == ["slow-0001"]


def test_a_warning_that_comes_as_it_ends_changes_no_exit_code(place: Place) -> None:
    job = place.start("--no-ui", *JOB)
    wait_for_event(place.run(), RunEnded)
    while job.poll() is None:
        job.signal(signal.SIGUSR1)
        time.sleep(0.002)
    assert job.poll() == 0, job.err


def test_a_run_that_is_starting_is_not_called_crashed_however_long_it_takes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_START_GRACE_S", -1.0)
    run = directory.create(place.runs_dir, configuration())
    started = launch_run(run)
    os.kill(started.pid, signal.SIGSTOP)
    assert lease.read(run.path) is None
    assert run.state() == "starting"
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    assert run.state() == "crashed"
    refused = place.start("--detach", *JOB, prefix=("sh", "-c", 'exec "$@" > /dev/full', "sh"))
    assert refused.wait() == 1
    assert "run rn1-0002 trains in the background, but its id could not be printed" in refused.err
    config = run.path / "config.json"
    config.write_text("damaged")
    assert place.command("stop", run.id, "--lang", "en").err == f"Run {run.id} is not in progress.\n"
    assert place.command("stop", "--all", "--wait").code == 0


def test_of_two_jobs_of_one_name_one_trains_and_both_get_its_lines(place: Place) -> None:
    command = ("--name", "one", *JOB, "--model", place.slow)
    jobs = [place.fork(*command, PAUSE="0.01") for _ in range(2)]
    assert [job.wait() for job in jobs] == [0, 0]
    assert jobs[0].out == jobs[1].out != ""
    assert len(list(place.runs_dir.glob("slow-*"))) == 1
    assert sum("another process trains" in job.err for job in jobs) == 1
    command = (*command[:1], "two", *command[2:])
    jobs = [place.fork(*command, PAUSE="0.1") for _ in range(2)]
    wait_until(lambda: any("another process trains" in job.err for job in jobs), "the one that waits")
    run = place.run()  # whose number is not known: a run that came too late for its name is gone, but had one
    wait_for_event(run, Progress)
    assert place.command("stop", run.id, "--wait").code == 0
    assert sorted(job.wait() for job in jobs) == [130, 143]  # none of them goes on
    refused = place.fork("--name", "漢" * 80, *command[2:])
    assert refused.wait() == 2
    assert len(list(place.runs_dir.glob("slow-*"))) == 2


def test_runs_in_the_background_are_waited_for_and_stopped(place: Place) -> None:
    options = ("--detach", "--dataset", "sample", "--threads", "1", "--model", place.slow, "--epochs", "50")
    ids = [place.command(*options, PAUSE="0.02").out.strip() for _ in range(2)]
    for run_id in ids:
        wait_for_event(Run(place.runs_dir / run_id), Progress)
    newest = lease.read(place.runs_dir / ids[0])
    assert newest is not None
    assert "--detach --dataset sample" in newest.provenance.command
    waiting = place.start("wait", *ids)
    (place.runs_dir / ids[1] / "config.json").write_text("damaged")  # which ends no run, and hides none
    several = place.command("stop", "--lang", "en")
    assert several.code == 2
    assert "--all" in several.err
    assert place.command("stop", "--all", "--wait").code == 0
    assert Run(place.runs_dir / ids[0]).state() == "stopped"
    assert not Run(place.runs_dir / ids[1]).is_at_work
    assert waiting.wait() == 130
    assert sorted(waiting.out.splitlines()) == [f"{ids[0]} stopped", f"{ids[1]} unreadable"]
    assert place.command("stop", ids[0]).code == 0  # there is nothing to stop any more
    assert place.command("stop", "slow-9999").code == 1


def test_a_folder_that_is_deleted_ends_its_run_and_who_watches_it(place: Place) -> None:
    assert place.train("--epochs", "1").wait() == 0
    worker = place.train("--epochs", "50", pause=0.02)
    run = Run(place.runs_dir / "slow-0002")
    wait_for_event(run, Progress)
    waiting = place.start("wait", "slow-0001", run.id, "--lang", "en")
    following = place.start("follow", run.id, "--lang", "en")
    wait_until(lambda: waiting.out == "slow-0001 done\n" and following.err, "those who watch")
    config = (run.path / "config.json").read_bytes()
    shutil.rmtree(run.path)
    assert worker.wait() == 1
    assert "was deleted" in worker.err
    assert not run.path.exists()
    run.path.mkdir()
    (run.path / "config.json").write_bytes(config)
    for each in (waiting, following):  # another run in its place is not the one they watch
        assert each.wait() == 1
        assert f"the folder of run {run.id} was deleted" in each.err
    shutil.rmtree(run.path)
    again = place.train("--epochs", "1")
    assert again.wait() == 0
    assert place.run().id == "slow-0003"  # an id never comes back


def test_a_damaged_checkpoint_is_not_used_and_the_one_before_is(place: Place) -> None:
    whole = place.train(*OPTIONS)
    assert whole.wait() == 0
    expected = batch_losses(place.run())
    stopped = place.train(*OPTIONS, pause=0.02)
    run = Run(place.runs_dir / "slow-0002")
    wait_for_event(run, Progress, lambda event: event.epoch == 2)
    stopped.signal(signal.SIGTERM)
    assert stopped.wait() == 143
    newest = checkpoints_of(run)[-1]
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    resumed = place.fork("resume", run.id, "--no-ui", "--lang", "en")
    assert resumed.wait() == 0
    assert f"{newest.name} is damaged: the checkpoint before it is used" in resumed.err
    assert batch_losses(run) == expected


def test_what_a_newer_version_wrote_is_shown_and_not_trained(place: Place) -> None:
    assert place.train("--epochs", "1", model="RN_1").wait() == 0
    run = place.run()
    config = json.loads((run.path / "config.json").read_bytes())
    for changes in ({"optimizer": "sgd"}, {"precision": "fp16"}, {"device": "xpu"}, {"format": 3, "epochs": [1, 2]}):
        (run.path / "config.json").write_text(json.dumps(config | changes))
        listed = place.listed()[run.id]
        assert listed["state"] == "done"
        assert listed["accuracy"] > 0.5
    lines = run.events_path.read_bytes().splitlines(keepends=True)
    run.events_path.write_bytes(b"".join(lines[:-1]))
    (run.path / "config.json").write_text(json.dumps(config | {"optimizer": "sgd"}))
    refused = place.fork("resume", run.id, "--no-ui", "--lang", "en")
    assert refused.wait() == 1
    assert "optimizer=sgd" in refused.err
    assert "update mnist-tui" in refused.err


def test_a_changed_network_is_not_resumed(place: Place) -> None:
    stopped = place.train(*OPTIONS, pause=0.02)
    run = place.run()
    wait_for_event(run, Progress)
    stopped.signal(signal.SIGINT)
    assert stopped.wait() == 130
    source = place.network_path.read_text()
    assert (run.path / "source" / "slow.py").read_text() == source
    place.network_path.write_text(source.replace("torch.relu", "torch.sin"))
    refused = place.fork("resume", run.id, "--no-ui", "--lang", "en")
    assert refused.wait() == 1
    assert f"slow.py is not as it was when run {run.id} was trained. Put it back" in refused.err
    assert "--changed" in refused.err
    record = run.path / "source.json"
    content = record.read_bytes()
    record.write_bytes(content.replace(b'": "', b'": "x', 1))
    refused = place.fork("resume", run.id, "--no-ui", "--lang", "en")
    assert refused.wait() == 1
    assert "it is not known whether the network" in refused.err
    assert (run.path / "source" / "slow.py").read_text() == source
    record.write_bytes(content)
    place.network_path.write_text(source)
    assert place.fork("resume", "--no-ui").wait() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user")
def test_another_user_s_file_is_not_executed_unless_trusted(place: Place) -> None:
    stopped = place.train(*OPTIONS, pause=0.02)
    run = place.run()
    wait_for_event(run, Progress)
    stopped.signal(signal.SIGINT)
    assert stopped.wait() == 130
    os.chown(run.path / "config.json", 65534, 65534)
    for command in (("resume", run.id, "--no-ui"), ("conditions", run.id)):
        refused = place.fork(*command, "--lang", "en")
        assert refused.wait() == 1
        assert "--trust" in refused.err
    assert place.fork("resume", run.id, "--no-ui", "--trust").wait() == 0


def test_a_team_s_folder_and_an_ignored_interrupt(place: Place) -> None:
    """A colleague may write everything under a umask of 002, where the folder hands on its group."""
    place.runs_dir.mkdir()
    place.runs_dir.chmod(0o2775)
    job = place.start(
        *("--no-ui", *JOB, "--model", place.slow),
        prefix=("sh", "-c", "umask 002; trap '' INT; exec \"$@\"", "sh"),
        PAUSE="0.02",
    )
    wait_for_event(place.run(), Progress)
    job.signal(signal.SIGINT)
    assert job.wait() == 0
    written = [place.run().path, *place.run().path.rglob("*"), place.runs_dir / ".numbers"]
    assert [path.name for path in written if not path.stat().st_mode & stat.S_IWGRP] == []


def started_at(events: Sequence[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, RunStarted)]


def test_stopped_from_elsewhere_is_not_interrupted(place: Place) -> None:
    job = place.train(*OPTIONS, pause=0.02)
    wait_for_event(place.run(), Progress)
    assert place.command("stop").code == 0
    assert job.wait() == 143
    assert started_at(all_events(place.run())) == [0]


def test_errors_are_json_too(place: Place) -> None:
    refused = place.fork("--json", "--device", "cuda:3", "--dataset", "sample", "--lang", "en")
    assert refused.wait() == 1
    (line,) = refused.out.splitlines()
    failure = check_json(line, "error")
    assert failure["exit_code"] == 1
    assert refused.err.startswith(f"mnist-tui: {failure['message']['sentence']}")


def test_a_file_of_the_lease_s_name_is_no_way_in(place: Place, tmp_path: Path) -> None:
    """A planted link is neither followed nor in the way."""
    stopped = place.train(*OPTIONS, pause=0.02)
    run = place.run()
    wait_for_event(run, Progress)
    stopped.kill()
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (run.path / "attempt-0002.json").symlink_to(precious)
    os.utime(run.path / "config.json", (1.0, 1.0))
    assert place.fork("resume", run.id, "--no-ui").wait() == 0
    assert precious.read_text() == "precious"
