"""Time from a key to the picture inside a network, and what looking costs a run in progress."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from core.runs.directory import Run
from core.worker import protocol
from core.worker.launch import launch_standby
from core.worker.protocol import AskedImage, GiveWay, Inspect
from tests.benchmarks.dashboard import SPEED_BUDGET, events_of, images_per_s
from tests.benchmarks.measuring import Options, Spread, Table, paired, quiet_moment, say
from tests.benchmarks.pseudo_terminal import COMMAND, PseudoTerminal, environment

PICTURE_MS, CURSOR_MS, STROKES_PER_S = 100, 50, 25
ENTER, BACK, PAGE_DOWN, LEFT, RIGHT = "\r", "\x7f", "\x1b[6~", "\x1b[D", "\x1b[C"
_PERIOD_S = 3.0
_QUIET_S = 0.4
"""Seconds without output after which nothing more is expected."""


def measure(options: Options) -> Iterator[Table]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in options.models:
            train = [*COMMAND, "--no-ui", "--model", model, "--epochs", "1", "--dataset", "sample"]
            subprocess.run(train, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, check=True)
        quiet_moment(options.patience_s)
        for run in _runs(folder):
            yield _keys(run, options)
            yield _strokes(run, options)
        for model, part in options.by_model():
            yield _price(folder, model, part)


def _runs(folder: Path) -> list[Run]:
    return [Run(path) for path in sorted(folder.glob("rn*-*"))]


# From a key to the picture


def _keys(run: Run, options: Options) -> Table:
    """Press keys in a real terminal, and wait for the last of what they draw."""
    count = 5 if options.quick else 30
    table = Table(f"{run.config().model}: from a key to the picture, ms", ("", "median (least..greatest)", "budget"))
    terminal = PseudoTerminal(run.path.parent, "inside", run.id, "--lang", "en")
    try:
        terminal.wait_for(lambda written: b"1 \xc2\xb7 " in written)
        terminal.wait_quiet(2.0)  # and the worker prepares
        for name, keys, budget in (
            ("the way through, another image", "+" * count, PICTURE_MS),
            ("a layer", (ENTER,), PICTURE_MS),
            ("another layer", (PAGE_DOWN, PAGE_DOWN, PAGE_DOWN), PICTURE_MS),
            ("a value, and back", (ENTER, BACK) * 3 + (ENTER,), PICTURE_MS),
            ("a move of the cursor", (LEFT, RIGHT) * count, CURSOR_MS),
        ):
            _add(table, name, [_timed(terminal, key) for key in keys], f"at most {budget}")
    finally:
        terminal.close()
    return table


def _timed(terminal: PseudoTerminal, key: str) -> float:
    """Return the milliseconds from a key to the last output that it causes."""
    pressed = terminal.press(key)
    return 1000 * (terminal.wait_quiet(_QUIET_S) - pressed)


# Drawing


def _strokes(run: Run, options: Options) -> Table:
    """Ask a worker about as many drawings as a mouse makes, one after another."""
    count = 50 if options.quick else 400
    with _Worker() as worker:
        worker.ask(_drawing(run, 0))
        begin = time.perf_counter()
        for number in range(1, count + 1):
            worker.ask(_drawing(run, number))
        per_s = count / (time.perf_counter() - begin)
    table = Table(f"{run.config().model}: drawings followed through the network", ("", "", "budget"))
    table.add("per second", f"{per_s:.0f}", f"at least {STROKES_PER_S}")
    table.data["per second"] = per_s
    return table


def _drawing(run: Run, number: int) -> Inspect:
    pixels = bytearray(784)
    for step in range(200):
        pixels[(28 * 5 + 4 + 31 * step + number) % 784] = 255
    return Inspect(str(run.path), AskedImage(pixels=bytes(pixels)))


class _Worker:
    """A worker that answers questions, one at a time."""

    def __enter__(self) -> _Worker:
        self._errors = tempfile.TemporaryFile()
        self._process = launch_standby(self._errors)
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def ask(self, question: protocol.Question) -> None:
        """Ask, and wait for the answer."""
        self.tell(question)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def tell(self, request: protocol.Request) -> None:
        """Send a request that is not answered."""
        assert self._process.stdin is not None
        self._process.stdin.write(protocol.encode(request) + b"\n")
        self._process.stdin.flush()

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


# The price for a run in progress


def _price(folder: Path, model: str, options: Options) -> Table:
    """Measure a run in progress while somebody draws, and while nobody does, by turns."""
    looked_at = _runs(folder)[0]
    known = set(folder.iterdir())
    command = [*COMMAND, "--no-ui", "--model", model, "--epochs", "1000", *options.dataset_options]
    say(f"{model}: {_PERIOD_S:g} s with drawing beside it, and as long without, by turns")
    training = subprocess.Popen(
        command, env=environment(folder), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        with _Worker() as worker:
            worker.tell(GiveWay())
            worker.ask(_drawing(looked_at, 0))
            while not (new := [path for path in set(folder.iterdir()) - known if (path / "events.jsonl").exists()]):
                time.sleep(0.1)
            time.sleep(2 * _PERIOD_S)
            run, bounds = Run(new[0]), []
            for number in options.turns(least=2, by=2):
                for draws in (False, True) if number % 2 else (True, False):  # A B B A: a drift affects both
                    begin = time.time()
                    _draw_for(worker, looked_at, _PERIOD_S) if draws else time.sleep(_PERIOD_S)
                    bounds.append((begin, time.time(), draws))
            events = events_of(run)
    finally:
        training.terminate()
        training.wait()
    speeds = {draws: [images_per_s(events, a, b) for a, b, what in bounds if what is draws] for draws in (True, False)}
    table = Table(f"{model} in progress, with somebody drawing beside it", ("", "median (least..greatest)", "aim"))
    _add(table, "images/s, alone", speeds[False])
    _add(table, f"images/s, {STROKES_PER_S} drawings a second beside it", speeds[True])
    ratio = paired(speeds[True], speeds[False])
    table.add("beside / alone, mean and 95 %", ratio.text(3), f"{SPEED_BUDGET}")
    table.data["beside / alone"] = ratio.data()
    table.rounds = len(speeds[True])
    return table


def _draw_for(worker: _Worker, run: Run, seconds: float) -> None:
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        begin = time.monotonic()
        worker.ask(_drawing(run, number))
        number += 1
        time.sleep(max(0.0, 1 / STROKES_PER_S - (time.monotonic() - begin)))


def _add(table: Table, name: str, values: list[float], budget: str = "") -> None:
    spread = Spread(tuple(values))
    table.add(name, spread.text(0), budget)
    table.data[name] = spread.data()
