"""Default directories for the data and the runs."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path


def default_data_dir() -> Path:
    """Return `$MNIST_TUI_DATA` or, if it is unset, `data` in the program's user data directory."""
    given = os.environ.get("MNIST_TUI_DATA")
    return Path(given).expanduser().absolute() if given else user_data_path("mnist-tui") / "data"


def default_runs_dir() -> Path:
    """Return `$MNIST_TUI_RUNS` or, if it is unset, `runs` in the program's user data directory."""
    given = os.environ.get("MNIST_TUI_RUNS")
    return Path(given).expanduser().absolute() if given else user_data_path("mnist-tui") / "runs"
