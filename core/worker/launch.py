"""Starting processes, each in its own session, so that it outlives the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from core import files
from core.messages import Problem, reason
from core.runs.directory import Run
from core.runs.job_folder import JobFolder
from core.runs.provenance import COMMAND_VARIABLE, command_line
from core.worker import at_end

STANDBY = "--standby"
SERIES = "--series"
LEASHED_SERIES = "--leashed-series"
ENDED = b"\0ended\n"
"""What such a process says on its stdout once its runs have ended; before, Python itself may have said something."""
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


def launch_series(runs: Sequence[Run], leash: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a process that trains runs, at once if there are several, and then those of each line on its stdin.

    Its output goes to the log of the first. With a `leash`, its runs stop once its stdin is closed, and that folder,
    which they are in, is removed. Raises `Problem`.
    """
    return _launch_with_log(_WORKER, runs[0], _series(runs, leash), has_pipe=True)


def launch_job(module: str, folder: JobFolder, on_end: str = "") -> subprocess.Popen[bytes]:
    """Start a process that calls a module's `main` for a folder; its output goes to the log there. Raises `Problem`."""
    return _launch_with_log(module, folder, [str(folder.path)], on_end)


def _launch_with_log(
    module: str, folder: JobFolder, arguments: Sequence[str], on_end: str = "", *, has_pipe: bool = False
) -> subprocess.Popen[bytes]:
    """Start a process whose output goes to the log of a folder, except for what a pipe takes. Raises `Problem`."""
    try:
        with folder.append_to_log() as log:
            files.lock(log.fileno())  # for as long as the process lives: it has no lease yet
            stdin, stdout = (subprocess.PIPE, subprocess.PIPE) if has_pipe else (subprocess.DEVNULL, log)
            return _launch(module, *arguments, stdin=stdin, stdout=stdout, stderr=log, on_end=on_end)
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


def last_words(errors: IO[bytes]) -> str:
    """Return the last line that a process which `launch_standby` started has written to its errors, if any."""
    errors.seek(0)
    return errors.read(1 << 16).decode(errors="replace").strip().rpartition("\n")[2]


def restart_for(run: Run) -> NoReturn:
    """Turn this process into one that `launch_run` would start: only its pid, its session and its streams stay."""
    os.execv(sys.executable, command(_WORKER, str(run.path)))


def restart_series(runs: Sequence[Run], leash: Path | None) -> NoReturn:
    """Turn this process into one that `launch_series` would start, with the same streams."""
    os.execv(sys.executable, command(_WORKER, *_series(runs, leash)))


def _series(runs: Sequence[Run], leash: Path | None) -> list[str]:
    kind = [SERIES] if leash is None else [LEASHED_SERIES, str(leash)]
    return [*kind, *(str(run.path) for run in runs)]


def _launch(
    module: str, *arguments: str, stdin: int, stdout: int | IO[Any], stderr: IO[Any], on_end: str
) -> subprocess.Popen[bytes]:
    environment = {**os.environ, COMMAND_VARIABLE: command_line(), at_end.VARIABLE: on_end}
    return subprocess.Popen(
        command(module, *arguments), stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True, env=environment
    )


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that calls a module's `main` with some arguments."""
    # -P: a file in the user's current folder must not replace a library.
    return [sys.executable, "-P", "-c", code(module, "main()"), *arguments]


def code(module: str, call: str) -> str:
    """Return Python code that calls a function of a module of this program, wherever that lies."""
    return f"{_START}from {module} import {call.partition('(')[0]}\n{call}\n"
