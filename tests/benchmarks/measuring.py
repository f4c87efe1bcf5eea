"""Shared parts of the benchmarks: medians with their spread, a description of the machine, and progress messages."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from core import paths
from core.data import raw_files
from core.machine import cpu_name, usable_cores

_QUIET_PERCENT = 10


@dataclass(frozen=True)
class Options:
    """The amount to measure, and the data and networks to use."""

    rounds: int
    quick: bool
    seeds: int
    epochs: int
    models: tuple[str, ...]
    dataset: str
    data_dir: str
    patience_s: float = 5.0
    """Maximum wait for the machine to be quiet before each measurement."""

    @property
    def dataset_options(self) -> list[str]:
        return ["--dataset", self.dataset, "--data-dir", self.data_dir]


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


def mean_interval(values: Sequence[float], digits: int, sign: str = "") -> str:
    """Format the mean of repeated measurements with its 95 % interval (Student's t)."""
    from scipy import stats

    mean = statistics.mean(values)
    if len(values) < 2:
        return f"{mean:{sign}.{digits}f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return f"{mean:{sign}.{digits}f} ± {half:.{digits}f}"


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

    def add(self, *cells: str) -> None:
        self.rows.append(cells)

    def text(self) -> str:
        lines = [f"## {self.title}", ""]
        if self.rows:
            lines += [_line(self.header), _line(["---"] * len(self.header)), *map(_line, self.rows), ""]
        return "\n".join([*lines, *self.notes, *([""] if self.notes else [])])


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
    """Describe the machine and the software that the figures were measured with."""
    import torch

    return {
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "torch": str(torch.__version__),
        "exam_threads": torch.get_num_threads(),
        "threads": _default_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "textual": importlib.metadata.version("textual"),
        "system": f"{platform.system()} {platform.release()}",
        "load": load(),
    }


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
