"""The dashboard driven as a user would: started with fake workers, waited for, and read from its screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.style import Style
from textual._context import visible_screen_stack
from textual.app import App
from textual.color import Color
from textual.geometry import Region
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import DataTable, Digits

from tests.tui_app.fake_worker import FakeWorkers
from tui_app.dashboard import contrast
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.widgets.loss_chart import LossChart
from tui_app.dashboard.worker_link import Launch

WIDE, NARROW = (120, 40), (80, 24)
QUICK: dict[str, Any] = {"dataset": "sample", "epochs": 2, "threads": 1, "seed": 5}


@asynccontextmanager
async def dashboard(
    runs_dir: Path,
    size: tuple[int, int] = WIDE,
    run_id: str | None = None,
    *,
    workers: Launch | None = None,
    notifications: bool = False,
    **settings: Any,
) -> AsyncIterator[tuple[MnistTui, Pilot[int]]]:
    """Start the dashboard in a terminal of this size; `settings` override those of a quick run in the form."""
    with pytest.MonkeyPatch.context() as patch:  # the program looks at its terminal before Textual tells it the size
        patch.setenv("COLUMNS", str(size[0]))
        patch.setenv("LINES", str(size[1]))
        app = MnistTui(runs_dir, QUICK | settings, run_id, launch=workers or FakeWorkers())
    async with app.run_test(size=size, notifications=notifications) as pilot:
        await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[Any], condition: Callable[[], bool], timeout_s: float = 60) -> None:
    """Let the program run until a condition holds; look ever more seldom, as reading the screen is much work."""
    pause_s = 0.02
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await pilot.pause(pause_s)
                pause_s = min(1.3 * pause_s, 0.3)
    except TimeoutError:
        pytest.fail(f"never came:\n{shown(pilot.app)}")


async def focus(pilot: Pilot[Any], widget: Widget) -> None:
    """Give a widget the focus: a key that is pressed next is for it, however slowly the screen is being laid out."""

    def has_it() -> bool:
        if pilot.app.focused is not widget:
            widget.focus()
        return pilot.app.focused is widget

    await until(pilot, has_it)


def strips(app: App[Any]) -> list[Strip]:
    """Return the rows of the screen, with text and styles.

    Textual only exports a whole screen as a picture; the two private names that this needs are used nowhere else.
    """
    visible_screen_stack.set(app._background_screens)
    return app.screen._compositor.render_strips()


def shown(app: App[Any]) -> str:
    """Return the text on the screen, row by row."""
    return "\n".join(strip.text.replace("\xa0", " ").rstrip() for strip in strips(app))


def hard_to_read(app: App[Any]) -> Iterator[str]:
    """Yield each text with too little contrast: 4.5:1 is asked of what is enabled, 3:1 of what is not."""
    for y, strip in enumerate(strips(app)):
        x = 0
        for segment in strip:
            style, at = segment.style, x
            x += segment.cell_length
            if not any(map(str.isalnum, segment.text)) or style is None or not (style.color and style.bgcolor):
                continue
            colours = [Color.from_rich_color(each) for each in (style.color, style.bgcolor)]
            ratio = contrast.ratio(*colours)
            widget, _region = app.screen.get_widget_at(at, y)
            if isinstance(widget, ModalScreen):  # what is behind a dialog
                continue
            if ratio < (3 if widget.is_disabled or widget.has_class("-disabled") else 4.5):
                yield f"{segment.text.strip()!r} in {widget}: {ratio:.2f}"


# Parts of the dashboard


def accuracy_on_show(app: App[Any]) -> str:
    """Return the accuracy shown in large digits, or – before there is one."""
    return app.screen.query_one("#accuracy", Digits).value


def chart_lines(app: App[Any]) -> list[str]:
    """Return the rows of the loss chart: its legend, the curves and the x axis."""
    chart = app.screen.query_one(LossChart)
    return [strip.text for strip in chart.render_lines(Region(0, 0, *chart.size))]


def dot(app: App[Any], run_id: str) -> str | Style:
    """Return the colour of a run's dot in the list, which is empty until its curve is in the chart."""
    table = app.screen.query_one("#runs", DataTable)
    rows = [table.get_row_at(row) for row in range(table.row_count)]
    style: str | Style = next(row[0].style for row in rows if str(row[1]) == run_id)
    return style


async def tick(app: App[Any], pilot: Pilot[Any], *run_ids: str) -> None:
    """Add runs to the chart, or remove them, with the keys of the list."""
    table = app.screen.query_one("#runs", DataTable)
    await until(pilot, lambda: table.row_count > 0)
    while not table.size:  # at sizes where the panels are tabs
        await pilot.press("f2")
        await pilot.pause()
    await focus(pilot, table)
    for run_id in run_ids:
        ids = [str(table.get_row_at(row)[1]) for row in range(table.row_count)]
        table.move_cursor(row=ids.index(run_id))
        await pilot.press("space")


async def show_chart(app: App[Any], pilot: Pilot[Any]) -> None:
    """Switch to the chart if the panels are tabs."""
    while not app.screen.query_one(LossChart).size:
        await pilot.press("f2")
        await pilot.pause()
