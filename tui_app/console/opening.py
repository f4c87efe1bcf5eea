"""Opening the dashboard, where there is a terminal that can show it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from core.runs.control import Request
from core.worker.at_end import AtEnd
from core.worker.protocol import AskedImage
from tui_app.i18n import _


def no_dashboard(instead: str = _("text mode, as with --no-ui")) -> bool:
    """Tell if the dashboard cannot be drawn here, and print why and what comes instead."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        text = _("No terminal: {instead}.")
    elif os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        text = _("This terminal cannot show the dashboard: {instead}.")
    else:
        return False
    print(text.format(instead=instead), file=sys.stderr)
    return True


def open_dashboard(
    folder: Path,
    settings: dict[str, Any],
    run_id: str | None = None,
    resume: Request | None = None,
    at_end: AtEnd = AtEnd(),  # noqa: B008 - it is immutable
    look: tuple[AskedImage, bool] | None = None,
    exam: bool = False,
) -> int:
    from core.worker.process_title import entitle
    from tui_app.dashboard.app import MnistTui

    entitle()
    return MnistTui(folder, settings, run_id, resume=resume, at_end=at_end, look=look, exam=exam).run_in_terminal()
