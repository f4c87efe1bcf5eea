"""What snapshots and the health of the layers cost a run: whole runs by turns, and the time spent on each by the clock.

Whole runs differ by more than a hundredth from one another: what the clock says is the figure, and the ratio of the
runs its check.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from core.config import MAX_SNAPSHOTS, RunConfig
from core.runs import directory
from core.runs.directory import FollowedRun
from core.runs.snapshots import moments
from core.training.health import HealthMeter
from core.training.snapshots import SnapshotKeeper
from core.worker.carry_out import carry_out
from tests.benchmarks.measuring import Options, Spread, Table, quiet_moment, ratios, say

EPOCHS = {"RN_1": 3, "RN_2": 1}
WITHOUT = "without"
KINDS: dict[str, dict[str, Any]] = {WITHOUT: {}, "snapshots": {"snapshots": MAX_SNAPSHOTS}, "health": {"health": True}}
MOST = 1.0
"""Percent of the time that each may take."""


def measure(options: Options) -> Iterator[Table]:
    for model, part in options.by_model():
        yield _of(model, part)


def _of(model: str, options: Options) -> Table:
    epochs = 1 if options.quick else EPOCHS[model]
    seconds: dict[str, list[float]] = {name: [] for name in KINDS}
    spent: dict[str, list[float]] = {name: [] for name in KINDS}
    kept: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in options.turns(least=2):
            for name, settings in KINDS.items():
                quiet_moment(options.patience_s)
                config = RunConfig(
                    model=model, epochs=epochs, seed=number, device="cpu", dataset=options.dataset,
                    data_dir=options.data_dir, **settings,
                )  # fmt: skip
                trained_s, spent_s, kept[name] = _train(Path(folder), config)
                seconds[name].append(trained_s)
                spent[name].append(100 * spent_s / trained_s)
            so_far = ", ".join(f"{name} {times[-1]:.2f}" for name, times in seconds.items())
            say(f"{model}, round {number + 1}: {so_far} s")
    table = Table(
        f"What is kept of a run, {model}: {epochs} epochs",
        ("", "s", "share by the clock, %", "at most, %", "times as long as without", "kept"),
    )
    for name, times in seconds.items():
        ratio, share = ratios(times, seconds[WITHOUT]), Spread(tuple(spent[name]))
        cells = ("", "", "", "") if name == WITHOUT else (share.text(), str(MOST), ratio.text(3), str(kept[name]))
        table.add(name, Spread(tuple(times)).text(), *cells)
        table.data[name] = {"seconds": Spread(tuple(times)).data(), "share": share.data(), "ratio": ratio.data()}
        table.rounds = len(times)
    return table


def _train(folder: Path, config: RunConfig) -> tuple[float, float, int]:
    """Return the seconds of a training, those spent on what it keeps, and the number of things kept."""
    run = directory.create(folder, config)
    with _timed(SnapshotKeeper, "after_batch") as snapshots, _timed(HealthMeter, "measure") as health:
        carry_out(run, lambda _event: None, lambda: False)
    followed = FollowedRun(run, keep_losses=False)
    followed.read()
    progress = followed.record.progress
    assert progress is not None, run.log_tail(5)
    return progress.elapsed_s, snapshots() + health(), len(moments(run)) + len(followed.record.measured)


@contextmanager
def _timed(owner: type, name: str) -> Iterator[Callable[[], float]]:
    """Count the seconds in a method; yield a function that returns them."""
    method = getattr(owner, name)
    total = 0.0

    def timed(*arguments: Any) -> Any:
        nonlocal total
        began = time.perf_counter()
        try:
            return method(*arguments)
        finally:
            total += time.perf_counter() - began

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, timed)
        yield lambda: total
