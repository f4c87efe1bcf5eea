"""Time and memory as the batch, the epochs, the threads and the number of parallel runs grow."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil

from core.runs.directory import Run
from core.runs.events import EpochEnded, Event
from tests.benchmarks.measuring import Options, Spread, Table, quiet_moment, say
from tests.benchmarks.pseudo_terminal import COMMAND, environment
from tests.benchmarks.trainer import Spec, Trainer

BATCH_SIZES = (16, 64, 512, 4096)
IMAGES = {"RN_1": 16_384, "RN_2": 4_096}
"""Number of images at a time: a second's work or less."""
EPOCHS = 100
_BUSY = "while True: sum(range(10_000))"


def measure(options: Options) -> Iterator[Table]:
    yield _batch_sizes(options.part(0.35))
    for model, part in options.part(0.5).by_model():
        yield _side_by_side(model, part)
    yield _beside_a_busy_core(options.part(0.4))
    yield _epochs(options)


def _batch_sizes(options: Options) -> Table:
    table = Table(
        "Batch size", ("batch", *(f"{model}: {what}" for model in options.models for what in ("µs an image", "MB")))
    )
    rows: dict[int, list[str]] = {size: [str(size)] for size in BATCH_SIZES}
    for model in options.models:
        spec = Spec(model=model, dataset=options.dataset, data_dir=options.data_dir)
        for size, part in options.divided(BATCH_SIZES):
            say(f"{model}: batches of {size}")
            with closing(Trainer(spec.but(batch_size=size))) as trainer:
                # The last batch of an epoch is smaller but counts as a whole one; that is 1 % of them at most.
                steps = max(2, IMAGES[model] // size)
                trainer.train(steps)
                quiet_moment(options.patience_s)
                answers = [trainer.train(steps) for _ in part.turns(least=3)]
            spread = Spread(tuple(1e6 * answer.seconds / (steps * size) for answer in answers))
            peak = answers[-1].peak_bytes / 1e6
            rows[size] += [spread.text(1), f"{peak:.0f}"]
            table.data[f"{model} {size}"] = {"us_per_image": spread.data(), "peak_mb": peak}
    table.rows = [tuple(row) for row in rows.values()]
    return table


def _side_by_side(model: str, options: Options) -> Table:
    """Measure the images per second of several runs, all together."""
    numbers = (1, 2, 4)
    table = Table(f"Runs side by side, {model}: thousand images a second, all together", ("runs", "1 thread each", "2"))
    spec = Spec(model=model, dataset=options.dataset, data_dir=options.data_dir)
    rows: dict[int, list[str]] = {runs: [str(runs)] for runs in numbers}
    for threads, half in options.divided((1, 2)):
        with ExitStack() as stack:
            trainers = [stack.enter_context(closing(Trainer(spec.but(threads=threads)))) for _ in range(max(numbers))]
            for runs, part in half.divided(numbers):
                say(f"{model}: {runs} runs, {threads} threads each")
                quiet_moment(options.patience_s)
                rates = [_together(trainers[:runs], IMAGES[model] // 64) for _ in part.turns(least=4)][1:]
                spread = Spread(tuple(rate / 1000 for rate in rates))
                rows[runs].append(spread.text(1))
                table.data[f"{runs} runs, {threads} threads"] = spread.data()
    table.rows = [tuple(row) for row in rows.values()]
    return table


def _together(trainers: list[Trainer], steps: int) -> float:
    for trainer in trainers:
        trainer.request(steps)
    return sum(64 * steps / trainer.answer().seconds for trainer in trainers)


def _beside_a_busy_core(options: Options) -> Table:
    """Measure threads that wait for each other while another program occupies one of their cores."""
    table = Table("Beside a busy program: milliseconds a step", ("", "alone", "beside it"))
    for model, part in options.by_model():
        spec = Spec(model=model, dataset=options.dataset, data_dir=options.data_dir)
        for (name, threads), half in part.divided((("1 thread", 1), ("as many as by default", 0))):
            say(f"{model}: {name}, beside a busy program")
            steps = IMAGES[model] // 256
            with closing(Trainer(spec.but(threads=threads))) as trainer:
                trainer.train(steps)
                quiet_moment(options.patience_s)
                alone = [trainer.train(steps).seconds / steps for _ in half.turns(least=3)]
                with _busy():
                    beside = [trainer.train(steps).seconds / steps for _ in alone]
            spreads = [Spread(tuple(1000 * value for value in values)) for values in (alone, beside)]
            table.add(f"{model}, {name}", *(spread.text() for spread in spreads))
            table.data[f"{model}, {name}"] = {"alone": spreads[0].data(), "beside": spreads[1].data()}
    return table


@contextmanager
def _busy() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", _BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _epochs(options: Options) -> Table:
    """Measure a long run on the sample: its last epochs against its first ones."""
    epochs = EPOCHS // (10 if options.quick else 1)
    say(f"{epochs} epochs on the sample")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [*COMMAND, "--no-ui", "--model", "RN_1", "--dataset", "sample", "--epochs", str(epochs)]
        with subprocess.Popen(
            command, env=environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as started:
            memory = _memory(psutil.Process(started.pid))
        (path,) = folder.glob("*-*")
        seconds = [event.seconds for event in _all(Run(path)) if isinstance(event, EpochEnded)]
        size = (path / "events.jsonl").stat().st_size
    part = max(2, epochs // 10)
    table = Table(f"A run of {epochs} epochs of the sample, RN_1", ("", f"first {part}", f"last {part}"))
    first, last = Spread(tuple(seconds[1:part])), Spread(tuple(seconds[-part:]))
    table.add("seconds an epoch", first.text(3), last.text(3))
    middle = memory[len(memory) // 3] if memory else 0.0
    table.add("memory, MB", f"{middle:.0f} (after a third)", f"{memory[-1] if memory else 0:.0f}")
    table.notes.append(f"events: {size / epochs / 1000:.1f} kB an epoch")
    table.data = {"first": first.data(), "last": last.data(), "memory_mb": memory, "events_bytes": size}
    return table


def _memory(process: psutil.Process) -> list[float]:
    """Sample the memory of the process, in megabytes, a few times a second until it ends."""
    found: list[float] = []
    while True:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return found
            found.append(process.memory_info().rss / 1e6)
            process.wait(0.5)
        except psutil.TimeoutExpired:
            continue
        except psutil.Error:
            return found
        return found


def _all(run: Run) -> list[Event]:
    reader = run.reader()
    found: list[Event] = []
    while new := reader.read_new():
        found += new
    return found
