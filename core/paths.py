"""Where things are kept when nobody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def default_data_dir() -> Path:
    """`$MNIST_TUI_DATA`, else in the user's data directory."""
    given = os.environ.get("MNIST_TUI_DATA")
    return Path(given).expanduser().absolute() if given else user_data_path("mnist-tui") / "data"


def default_runs_dir() -> Path:
    """`$MNIST_TUI_RUNS`, else in the user's data directory."""
    given = os.environ.get("MNIST_TUI_RUNS")
    return Path(given).expanduser().absolute() if given else user_data_path("mnist-tui") / "runs"
