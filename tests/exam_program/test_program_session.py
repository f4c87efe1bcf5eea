"""The program as the worker executes it for a dashboard."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from core.exam.program_data import ProgramFolders
from core.messages import Problem
from core.worker.launch import launch_standby
from core.worker.program_session import ProgramSession
from core.worker.protocol import (
    Answer,
    ProgressNote,
    Ready,
    Refused,
    Stepped,
    StepProgram,
    decode_answer,
    encode,
)

NO_DATA = str(Path(tempfile.gettempdir(), "mnist-tui-no-data"))
"""A folder without data."""
ACTIONS = ("start", "batch", "end", "stop", "leave", "line")


@pytest.fixture(autouse=True)
def _own_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_what_was_written_for_it_is_removed_when_it_is_left(tmp_path: Path) -> None:
    session = ProgramSession(lambda: False)
    for action, there in (("start", 1), ("batch", 1), ("leave", 0)):
        session.answer(StepProgram("RN_1", action, NO_DATA), lambda _message, _share: None)  # type: ignore[arg-type]
        assert len(list(tmp_path.glob("mnist-tui-*"))) == there
    with pytest.raises(Problem, match="has not been started"):
        session.answer(StepProgram("RN_1", "line", NO_DATA), lambda _message, _share: None)


def test_the_folder_of_a_killed_process_is_swept(tmp_path: Path) -> None:
    open_one, killed = ProgramFolders(), ProgramFolders()
    used, left = (each.sample().root.parent for each in (open_one, killed))
    os.close(killed._lock)
    killed._lock = -1
    for folder in (used, left):
        os.utime(folder, (0, 0))
    ProgramFolders().sample()
    assert used.exists()
    assert not left.exists()
    open_one.close()


def test_a_worker_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as errors, launch_standby(errors) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(encode(StepProgram("RN_1", "start", NO_DATA)) + b"\n")
        process.stdin.flush()
        while not isinstance(decode_answer.decode(process.stdout.readline()), Stepped):
            pass
        assert len(list(tmp_path.glob("mnist-tui-*"))) == 1
        process.terminate()
        assert process.wait(60) != 0
    assert list(tmp_path.glob("mnist-tui-*")) == []


@pytest.mark.slow
def test_a_worker_stops_it_for_the_next_request_and_leaves_nothing(tmp_path: Path) -> None:
    """All requests are there at once: the one to go to the end makes way for the next."""
    with tempfile.TemporaryFile() as errors:
        process = launch_standby(errors)
        assert process.stdin is not None
        assert process.stdout is not None
        lines = [encode(StepProgram("RN_1", action, NO_DATA)) + b"\n" for action in ACTIONS]  # type: ignore[arg-type]
        process.stdin.write(b"".join(lines))
        process.stdin.close()
        answers: list[Answer] = [decode_answer.decode(line) for line in process.stdout]
        assert process.wait(60) == 0
    told = [each for each in answers if not isinstance(each, ProgressNote | Ready)]
    stops = [each.stop for each in told if isinstance(each, Stepped)]
    assert [each.request.action for each in told if isinstance(each, Stepped)] == list(ACTIONS[:-1])
    ended = stops[2]
    assert ended is not None
    assert (ended.epoch, ended.batch < 63, ended.is_over) == (1, True, False)
    assert stops[3:] == [ended, None]
    assert isinstance(told[-1], Refused)
    assert list(tmp_path.glob("mnist-tui-*")) == []
