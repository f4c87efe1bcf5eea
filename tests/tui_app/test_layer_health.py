"""The health of layers beside the layer table."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Checkbox

from core.runs import directory
from core.runs.directory import Run
from core.runs.events import LayersMeasured, RunEnded
from core.runs.layer_health import Histogram, LayerHealth
from tests.core.runs.run_files import PROGRESS, new_run, write
from tests.recorded import started
from tests.tui_app.driving import NARROW, dashboard, focus, shown, until
from tui_app import terminal
from tui_app.charts.sparkline import sparkline
from tui_app.dashboard.widgets.choices import RadioChoice

HISTOGRAM = Histogram(low=-1.0, high=1.0, counts=(0, 1, 2, 4, 8, 8, 4, 2, 1, 0))
BLOCKS = " ▂▃▅██▅▃▂"


def after(epoch: int, norm: float) -> LayersMeasured:
    layers = (
        LayerHealth(name="fc1", gradient_norm=norm, weights=HISTOGRAM),
        LayerHealth(name="relu1", dead=0.25, activations=HISTOGRAM),
    )
    return LayersMeasured(epoch=epoch, layers=layers)


def measured_run(folder: Path, *events: LayersMeasured) -> Run:
    run = new_run(folder, seed=0, health=True)
    write(run, started(run.config()), PROGRESS, *events, RunEnded(status="stopped"))
    return run


async def test_the_newest_measurements_stand_beside_the_table_where_it_fits_else_below(tmp_path: Path) -> None:
    run = measured_run(tmp_path, after(1, 2.0), after(2, 1.0), after(3, 0.125))
    async with dashboard(tmp_path, run_id=run.id) as (app, pilot):
        await until(pilot, lambda: "Dead" in shown(app))
        assert " norm " not in next(line for line in shown(app).splitlines() if "Specification" in line)
        await focus(pilot, app.screen.query_one("#layers"))
        await pilot.press("z")
        await until(pilot, lambda: "█▅▁ 0.12" in shown(app))
        lines = shown(app).splitlines()
        fc1, relu1 = (next(line for line in lines if name in line) for name in ("fc1 ", "relu1 "))
        assert "784×512 + 512" in fc1
        assert BLOCKS in fc1
        assert "25%" in relu1
        assert BLOCKS in relu1
    async with dashboard(tmp_path, NARROW, run.id) as (app, pilot):
        while "Layers of" not in shown(app):
            await pilot.press("f2")
            await pilot.pause()
        app.screen.query_one("#layers").scroll_end(animate=False)
        await until(pilot, lambda: "█▅▁ 0.12" in shown(app))


async def test_the_columns_are_there_before_the_first_epoch_and_only_for_a_run_that_is_measured(
    tmp_path: Path,
) -> None:
    run, other = measured_run(tmp_path), new_run(tmp_path, seed=0)
    write(other, started(other.config()), PROGRESS, RunEnded(status="stopped"))
    async with dashboard(tmp_path, run_id=run.id) as (app, pilot):
        await until(pilot, lambda: "Dead" in shown(app))
        app.screen.query(RadioChoice)[1].value = True  # the form's network, which nobody has measured
        await until(pilot, lambda: "Layers of RN_2" in shown(app))
        assert "Dead" not in shown(app)
    async with dashboard(tmp_path, run_id=other.id) as (app, pilot):
        await until(pilot, lambda: f"Progress of {other.id}" in shown(app))
        assert "Dead" not in shown(app)


async def test_where_there_is_only_ascii_the_blocks_are_signs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "has_utf8", lambda: False)
    run = measured_run(tmp_path, after(1, 2.0), after(2, 1.0))
    async with dashboard(tmp_path, (160, 50), run.id) as (app, pilot):
        await until(pilot, lambda: "@+ 1" in shown(app))
        assert " :-+@@+-:" in shown(app)


async def test_the_form_asks_for_it(tmp_path: Path) -> None:
    async with dashboard(tmp_path) as (app, pilot):
        app.screen.query_one("#health", Checkbox).value = True
        await pilot.press("f5")
        await until(pilot, lambda: bool(directory.Listing(tmp_path).read()))
        assert directory.find(tmp_path).config().health


def test_a_sparkline_has_a_sign_for_each_number() -> None:
    assert sparkline([0, 1, 2, 4, 8, None], plain=False) == "▁▂▃▅█ "
    assert sparkline([0.0, 0.0], plain=False) == "▁▁"
    assert sparkline([1e300, 5e299], plain=True) == "@+"
    assert sparkline([], plain=True) == ""
