"""The dashboard with its real worker, which builds, trains and queries real networks; other tests use a fake worker."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from textual.widgets import Input, RadioSet

from core.data.conditions import Condition
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import Evaluated
from core.training.load_trained import DatasetCache
from core.training.robustness import robustness
from tests.tui_app.driving import accuracy_on_show, dashboard, focus, shown, until
from tui_app import i18n
from tui_app.dashboard.widgets.loss_chart import LossChart
from tui_app.dashboard.worker_link import StandbyProcess

pytestmark = pytest.mark.slow

NETWORK = (
    "from torch import nn\nclass Net(nn.Sequential):\n    def __init__(self):\n"
    "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
)


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("MNIST_TUI_DATA", str(tmp_path / "data"))


async def test_choose_train_read_the_result_test_it_and_compare(tmp_path: Path) -> None:
    async with dashboard(tmp_path, workers=StandbyProcess, epochs=1) as (app, pilot):
        await until(pilot, lambda: "567,434" in shown(app))
        await focus(pilot, app.screen.query_one("#network", RadioSet))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "421,642" in shown(app))
        assert "32×64×3×3 + 64 = 18,496" in shown(app)
        assert "(28 + 2·1 − 3)/1 + 1 = 28" in shown(app)

        await pilot.press("f5")
        await until(pilot, lambda: bool(re.search("[\u2801-\u28ff]", shown(app))))
        await until(pilot, lambda: accuracy_on_show(app) != "–", 120)
        assert app.screen.query_one(LossChart).region.height >= 10
        run = directory.find(tmp_path)
        (result,) = [event for event in run.reader().read_new() if isinstance(event, Evaluated)]
        assert accuracy_on_show(app) == i18n.number(100 * result.accuracy, 2)
        config = run.config()
        assert (run.state(), config.model, config.epochs, config.seed) == ("done", "RN_2", 1, 5)

        await pilot.press("shift+f6")
        await until(pilot, lambda: "shifted by 2 px" in shown(app))
        found = robustness_of_run(run, Condition("shift", 1), Condition("shift", 2))
        for name, accuracy in zip(("as they are", "shifted by 1 px", "shifted by 2 px"), found, strict=True):
            await until(pilot, lambda name=name, accuracy=accuracy: f"{name} {accuracy}" in squeezed(shown(app)), 60)  # type: ignore[misc]

        await pilot.press("escape", "shift+f5")
        await until(pilot, lambda: "Each run: 1 epoch," in shown(app))
        app.screen.query_one("#seeds", Input).value = "1"
        await pilot.press("enter")
        await until(pilot, lambda: "2 of 2 runs" in shown(app) and "McNemar" in shown(app), 120)
        compared = [summary.accuracy for summary in directory.Listing(tmp_path).read() if summary.id != run.id]
        assert len(compared) == 2
        for of_run in compared:
            assert of_run is not None
            assert i18n.percent(of_run) in shown(app)


def robustness_of_run(run: Run, *conditions: Condition) -> list[str]:
    kept = DatasetCache(lambda _m: None, lambda _m, _f: None, lambda: False)
    found = robustness(run, conditions, kept, torch.device("cpu"), lambda: None)
    return [i18n.percent(tested.accuracy) for tested in found.tested]


def squeezed(text: str) -> str:
    return re.sub(" +", " ", text)


async def test_a_network_of_ones_own_is_described(tmp_path: Path) -> None:
    path = tmp_path / "my_net.py"
    path.write_text(NETWORK[:70])
    async with dashboard(tmp_path / "runs", workers=StandbyProcess, model=f"{path}:Net") as (app, pilot):
        await until(pilot, lambda: "my_net.py:3" in "".join(shown(app).split()) or "IndentationError" in shown(app))
        path.write_text(NETWORK)
        model = app.screen.query_one("#model", Input)
        model.value = f"{path}:Ne"
        await pilot.pause()
        model.value = f"{path}:Net"
        await until(pilot, lambda: "784×10 + 10 = 7,850" in shown(app))
