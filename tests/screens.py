"""Pictures of the main screens: `python -m tests.screens FOLDER` draws each at five sizes, in two themes and languages.

Besides, the dashboard is drawn before the first run and during one, and the table of runs with many. The runs are
recorded ones, and fake workers answer. Words after the folder restrict what is drawn, for example
`compare 80x24 fr textual-light`; any theme of Textual's can be named. Where there is a Chromium, each picture is drawn
as a PNG file too.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from textual.pilot import Pilot
from textual.theme import BUILTIN_THEMES
from textual.widgets import DataTable, Digits, Input

from tests.tui_app import recorded
from tests.tui_app.fake_worker import FakeWorkers
from tui_app import i18n
from tui_app.dashboard.app import MnistTui

SIZES = ((80, 24), (100, 30), (120, 40), (160, 50), (200, 60))
THEMES = ("textual-dark", "textual-light")
LANGUAGES = ("en", "fr")


async def _compare(pilot: Pilot[int]) -> None:
    await pilot.press("shift+f5")
    await pilot.pause(0.3)
    pilot.app.screen.query_one("#seeds", Input).value = "2"


async def _draw(pilot: Pilot[int]) -> None:
    await pilot.press("f12")
    await pilot.pause(0.3)
    await pilot.press(*["up"] * 6, "space", *["down"] * 12, "space")


SCREENS: dict[str, Callable[[Pilot[int]], Awaitable[object]]] = {
    "dashboard": lambda pilot: pilot.pause(),
    "runs": lambda pilot: pilot.press("t"),
    "compare": _compare,
    "digits": lambda pilot: pilot.press("f3"),
    "draw": _draw,
    "conditions": lambda pilot: pilot.press("shift+f6"),
    "help": lambda pilot: pilot.press("f1"),
}
EPOCHS = {"empty": 0.0, "running": 1.5}
"""How far the first run of a folder gets on these pictures of the dashboard; none is started on the first."""
MANY = 60


async def _settle(pilot: Pilot[int]) -> str:
    """Return the screenshot once it has been the same for half a second."""
    same, last = 0, ""
    for _look in range(100):
        await pilot.pause(0.1)
        now = pilot.app.export_screenshot()
        same = same + 1 if now == last else 0
        last = now
        if same == 5:
            break
    return last


async def first_run(runs_dir: Path, size: tuple[int, int], theme: str, name: str) -> dict[str, str]:
    """Return a picture of the dashboard, as SVG, with its first run in progress, or before it."""
    app = MnistTui(runs_dir, {"epochs": 2, "dataset": "sample", "seed": 1}, launch=FakeWorkers(epochs=EPOCHS[name]))
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        if EPOCHS[name]:
            await pilot.press("f5")
            while not app.screen.query_one("#runs", DataTable).row_count:
                await pilot.pause(0.1)
        return {name: await _settle(pilot)}


async def many_runs(runs_dir: Path, size: tuple[int, int], theme: str) -> dict[str, str]:
    """Return a picture of the table of runs, with many of them, some selected."""
    recorded.copy_runs(runs_dir)
    for number in range(3, MANY + 1):
        model = 2 - number % 2
        shutil.copytree(runs_dir / recorded.RUN_IDS[model - 1], runs_dir / f"rn{model}-{number:04}")
    app = MnistTui(runs_dir, {}, launch=FakeWorkers())
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        while app.screen.query_one("#runs", DataTable).row_count < MANY:
            await pilot.pause(0.1)
        await pilot.press("t")
        while not app.screen.query("#runs-table"):
            await pilot.pause(0.1)
        await pilot.press("space", "down", "space")
        return {"many-runs": await _settle(pilot)}


async def pictures(runs_dir: Path, size: tuple[int, int], theme: str, wanted: list[str]) -> dict[str, str]:
    """Return a picture of each screen, as SVG; where the dashboard shows a part at a time, one of each part."""
    app = MnistTui(runs_dir, {"epochs": 2, "dataset": "sample"}, "rn2-0002", launch=FakeWorkers())
    found = {}
    async with app.run_test(size=size) as pilot:
        app.theme = theme
        while (
            app.screen.query_one("#accuracy", Digits).value == "–"
            or not app.screen.query_one("#runs", DataTable).row_count
        ):
            await pilot.pause(0.1)
        main = app.screen
        app.screen.query_one("#runs", DataTable).move_cursor(row=1)
        await pilot.press("f9")
        for name in wanted:
            app.set_focus(None)
            await SCREENS[name](pilot)
            for field in app.screen.query(Input):
                field.cursor_blink = False
            found[name] = await _settle(pilot)
            if name == "dashboard" and app.screen.query_one("#tabs").display:
                for page in range(1, 6):
                    await pilot.press("f2")
                    found[f"{name}-{page}"] = await _settle(pilot)
            while app.screen is not main:
                await pilot.press("escape")
                await pilot.pause(0.1)
    return found


def _draw_as_png(svg: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        return
    head = svg.read_text(encoding="utf-8").partition('viewBox="0 0 ')[2].partition('"')[0].split()
    size = ",".join(str(round(float(each))) for each in head)
    subprocess.run(
        [
            browser,
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            f"--window-size={size}",
            f"--screenshot={svg.with_suffix('.png')}",
            str(svg),
        ],
        check=False,
        stderr=subprocess.DEVNULL,
    )


def main() -> None:
    folder, words = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["TEXTUAL_ANIMATIONS"] = "none"

    def chosen(known: Iterable[str], default: Iterable[str] = ()) -> list[str]:
        return [each for each in known if each in words] or list(default or known)

    sizes = {f"{size[0]}x{size[1]}": size for size in SIZES}
    wanted = set(chosen((*EPOCHS, "many-runs", *SCREENS)))
    for size, theme, language in itertools.product(chosen(sizes), chosen(BUILTIN_THEMES, THEMES), chosen(LANGUAGES)):
        i18n.use(language)
        with tempfile.TemporaryDirectory() as place:
            found: dict[str, str] = {}
            for name in wanted & EPOCHS.keys():
                found |= asyncio.run(first_run(Path(place) / name, sizes[size], theme, name))
            if "many-runs" in wanted:
                found |= asyncio.run(many_runs(Path(place) / "many", sizes[size], theme))
            if screens := [name for name in SCREENS if name in wanted]:
                runs_dir = recorded.copy_runs(Path(place) / "runs")
                found |= asyncio.run(pictures(runs_dir, sizes[size], theme, screens))
        for name, picture in found.items():
            path = folder / f"{name}-{size}-{theme}-{language}.svg"
            path.write_text(picture, encoding="utf-8")
            _draw_as_png(path)
            print(path)


if __name__ == "__main__":
    main()
