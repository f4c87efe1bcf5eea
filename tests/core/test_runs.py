"""Run directories and their events, read with distrust."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from core import files
from core.config import RunConfig
from core.messages import Problem
from core.runs import directory, events, lease
from core.runs.directory import Listing, Run
from core.runs.events import EpochEnded, EventReader, EventWriter, Progress, RunEnded
from core.runs.lease import Worker

PROGRESS = Progress(epoch=1, step=2, loss=0.5, losses=(0.75, 0.25), images_per_s=1000.0, elapsed_s=0.1)


def new_run(folder: Path, **settings: object) -> Run:
    return directory.create(folder, RunConfig(**settings))  # type: ignore[arg-type]


def write(run: Run, *new: events.Event) -> None:
    writer = EventWriter(run.events_path)
    for event in new:
        assert writer.write(event) is None
    writer.close()


def claim(run: Run, **worker: object) -> None:
    known = Worker(socket.gethostname(), os.getpid(), psutil.Process().create_time(), time.time())
    content = msgspec.json.encode(msgspec.structs.replace(known, **worker))
    files.replace(run.path / "worker.json", lambda file: file.write(content))


def test_ids_are_short_sortable_and_never_given_twice(tmp_path: Path) -> None:
    made = [new_run(tmp_path, model=model).id for model in ("RN_1", "RN_2", "/x/my_net.py:Big_Net", "RN_2")]
    assert made == ["rn1-0001", "rn2-0002", "big_net-0003", "rn2-0004"]
    assert directory.find(tmp_path).id == "rn2-0004"
    assert directory.find(tmp_path, "rn1-0001").config().model == "RN_1"


@pytest.mark.parametrize("name", ["../rn1-0001", "rn1-0002", "", ".", "rn1-0001/../rn1-0001", "rn1-0001\x1b[31m"])
def test_an_id_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    new_run(tmp_path / "inner")
    with pytest.raises(Problem, match="there is no run"):
        directory.find(tmp_path / "inner", name)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    outside = new_run(tmp_path / "outside")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "rn1-0005").symlink_to(outside.path)
    with pytest.raises(Problem):
        directory.find(tmp_path / "runs", "rn1-0005")
    assert [summary.state for summary in Listing(tmp_path / "runs").read()] == ["unreadable"]
    run = new_run(tmp_path / "runs")
    (run.path / "config.json").unlink()
    (run.path / "config.json").symlink_to(outside.path / "config.json")
    assert run.state() == "unreadable"


def test_events_come_back_as_they_were_written(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    reader = run.reader()
    assert reader.read_new() == []
    write(run, PROGRESS)
    assert reader.read_new() == [PROGRESS]
    write(run, EpochEnded(epoch=1, loss=0.5, seconds=1.0, time=5.0), RunEnded(status="done", time=6.0))
    assert [type(event) for event in reader.read_new()] == [EpochEnded, RunEnded]
    assert reader.read_new() == []
    for line in run.events_path.read_bytes().splitlines():
        assert json.loads(line)["time"] > 0


def test_a_torn_line_is_waited_for_and_swallows_nothing(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    line = events.encode(PROGRESS)
    run.events_path.write_bytes(line + line[:20])
    reader = run.reader()
    assert reader.read_new() == [PROGRESS]
    with run.events_path.open("ab") as file:
        file.write(line[20:])
    assert reader.read_new() == [PROGRESS]
    with run.events_path.open("ab") as file:
        file.write(line[:20])  # killed in the middle
    write(run, PROGRESS)
    assert reader.read_new() == [PROGRESS]
    assert reader.skipped == 1


def test_what_is_none_of_ours_is_passed_over(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    junk = [b"\xff\x00\x1b[31m", b"{}", b'{"type":"unknown"}', b"[" * 100_000, b"x" * (events.MAX_LINE + 10), b"1e999"]
    run.events_path.write_bytes(b"\n".join([*junk, events.encode(PROGRESS)]))
    reader = EventReader(run.events_path)
    assert reader.read_new(limit=1 << 16) == [PROGRESS]
    assert reader.skipped == len(junk)


def test_what_a_full_disk_refused_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path)
    writer = EventWriter(run.events_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _no_space)
        error = writer.write(PROGRESS)
        assert error is not None
        assert "No space" in str(error)
    assert writer.write(RunEnded(status="done")) is None
    assert [type(event) for event in run.reader().read_new()] == [Progress, RunEnded]


def _no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_states_of_a_run_as_its_worker_comes_and_goes(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert run.state() == "starting"
    claim(run)
    assert run.state() == "running"
    claim(run, process_start=1.0)  # the pid was given to another process since
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


def test_a_run_that_nobody_took_up_has_crashed(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    os.utime(run.path / "config.json", (1.0, 1.0))
    assert run.state() == "crashed"


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b'{"epochs": -1}', b'{"model": 3}', b"[" * 50_000, b"x" * 10**6]
)
def test_a_damaged_configuration_makes_a_run_unreadable(content: bytes, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    (run.path / "config.json").write_bytes(content)
    (summary,) = Listing(tmp_path).read()
    assert summary.state == "unreadable"
    assert summary.message is not None
    with pytest.raises(Problem):
        directory.check_resumable(run)


def test_only_one_process_trains_a_run(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with lease.hold(run.path), pytest.raises(Problem, match="already"), lease.hold(run.path):
        pass


def test_a_listing_reads_again_what_has_changed(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    listing = Listing(tmp_path)
    assert [summary.state for summary in listing.read()] == ["starting"]
    write(run, RunEnded(status="done"))
    assert [summary.state for summary in listing.read()] == ["done"]
    write(run, RunEnded(status="stopped"))
    assert [summary.state for summary in listing.read()] == ["stopped"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.replace(path, lambda file: file.write(b"old"))

    def fail(file: object) -> None:
        file.write(b"ne")  # type: ignore[attr-defined]
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        files.replace(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="--runs-dir"):
        new_run(tmp_path / "file" / "runs")
