"""What the terminal can show."""

from __future__ import annotations

import os
import sys


def has_utf8() -> bool:
    """Whether it takes more than ASCII."""
    encoding = getattr(sys.__stderr__, "encoding", None) or ""
    return encoding.lower().replace("-", "") == "utf8"


def has_grey() -> bool:
    """Whether it shows shades and block characters."""
    return has_utf8() and not os.environ.get("NO_COLOR")
