"""What is done when a run ends: a notification, and a command of the user's choice.

The command comes from the command line that starts or resumes the run, and is kept in none of the run's files: whoever
resumes another's run would execute it.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import IO

from core.messages import Message, reason
from core.runs.directory import Run
from core.runs.record import UNENDED

VARIABLE = "MNIST_TUI_ON_END"
"""Environment variable by which a training process learns the command from the program that starts it."""
_WAIT_S = 60.0
"""Seconds for which a training process waits for the command; it goes on afterwards."""


@dataclass(frozen=True)
class AtEnd:
    """What is wanted at a run's end."""

    command: str = ""
    """Line for the shell; empty for none."""
    notifies: bool = True


def run_command(command: str, run: Run, output: IO[str] | int | None = None) -> Message | None:
    """Execute a command for a run that has ended, unless another process trains it; return what went wrong, if any.

    What the command prints goes to `output`, by default where this process prints.
    """
    if not command:
        return None
    summary = run.summary()
    if summary.state in UNENDED:
        return None
    values = {
        "RUN": run.id,
        "RUN_DIR": str(run.path),
        "STATE": summary.state,
        "ACCURACY": summary.accuracy,
        "LOSS": summary.loss,
        "EPOCH": summary.epoch,
        "MODEL": summary.config.model if summary.config else None,
        "NAME": summary.name,
    }
    variables = {f"MNIST_TUI_{name}": "" if value is None else str(value) for name, value in values.items()}
    try:
        process = subprocess.Popen(
            command, shell=True, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**os.environ, **variables}
        )
        code = process.wait(_WAIT_S)
    except subprocess.TimeoutExpired:
        return Message("the command of --on-end goes on after {seconds} s, unattended", {"seconds": round(_WAIT_S)})
    except (OSError, ValueError) as error:  # a null character in a value
        return Message("the command of --on-end could not start: {reason}", {"reason": reason(error)})
    return Message("the command of --on-end ended with exit code {code}", {"code": code}) if code else None
