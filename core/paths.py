"""Default directories for the data, the runs and what the program remembers, and paths as users type them."""

from __future__ import annotations

import os
from pathlib import Path

from platformdirs import user_data_path, user_state_path

from core.messages import N_, Problem, reason


def default_data_dir() -> Path:
    """Return `$MNIST_TUI_DATA` or, if it is unset, `data` in the program's user data directory. Raises `Problem`."""
    return _default("MNIST_TUI_DATA", "data")


def default_runs_dir() -> Path:
    """Return `$MNIST_TUI_RUNS` or, if it is unset, `runs` in the program's user data directory. Raises `Problem`."""
    return _default("MNIST_TUI_RUNS", "runs")


def default_state_dir() -> Path:
    """Return `$MNIST_TUI_STATE` or, if it is unset, the program's folder of the user's state. Raises `Problem`."""
    if given := os.environ.get("MNIST_TUI_STATE"):
        return absolute(given)
    try:
        return user_state_path("mnist-tui")
    except RuntimeError as error:
        raise Problem("this user has no home folder", advice=N_("Set HOME, or MNIST_TUI_STATE.")) from error


def absolute(typed: str) -> Path:
    """Return a path with its `~` replaced. Raises `Problem` if there is no such home, or no current folder."""
    try:
        return Path(typed).expanduser().absolute()
    except RuntimeError as error:
        raise Problem("{path}: there is no such home folder", path=typed) from error
    except OSError as error:
        raise Problem("{path} leads nowhere: {reason}", path=typed, reason=reason(error)) from error


SENT = "MNIST_TUI_SENT"
"""Environment variable with the folder that has what was sent along with runs from another machine."""


def here(path: Path) -> Path:
    """Return where a file or folder of a run's settings lies on this machine: among what was sent along, if it was."""
    sent = os.environ.get(SENT)
    if not sent or not path.is_absolute():
        return path
    copy = Path(sent, *path.parts[1:])
    return copy if os.path.exists(copy) else path  # noqa: PTH110, which is False also for a name that cannot be


def _default(variable: str, name: str) -> Path:
    if given := os.environ.get(variable):
        return absolute(given)
    try:
        return user_data_path("mnist-tui") / name
    except RuntimeError as error:  # no HOME, and the user is in no list of users, as in many containers
        advice = N_("Set HOME, or both MNIST_TUI_RUNS and MNIST_TUI_DATA.")
        raise Problem("this user has no home folder", advice=advice) from error
