"""Workers without torch or a process: they answer from recordings, and train as far as a test tells them to."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from threading import Thread

import pytest

from core.comparing import driver, engine
from core.comparing.stored import StoredComparison
from core.config import Architecture
from core.machine import DeviceInfo
from core.messages import Problem
from core.networks.layer_table import LayerTable
from core.runs import lease
from core.runs.directory import Run
from core.runs.events import EventWriter
from core.worker.protocol import Answer, Describe, Question, Ready, Refused, Settle, StepProgram, Try, TryChange
from tests.tui_app import fake_answers, recorded
from tests.tui_app.fake_training import STEPS, checkpointed, stopped, training

_LOOK_S = 0.02
"""Seconds between two checks of what a held training run waits for."""


class FakeWorkers:
    """A launcher of fake workers: the `launch` of a dashboard. Its settings apply to every worker.

    `epochs`: how far a run is trained without `advance`; `holds`: the questions that wait for `answer_held`.
    """

    def __init__(self, *, epochs: float = math.inf, holds: tuple[type, ...] = ()) -> None:
        self.epochs = epochs
        self.holds = holds
        self.devices: tuple[DeviceInfo, ...] = (DeviceInfo("cpu", "A processor"),)
        self.tables: dict[Architecture, LayerTable] = recorded.layer_tables()
        self.refusals: dict[str, Problem] = {}
        """Problems returned instead of an answer, by run id or network name."""
        self.started: list[FakeWorker] = []
        self.asked: list[Question] = []

    def __call__(self) -> FakeWorker:
        self.started.append(FakeWorker(self))
        return self.started[-1]

    @property
    def newest(self) -> FakeWorker:
        return self.started[-1]

    def advance(self, epochs: float = math.inf) -> None:
        """Let every run in progress train for so many more epochs."""
        for worker in self.started:
            worker.advance(epochs)


class FakeWorker:
    """A fake worker."""

    def __init__(self, workers: FakeWorkers) -> None:
        self._workers = workers
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._answers.put_nowait(Ready(workers.devices))
        self._held: list[Question] = []
        self._training: asyncio.Task[None] | None = None
        self._epochs = 0.0
        """Number of epochs the run may train, counted from the handover."""
        self._is_closed = self._is_killed = False

    @property
    def is_alive(self) -> bool:
        return not self._training.done() if self._training is not None else not self._is_closed

    def ask(self, question: Question) -> None:
        self._check_alive()
        self._workers.asked.append(question)
        if isinstance(question, self._workers.holds):
            self._held.append(question)
        else:
            self._answers.put_nowait(self._answer(question))

    def give_way(self) -> None:
        self._check_alive()
        self.gives_way = True

    def hand_over(self, run: Run) -> None:
        self._check_alive()
        self._epochs = self._workers.epochs
        self._training = asyncio.get_running_loop().create_task(self._train(run))
        self.close()

    def close(self) -> None:
        self._is_closed = True
        self._answers.put_nowait(None)

    def abandon(self) -> None:
        self.close()

    async def answers(self) -> AsyncIterator[Answer]:
        while (answer := await self._answers.get()) is not None:
            yield answer
        if self._is_killed:
            raise Problem("the worker process ended: {reason}", reason="killed")

    def _check_alive(self) -> None:
        if self._is_closed:
            raise Problem("the worker process ended: {reason}", reason="killed")

    # Controls for a test

    def answer_held(self) -> None:
        """Answer the questions held back so far."""
        held, self._held = self._held, []
        for question in held:
            self._answers.put_nowait(self._answer(question))

    def kill(self) -> None:
        """End the worker, as if its process had been killed."""
        self._is_killed = True
        self.close()

    def advance(self, epochs: float) -> None:
        """Let its run train for so many more epochs."""
        self._epochs += epochs

    # Behaviour of a worker

    def _answer(self, question: Question) -> Answer:
        try:
            for name in _names(question):
                if name in self._workers.refusals:
                    raise self._workers.refusals[name]
            return fake_answers.answer(question, self._workers.tables)
        except Problem as problem:
            return Refused.because_of(problem, question)

    async def _train(self, run: Run) -> None:
        await asyncio.sleep(0)
        with lease.hold(run.path) as held:
            writer = EventWriter(run.events_path, held.attempt)
            begun_at = done = checkpointed(run) / STEPS
            for stage in training(run):
                while stage.epochs - begun_at > self._epochs and not run.stop_requested():
                    await asyncio.sleep(_LOOK_S)
                events = stopped(done) if run.stop_requested() else stage.events
                for event in events:
                    writer.write(event)
                if run.stop_requested():
                    run.withdraw_requests()
                    break
                done = stage.epochs
                await asyncio.sleep(0)
            writer.close()


class FakeProcess:
    """A process that a comparison starts for its runs; they are trained when it is first asked if it has done them."""

    has_ended = has_died = died_idle = is_lost = False

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def hand(self, runs: Sequence[Run]) -> bool:
        self._runs = runs
        return True

    def close(self) -> None: ...

    @property
    def is_busy(self) -> bool:
        for run in self._runs:
            if run.state() == "done":
                continue
            with lease.hold(run.path) as held:
                writer = EventWriter(run.events_path, held.attempt)
                for stage in training(run):
                    for event in stage.events:
                        writer.write(event)
                writer.close()
        return False


class HeldProcess(FakeProcess):
    """A process that a comparison starts for its runs; it trains until it is asked to stop."""

    @property
    def is_busy(self) -> bool:
        left = [run for run in self._runs if run.state() not in ("done", "stopped")]
        for run in left:
            if run.stop_requested():
                with lease.hold(run.path) as held:
                    writer = EventWriter(run.events_path, held.attempt)
                    for event in (*next(training(run)).events, *stopped(0)):
                        writer.write(event)
                    writer.close()
                run.withdraw_requests()
        return any(run.state() not in ("done", "stopped") for run in left)


class FakeDriver:
    """A comparison's process that is a thread of this one."""

    def __init__(self, stored: StoredComparison) -> None:
        self._thread = Thread(target=driver.carry_out, args=(stored, lambda: False), daemon=True)
        self._thread.start()

    def poll(self) -> int | None:
        """Return the exit code, None until the end."""
        return None if self._thread.is_alive() else 0


def compare_without_processes(
    monkeypatch: pytest.MonkeyPatch, runs: type[FakeProcess | HeldProcess] = FakeProcess
) -> None:
    """Have comparisons carried out in this process."""
    monkeypatch.setattr(engine, "WarmWorker", runs)
    monkeypatch.setattr(engine, "wait_for_any", lambda _workers, seconds: time.sleep(seconds))
    monkeypatch.setattr(driver, "launch", FakeDriver)


def _names(question: Question) -> list[str]:
    """Return the names of the runs or networks that a question is about."""
    if isinstance(question, Describe):
        return [question.architecture.model]
    if isinstance(question, Try):
        return [question.config.model]
    if isinstance(question, Settle):
        return [config.model for config in question.configurations]
    if isinstance(question, StepProgram | TryChange):
        return [question.model]
    run_dirs = question.run_dirs if hasattr(question, "run_dirs") else (question.run_dir,)
    return [Path(run_dir).name for run_dir in run_dirs]
