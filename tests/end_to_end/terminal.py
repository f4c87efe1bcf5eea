"""Real command in a real terminal or in the background. Every wait for it has a time limit."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pexpect
import psutil
import pyte

from core.runs.directory import Run
from core.runs.events import Event, Progress
from tests.end_to_end.forks import ForkServer

COMMAND = (sys.executable, "-P", "-m", "tui_app")
"""The `mnist-tui` command, wherever its script lies; `-P` keeps files beside a run from being imported as libraries."""
MARKER = "MNIST_TUI_TEST_MARKER"
TIMEOUT = 120.0
"""Time limit in seconds: far more than anything here takes on a quiet machine."""

KEYS = {
    "f1": "\x1bOP",
    "f2": "\x1bOQ",
    "f4": "\x1bOS",
    "f5": "\x1b[15~",
    "f6": "\x1b[17~",
    "f7": "\x1b[18~",
    "f8": "\x1b[19~",
    "f9": "\x1b[20~",
    "f10": "\x1b[21~",
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "left": "\x1b[D",
    "right": "\x1b[C",
}

SLOW_NETWORK = '''
import os
import threading

import torch
from torch import nn


class Slow(nn.Module):
    """A small network that takes its time, and draws at random while it trains."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(784, 16)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(16, 10)
        self.steps = 0
        self.ballast = nn.Parameter(torch.zeros(int(os.environ.get("BALLAST", "1"))))

    def forward(self, x):
        self.steps += self.training and len(x) > 2
        if self.training and self.steps > 2:  # the trial before a run takes two
            if "PAUSING" in os.environ:
                open(os.environ["PAUSING"], "w").close()
            threading.Event().wait(float(os.environ.get("PAUSE", "0")))
        return self.out(self.dropout(torch.relu(self.hidden(x.flatten(1))))) + 0 * self.ballast.sum()
'''

_Found = TypeVar("_Found")


def wait_until(condition: Callable[[], _Found | None], what: object = "", timeout: float = TIMEOUT) -> _Found:
    """Return what `condition` returns once that is true. If it never is, fail with `what`, or what that returns."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what() if callable(what) else what}")
        time.sleep(0.01)
    return found


class Terminal:
    """A command in a terminal of its own, and what the terminal shows."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], columns: int, rows: int, cwd: Path) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._process = pexpect.spawn(
            command[0], list(command[1:]), env=dict(env), dimensions=(rows, columns), cwd=str(cwd), timeout=0.1
        )
        self._process.delaybeforesend = None
        self.pid: int = self._process.pid
        self.output = bytearray()
        """Everything that the command has written."""
        self._hung_up = False

    @property
    def text(self) -> str:
        """Return the screen, one line per row."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def pump(self, timeout: float = 0.05) -> None:
        """Show what the command has written since."""
        if self._hung_up:
            wait_until(lambda: True)
            return
        try:
            written = self._process.read_nonblocking(1 << 16, timeout)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.output += written
        self._stream.feed(written)

    def wait_for(self, condition: str | Callable[[str], object], timeout: float = TIMEOUT) -> str:
        """Wait until the screen contains a text or satisfies a condition; return the screen."""

        def holds() -> bool:
            is_alive = self._process.isalive()
            self.pump()
            text = self.text
            found = condition in text if isinstance(condition, str) else bool(condition(text))
            if not (found or is_alive):
                raise AssertionError(
                    f"the command has ended, its screen:\n{text}\nits last output: {self.output[-500:]!r}"
                )
            return found

        wait_until(holds, lambda: f"{condition!r} on this screen:\n{self.text}", timeout)
        return self.text

    def keys(self, *names: str) -> None:
        """Press keys given by name; type any other text."""
        for name in names:
            self._process.send(KEYS.get(name, name))

    def resize(self, columns: int, rows: int) -> None:
        self._screen.resize(rows, columns)
        self._process.setwinsize(rows, columns)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal as if its window were closed: the kernel tells the command."""
        self._hung_up = True
        self._process.ptyproc.fileobj.close()

    def wait_end(self, timeout: float = TIMEOUT) -> int:
        """Wait for the end of the command and return its exit code, negative if it died of a signal."""

        def ended() -> bool:
            self.pump(0.01)
            return not self._process.isalive()

        wait_until(ended, lambda: f"the end of the command; its screen:\n{self.text}", timeout)
        for _ in range(100):  # output left in the terminal's buffer
            size = len(self.output)
            self.pump(0.01)
            if len(self.output) == size:
                break
        if self._process.signalstatus is not None:
            return -int(self._process.signalstatus)
        return int(self._process.exitstatus)

    def kill(self) -> None:
        """Kill the command if it is still running."""
        with suppress(OSError, pexpect.ExceptionPexpect):
            if self._process.isalive():
                os.kill(self.pid, signal.SIGKILL)
                wait_until(lambda: not self._process.isalive(), "the end of a killed process")
        if not self._hung_up:
            self.hang_up()


@dataclass
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Background:
    """A command without a terminal, with its output in files."""

    def __init__(self, pid: int, poll: Callable[[], int | None], out: Path, err: Path) -> None:
        self.pid = pid
        self.poll = poll
        self._out = out
        self._err = err

    @property
    def out(self) -> str:
        return self._out.read_text("utf-8", errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text("utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill the command; return when it is gone."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: self.poll() is not None, "the end of a killed process")

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait for the end of the command and return its exit code."""
        wait_until(lambda: self.poll() is not None, lambda: f"the end of the command; it said:\n{self.err}", timeout)
        code = self.poll()
        assert code is not None
        return code


class Place:
    """A folder with runs, and all the processes that work in it."""

    def __init__(self, folder: Path, forks: Callable[[], ForkServer]) -> None:
        self.folder = folder
        self.runs_dir = folder / "runs"
        self.data_dir = folder / "data"
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.network_path = folder / "slow.py"
        self.network_path.write_text(SLOW_NETWORK)
        self._forks = forks
        self._marker = secrets.token_hex(8)
        self._terminals: list[Terminal] = []
        self._background: list[Background] = []

    @property
    def slow(self) -> str:
        """Return the value of `--model` for a network that waits `PAUSE` seconds per batch."""
        return f"{self.network_path}:Slow"

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
        return {
            **kept,
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "TEXTUAL_ANIMATIONS": "none",
            "MNIST_TUI_RUNS": str(self.runs_dir),
            "MNIST_TUI_DATA": str(self.data_dir),
            "OMP_NUM_THREADS": "1",
            MARKER: self._marker,
            **extra,
        }

    # Starting processes

    def terminal(self, *arguments: str, columns: int = 120, rows: int = 40, **env: str) -> Terminal:
        """Start the real command in a terminal."""
        started = Terminal([*COMMAND, *arguments], self.environment(**env), columns, rows, self.folder)
        self._terminals.append(started)
        return started

    def command(self, *arguments: str, timeout: float = TIMEOUT, **env: str) -> Finished:
        """Run the real command to its end."""
        ended = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment(**env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
            cwd=self.folder,
        )
        return Finished(ended.returncode, ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace"))

    def start(self, *arguments: str, prefix: Sequence[str] = (), **env: str) -> Background:
        """Start the real command without a terminal."""
        out, err = self._files()
        with out.open("wb") as out_file, err.open("wb") as err_file:
            process = subprocess.Popen(
                [*prefix, *COMMAND, *arguments],
                env=self.environment(**env),
                stdin=subprocess.DEVNULL,
                stdout=out_file,
                stderr=err_file,
                start_new_session=True,
                cwd=self.folder,
            )
        return self._keep(Background(process.pid, process.poll, out, err))

    def fork(self, *arguments: str, program: str = "cli", **env: str) -> Background:
        """Start the program in a fork of a process that has already loaded torch."""
        out, err = self._files()
        forks = self._forks()
        pid = forks.start(program, list(arguments), self.environment(**env), out, err, self.folder)
        return self._keep(Background(pid, lambda: forks.poll(pid), out, err))

    def train(self, *options: str, model: str = "", pause: float = 0.0, **env: str) -> Background:
        """Start a headless run on the sample in a fork, by default with the slow network."""
        common = ("--no-ui", "--dataset", "sample", "--threads", "1", "--lang", "en")
        return self.fork(*common, "--model", model or self.slow, *options, PAUSE=str(pause), **env)

    def _files(self) -> tuple[Path, Path]:
        number = len(self._background) + 1
        files = self.folder / f"out-{number}", self.folder / f"err-{number}"
        for file in files:
            file.touch()
        return files

    def _keep(self, started: Background) -> Background:
        self._background.append(started)
        return started

    # Inspecting runs

    def run(self, run_id: str = "") -> Run:
        """Return a run, by default the newest, waiting until there is one."""
        if run_id:
            return Run(self.runs_dir / run_id)
        found = wait_until(lambda: sorted(self.runs_dir.glob("*-*"), key=lambda path: path.name[-4:]), "a run")
        return Run(found[-1])

    def listed(self) -> dict[str, dict[str, Any]]:
        """Return what `runs --json` prints about each run, by id."""
        ended = self.command("runs", "--json")
        assert ended.code == 0, ended.err
        return {entry["id"]: entry for entry in json.loads(ended.out)}

    # Processes

    def processes(self) -> list[psutil.Process]:
        """Return all living processes that were started in this place, by any process."""
        found = {started.pid for started in self._background if started.poll() is None}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARKER) == self._marker and process.status() != psutil.STATUS_ZOMBIE:
                    found.add(process.pid)
        return [psutil.Process(pid) for pid in found if psutil.pid_exists(pid)]

    def wait_alone(self, timeout: float = TIMEOUT) -> None:
        """Wait until no process is left."""
        wait_until(lambda: not self.processes(), lambda: f"the end of {self.processes()}", timeout)

    def end_all(self) -> None:
        for terminal in self._terminals:
            terminal.kill()
        for started in self._background:
            started.kill()
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()


def all_events(run: Run) -> list[Event]:
    reader = run.reader()
    found: list[Event] = []
    while new := reader.read_new():
        found += new
    return found


_EventType = TypeVar("_EventType")


def wait_for_event(
    run: Run,
    kind: type[_EventType],
    condition: Callable[[_EventType], object] = lambda _event: True,
    timeout: float = TIMEOUT,
) -> _EventType:
    """Wait for the first event of this kind that satisfies the condition."""

    def found() -> _EventType | None:
        events = all_events(run) if run.events_path.exists() else []
        return next((event for event in events if isinstance(event, kind) and condition(event)), None)

    event = wait_until(found, lambda: f"{kind.__name__} in {[type(e).__name__ for e in all_events(run)]}", timeout)
    assert event is not None
    return event


def batch_losses(run: Run) -> dict[tuple[int, int], float | None]:
    """Return the loss of each batch by epoch and step; for repeated batches, the last one."""
    losses: dict[tuple[int, int], float | None] = {}
    for event in all_events(run):
        if isinstance(event, Progress):
            first = event.step - len(event.losses) + 1
            losses.update({(event.epoch, first + i): loss for i, loss in enumerate(event.losses)})
    return losses


def predictions(run: Run) -> dict[str, Any]:
    """Return the arrays of a run's predictions."""
    import numpy

    with numpy.load(run.result_paths("predictions", ".npz")[0], allow_pickle=False) as arrays:
        return {name: arrays[name].tolist() for name in arrays.files}
