"""Time from the command to the first painted dashboard and from *Train* to the first point on the chart; and memory."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from core.runs.directory import Run
from core.runs.events import Progress
from tests.benchmarks.measuring import Options, Spread, Table, quiet_moment, say
from tests.benchmarks.pseudo_terminal import COMMAND, F5, PseudoTerminal, environment

_MEGABYTE = 1e6


def measure(options: Options) -> list[Table]:
    table = Table("Start", ("", "median (least..greatest)", "at most"))
    found: dict[str, list[float]] = {name: [] for name in _BUDGETS}
    with tempfile.TemporaryDirectory() as folder:
        for number in options.turns(least=5):
            quiet_moment(options.patience_s)
            say(f"start {number + 1}")
            found["mnist-tui --help, s"].append(_help(Path(folder)))
            for name, value in _one_start(Path(folder) / str(number), options).items():
                found[name].append(value)
    for name, values in found.items():
        spread = Spread(tuple(values))
        table.add(name, spread.text(), "" if _BUDGETS[name] is None else f"{_BUDGETS[name]:g}")
        table.data[name] = {**spread.data(), "at_most": _BUDGETS[name]}
        table.rounds = len(values)
    return [table]


_LOOKING_RSS = "memory of a dashboard that looks at a run, and of all that it started, MB"
_LOOKING_PSS = "the same, with shared pages in proportion, MB"
_BUDGETS: dict[str, float | None] = {
    "mnist-tui --help, s": 0.25,
    "mnist-tui to the painted dashboard, s": 0.5,
    "its processor time until then, s": None,
    "memory of its process, MB": 100.0,
    "Train to the first progress event, s": 1.0,
    "Train to the first point of the chart, s": 1.0,
    "memory of its process in a run, MB": 100.0,
    _LOOKING_RSS: 100.0,
    _LOOKING_PSS: 100.0,
}


def _help(folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run([*COMMAND, "--help"], env=environment(folder), capture_output=True, check=True)
    return time.perf_counter() - began


def _one_start(folder: Path, options: Options) -> dict[str, float]:
    folder.mkdir()
    terminal = PseudoTerminal(folder, *options.dataset_options, "--model", "RN_1", "--epochs", "2", "--lang", "en")
    try:
        painted = terminal.wait_painted()
        processor = terminal.cpu_s()
        terminal.wait_worker()
        time.sleep(1.5)  # as long as a user would take at least: the standby worker loads the last of its libraries
        memory = terminal.process.memory_info().rss / _MEGABYTE
        terminal.forget()
        pressed = time.time()
        pressed_after = terminal.press(F5)
        shown = terminal.wait_curve() - pressed_after
        _wait(lambda: _first_progress(folder) is not None)
        first = _first_progress(folder)
        assert first is not None
        in_run = terminal.process.memory_info().rss / _MEGABYTE
        _wait(lambda: not _is_live(folder))
    finally:
        terminal.close()
    values = (painted, processor, memory, first.time - pressed, shown, in_run, *_looking(folder))
    return dict(zip(list(_BUDGETS)[1:], values, strict=True))


def _looking(folder: Path) -> tuple[float, float]:
    """Return the memory of a dashboard that looks at the run, and of the processes that it started, in two ways."""
    terminal = PseudoTerminal(folder, "attach", "--lang", "en")
    try:
        terminal.wait_for(lambda written: b"567,434" in written and b"done" in written)
        time.sleep(5)  # longer than a worker takes to load torch
        processes = [terminal.process, *terminal.process.children(recursive=True)]
        found = [process.memory_full_info() for process in processes]
    finally:
        terminal.close()
    return sum(each.rss for each in found) / _MEGABYTE, sum(each.pss for each in found) / _MEGABYTE


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def _first_progress(folder: Path) -> Progress | None:
    events = [event for path in folder.glob("*-*/") for event in Run(path).reader().read_new()]
    return next((event for event in events if isinstance(event, Progress)), None)


def _is_live(folder: Path) -> bool:
    return any(Run(path).state() in ("starting", "running") for path in folder.glob("*-*/"))
