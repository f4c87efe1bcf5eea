"""The terminal's own notification of a run's end."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.drivers.headless_driver import HeadlessDriver

from core.worker.at_end import AtEnd
from tests.tui_app.driving import QUICK, until
from tests.tui_app.fake_worker import FakeWorkers
from tui_app import notification
from tui_app.dashboard.app import MnistTui

VARIABLES = ("TERM", "TMUX", "VTE_VERSION")


@pytest.mark.parametrize(
    ("environment", "sent"),
    [
        ({"TERM": "xterm-256color"}, "\x1b]9;mnist-tui: a: done\a\a"),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "\x1b]777;notify;mnist-tui;a: done\a\a"),
        ({"TERM": "rxvt-unicode"}, "\x1b]777;notify;mnist-tui;a: done\a\a"),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x"}, "\x1bPtmux;\x1b\x1b]9;mnist-tui: a: done\a\x1b\\\a"),
        ({"TERM": "screen"}, "\a"),
        ({"TERM": "linux"}, "\a"),
        ({"TERM": "dumb"}, ""),
        ({}, ""),
    ],
)
def test_each_terminal_gets_what_it_knows(
    environment: dict[str, str], sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert notification.sequence("a: done") == sent


def test_a_text_steers_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert notification.sequence("a\x1b]0;x\a").count("\x1b") == 1


@pytest.mark.parametrize("notifies", [True, False])
async def test_the_dashboard_tells_of_the_end_of_a_long_run(
    notifies: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification, "LEAST_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    written: list[str] = []
    monkeypatch.setattr(HeadlessDriver, "write", lambda _self, text: written.append(text))
    app = MnistTui(tmp_path, QUICK, at_end=AtEnd(notifies=notifies), launch=FakeWorkers())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("f5")
        await until(pilot, lambda: app.screen.query_one("#accuracy").value != "–")  # type: ignore[attr-defined]
        if notifies:
            await until(pilot, lambda: any("rn1-0001: done" in text for text in written))
        else:
            await pilot.pause(0.3)
    assert any("\x1b]9;" in text for text in written) == notifies


async def test_looking_at_a_run_that_ended_long_ago_tells_of_nothing(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notification, "LEAST_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    written: list[str] = []
    monkeypatch.setattr(HeadlessDriver, "write", lambda _self, text: written.append(text))
    app = MnistTui(finished, QUICK, "rn1-0001", at_end=AtEnd(), launch=FakeWorkers())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one("#accuracy").value != "–")  # type: ignore[attr-defined]
        await pilot.pause()
    assert not any("\x1b]9;" in text for text in written)
