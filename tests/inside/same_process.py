"""The worker's own answers, given in the process of the test, and runs whose networks were never trained."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import torch
from textual.pilot import Pilot

from core.config import RunConfig
from core.messages import Problem
from core.networks.build import build_network
from core.networks.state import network_state
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import Evaluated, EventWriter, RunEnded
from core.training import weights
from core.worker.protocol import Answer, AskedImage, InsideQuestion, Question, Ready, Refused
from core.worker.questions import RunInspector
from core.worker.standby import answer_question
from tests.recorded import started
from tui_app.dashboard import app
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.inside_screen import InsideScreen
from tui_app.dashboard.screens.side_screen import AskedRun


class WorkerInProcess:
    """A worker that answers as the real one does, without a process of its own; it takes no run."""

    def __init__(self) -> None:
        self._inspector = RunInspector()
        self._answers: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._answers.put_nowait(Ready(()))
        self.is_alive = True
        self.gives_way = False

    def ask(self, question: Question) -> None:
        try:
            self._answers.put_nowait(answer_question(question, self._inspector, self._answers.put_nowait))
            self._inspector.insides.prepare(lambda: False)
        except Problem as problem:
            self._answers.put_nowait(Refused.because_of(problem, question))

    def give_way(self) -> None:
        self.gives_way = True

    def hand_over(self, run: Run) -> None:
        raise AssertionError(f"{run.id} is not to be trained")

    def close(self) -> None:
        self.is_alive = False
        self._answers.put_nowait(None)

    def abandon(self) -> None:
        self.close()

    async def answers(self) -> AsyncIterator[Answer]:
        while (answer := await self._answers.get()) is not None:
            yield answer


class _Alone(MnistTui):
    """The program with nothing but the screen inside a network."""

    CSS_PATH = str(Path(app.__file__).with_name("app.tcss"))

    def __init__(self, run: Run, picture: AskedImage) -> None:
        super().__init__(run.path.parent, {})
        self._run = run
        self._picture = picture
        self._inspector = RunInspector()

    def get_default_screen(self) -> InsideScreen:
        asked = AskedRun(self._run.id, str(self._run.path), "RN", tuple("0123456789"))
        return InsideScreen([asked], self._picture, self._ask)

    def _ask(self, question: InsideQuestion) -> None:
        screen = self.screen
        assert isinstance(screen, InsideScreen)
        try:
            answer = answer_question(question, self._inspector, screen.show)
            self._inspector.insides.prepare(lambda: False)
        except Problem as problem:
            screen.refuse(Refused.because_of(problem, question))
        else:
            screen.call_next(screen.show, answer)


@asynccontextmanager
async def inside(
    run: Run, size: tuple[int, int] = (120, 40), picture: AskedImage | None = None
) -> AsyncIterator[tuple[MnistTui, Pilot[int]]]:
    """Open the screen inside a run's network, without the dashboard behind it."""
    alone = _Alone(run, picture or AskedImage(0))
    async with alone.run_test(size=size) as pilot:
        await pilot.pause()
        yield alone, pilot


def untrained_run(folder: Path, model: str, **settings: object) -> Run:
    """Write a run that looks finished, with the parameters that its network begins with."""
    config = RunConfig(**{"model": model, "dataset": "sample", "epochs": 1, "seed": 3, "threads": 1} | settings)  # type: ignore[arg-type]
    run = directory.create(folder, config)
    torch.manual_seed(config.seed)
    content = weights.pack(network_state(build_network(config.architecture)))
    (run.path / "weights-0001.safetensors").write_bytes(content)
    writer = EventWriter(run.events_path, 1)
    blank = tuple((100, *(0,) * 9) for _label in range(10))
    for event in (
        started(config),
        Evaluated(correct=100, total=1000, accuracy=0.1, test_loss=2.3, confusion=blank),
        RunEnded(status="done"),
    ):
        writer.write(event)
    writer.close()
    return run
