"""Lines on stderr, with a progress bar below them."""

from __future__ import annotations

import io
import os
import pty
import select
from collections.abc import Iterator
from typing import TextIO

import pytest

from tui_app.console.status_line import StatusLine


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, TextIO]]:
    """Open a terminal of 40 columns; return the user's end and the program's."""
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    monkeypatch.setattr(os, "get_terminal_size", lambda _descriptor: os.terminal_size((40, 24)))
    with os.fdopen(theirs, "w") as stream:
        yield ours, stream
    os.close(ours)


def said(ours: int) -> str:
    text = b""
    while select.select([ours], [], [], 0)[0]:
        text += os.read(ours, 1 << 16)
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_that_was_given_no_size(terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    ours, stream = terminal
    monkeypatch.setattr(os, "get_terminal_size", lambda _descriptor: os.terminal_size((0, 0)))
    StatusLine(stream).note("Epoch 1")
    assert said(ours) == "Epoch 1\n"


def test_lines_are_wrapped_at_words_on_a_terminal(terminal: tuple[int, TextIO]) -> None:
    ours, stream = terminal
    StatusLine(stream).note("RN_2 is more accurate than RN_1 on these test images: by 2.32 to 4.82 points")
    lines = said(ours).splitlines()
    assert lines == ["RN_2 is more accurate than RN_1 on", "these test images: by 2.32 to 4.82", "points"]


def test_a_bar_gives_way_to_a_line_and_is_cut_to_the_width(terminal: tuple[int, TextIO]) -> None:
    ours, stream = terminal
    status = StatusLine(stream)
    status.draw("x" * 60)
    assert said(ours) == "\r\x1b[2K" + "x" * 39
    status.note("done")
    assert said(ours) == "\r\x1b[2Kdone\n"


def test_a_pipe_gets_whole_lines_and_no_bar() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        status = StatusLine(stream)
        status.draw("x")
        status.note("word " * 50 + "end")
    with os.fdopen(reader) as source:
        assert source.read() == "word " * 50 + "end\n"


class Gone(io.StringIO):
    """A pipe without a reader."""

    tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_written_to_no_more() -> None:
    gone = Gone()
    status = StatusLine(gone)
    status.note("a")
    status.note("b")
    assert gone.tries == 1
