"""The main screens at two sizes, as text and colours: `pytest tests/tui_app/test_snapshots.py --renew-snapshots`.

The same screens are looked at for their contrast, in the recommended themes.

A file holds the rows of the screen, then the colours of every row as `column foreground/background attributes`, with
the theme's names where it has them.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from rich.color import Color
from rich.style import Style
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Button, Input

from tests.tui_app.driving import (
    NARROW,
    WIDE,
    accuracy_on_show,
    dashboard,
    dot,
    hard_to_read,
    shown,
    strips,
    tick,
    until,
)
from tests.tui_app.fake_worker import compare_without_processes
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.themes import RECOMMENDED, Themes

FOLDER = Path(__file__).parent / "snapshots"
BRAILLE = re.compile("[\u2801-\u28ff]")
NAMES = (
    "foreground",
    "background",
    "surface",
    "panel",
    "primary",
    "secondary",
    "accent",
    "success",
    "warning",
    "error",
)
ATTRIBUTES = ("bold", "dim", "italic", "underline", "reverse", "strike")

Opened = Callable[[], bool]
Open = Callable[[MnistTui, Pilot[int]], Awaitable[Opened]]
"""A function that opens a screen, and returns the condition for everything to be on it."""


async def open_dashboard(app: MnistTui, pilot: Pilot[int]) -> Opened:
    while "Epochs" not in shown(app):  # behind tabs: to the form
        await pilot.press("f2")
        await pilot.pause()
    return lambda: "Epochs" in shown(app) and accuracy_on_show(app) != "–"


async def open_compare(app: MnistTui, pilot: Pilot[int]) -> Opened:
    await pilot.press("shift+f5")
    await until(pilot, lambda: "Each run: 2 epochs" in shown(app))
    app.screen.query_one("#seeds", Input).value = "2"
    await pilot.press("enter")
    return lambda: "4 of 4 runs" in shown(app) and "Test accuracy" in shown(app)


async def open_digits(app: MnistTui, pilot: Pilot[int]) -> Opened:
    await pilot.press("f3")
    return lambda: "1 to " in shown(app) and "▀" * 14 in shown(app)


async def open_draw(app: MnistTui, pilot: Pilot[int]) -> Opened:
    await pilot.press("f12")
    await until(pilot, lambda: "Draw a digit" in shown(app))
    await pilot.press(*["up"] * 9, "space", *["down"] * 18)
    return lambda: shown(app).count("1 ██") == 2


async def open_conditions(app: MnistTui, pilot: Pilot[int]) -> Opened:
    await pilot.press("shift+f6")
    return lambda: "Mean accuracy over the directions" in shown(app)


async def open_help(app: MnistTui, pilot: Pilot[int]) -> Opened:
    await pilot.press("f1")
    return lambda: "Start a run" in shown(app)


async def open_exam(app: MnistTui, pilot: Pilot[int]) -> Opened:
    """Open a question whose answer is shown: a choice that is right, and a number that is not."""
    await pilot.press("shift+f1")
    await until(pilot, lambda: "I.1  " in shown(app))
    await pilot.press(*["right"] * 4)
    await until(pilot, lambda: "I.5  " in shown(app))
    await pilot.press("down", "enter", "9", "enter", "s")
    await until(pilot, lambda: "Mean accuracy over the directions" in shown(app))
    await pilot.press("escape")
    return lambda: "Network no. 2 (RN_2)" in shown(app)


SCREENS: dict[str, Open] = {
    "dashboard": open_dashboard,
    "compare": open_compare,
    "digits": open_digits,
    "draw": open_draw,
    "conditions": open_conditions,
    "help": open_help,
    "exam": open_exam,
}


@pytest.mark.parametrize(
    "size", [pytest.param(WIDE, marks=pytest.mark.alike), NARROW], ids=lambda size: "{}x{}".format(*size)
)
async def test_screens_are_as_they_were(
    size: tuple[int, int], finished: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One dashboard serves all of them: starting it takes longer than looking at a screen."""
    compare_without_processes(monkeypatch)
    monkeypatch.setenv("MNIST_TUI_DATA", "/data")
    renew = request.config.getoption("renew_snapshots", False)
    differences: list[str] = []
    faults: list[str] = []
    lights = itertools.cycle(RECOMMENDED[1:])
    async with dashboard(finished, size, "rn2-0002") as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await tick(app, pilot, "rn1-0001")
        await until(pilot, lambda: bool(dot(app, "rn1-0001")))
        main = app.screen
        for name, open_screen in SCREENS.items():
            await until(pilot, await open_screen(app, pilot))
            for field in app.screen.query(Input):
                field.cursor_blink = False
            path = FOLDER / f"{name}-{size[0]}x{size[1]}.txt"
            if renew:
                await pilot.pause(1)
                path.write_text(await snapshot(app, pilot), encoding="utf-8")
            kept = path.read_text(encoding="utf-8")
            differences += await changes(app, pilot, path.name, kept)
            if name in ("dashboard", "conditions"):
                assert len(BRAILLE.findall(kept)) > 20  # a chart without curves does not count
            if size == WIDE:
                shown_in = RECOMMENDED if app.screen is main else (RECOMMENDED[0], next(lights))
                faults += [fault for theme in shown_in async for fault in hard_to_read_in(app, pilot, theme)]
                app.theme = RECOMMENDED[0]
            if app.screen is not main:
                await pilot.press("escape")
                await until(pilot, lambda: app.screen is main)
        app.theme = "ansi-dark"  # Textual's buttons have borders there, which would hide other rows
        await until(pilot, lambda: {button.outer_size.height for button in app.screen.query(Button)} <= {0, 1})
        assert [name for name, _choose in Themes(app.screen).commands][: len(RECOMMENDED)] == list(RECOMMENDED)
    assert not faults, "\n".join(faults)
    if differences:
        pytest.fail("\n".join(differences), pytrace=False)


async def hard_to_read_in(app: MnistTui, pilot: Pilot[int], theme: str) -> AsyncIterator[str]:
    app.theme = theme
    await pilot.pause()
    for fault in hard_to_read(app):
        yield f"{theme}: {fault}"


async def changes(app: MnistTui, pilot: Pilot[int], name: str, kept: str) -> list[str]:
    """Return the differences from the snapshot, after waiting a little for the screen to settle."""
    for _look in range(10):
        now = await snapshot(app, pilot)
        if now == kept:
            return []
        await pilot.pause(0.1)
    return list(difflib.unified_diff(kept.splitlines(), now.splitlines(), name, "as it is", lineterm="", n=1))


async def snapshot(app: MnistTui, pilot: Pilot[int]) -> str:
    """Return the screen; if the dashboard's panels are tabs, return each tab in turn."""
    if app.screen.query("#tabs") and app.screen.query_one("#tabs").display:
        found = []
        for _panel in range(6):
            found.append(written(app))
            await pilot.press("f2")
            await pilot.pause()
        return "\n".join(found)
    return written(app)


def written(app: MnistTui) -> str:
    """Return the rows of the screen, then the colours of each."""
    names = {app.theme_variables[name].upper(): name for name in reversed(NAMES)}
    rows = strips(app)
    text = [strip.text.replace("\xa0", " ").rstrip() for strip in rows]
    colours = [f"{number:2}  {'  '.join(runs(strip, names))}" for number, strip in enumerate(rows)]
    return "\n".join([*text, "", *colours, ""])


def runs(strip: Strip, names: dict[str, str]) -> list[str]:
    """Return where each style of a row begins, and what it is; a blank on the same background continues the last."""
    found: list[tuple[int, str]] = []
    column = 0
    for segment in strip:
        style = segment.style or Style()
        ground = f"/{named(style.bgcolor, names)}"
        attributes = "".join(f" {name}" for name in ATTRIBUTES if getattr(style, name))
        is_blank = not segment.text.strip() and not style.underline and not style.reverse
        words = ground if is_blank else named(style.color, names) + ground + attributes
        goes_on = found and (found[-1][1] == words or (is_blank and re.search(rf"{ground}\b", found[-1][1])))
        if segment.text and not goes_on:
            found.append((column, words))
        column += segment.cell_length
    return [f"{start} {words}" for start, words in found]


def named(colour: Color | None, names: dict[str, Any]) -> str:
    if colour is None or colour.triplet is None:
        return "-"
    value = colour.triplet.hex
    return str(names.get(value.upper(), value))
