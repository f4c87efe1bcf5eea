"""Events written and read: damaged input is tolerated, and a full disk loses nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from core import files
from core.runs import events
from core.runs.events import EpochEnded, EventReader, EventWriter, Progress, RunEnded
from tests.core.runs.run_files import PROGRESS, claim, new_run, write


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
    writer = EventWriter(run.events_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_some", _no_space)
        error = writer.write(PROGRESS)
        assert error is not None
        assert "No space" in str(error)
    assert writer.write(RunEnded(status="done")) is None
    assert [type(event) for event in run.reader().read_new()] == [Progress, RunEnded]


def test_late_events_of_a_superseded_process_are_passed_over_and_a_damaged_number_hides_none(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for attempt in (1, 2, 1, 9, 2):
        writer = EventWriter(run.events_path, attempt)
        assert writer.write(PROGRESS) is None
        writer.close()
        if attempt == 1 and not list(run.path.glob("attempt-*")):
            claim(run, lives=False)
            claim(run, lives=False)
    assert [event.attempt for event in run.reader().read_new()] == [1, 2, 2]


def _no_space(*_: object) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "change", [b'"epoch":0', b'"epoch":-1', b'"elapsed_s":1e308', b'"elapsed_s":-1', b'"images_per_s":-5']
)
def test_values_that_no_training_has_make_no_event(change: bytes) -> None:
    name = change.partition(b":")[0]
    line = re.sub(name + rb":[^,}]+", change, events.encode(PROGRESS))
    assert change in line
    assert events.decode(line) is None
