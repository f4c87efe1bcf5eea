"""Run directories, read without trusting what is in them."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from core.messages import Problem
from core.runs import directory, resumption
from core.runs.directory import Listing
from core.runs.events import EventWriter, Progress, RunEnded
from tests.core.runs.run_files import new_run, write
from tests.recorded import started


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
        resumption.check_resumable(run)


def test_a_listing_reads_again_what_has_changed(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    listing = Listing(tmp_path)
    assert [summary.state for summary in listing.read()] == ["starting"]
    write(run, RunEnded(status="done"))
    assert [summary.state for summary in listing.read()] == ["done"]
    write(run, RunEnded(status="stopped"))
    assert [summary.state for summary in listing.read()] == ["stopped"]


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Problem, match="--runs-dir"):
        new_run(tmp_path / "file" / "runs")


def test_a_large_file_of_events_is_not_read_whole_for_the_list(tmp_path: Path) -> None:
    """Also when nothing in it can be read: a sparse file of a gigabyte is listed as any other."""
    run = new_run(tmp_path)
    with run.events_path.open("wb") as file:
        file.truncate(1 << 30)
    read_before = psutil.Process().io_counters().read_chars
    assert run.state() in ("starting", "crashed")
    assert psutil.Process().io_counters().read_chars - read_before < 16 << 20


def test_a_run_that_was_only_tested_again_keeps_its_loss_and_time(tmp_path: Path) -> None:
    run = new_run(tmp_path, epochs=1)
    end = Progress(epoch=1, step=63, loss=0.5, losses=(), images_per_s=1.0, elapsed_s=60.0)
    write(run, started(run.config()), end, started(run.config(), epoch=1, step=63), RunEnded(status="done"))
    summary = run.summary()
    assert (summary.loss, summary.elapsed_s) == (0.5, 60.0)


def test_a_pipe_in_the_place_of_a_file_is_neither_waited_for_nor_written_into(tmp_path: Path) -> None:
    def pipe(path: Path) -> int:
        os.mkfifo(path)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK)  # who opens it for writing does not wait

    pipes = [pipe(tmp_path / ".numbers")]
    run = new_run(tmp_path)
    pipes += [pipe(run.path / name) for name in ("stop", "log.txt", "events.jsonl")]
    with pytest.raises(Problem, match="not a regular file"):
        run.request_stop()
    with pytest.raises(OSError, match="not a regular file"):
        run.append_to_log()
    with pytest.raises(OSError, match="not a regular file"):
        EventWriter(run.events_path, 1)
    for reader in pipes:
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
        os.close(reader)
