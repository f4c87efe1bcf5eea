"""A picture of the screen, saved where the user finds it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import platformdirs

from core.messages import N_, Problem

FOLDERS: tuple[Callable[[], Path], ...] = (
    platformdirs.user_downloads_path,
    platformdirs.user_pictures_path,
    Path.home,
    Path.cwd,
    lambda: Path(tempfile.gettempdir()),
)


def save(svg: str) -> Path:
    """Write a picture into the first folder that is there and can be written, and return its path. Raises `Problem`."""
    name = f"mnist-tui-{datetime.now():%Y-%m-%d-%H%M%S}.svg"
    for folder in FOLDERS:
        try:
            path = folder() / name
            path.write_text(svg, encoding="utf-8")
        except (OSError, RuntimeError):  # the latter where there is no home
            continue
        return path
    raise Problem(N_("the screenshot could not be saved: no folder can be written"))
