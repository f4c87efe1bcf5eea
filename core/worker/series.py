"""Runs one after another in one process, which loads its libraries once.

Each comes out as in a process of its own: what changes the arithmetic of a whole process is the same for all of them,
or the process starts anew. After a custom network it always does, as that may have changed anything.
"""

from __future__ import annotations

import gc
import os
import select
import shutil
import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path

import msgspec

from core.messages import Problem
from core.runs.directory import Run
from core.worker.carry_out import carry_out
from core.worker.detach import StopSignals, redirect_output
from core.worker.group import carry_out_together
from core.worker.launch import ENDED, restart_series
from core.worker.process_title import entitle

_LOOK_S = 1.0


def carry_out_series(first: Sequence[Run], signals: StopSignals, leash: Path | None = None) -> None:
    """Carry out runs, and then those of each line on stdin, until these end or a signal comes.

    With a `leash`, a run stops, too, once nobody can write to stdin any more; that folder is then removed.

    A line is a JSON array of run directories, and is answered on stdout once these runs have ended. Runs of one line
    are trained together. Raises what ends the work on all of them.
    """
    if leash is None:
        _carry_out_series(first, signals, None)
        return
    cut = _Leash(signals)
    try:
        _carry_out_series(first, cut, leash)
    finally:
        if cut.is_cut:
            shutil.rmtree(leash, ignore_errors=True)


def _carry_out_series(first: Sequence[Run], should_stop: Callable[[], bool], leash: Path | None) -> None:
    answers = os.dup(1)
    done: Hashable = None
    for runs in _jobs(first, should_stop):
        wanted = _arithmetic(runs[0])
        if done not in (None, wanted):
            os.dup2(answers, 1)
            restart_series(runs, leash)
        redirect_output(runs[0].log_path)
        _carry_out(runs, should_stop)
        done = wanted if _has_threads_of(wanted) else object()
        gc.collect()
        if should_stop():
            return
        entitle("waiting for a run")
        try:
            os.write(answers, ENDED)
        except BrokenPipeError:
            return


class _Leash:
    """What makes runs stop with the process that handed them out."""

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals
        self._stdin = select.poll()
        self._stdin.register(0, 0)

    @property
    def is_cut(self) -> bool:
        """True once that process has closed this one's stdin, or is dead."""
        return any(event & select.POLLHUP for _descriptor, event in self._stdin.poll(0))

    def __call__(self) -> bool:
        return self._signals() or self.is_cut


def _carry_out(runs: Sequence[Run], signals: Callable[[], bool]) -> None:
    try:
        if len(runs) > 1:
            carry_out_together(runs, should_stop=signals)
        else:
            carry_out(runs[0], show=lambda _event: None, should_stop=signals)
    except Problem as problem:
        print(problem, file=sys.stderr, flush=True)


def _jobs(first: Sequence[Run], should_stop: Callable[[], bool]) -> Iterator[Sequence[Run]]:
    yield first
    read = b""
    while not should_stop():
        if not select.select([0], [], [], _LOOK_S)[0]:
            continue
        if not (more := os.read(0, 1 << 16)):
            return
        read += more
        if read.endswith(b"\n"):
            yield [Run(Path(path)) for path in msgspec.json.decode(read, type=list[str])]
            read = b""


class _Arithmetic(msgspec.Struct, frozen=True):
    """What a run sets for the whole process."""

    device: str
    threads: int
    precision: str
    exact: bool


def _arithmetic(run: Run) -> Hashable:
    """Return what a run needs of the process; equal to nothing else where that cannot be known."""
    try:
        config = run.config()
    except Problem:
        return object()
    if not config.architecture.is_built_in:
        return object()
    return _Arithmetic(config.device, config.threads, config.precision, config.exact)


def _has_threads_of(wanted: Hashable) -> bool:
    """Tell if the process has the threads that a run asked for: it may have got fewer meanwhile."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(wanted, _Arithmetic):
        return torch is None
    return wanted.threads in (0, torch.get_num_threads())
