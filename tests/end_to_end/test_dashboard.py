"""Real command in a real terminal: it trains, and shows what is in the run's directory."""

from __future__ import annotations

import re

import pytest

from core.runs.events import Evaluated, Progress, RunEnded
from tests.end_to_end.terminal import Place, all_events, batch_losses, wait_for_event

pytestmark = pytest.mark.slow

OPTIONS = ("--dataset", "sample", "--threads", "1", "--lang", "en")
TABS = re.compile(r"Settings\s+Runs\s+Loss\s+Progress\s+Layers\s+Result")
BRAILLE = re.compile("[\u2801-\u28ff]")


def _result(place: Place) -> Evaluated:
    (found,) = (event for event in all_events(place.run()) if isinstance(event, Evaluated))
    return found


def test_trains_and_shows_the_accuracy_of_the_run_directory(place: Place) -> None:
    """The whole path at 120×40: form, layer table, chart, progress, result; and after a restart the list of runs."""
    terminal = place.terminal(*OPTIONS, "--epochs", "2", "--model", "RN_1", "--seed", "4")
    terminal.wait_for("567,434")  # the layer table's total
    assert not BRAILLE.search(terminal.text)
    terminal.keys("f5")
    terminal.wait_for("Progress of rn1-0001")
    terminal.wait_for(lambda text: BRAILLE.search(text))
    text = terminal.wait_for(lambda text: "Result: " in text and "done · epoch" in text and "errors in" in text)
    result = _result(place)
    shown = f"{100 * result.accuracy:.2f}%"
    assert f"Result: {shown}" in text
    assert f"{result.total - result.correct} errors in 1,000" in text
    assert "Epoch 2/2, Loss: " in text
    assert "SAMPLE" in text
    terminal.wait_for(lambda text: all(f" {result.confusion[digit][digit]}" in text for digit in range(10)))
    terminal.keys("f10")
    assert terminal.wait_end() == 0

    again = place.terminal()
    again.wait_for(lambda text: re.search(rf"rn1-0001\s+done\s+{re.escape(shown)}", text))
    again.keys("f10")
    assert again.wait_end() == 0


def test_small_terminal_has_tabs_and_a_resize_loses_nothing(place: Place) -> None:
    """The terminal shrinks from 80×24 until it is too small, then goes to 120×40 and back, in the middle of a run."""
    headless = place.train("--epochs", "4", "--seed", "4", pause=0.02)
    run = place.run()
    wait_for_event(run, Progress)
    terminal = place.terminal(columns=80, rows=24)
    terminal.wait_for(TABS.search)
    terminal.wait_for("Running loss")  # of the run in progress
    for panel in (f"Progress of {run.id}", "─ Layers", f"Result of {run.id}", "─ Settings", "─ Runs", "─ Running loss"):
        terminal.keys("f2")
        terminal.wait_for(panel)
    terminal.resize(79, 24)
    small = terminal.wait_for("80 columns and 24 rows")
    assert len([line for line in small.splitlines() if line.strip() and "mnist-tui" in line]) <= 2
    assert not TABS.search(small)
    terminal.resize(120, 40)
    terminal.wait_for(lambda text: all(part in text for part in (f"Progress of {run.id}", "Running loss", "Layers")))
    assert headless.wait() == 0
    result = f"Result: {100 * _result(place).accuracy:.2f}%"
    wide = terminal.wait_for(result)
    for epoch in range(1, 5):
        assert f"Epoch {epoch}/4, Loss: " in wide
    terminal.resize(80, 24)
    terminal.wait_for(lambda text: TABS.search(text) and f"╭─ Running loss of {run.id} ─" + 30 * "─" in text)
    for key, panel in (("f2", result), ("f2", "─ Layers"), ("f2", f"Result of {run.id}"), ("\x1b[1;2Q", "─ Layers")):
        terminal.keys(key)  # at last shift+f2
        terminal.wait_for(panel)
    assert {epoch for epoch, _step in batch_losses(run)} == {1, 2, 3, 4}
    assert [event.status for event in all_events(run) if isinstance(event, RunEnded)] == ["done"]
    terminal.keys("f10")
    assert terminal.wait_end() == 0


def test_french_dashboard(place: Place) -> None:
    """The locale selects French, including its number format."""
    assert place.train("--epochs", "1", "--seed", "4").wait() == 0
    result = _result(place)
    terminal = place.terminal("attach", LANG="fr_FR.UTF-8")
    terminal.wait_for(f"Résultat: {100 * result.accuracy:.2f}%")
    terminal.wait_for(f"{result.total - result.correct} erreurs")
    terminal.keys("f10")
    assert terminal.wait_end() == 0
