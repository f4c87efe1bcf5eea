"""Cost of watching: training with the dashboard open against training without it."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.runs.directory import Run
from core.runs.events import EpochEnded, Event, Progress, RunEnded, last_events
from tests.benchmarks.measuring import Options, Spread, Table, mean_interval, quiet_moment, ratios, say
from tests.benchmarks.pseudo_terminal import COMMAND, F5, PseudoTerminal, environment

SPEED_BUDGET, BYTES_BUDGET = 0.97, 20_000
EPOCHS = {"RN_1": 6, "RN_2": 2}
_PERIOD_S = 4.0
_END_BYTES = 1 << 12
"""Size of the tail read from a run's events: reading them all each second would itself slow the training down."""
_SETTLED_S = 0.7
"""Time to wait after a change, while the dashboard catches up on what it missed."""


@dataclass(frozen=True)
class Watched:
    """Measurements of a run with the dashboard open."""

    images_per_s: float
    bytes_per_s: float
    cpu_share: float
    """Share of one core."""
    rss: float


def measure(options: Options) -> Iterator[Table]:
    for model in options.models:
        yield _separate_runs(model, options)
        yield _frozen(model, options)


def _separate_runs(model: str, options: Options) -> Table:
    epochs = EPOCHS[model] // 2 if options.quick else EPOCHS[model]
    rounds = max(3, options.rounds // 2)
    headless: list[float] = []
    again: list[float] = []
    watched: list[Watched] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            headless.append(_headless(Path(folder), model, epochs, options))
            watched.append(_watched(Path(folder), model, epochs, options))
            again.append(_headless(Path(folder), model, epochs, options))
            ratio = 2 * watched[-1].images_per_s / (headless[-1] + again[-1])
            say(f"{model} round {number + 1}/{rounds}: {watched[-1].images_per_s:.0f} images/s watched, {ratio:.3f}")
    table = Table(
        f"{model} with the dashboard open, headless before and after", ("", "median (least..greatest)", "budget")
    )
    speed = [each.images_per_s for each in watched]
    unwatched = [(a + b) / 2 for a, b in zip(headless, again, strict=True)]
    _add(table, "images/s, headless", unwatched, 0)
    _add(table, "images/s, dashboard open", speed, 0)
    _add(table, "open / headless", ratios(speed, unwatched).values, 3, f"at least {SPEED_BUDGET}")
    _add(table, "headless / headless, for the noise", ratios(again, headless).values, 3)
    _add(table, "bytes/s to the terminal", [each.bytes_per_s for each in watched], 0, f"at most {BYTES_BUDGET}")
    _add(table, "dashboard's share of a core, %", [100 * each.cpu_share for each in watched], 1)
    _add(table, "dashboard's memory, MB", [each.rss / 1e6 for each in watched], 0, "at most 100")
    return table


def _add(table: Table, name: str, values: list[float] | tuple[float, ...], digits: int, budget: str = "") -> None:
    spread = Spread(tuple(values))
    table.add(name, spread.text(digits), budget)
    table.data[name] = spread.data()


def _headless(folder: Path, model: str, epochs: int, options: Options) -> float:
    """Train without the dashboard and return the images per second."""
    known = set(folder.glob("*-*"))
    quiet_moment(options.patience_s)
    subprocess.run(
        [COMMAND, "--no-ui", "--model", model, "--epochs", str(epochs), *options.dataset_options],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    (path,) = set(folder.glob("*-*")) - known
    return images_per_s(events_of(Run(path)))


def _watched(folder: Path, model: str, epochs: int, options: Options) -> Watched:
    known = set(folder.glob("*-*"))
    with _Open(folder, model, epochs, options) as terminal:
        run = _new_run(folder, known)
        begun, bytes_before, cpu_before = time.perf_counter(), terminal.num_bytes, terminal.cpu_s()
        rss = 0
        while not any(isinstance(event, RunEnded) for event in last_events(run.events_path, _END_BYTES)):
            took = time.perf_counter() - begun
            bytes_per_s = (terminal.num_bytes - bytes_before) / took
            cpu_share = (terminal.cpu_s() - cpu_before) / took
            rss = max(rss, terminal.process.memory_info().rss)
            time.sleep(1.0)
    return Watched(images_per_s(events_of(run)), bytes_per_s, cpu_share, rss)


def _frozen(model: str, options: Options) -> Table:
    """Measure a single run while its dashboard is alternately stopped and continued."""
    periods = 4 if options.quick else 4 * options.rounds
    say(f"{model}: {periods} times {_PERIOD_S:g} s with the dashboard frozen, and as often with it live")
    live: list[float] = []
    frozen: list[float] = []
    with tempfile.TemporaryDirectory() as name, _Open(Path(name), model, 1000, options) as terminal:
        run = _new_run(Path(name), set())
        time.sleep(_PERIOD_S)
        bounds: list[tuple[float, float, list[float]]] = []
        for number in range(2 * periods):
            thaw = number % 2 == (number // 2) % 2  # A B B A order, so that a drift affects both
            (terminal.process.resume if thaw else terminal.process.suspend)()
            time.sleep(_SETTLED_S)
            begin = time.time()
            time.sleep(_PERIOD_S)
            bounds.append((begin, time.time(), live if thaw else frozen))
        terminal.process.resume()
        events = events_of(run)
    for begin, end, speeds in bounds:
        speeds.append(images_per_s(events, begin, end))
    table = Table(f"{model}, the dashboard frozen and live by turns", ("", "median (least..greatest)", "budget"))
    _add(table, "images/s, frozen", frozen, 0)
    _add(table, "images/s, live", live, 0)
    _add(table, "live / frozen", ratios(live, frozen).values, 3, f"at least {SPEED_BUDGET}")
    table.add("live / frozen, mean and 95 %", mean_interval(ratios(live, frozen).values, 3), f"at least {SPEED_BUDGET}")
    return table


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


def _new_run(folder: Path, known: set[Path]) -> Run:
    (path,) = set(folder.glob("*-*")) - known
    return Run(path)


def events_of(run: Run) -> list[Event]:
    reader = run.reader()
    found: list[Event] = []
    while new := reader.read_new():
        found += new
    return found


def images_per_s(events: list[Event], begin: float = 0.0, end: float = float("inf")) -> float:
    """Return the speed between the first and last `progress`; for a whole run, from its second epoch if it has one."""
    if not begin:
        begin = next((event.time for event in events if isinstance(event, EpochEnded)), 0.0)
    within = [event for event in events if isinstance(event, Progress) and begin <= event.time <= end]
    per_step = 64
    steps = sum(len(event.losses) for event in within[1:])
    return per_step * steps / (within[-1].time - within[0].time)
