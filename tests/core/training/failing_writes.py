"""Make every write, sync and rename of a run fail once, one after the other, and check that nothing is lost.

`python -m tests.core.training.failing_writes`
"""

from __future__ import annotations

import argparse
import errno
import math
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from core import files
from core.messages import Problem
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import EventReader
from core.training import loop, meter
from core.worker.carry_out import carry_out
from tests.core.training.sample_runs import batch_losses, configuration, predictions_of

ERRORS = ("ENOSPC", "EIO", "EDQUOT", "EACCES", "short")
"""Errors of a call; `short` writes only a part of what it was given."""
_CALLS = ("write_some", "sync", "rename")


class Fault:
    """A call that fails, counted from 0 over all calls through the file layer; none if `at` is infinite."""

    def __init__(self, at: float, error: str) -> None:
        self.at = at
        self.error = error
        self.calls: list[str] = []

    @contextmanager
    def injected(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in _CALLS:
                patch.setattr(files, name, self._failing(name, getattr(files, name)))
            yield

    def _failing(self, name: str, call: Any) -> Any:
        def wrapped(*arguments: Any) -> Any:
            self.calls.append(name)
            if len(self.calls) - 1 != self.at:
                return call(*arguments)
            if self.error != "short":
                number = getattr(errno, self.error)
                raise OSError(number, os.strerror(number))
            if name == "write_some":
                descriptor, content = arguments
                return call(descriptor, content[: len(content) // 2])
            return call(*arguments)

        return wrapped


@contextmanager
def reports_by_steps() -> Iterator[None]:
    """Report progress and save a checkpoint at every batch, so that every run makes the same calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meter, "PROGRESS_INTERVAL_S", 0)
        patch.setattr(meter, "CHECKPOINT_SHARE", math.inf)
        patch.setattr(loop, "CHECKPOINT_INTERVAL_S", 0)
        yield


def trained(folder: Path, fault: Fault) -> Run:
    """Train a small run while a call fails, then without faults until it is done. Raises `AssertionError`."""
    run = directory.create(folder, configuration(width=0.01, batch_size=2000, epochs=2))
    with fault.injected(), suppress(Problem):  # it could not start
        ended = carry_out(run, lambda _event: None, lambda: False)
        assert ended.status in ("done", "failed"), ended
    for _ in range(2):
        if run.state() == "done":
            break
        carry_out(run, lambda _event: None, lambda: False)
    assert run.state() == "done", run.state()
    reader = EventReader(run.events_path)
    while reader.read_new():
        pass
    assert reader.skipped == 0, f"{reader.skipped} events are torn"
    assert list(run.path.glob(".*")) == []
    return run


def enumerate_faults(folder: Path, every: int, errors: tuple[str, ...]) -> tuple[Counter[str], list[str]]:
    """Fail every `every`-th call once for each error; return how many of each kind failed, and what was lost."""
    with reports_by_steps():
        none = Fault(math.inf, "")
        reference = trained(folder / "reference", none)
        expected = batch_losses(reference), predictions_of(reference)
        counts: Counter[str] = Counter()
        lost = []
        for at in range(0, len(none.calls), every):
            for error in errors:
                fault = Fault(at, error)
                place = folder / f"{at}-{error}"
                try:
                    run = trained(place, fault)
                    assert (batch_losses(run), predictions_of(run)) == expected, "its numbers differ"
                except Exception as problem:
                    lost.append(f"call {at} ({none.calls[at]}), {error}: {type(problem).__name__}: {problem}")
                counts[f"{none.calls[at]}, {error}"] += 1
                shutil.rmtree(place, ignore_errors=True)
    return counts, lost


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.core.training.failing_writes", description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="fail every so many calls (default: each)")
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        counts, lost = enumerate_faults(Path(folder), given.every, ERRORS)
    for kind, count in sorted(counts.items()):
        print(f"  {count:4}  {kind}")
    print(f"{counts.total()} failing calls; lost: {len(lost)}")
    for each in lost:
        print(f"  {each}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
