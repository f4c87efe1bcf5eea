"""Starting processes, each in its own session, so that it outlives the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, NoReturn

from core import files
from core.messages import Problem, reason
from core.runs.directory import Run
from core.runs.job_folder import JobFolder
from core.runs.provenance import COMMAND_VARIABLE, command_line
from core.worker import at_end

STANDBY = "--standby"
# The user's search path (`PYTHONPATH`) may hold a `core` too, and may be where torch is: only our `core` comes first.
_START = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
import core
del sys.path[0]
"""
_WORKER = "core.worker.__main__"


def launch_run(run: Run, on_end: str = "") -> subprocess.Popen[bytes]:
    """Start a process that trains a run, then executes `on_end`; its output goes to the run's log. Raises `Problem`."""
    return launch_job(_WORKER, run, on_end)


def launch_together(runs: Sequence[Run]) -> subprocess.Popen[bytes]:
    """Start a process that trains several runs at once; its output goes to the log of the first. Raises `Problem`."""
    return launch_job(_WORKER, runs[0], more=[str(run.path) for run in runs[1:]])


def launch_job(module: str, folder: JobFolder, on_end: str = "", more: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start a process that calls a module's `main` for a folder and `more`; its output goes to the log there.

    Raises `Problem`.
    """
    try:
        with folder.log_path.open("ab") as log:
            files.lock(log.fileno())  # for as long as the process lives: it has no lease yet
            arguments = [str(folder.path), *more]
            return _launch(module, *arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, on_end=on_end)
    except OSError as error:
        raise Problem("the training process could not start: {reason}", reason=reason(error)) from error


def launch_standby(errors: IO[bytes], on_end: str = "") -> subprocess.Popen[bytes]:
    """Start a process that answers questions until it is handed a run, and executes `on_end` after that.

    Raises `Problem`.

    It reads and writes the lines of `core.worker.protocol`. Anything else that it prints goes to `errors`: a worker
    must not block or end because nobody reads that.
    """
    try:
        return _launch(_WORKER, STANDBY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, on_end=on_end)
    except OSError as error:
        raise Problem("the training process could not start: {reason}", reason=reason(error)) from error


def restart_for(run: Run) -> NoReturn:
    """Turn this process into one that `launch_run` would start: only its pid, its session and its streams stay."""
    os.execv(sys.executable, _command(_WORKER, str(run.path)))


def _launch(
    module: str, *arguments: str, stdin: int, stdout: int | IO[bytes], stderr: IO[bytes], on_end: str
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, COMMAND_VARIABLE: command_line(), at_end.VARIABLE: on_end}
    return subprocess.Popen(
        _command(module, *arguments), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True, env=environment
    )


def _command(module: str, *arguments: str) -> list[str]:
    # -P: a file in the user's current folder must not replace a library.
    return [sys.executable, "-P", "-c", f"{_START}from {module} import main\nmain()\n", *arguments]
