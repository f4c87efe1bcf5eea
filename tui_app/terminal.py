"""The terminal's capabilities."""

from __future__ import annotations

import os
import sys
from typing import TextIO


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
