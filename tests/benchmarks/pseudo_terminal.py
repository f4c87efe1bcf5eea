"""Real command in a pseudo-terminal that only counts its output: drawing it would cost time too."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pexpect
import psutil

from tests.benchmarks.measuring import child_environment

_SCRIPT = Path(sys.executable).with_name("mnist-tui")
COMMAND = (str(_SCRIPT),) if _SCRIPT.exists() else (sys.executable, "-m", "tui_app")
"""The command as a user starts it; where the project is on the path but not installed, as a module."""
COLUMNS, ROWS = 120, 40
F5, F10 = "\x1b[15~", "\x1b[21~"
PATIENCE_S = 120.0

PANELS = ("Running loss", "Progress", "Result", "No run yet")
"""Texts on a fully painted dashboard, including the last panels."""
_CURVE = re.compile(rb"\xe2(?:\xa0[\x81-\xbf]|[\xa1-\xa2][\x80-\xbf]|\xa3[\x80-\xbe])")
"""Pattern of a braille character with some of its dots, but not all: the legend's are full."""
_ESCAPE = re.compile(rb"\x1b\[[\d;?]*[A-Za-z]")


def environment(folder: Path) -> dict[str, str]:
    """Return an environment for a command that keeps its runs in `folder`."""
    return {
        **child_environment(),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "MNIST_TUI_RUNS": str(folder),
    }


class PseudoTerminal:
    """A command and its output."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.began = time.perf_counter()
        self._process = pexpect.spawn(
            COMMAND[0],
            [*COMMAND[1:], *arguments],
            env=environment(folder),
            dimensions=(ROWS, COLUMNS),
            cwd=str(folder),
        )
        self._process.delaybeforesend = None
        self.process = psutil.Process(self._process.pid)
        self.num_bytes = 0
        self._recent = bytearray()
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._drain, daemon=True)
        self._reader.start()

    def _drain(self) -> None:
        descriptor = self._process.fileno()
        while True:
            try:
                written = os.read(descriptor, 1 << 16)
            except OSError:  # this is how a terminal ends
                written = b""
            with self._arrived:
                self.num_bytes += len(written)
                self._recent += written
                del self._recent[: -(1 << 20)]
                self._last = time.perf_counter()
                self._arrived.notify_all()
            if not written:
                return

    def wait_for(self, condition: Callable[[bytes], object]) -> float:
        """Wait until the output since `forget` meets the condition; return the seconds since the command started."""
        deadline = time.perf_counter() + PATIENCE_S
        with self._arrived:
            while not condition(bytes(self._recent)):
                if not self._arrived.wait(0.5) and time.perf_counter() > deadline:
                    raise TimeoutError(_ESCAPE.sub(b" ", bytes(self._recent))[-500:].decode(errors="replace"))
            return self._last - self.began

    def wait_quiet(self, quiet_s: float) -> float:
        """Wait until nothing has been written for so long; return the seconds from the start to the last output."""
        with self._arrived:
            while self._arrived.wait(quiet_s):
                pass
            return self._last - self.began

    def wait_painted(self) -> float:
        return self.wait_for(
            lambda written: all(panel in _ESCAPE.sub(b"", written).decode(errors="replace") for panel in PANELS)
        )

    def wait_worker(self) -> None:
        """Wait until the standby worker has loaded its libraries, and says so in the process table."""
        deadline = time.perf_counter() + PATIENCE_S
        while not any("waiting for a run" in " ".join(child.cmdline()) for child in self.process.children()):
            if time.perf_counter() > deadline:
                raise TimeoutError("no worker is waiting")
            time.sleep(0.05)

    def wait_curve(self) -> float:
        return self.wait_for(_CURVE.search)

    def cpu_s(self) -> float:
        """Return the processor time of the command, without its children."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def forget(self) -> None:
        with self._arrived:
            self._recent.clear()

    def press(self, key: str) -> float:
        """Send a key; return the seconds since the command started."""
        self._process.send(key)
        return time.perf_counter() - self.began

    def close(self) -> None:
        """Quit as a user does, or by force if that does not work."""
        with suppress(OSError, pexpect.ExceptionPexpect):
            self._process.send(F10)
        deadline = time.perf_counter() + 10
        while self._process.isalive() and time.perf_counter() < deadline:
            time.sleep(0.02)
        with suppress(OSError, pexpect.ExceptionPexpect):
            self._process.close(force=True)
