"""Finding what there is: the footer, the command palette, the help, the mouse, and keys that can do nothing now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from textual.command import CommandInput, CommandList
from textual.pilot import Pilot
from textual.widget import Widget

from core.runs import directory
from core.runs.events import Progress, RunStarted
from tests.tui_app.driving import WIDE, accuracy_on_show, dashboard, dot, focus, shown, until
from tui_app import i18n
from tui_app.dashboard import keys, screenshot
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.compare_screen import CompareScreen
from tui_app.dashboard.screens.conditions_screen import ConditionsScreen
from tui_app.dashboard.screens.dashboard_screen import Dashboard
from tui_app.dashboard.screens.digits_screen import DigitsScreen
from tui_app.dashboard.screens.draw_screen import DrawScreen
from tui_app.dashboard.screens.runs_screen import RunsScreen
from tui_app.dashboard.widgets.chart_panel import ChartPanel
from tui_app.dashboard.widgets.key_footer import FooterKey, chosen
from tui_app.dashboard.widgets.layer_panel import LayerPanel
from tui_app.dashboard.widgets.progress_panel import ProgressPanel
from tui_app.dashboard.widgets.result_panel import ResultPanel
from tui_app.dashboard.widgets.run_form import RunForm
from tui_app.dashboard.widgets.runs_panel import RunsPanel


def footer(app: MnistTui) -> str:
    return shown(app).splitlines()[-1]


async def typed(app: MnistTui, pilot: Pilot[int], text: str) -> None:
    """Open the command palette, and type into it."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: bool(app.screen.query(CommandInput)))
    await pilot.press(*text)


@pytest.mark.parametrize("language", ["en", "fr"], indirect=True)
def test_the_footer_shows_whole_keys_the_important_ones_first(language: str) -> None:
    for table in (keys.key_table(), keys.runs_keys(), keys.digits_keys()):
        found = [FooterKey(key, key.each[0], key.verb not in ("stop", "pause")) for key in (*table, *keys.app_keys())]
        for width in (40, 78, 118, 400):
            fitting = chosen(found, width)
            assert sum(entry.width for entry in fitting) <= width + 1
            assert {"help", "quit"} <= {entry.key.verb for entry in fitting}
            left_out = [entry for entry in found if entry not in fitting]
            for enabled in (True, False):
                least = min((each.key.importance for each in fitting if each.is_enabled is enabled), default=9)
                assert all(each.key.importance <= least for each in left_out if each.is_enabled is enabled)
            if any(each.is_enabled and each.key.importance > 1 for each in left_out):
                assert all(each.is_enabled for each in fitting)
        assert chosen(found, 500) == found


@pytest.mark.parametrize("language", ["en", "fr"], indirect=True)
def test_keys_have_the_names_that_a_keyboard_has(language: str) -> None:
    tables = [table for name, table in vars(keys).items() if name.endswith(("_keys", "_table"))]
    names = {name for table in tables for key in table() for name in key.names}
    assert len(tables) >= 9
    parts = {part for name in names for part in re.split(r"(?<=.)\+", name)}
    words = {"en": "Backspace Ctrl Del Down Enter Esc Left PgDn PgUp Right Shift Space Tab Up"}
    words["fr"] = "Bas|Ctrl|Droite|Entrée|Espace|Échap|Gauche|Haut|Maj|Pg préc|Pg suiv|Ret. arr.|Suppr|Tab"
    known = words[language].split("|" if language == "fr" else " ")
    assert {part for part in parts if len(part) > 1 and not re.fullmatch(r"F\d+", part)} == set(known)
    assert {"=", "/", "?", "+", "<"} <= parts


@pytest.mark.slow
async def test_the_mouse_the_keys_and_the_palette_find_everything(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(screenshot, "FOLDERS", (lambda: tmp_path / "nowhere", _no_home, Path.cwd))
    async with dashboard(finished, WIDE, "rn2-0002", notifications=True) as (app, pilot):
        await until(pilot, lambda: accuracy_on_show(app) != "–")
        await focus(pilot, app.screen.query_one("#runs"))
        await until(pilot, lambda: "d Digits n Inside w Draw h Conditions c Compare" in footer(app))
        assert footer(app).endswith("F1 Help F10 Quit ^p Menu")
        assert "Stop" not in footer(app)  # a finished run cannot be stopped

        # The rate of a finished run is its mean
        events = directory.find(finished, "rn2-0002").reader().read_new()
        progress = [event for event in events if isinstance(event, Progress)][-1]
        (started,) = [event for event in events if isinstance(event, RunStarted)]
        mean = 2 * started.train_size / progress.elapsed_s
        assert f"{mean:,.0f} images/s" in shown(app)
        assert round(mean) != round(progress.images_per_s)

        # One click shows a run, one on its mark overlays it
        await pilot.click("#runs", offset=(5, 1))
        await until(pilot, lambda: "Result of rn1-0001" in shown(app))
        await pilot.click("#runs", offset=(1, 0))
        await until(pilot, lambda: "━━ rn2-0002" in shown(app))
        before = dot(app, "rn2-0002")
        app.theme = "textual-light"
        await until(pilot, lambda: dot(app, "rn2-0002") != before)

        # Keys that can do nothing say why, in whatever way they are asked
        await pilot.press("f6")
        await until(pilot, lambda: "rn1-0001 (done) is not in progress" in shown(app))
        await pilot.press("shift+f5")
        await until(pilot, lambda: "Each run: 2 epochs" in shown(app) and footer(app).endswith("F10 Quit ^p Menu"))
        await pilot.press("f6")
        await until(pilot, lambda: "No comparison is in progress: F5 starts this one." in shown(app))
        await pilot.press("escape")
        await typed(app, pilot, "resume")
        await until(pilot, lambda: "F7 · Resume" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "press e to train it for more epochs" in shown(app))

        # The palette: Enter alone starts nothing
        await typed(app, pilot, "")
        await until(pilot, lambda: app.screen.query_one(CommandList).option_count > 10)
        texts = [str(option.prompt) for option in app.screen.query_one(CommandList).options]
        assert texts[0].startswith("Digits")
        assert all(texts[-1 - place].startswith(word) for place, word in enumerate(("Theme", "Screenshot", "Quit")))
        await pilot.press("escape")
        await typed(app, pilot, "rn2")
        await until(pilot, lambda: "Show rn2-0002" in shown(app) and "Show rn1" not in shown(app))
        assert "RN_2 · lr 0.001 · batch 64 · done · 94.90%" in shown(app)
        await pilot.press("enter")
        await until(pilot, lambda: "Result of rn2-0002" in shown(app))
        await typed(app, pilot, "set dropout")
        await until(pilot, lambda: "Set Dropout…" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.focused, "id", "") == "dropout")
        await typed(app, pilot, "screenshot")
        await until(pilot, lambda: "Save a picture" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Screenshot saved to" in shown(app))
        (saved,) = tmp_path.glob("mnist-tui-*.svg")
        assert "rn2-0002" in saved.read_text()

        # The help begins with what has the focus
        await pilot.click("KeyFooter", offset=(footer(app).index("F1 Help") + 1, 0))
        await until(pilot, lambda: "The settings of the next run" in shown(app) and "Start a run" in shown(app))
        assert "d Digits" not in footer(app)


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


async def test_an_empty_dashboard_says_the_next_step(tmp_path: Path, language: str) -> None:
    async with dashboard(tmp_path, WIDE, notifications=True) as (app, pilot):
        await until(pilot, lambda: bool(app.screen.query("#runs-panel.is-empty")))
        for key, says in (
            ("f3", "There is no run yet: F5 starts one."),
            ("shift+f6", "No trained network yet: pick a finished run in the list, or train one with F5."),
        ):
            await pilot.press(key)
            await until(pilot, lambda says=says: i18n._(says)[:24] in " ".join(shown(app).split()))  # type: ignore[misc]
        assert i18n._("No run yet: F5 starts one with the settings of the form.")[:25] in shown(app)


def test_every_panel_and_side_screen_has_a_help() -> None:
    panels: list[type[Widget]] = [RunForm, LayerPanel, ChartPanel, ProgressPanel, ResultPanel, RunsPanel]
    assert len(panels) == len(Dashboard.PANELS)
    screens: list[type[Widget]] = [CompareScreen, ConditionsScreen, DigitsScreen, DrawScreen, RunsScreen, Dashboard]
    texts = {each.HELP for each in [*panels, *screens]}
    assert len(texts) == len(panels) + len(screens)
    assert None not in texts
