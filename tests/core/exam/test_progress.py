"""What is kept of a user's work on the questions, whatever has become of its file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from core import paths
from core.exam import questions
from core.exam.progress import FILE, ExamProgress, Guessed, progress_file
from core.messages import Problem

I_1, I_2 = questions.load("en")[:2]


def guessed(progress: ExamProgress, *rights: bool) -> ExamProgress:
    """Return the progress with guesses at I.1, the first of which are right or not."""
    for guess, is_right in zip(I_1.guesses, rights, strict=False):
        progress = progress.with_guess(I_1.id, guess.id, Guessed("9", is_right))
    return progress


def test_how_a_question_stands() -> None:
    start = ExamProgress()
    assert start.standing(I_1) == guessed(start, True, True).standing(I_1) == "open"
    seen = start.with_seen("I.1")
    assert seen.standing(I_1) == guessed(seen, True).standing(I_1) == "seen"
    assert guessed(seen, True, True).standing(I_1) == "right"
    assert guessed(seen, True, False).standing(I_1) == "missed"
    again = guessed(seen, False, True).begun_again(I_1)
    assert again.standing(I_1) == guessed(again, True, True).standing(I_1) == "missed"  # it is not judged yet
    assert again.with_seen("I.1").standing(I_1) == "missed"  # without a guess
    assert guessed(again, True, True).with_seen("I.1").standing(I_1) == "right"
    assert again.of("I.1").tries == 2
    assert guessed(seen, True, True).standing(I_2) == "open"


def test_progress_is_kept(tmp_path: Path) -> None:
    kept = guessed(ExamProgress(), True, False).with_seen("I.1")
    progress_file(tmp_path / "new" / "folder").write(kept)
    assert progress_file(tmp_path / "new" / "folder").read() == (kept, None)


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


HOSTILE = {
    "empty": b"",
    "torn": b'{"format":1,"answered":{"I.1":{"gue',
    "no object": b"[1, 2]",
    "another type": b'{"answered":{"I.1":{"is_seen":"yes"}}}',
    "long guess": b'{"answered":{"I.1":{"guesses":{"rn1_fc1":{"typed":"%s","is_right":true}}}}}' % (b"9" * 99),
    "deep": b"[" * 60_000,
    "large": b" " * 70_000,
    "not utf-8": b'{"answered":{"\xff":{}}}',
    "newer": b'{"format":2,"answered":{},"more":1}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_file_that_cannot_be_used_is_set_aside(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    file = progress_file(tmp_path)
    progress, problem = file.read()
    assert progress == ExamProgress()
    assert problem is not None
    assert (tmp_path / "questions.old.json").read_bytes() == content
    file.write(progress.with_seen("I.1"))
    assert progress_file(tmp_path).read() == (progress.with_seen("I.1"), None)


@pytest.mark.parametrize("make", [link, os.mkfifo, Path.mkdir], ids=["link", "pipe", "folder"])
def test_what_is_no_file_is_set_aside(make: object, tmp_path: Path) -> None:
    make(tmp_path / FILE)  # type: ignore[operator]
    assert progress_file(tmp_path).read()[1] is not None
    progress_file(tmp_path).write(ExamProgress())
    assert Path("/etc/passwd").read_text()


def test_many_damaged_files_do_not_pile_up_for_ever(tmp_path: Path) -> None:
    for _time in range(12):
        (tmp_path / FILE).write_bytes(b"?")
        assert progress_file(tmp_path).read()[0] == ExamProgress()
    assert len(list(tmp_path.iterdir())) == 9


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Problem, match="cannot write"):
        progress_file(tmp_path / "file").write(ExamProgress())
    progress_file(None).write(ExamProgress())
    assert progress_file(None).read() == (ExamProgress(), None)


def test_the_state_folder_is_the_users(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MNIST_TUI_STATE", str(tmp_path / "kept"))
    assert paths.default_state_dir() == tmp_path / "kept"
    monkeypatch.delenv("MNIST_TUI_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert paths.default_state_dir().name == "mnist-tui"
