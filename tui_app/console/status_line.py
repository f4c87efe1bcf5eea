"""Progress messages on stderr."""

from __future__ import annotations

import os
import textwrap
import time
from collections.abc import Iterable
from typing import TextIO

from tui_app import i18n, wording

_INTERVAL_S = 0.25
_WIDTH = 24
_NARROWEST = 20


class Stopped(Exception):
    """Raised when a signal stops a command; progress is already saved."""


class StatusLine:
    """Lines of text and, on a terminal, a progress bar below them. Once the reader is gone, nothing more is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: TextIO | None = stream
        self._is_terminal = stream.isatty()
        self.has_bar = self._is_terminal and os.environ.get("TERM", "dumb") != "dumb"
        self._drawn = ""
        self._next_drawing = 0.0

    def note(self, text: str) -> None:
        """Print a line, wrapped at words on a terminal."""
        self.erase()
        if self._is_terminal:
            text = textwrap.fill(text, self._columns() - 1, break_long_words=False, break_on_hyphens=False)
        self._write(text + "\n")

    def draw(self, text: str) -> None:
        """Draw the bar's line in place of the last one, at most four times a second."""
        if text and self.has_bar and time.monotonic() >= self._next_drawing:
            self._next_drawing = time.monotonic() + _INTERVAL_S
            self._drawn = text[: self._columns() - 1]
            self._write(f"\r\x1b[2K{self._drawn}")

    def draw_share(self, text: str, share: float, after: str = "") -> None:
        """Draw a bar for a share from 0 to 1, between two texts."""
        self.draw(f"{text} {bar(share)} {i18n.percent(share, 0)}  {after}".rstrip())

    def warn_of_sample(self, datasets: Iterable[str]) -> None:
        """Print the sample's warning if a data set is the embedded sample."""
        if "sample" in datasets:
            self.note(wording.sample_warning())

    def erase(self) -> str:
        """Erase the bar's line and return it."""
        drawn, self._drawn = self._drawn, ""
        if drawn:
            self._write("\r\x1b[2K")
        return drawn

    def restore(self, drawn: str) -> None:
        """Redraw the line that `erase` returned."""
        self._drawn = drawn
        self._write(drawn)

    def _columns(self) -> int:
        try:
            known = os.get_terminal_size(self._stream.fileno()).columns if self._stream else 0
        except OSError:
            known = 0
        return known if known >= _NARROWEST else 80  # a terminal that was given no size says 0

    def _write(self, text: str) -> None:
        try:
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
        except OSError:
            self._stream = None


def bar(share: float) -> str:
    """Return a bar in plain characters for a share from 0 to 1."""
    full = round(max(0.0, min(1.0, share)) * _WIDTH)
    return "[" + "#" * full + "." * (_WIDTH - full) + "]"
