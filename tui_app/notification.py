"""The terminal's own notification that a run has ended."""

from __future__ import annotations

import os
import re

from tui_app.i18n import printable

LEAST_S = 20.0
"""Seconds from which on a run is long enough for its user to look elsewhere."""

# Consoles of the kernel and old terminals print what they do not know; screen takes it for the title of a window.
_ONLY_BELL = re.compile(r"linux|screen|vt\d|ansi|cons\d|sun|wy\d|eterm")
_RXVT_WAY = re.compile(r"rxvt|foot")


def sequence(text: str) -> str:
    """Return what makes the terminal notify its user, with the bell; empty if it would print that.

    rxvt, foot and those with VTE know OSC 777; iTerm2, kitty, WezTerm and Ghostty OSC 9; xterm and the rest of today's
    terminals drop either. One only is sent, as some know both.
    """
    kind = os.environ.get("TERM", "dumb")
    if kind in ("", "dumb", "unknown"):
        return ""
    in_tmux = bool(os.environ.get("TMUX"))
    if _ONLY_BELL.match(kind) and not in_tmux:
        return "\a"
    text = printable(text)
    is_rxvt = _RXVT_WAY.match(kind) or os.environ.get("VTE_VERSION")
    notification = f"\x1b]777;notify;mnist-tui;{text}\a" if is_rxvt else f"\x1b]9;mnist-tui: {text}\a"
    if in_tmux:  # passes it on where its option allow-passthrough is on, and drops it else
        notification = f"\x1bPtmux;\x1b{notification}\x1b\\"
    return notification + "\a"
