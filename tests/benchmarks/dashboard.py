"""Cost of watching: a run with its dashboard live and frozen by turns, and what the dashboard itself takes.

Whole runs with and without a dashboard differ from each other by more than watching costs, so one run is measured.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.runs.directory import Run
from core.runs.events import Event, Progress
from tests.benchmarks.measuring import Options, Spread, Table, median_interval, paired, quiet_moment, ratios, say
from tests.benchmarks.pseudo_terminal import F5, PseudoTerminal
from tui_app.dashboard.run_book import BUSY_INTERVAL_S

SPEED_BUDGET, BYTES_BUDGET, MEMORY_BUDGET_MB = 0.97, 10_000, 100
_EPOCHS = 100_000
_PERIOD_S = BUSY_INTERVAL_S
"""Seconds of a turn: in each live one the chart is then drawn once."""
_SETTLED_S = 0.7
"""Time to wait after a change, while the dashboard catches up on what it missed."""


@dataclass
class _Taken:
    """What the dashboard takes while it is live, turn by turn."""

    bytes_per_s: list[float] = field(default_factory=list)
    core_percent: list[float] = field(default_factory=list)
    """Share of one core."""
    memory_mb: list[float] = field(default_factory=list)


def measure(options: Options) -> Iterator[Table]:
    for model, part in options.by_model():
        yield _by_turns(model, part)


def _by_turns(model: str, options: Options) -> Table:
    """Measure a single run while its dashboard is alternately stopped and continued."""
    say(f"{model}: {_PERIOD_S:g} s with the dashboard live, and as long with it frozen, by turns")
    taken = _Taken()
    bounds: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as name, _Open(Path(name), model, _EPOCHS, options) as terminal:
        run = _only_run(Path(name))
        time.sleep(_PERIOD_S)
        for number in options.turns(least=4, by=2):
            for is_live in (False, True) if number % 2 else (True, False):  # A B B A: a drift affects both
                (terminal.process.resume if is_live else terminal.process.suspend)()
                time.sleep(_SETTLED_S)
                bounds.append(_live(terminal, taken) if is_live else _wait())
        terminal.process.resume()
        events = events_of(run)
    speeds = [images_per_s(events, begin, end) for begin, end in bounds]
    live = [speeds[i] for i in range(len(speeds)) if i % 4 in (0, 3)]
    frozen = [speeds[i] for i in range(len(speeds)) if i % 4 in (1, 2)]
    return _table(model, live, frozen, taken)


def _wait() -> tuple[float, float]:
    """Let a turn pass; return when it began and ended."""
    begin = time.time()
    time.sleep(_PERIOD_S)
    return begin, time.time()


def _live(terminal: PseudoTerminal, taken: _Taken) -> tuple[float, float]:
    """Let a turn pass, and add what the dashboard took in it."""
    bytes_before, cpu_before = terminal.num_bytes, terminal.cpu_s()
    begin, end = _wait()
    taken.bytes_per_s.append((terminal.num_bytes - bytes_before) / (end - begin))
    taken.core_percent.append(100 * (terminal.cpu_s() - cpu_before) / (end - begin))
    taken.memory_mb.append(terminal.process.memory_info().rss / 1e6)
    return begin, end


def _table(model: str, live: list[float], frozen: list[float], taken: _Taken) -> Table:
    table = Table(f"Watching a run of {model}", ("", "median (least..greatest)", "budget"), rounds=len(live))
    _add(table, "images/s, dashboard frozen", frozen, 0)
    _add(table, "images/s, dashboard live", live, 0)
    ratio = ratios(live, frozen)
    _add(table, "live / frozen", ratio.values, 3, f"at least {SPEED_BUDGET}")
    mean, median = paired(live, frozen), median_interval(ratio.values)
    table.add("the same, mean and 95 %", mean.text(3), _verdict(mean.low, mean.high))
    table.add("the same, median and 95 %", median.text(3), _verdict(median.low, median.high))
    table.data |= {"mean": mean.data(), "median": median.data()}
    _add(table, "bytes/s to the terminal", taken.bytes_per_s, 0, f"at most {BYTES_BUDGET}")
    _add(table, "dashboard's share of a core, %", taken.core_percent, 1)
    _add(table, "dashboard's memory, MB", taken.memory_mb, 0, f"at most {MEMORY_BUDGET_MB}")
    table.notes = [
        f"A turn takes {_PERIOD_S:g} s, in which a live chart is drawn once, {_SETTLED_S} s after the change.",
        "The interval of the median assumes nothing of the noise. More turns, narrower intervals: --minutes.",
    ]
    return table


def _verdict(low: float, high: float) -> str:
    if low >= SPEED_BUDGET:
        return f"at least {SPEED_BUDGET}: shown"
    return f"at least {SPEED_BUDGET}: {'missed' if high < SPEED_BUDGET else 'not shown with so few turns'}"


def _add(table: Table, name: str, values: list[float] | tuple[float, ...], digits: int, budget: str = "") -> None:
    spread = Spread(tuple(values))
    table.add(name, spread.text(digits), budget)
    table.data[name] = spread.data()


class _Open:
    """The dashboard, from the press of *Train* until it is closed."""

    def __init__(self, folder: Path, model: str, epochs: int, options: Options) -> None:
        self._folder = folder
        self._patience_s = options.patience_s
        self._arguments = ("--model", model, "--epochs", str(epochs), "--lang", "en", *options.dataset_options)

    def __enter__(self) -> PseudoTerminal:
        self._terminal = PseudoTerminal(self._folder, *self._arguments)
        self._terminal.wait_painted()
        self._terminal.wait_worker()
        time.sleep(1.5)
        quiet_moment(self._patience_s)
        self._terminal.forget()
        self._terminal.press(F5)
        self._terminal.wait_curve()
        return self._terminal

    def __exit__(self, *_: object) -> None:
        self._terminal.process.resume()
        for path in self._folder.glob("*-*"):
            Run(path).request_stop()  # however the measurement ended
        time.sleep(1.5)  # for it to notice the end of the run: while one is in progress it asks before it quits
        self._terminal.close()


def _only_run(folder: Path) -> Run:
    (path,) = folder.glob("*-*")
    return Run(path)


def events_of(run: Run) -> list[Event]:
    reader = run.reader()
    found: list[Event] = []
    while new := reader.read_new():
        found += new
    return found


def images_per_s(events: list[Event], begin: float, end: float) -> float:
    """Return the speed between the first and the last `progress` between two moments."""
    within = [event for event in events if isinstance(event, Progress) and begin <= event.time <= end]
    per_step = 64
    steps = sum(len(event.losses) for event in within[1:])
    return per_step * steps / (within[-1].time - within[0].time)
