"""The terminal's capabilities, and the program's own output to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_own_output: TextIO | None = None


def claim_stdout() -> None:
    """Keep stdout for what is written to `output`; whatever else is printed, by any means, goes to stderr from now on.

    It stays so until the process ends: a library in C may write out what it was told to print only then.
    """
    global _own_output
    if _own_output is None:
        sys.stdout.flush()
        _own_output = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="replace")
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def output() -> TextIO:
    """Return the stream for the program's results."""
    return _own_output or sys.stdout


@contextmanager
def unclaimed_output_dropped() -> Iterator[None]:
    """Drop what is printed to stdout by others, for a time in which a custom network would print for every batch."""
    sys.stdout.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def has_utf8() -> bool:
    """Tell if the terminal takes more than ASCII."""
    return takes_utf8(sys.__stderr__)


def takes_utf8(stream: TextIO | None) -> bool:
    """Tell if a stream takes more than ASCII."""
    encoding = getattr(stream, "encoding", None) or ""
    return encoding.lower().replace("-", "") == "utf8"


def has_grey() -> bool:
    """Tell if the terminal shows shades and block characters."""
    return has_utf8() and not os.environ.get("NO_COLOR")
