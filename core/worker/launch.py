"""Starting worker processes, each in its own session, so that it outlives the terminal."""

from __future__ import annotations

import subprocess
import sys
from typing import IO

from core.messages import Problem, reason
from core.runs.directory import Run

STANDBY = "--standby"


def launch_run(run: Run) -> subprocess.Popen[bytes]:
    """Start a process that trains a run; its output goes to the run's log. Raises `Problem`."""
    try:
        with run.log_path.open("ab") as log:
            return _launch(str(run.path), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    except OSError as error:
        raise Problem("the training process could not start: {reason}", reason=reason(error)) from error


def launch_standby(errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that answers questions until it is handed a run. Raises `Problem`.

    It reads and writes the lines of `core.worker.protocol`. Anything else that it prints goes to `errors`: a worker
    must not block or end because nobody reads that.
    """
    try:
        return _launch(STANDBY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
    except OSError as error:
        raise Problem("the training process could not start: {reason}", reason=reason(error)) from error


def _launch(argument: str, *, stdin: int, stdout: int | IO[bytes], stderr: IO[bytes]) -> subprocess.Popen[bytes]:
    # -P: a file in the user's current folder must not replace a library.
    command = [sys.executable, "-P", "-m", "core.worker", argument]
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True)
