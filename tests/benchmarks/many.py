"""What a great number of runs asks of the folder, the list of runs, and the process that carries out a comparison.

The runs are written, not trained: each directory has the files of a run of ten epochs, with its events, but for the
checkpoints and weights, whose sizes are added up instead.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil

from core.comparing.comparison import Comparison
from core.comparing.engine import ThisMachine
from core.comparing.parts import plan
from core.comparing.stored import PartStanding, Standing
from core.config import RunConfig
from core.runs import directory, lease
from core.runs.directory import FollowedRun, Run
from core.runs.events import EpochEnded, Evaluated, Event, EventWriter, Progress, RunEnded
from core.runs.formats import encode_config
from tests.benchmarks.measuring import Options, Table, say
from tests.recorded import started

NUMBERS = (100, 1_000, 10_000)
EPOCHS = 10
STEPS = 938
BATCHES = 36
"""Batches between two events of progress."""
COLUMNS = {
    "create_ms": "create one more, ms",
    "list_s": "list, s",
    "list_again_s": "list again, s",
    "find_s": "find all, s",
    "look_ms": "a look, ms",
    "standing_kb": "standing, kB",
    "memory_mb": "memory, MB",
}
CONFIGURATIONS = tuple(f"RN_1+lr={number}e-4" for number in range(1, 11))


def measure(options: Options) -> Iterator[Table]:
    """Measure folders of a hundred, a thousand and ten thousand runs, as far as the time allows."""
    table = Table(
        "Many runs",
        ("runs", *COLUMNS.values()),
    )
    settings = RunConfig(seed=0, device="cpu", threads=1, dataset="sample", epochs=EPOCHS)
    took = 0.0
    for number in NUMBERS[:2] if options.quick else NUMBERS:
        began = time.monotonic()
        if began + 15 * took > options.until:
            break
        say(f"{number} runs")
        with tempfile.TemporaryDirectory() as folder:
            found = _measure(Path(folder), number, settings)
        table.add(f"{number:,}", *(f"{value:.3g}" for value in found.values()))
        table.data[str(number)] = found
        table.rounds = 1
        took = time.monotonic() - began
    yield table
    yield _reading(options)


def _measure(folder: Path, number: int, settings: RunConfig) -> dict[str, float]:
    parts = plan(CONFIGURATIONS[: max(2, number // 1000)], number // max(2, number // 1000), settings)
    for written, part in enumerate(parts):
        write_run(folder, part.config, written + 1)
    created = min(_seconds(lambda: directory.discard(directory.create(folder, settings))) for _ in range(5))
    listing = directory.Listing(folder)
    first = _seconds(listing.read)
    again = _seconds(listing.read)
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    made = Comparison(folder, parts, ThisMachine(("cpu",) * 2))
    adopted = time.perf_counter() - began
    assert made.count("done") == number
    look = _seconds(made.advance)
    told = tuple(PartStanding(part.followed.run.id, part.state) for part in made.parts if part.followed is not None)
    standing = len(msgspec.json.encode(Standing(attempt=1, parts=told)))
    memory = psutil.Process().memory_info().rss - before
    return {
        "create_ms": 1e3 * created,
        "list_s": first,
        "list_again_s": again,
        "find_s": adopted,
        "look_ms": 1e3 * look,
        "standing_kb": standing / 1e3,
        "memory_mb": memory / 1e6,
    }


def _reading(options: Options) -> Table:
    """Measure how many events a second one process reads and folds: each of its runs writes four."""
    with tempfile.TemporaryDirectory() as folder:
        configs = [RunConfig(seed=seed, epochs=EPOCHS) for seed in range(20 if options.quick else 200)]
        runs = [write_run(Path(folder), config, config.seed + 1) for config in configs]
        size = sum(run.events_path.stat().st_size for run in runs)
        followed = [FollowedRun(run, keep_losses=False) for run in runs]
        began = time.perf_counter()
        for each in followed:
            each.read()
        seconds = time.perf_counter() - began
    a_second = len(runs) * len(_events(configs[0])) / seconds
    megabytes = size / seconds / 1e6
    table = Table("Events", ("", "events a second", "MB a second", "runs in progress that would take all of a core"))
    table.add("read and folded", f"{a_second:,.0f}", f"{megabytes:.0f}", f"{a_second / 4:,.0f}")
    table.data["events"] = {"per_s": a_second, "mb_per_s": megabytes, "kb_a_run": size / len(runs) / 1e3}
    table.rounds = 1
    return table


def write_run(folder: Path, config: RunConfig, number: int) -> Run:
    """Write a finished run, without its checkpoints and weights."""
    run = Run(folder / f"rn1-{number:04d}")
    run.path.mkdir()
    (run.path / "config.json").write_bytes(encode_config(config, ""))
    with lease.hold(run.path) as held:
        writer = EventWriter(run.events_path, held.attempt)
        for event in _events(config):
            writer.write(event)
        writer.close()
    (run.path / "log.txt").touch()
    (run.path / "predictions-0001.npz").write_bytes(bytes(20_000))
    return run


def _events(config: RunConfig) -> list[Event]:
    losses = tuple(1 / (number + 3) for number in range(BATCHES))
    events: list[Event] = [started(config, steps_per_epoch=STEPS)]
    for epoch in range(1, config.epochs + 1):
        for step in range(BATCHES, STEPS + 1, BATCHES):
            now = epoch + step / STEPS
            events.append(Progress(epoch=epoch, step=step, loss=0.1, losses=losses, images_per_s=1e5, elapsed_s=now))
        events.append(EpochEnded(epoch=epoch, loss=0.1, seconds=1.0))
    result = Evaluated(correct=9800, total=10_000, accuracy=0.98, test_loss=0.06, confusion=())
    return [*events, result, RunEnded(status="done")]


def _seconds(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return time.perf_counter() - began
