"""Commands whose answer is waited for: for so long, or until somebody gives up."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence

from core.worker.asking import GivenUp

_LOOK_S = 0.1
_END_S = 2.0
"""Seconds within which a command that is asked to end must have."""


def never() -> bool:
    """Return False: nobody gives up."""
    return False


def answer(
    command: Sequence[str], seconds: float, should_stop: Callable[[], bool] = never
) -> subprocess.CompletedProcess[str]:
    """Return what a command has printed, and its exit code.

    Raises `OSError` if it cannot be started, `TimeoutExpired` if it takes longer than so many seconds, and `GivenUp`
    once it `should_stop`. The command has then ended; a signal to this process is none to it.
    """
    deadline = time.monotonic() + seconds
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            while True:
                try:
                    out, err = process.communicate(timeout=_LOOK_S)
                except subprocess.TimeoutExpired:
                    if should_stop():
                        raise GivenUp from None
                    if time.monotonic() > deadline:
                        raise
                else:
                    return subprocess.CompletedProcess(command, process.returncode, out, err)
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_END_S)
    except subprocess.TimeoutExpired:
        process.kill()
