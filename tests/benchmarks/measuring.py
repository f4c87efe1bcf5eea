"""Shared parts of the benchmarks: medians with their spread, a description of the machine, and progress messages."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import psutil

from core import paths
from core.data import raw_files
from core.machine import cpu_name, usable_cores

Of = TypeVar("Of")

_QUIET_PERCENT = 10
_BLOCKS, _LEAST_BLOCKS = 12, 3
_LIBRARIES = ("torch", "textual", "lightning", "keras", "tensorflow", "jax", "optax")
_TENSORFLOW = ("tensorflow", "tensorflow-cpu", "tensorflow-gpu")


@dataclass(frozen=True)
class Options:
    """The amount to measure, and the data, the networks and the device to use."""

    models: tuple[str, ...]
    dataset: str
    data_dir: str
    device: str = "cpu"
    rounds: int = 0
    """Number of rounds; 0: as many as the time allows."""
    quick: bool = False
    peer: str = ""
    """Part of the names of the peers to compare with; empty: all of them."""
    seeds: int = 0
    """Greatest number of seeds of `equivalence`; 0: as many as it needs."""
    epochs: int = 5
    results_path: Path = Path("equivalence.json")
    """File in which `equivalence` keeps what each training ended with."""
    patience_s: float = 5.0
    """Maximum wait for the machine to be quiet before each round."""
    until: float = math.inf
    """Moment, by `time.monotonic`, at which to be done."""

    @property
    def dataset_options(self) -> list[str]:
        return ["--dataset", self.dataset, "--data-dir", self.data_dir, "--device", self.device]

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def part(self, share: float) -> Options:
        """Return the options for a part of the measurements, with that share of the time that is left."""
        now = time.monotonic()
        return replace(self, until=now + share * (self.until - now))

    def divided(self, over: Sequence[Of]) -> Iterator[tuple[Of, Options]]:
        """Yield each with options for its share of the time that is left, which is divided between those to come."""
        for number, each in enumerate(over):
            yield each, self.part(1 / (len(over) - number))

    def by_model(self) -> Iterator[tuple[str, Options]]:
        return self.divided(self.models)

    def turns(self, least: int, by: int = 1) -> Iterator[int]:
        """Yield the numbers of rounds, from 0: as many as asked for, or as fit in the time, but at least `least`.

        It ends after a multiple of `by` rounds.
        """
        number, longest = 0, 0.0
        while number % by or number < (self.rounds or least) or self._has_time(by * longest):
            began = time.monotonic()
            yield number
            longest = max(longest, time.monotonic() - began)
            number += 1

    def _has_time(self, seconds: float) -> bool:
        return not self.rounds and math.isfinite(self.until) and time.monotonic() + seconds < self.until


@dataclass(frozen=True)
class Spread:
    """Measured values, given as their median and range."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def text(self, digits: int = 2, unit: str = "") -> str:
        low, high = min(self.values), max(self.values)
        return f"{self.median:.{digits}f}{unit} ({low:.{digits}f}..{high:.{digits}f})"

    def data(self) -> dict[str, Any]:
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "values": list(self.values)}


def ratios(of: Sequence[float], to: Sequence[float]) -> Spread:
    """Return the ratios round by round, so that a drift between rounds cancels out."""
    return Spread(tuple(a / b for a, b in zip(of, to, strict=True)))


class Interval(NamedTuple):
    """A mean with its interval, of 95 % unless said otherwise; `low` and `high` are NaN where there is none."""

    mean: float
    low: float = math.nan
    high: float = math.nan

    def text(self, digits: int = 2) -> str:
        interval = "" if math.isnan(self.low) else f" ({self.low:.{digits}f}..{self.high:.{digits}f})"
        return f"{self.mean:.{digits}f}{interval}"

    def data(self) -> dict[str, float | None]:
        return {"mean": self.mean, **({} if math.isnan(self.low) else {"low": self.low, "high": self.high})}


def mean_interval(values: Sequence[float]) -> Interval:
    """Return the mean of independent measurements with its 95 % interval (Student's t)."""
    from scipy import stats

    mean = statistics.mean(values)
    if len(values) < 2:
        return Interval(mean)
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half)


def median_interval(values: Sequence[float]) -> Interval:
    """Return the median and its 95 % interval, which lies between two of the values, whatever their distribution."""
    from scipy import stats

    ordered = sorted(values)
    outside = int(stats.binom.ppf(0.025, len(ordered), 0.5)) - 1  # values left out on each side
    if outside < 0:
        return Interval(statistics.median(ordered))
    return Interval(statistics.median(ordered), ordered[outside], ordered[-1 - outside])


def paired(of: Sequence[float], to: Sequence[float]) -> Interval:
    """Return the mean ratio `of` / `to` with its interval, from measurements that were made in pairs, in A B B A order.

    The logarithms are averaged, so that a / b and b / a agree. The unit is a block of consecutive rounds, of two at
    least: within it a drift cancels out, and a slow phase of the machine does not count as many independent rounds.
    Of fewer than three blocks there is no interval, and the median instead of a mean that one slow turn would spoil.
    """
    logs = [math.log(a / b) for a, b in zip(of, to, strict=True)]
    num_blocks = min(_BLOCKS, len(logs) // 2)
    if num_blocks < _LEAST_BLOCKS:
        return Interval(math.exp(statistics.median(logs)))
    bounds = [len(logs) * number // num_blocks // 2 * 2 for number in range(num_blocks)] + [len(logs)]
    return Interval(*map(math.exp, mean_interval([statistics.mean(logs[a:b]) for a, b in pairwise(bounds)])))


@dataclass
class Table:
    """The results of a benchmark, for a person (`rows`) and for a program (`data`)."""

    title: str
    header: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    bars: list[tuple[str, float, float | None]] = field(default_factory=list)
    """Bars of a picture: a name, a ratio, and the least that the ratio must be."""
    rounds: int = 0
    """Number of rounds that the figures come from, if they come from rounds."""
    shared: dict[str, Spread] = field(default_factory=dict)
    """Figures that another table has too, measured anew: they should agree."""

    def add(self, *cells: str) -> None:
        self.rows.append(cells)

    def text(self) -> str:
        lines = [f"## {self.title}{f' ({self.rounds} rounds)' if self.rounds else ''}", ""]
        if self.rows:
            lines += [_line(self.header), _line(["---"] * len(self.header)), *map(_line, self.rows), ""]
        return "\n".join([*lines, *(f"- {note}" for note in self.notes), *([""] if self.notes else [])])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def say(text: str) -> None:
    """Print progress to stderr, apart from the results."""
    print(f"  {text}", file=sys.stderr, flush=True)


def load() -> float:
    """Return the number of processes wanting a core, averaged over the last minute."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def quiet_moment(patience_s: float) -> None:
    """Wait until nothing else uses the processor, for `patience_s` at most."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline and psutil.cpu_percent(0.25) > _QUIET_PERCENT:
        pass


def choose_dataset() -> tuple[str, str]:
    """Return MNIST if it is on disk, else the embedded sample, together with the data folder."""
    folder = paths.default_data_dir()
    found = "mnist" in raw_files.on_disk(folder)
    return "mnist" if found else "sample", str(folder)


def machine() -> dict[str, Any]:
    """Describe the day, the machine and the software that the figures were measured with."""
    import torch

    return {
        "day": time.strftime("%Y-%m-%d"),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "exam_threads": torch.get_num_threads(),
        "threads": _default_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "versions": _versions(),
        "system": f"{platform.system()} {platform.release()}",
        "load": load(),
    }


def _versions() -> dict[str, str]:
    """Return the version of each library that is installed here."""
    found: dict[str, str] = {}
    for name in _LIBRARIES:
        for package in _TENSORFLOW if name == "tensorflow" else (name,):
            with suppress(importlib.metadata.PackageNotFoundError):
                found.setdefault(name, importlib.metadata.version(package))
    return found


def _default_threads() -> int:
    from core.training.devices import default_threads

    return default_threads()


def child_environment() -> dict[str, str]:
    """Return an environment for processes that are started from the project's own folder."""
    root = str(Path(__file__).parents[2])
    inherited = dict(os.environ)
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled too
    known = inherited.get("PYTHONPATH")
    return {**inherited, "PYTHONPATH": os.pathsep.join([root, *([known] if known else [])])}
