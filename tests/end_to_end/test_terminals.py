"""Terminals of all kinds: tiny, restless, stalled, without UTF-8 or colours. The program works in all of them."""

from __future__ import annotations

import random
import re
import time

import psutil
import pytest

from core.runs.events import Progress
from tests.end_to_end.terminal import Place, Terminal, all_events, wait_for_event, wait_until

pytestmark = pytest.mark.slow

COLOURS = re.compile(rb"\x1b\[[\d;]*(?:3[0-79]|4[0-79]|38;|48;)[\d;]*m")


def _assert_idle(terminal: Terminal) -> None:
    """Check that it uses little of a processor, with no loop left spinning."""
    process = psutil.Process(terminal.pid)

    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    wait_until(lambda: _share(terminal, used) < 0.5, "a dashboard that rests")


def _share(terminal: Terminal, used: object) -> float:
    assert callable(used)
    before, began = used(), time.monotonic()
    while time.monotonic() - began < 1.0:
        terminal.pump(0.1)
    return float((used() - before) / (time.monotonic() - began))


def _quit(terminal: Terminal) -> None:
    terminal.keys("f10")
    assert terminal.wait_end() == 0
    assert b"Traceback" not in terminal.output


def test_one_by_one_then_a_resize_storm(place: Place) -> None:
    """It survives with all its panels, and comes to rest."""
    assert place.train("--epochs", "1", "--seed", "1").wait() == 0
    terminal = place.terminal("attach", columns=1, rows=1)

    def has_painted() -> bool:
        terminal.pump()
        return b"\x1b[?1049h" in terminal.output

    wait_until(has_painted, "the first painting")
    sizes = random.Random(0)
    for _ in range(60):
        terminal.resize(sizes.randrange(1, 200), sizes.randrange(1, 70))
        terminal.pump(0.005)
    terminal.resize(1, 1)
    terminal.pump()
    terminal.resize(120, 40)
    terminal.wait_for(lambda text: all(part in text for part in ("Result: ", "Runs", "Layers", "Running loss")))
    _assert_idle(terminal)
    _quit(terminal)


def test_terminal_that_stops_reading(place: Place) -> None:
    """The run keeps its pace meanwhile; when the terminal reads again, the dashboard shows where the run is."""
    worker = place.train("--epochs", "20", "--seed", "1", pause=0.002)
    run = place.run()
    wait_for_event(run, Progress)
    terminal = place.terminal("attach")
    terminal.wait_for("running · epoch")
    for column in range(400):  # much to paint, with nobody reading
        terminal.resize(120 + column % 40, 40)
    wait_until(lambda: worker.poll() is not None, "the end of the run")  # nothing is read meanwhile
    assert run.state() == "done"
    assert worker.poll() == 0
    terminal.resize(120, 40)
    terminal.wait_for("done · epoch 20/20")
    terminal.wait_for("Epoch 20/20, Loss: ")
    _assert_idle(terminal)
    _quit(terminal)
    assert len([event for event in all_events(run) if isinstance(event, Progress)]) >= 20


@pytest.mark.parametrize(("lc_all", "term"), [("C", "xterm-256color"), ("C.UTF-8", "linux")])
def test_terminal_with_few_characters(place: Place, lc_all: str, term: str) -> None:
    """The dashboard and the tables are still there, drawn in ASCII."""
    assert place.train("--epochs", "1", "--seed", "1").wait() == 0

    def started(command: str) -> Terminal:
        return place.terminal(command, LC_ALL=lc_all, TERM=term, PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")

    listed = started("runs")
    assert listed.wait_end() == 0
    assert b"slow-0001" in listed.output
    assert listed.output.isascii()
    terminal = started("attach")
    terminal.wait_for("Result: ")
    terminal.wait_for(lambda text: "slow-0001" in text and "Running loss" in text)
    assert terminal.output.isascii()
    assert "- Runs --" in terminal.text
    assert "?" not in terminal.text
    _quit(terminal)


def test_no_color(place: Place) -> None:
    assert place.train("--epochs", "1", "--seed", "1").wait() == 0
    terminal = place.terminal("attach", NO_COLOR="1")
    terminal.wait_for("Result: ")
    coloured = {bytes(found) for found in COLOURS.findall(bytes(terminal.output))}
    assert all(_is_grey(code) for code in coloured), sorted(coloured)[:10]
    _quit(terminal)


def _is_grey(code: bytes) -> bool:
    """Return whether a style is a grey, without a hue, such as `\\x1b[38;2;9;9;9m`."""
    for red, green, blue in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", code):
        if not red == green == blue:
            return False
    palette = [int(number) for number in re.findall(rb"[34]8;5;(\d+)", code)]
    return all(number in (0, 7, 8, 15, 16, 231) or number >= 232 for number in palette)


def test_keys_nobody_asked_for(place: Place) -> None:
    """The dashboard survives any input: partial escape sequences, a paste, the mouse, bytes that are not text."""
    terminal = place.terminal("--dataset", "sample", "--lang", "en")
    terminal.wait_for("Train")
    terminal.keys("\x1b[200~--epochs 3\nrm -rf\n\x1b[201~", "\x1b[<0;5;5M\x1b[<0;5;5m", "\x1b[<0;999;999M", "\x1b[")
    terminal.keys("\x1b", "\x1b]11;rgb:1/2", "\x07", "€ß中", "\x00", "\x1c")
    terminal.keys("escape")
    terminal.keys("f1")
    terminal.wait_for("Esc closes")
    terminal.keys("escape")
    terminal.wait_for(lambda text: "Esc closes" not in text)
    assert not place.runs_dir.exists() or not list(place.runs_dir.iterdir())
    _quit(terminal)
