"""The threads of parallel runs, and of runs whose cores are taken."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from core import machine
from core.comparing.comparison import Comparison
from core.comparing.engine import ThisMachine
from core.comparing.parts import Part
from core.runs import directory, lease
from core.runs.directory import Run
from core.runs.events import Notice, RunStarted, SettingsChanged
from core.training import devices
from core.worker import threads
from core.worker.carry_out import carry_out
from core.worker.threads import CoreWatch
from tests.core.runs.run_files import ELSEWHERE, claim
from tests.core.training.sample_runs import after_batches, carried_out, configuration, events_of

pytestmark = pytest.mark.usefixtures("one_thread")


def started(run: Run) -> RunStarted:
    return [event for event in events_of(run) if isinstance(event, RunStarted)][-1]


def test_runs_side_by_side_share_the_cores_and_a_resumed_one_keeps_its_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "default_threads", lambda: 2)
    quick: dict[str, Any] = {"epochs": 1, "batch_size": 1000, "width": 0.1}
    run = carried_out(tmp_path, after_batches(2), threads=0, **quick)
    assert started(run).threads == 2
    other = directory.create(tmp_path, configuration())
    with lease.hold(other.path):  # as if this process were training it
        assert other.state() == "running"
        assert started(carried_out(tmp_path, after_batches(2), threads=0, **quick)).threads == 1
    claim(other, **ELSEWHERE)
    assert other.state() == "running"
    assert started(carried_out(tmp_path, after_batches(2), threads=0, **quick)).threads == 2
    carry_out(run, lambda _event: None, lambda: False)
    assert started(run).threads == 2


class Clock:
    """A clock for the pace of batches, and for the CPU time of this process and of all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.own = self.busy = 0.0
        monkeypatch.setattr(machine, "usable_cores", lambda: 2)
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(threads, "_own_seconds", lambda: self.own)
        monkeypatch.setattr(threads, "_busy_seconds", lambda: self.busy)

    def answers(self, watch: CoreWatch, *, batches: int, seconds: float, own: float, others: float) -> list[int]:
        """Return what the watch answers during so many batches; CPU time is in cores."""
        found = []
        for _ in range(batches):
            self.now += seconds / batches
            self.own += own * seconds / batches
            self.busy += (own + others) * seconds / batches
            found.append(watch.after_batch())
        return [answer for answer in found if answer is not None]


def test_threads_are_given_up_once_it_is_slow_because_others_take_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    watch = CoreWatch(2)
    assert clock.answers(watch, batches=300, seconds=3, own=2, others=0) == []
    assert clock.answers(watch, batches=7, seconds=0.7, own=1, others=1) == []  # a pause is not enough
    assert clock.answers(watch, batches=300, seconds=3, own=1, others=1) == []  # it is as fast as before
    assert clock.answers(watch, batches=30, seconds=3, own=2, others=0) == []  # its own batches have become slower
    assert clock.answers(watch, batches=30, seconds=3, own=1, others=1) == [1]
    assert clock.answers(watch, batches=30, seconds=9, own=0.5, others=1.5) == []  # it has no more to give up


def test_one_thread_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Clock(monkeypatch).answers(CoreWatch(1), batches=90, seconds=30, own=0.5, others=2) == []


def without_cores_after_batches(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the watch find after so many batches that there is a core for one thread only."""
    calls = iter(range(1, 10**9))
    monkeypatch.setattr(CoreWatch, "after_batch", lambda _watch: 1 if next(calls) == number else None)


def notices(run: Run) -> str:
    return " ".join(str(event.message) for event in events_of(run) if isinstance(event, Notice))


def test_a_run_that_gave_up_threads_says_so_goes_on_so_and_stands_for_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "default_threads", lambda: 2)
    run = carried_out(tmp_path, after_batches(3), threads=0, batch_size=1000, width=0.1, epochs=3)
    without_cores_after_batches(3, monkeypatch)
    carry_out(run, lambda _event: None, after_batches(5))
    (changed,) = [event for event in events_of(run) if isinstance(event, SettingsChanged)]
    assert (changed.epoch, changed.step, changed.threads) == (2, 3, 1)
    assert started(run).threads == 2
    assert "it goes on with --threads 1; no comparison will reuse it" in notices(run)
    assert carry_out(run, lambda _event: None, lambda: False).status == "done"
    assert started(run).threads == 1
    for number in (1, 2):
        config = msgspec.structs.replace(run.config(), threads=number)
        assert Comparison(tmp_path, [Part("RN_1", config)], ThisMachine(("cpu",))).count("waiting") == 1


@pytest.mark.parametrize(
    "asked", [pytest.param({"threads": 2}, marks=pytest.mark.alike), {"exact": True, "threads": 0}]
)
def test_threads_that_were_asked_for_are_kept(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_cores_after_batches(3, monkeypatch)
    before = torch.get_num_threads()
    run = carried_out(tmp_path, after_batches(5), batch_size=1000, **asked)
    torch.set_num_threads(before)
    assert [event for event in events_of(run) if isinstance(event, SettingsChanged)] == []
    assert "--threads 1 would be faster" in notices(run)
