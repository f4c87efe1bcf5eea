"""The dialog that changes a run: what was typed and nothing else is asked for."""

from __future__ import annotations

from textual.app import App
from textual.widgets import Input, Label

from core.config import RunConfig
from core.runs.control import Request
from tests.tui_app.driving import until
from tui_app.dashboard.screens.steer_screen import SteerScreen


async def test_only_what_was_typed_is_changed() -> None:
    """A learning rate of more digits than are shown stays as it is."""
    app: App[None] = App()
    answers: list[Request | None] = []
    async with app.run_test() as pilot:
        config = RunConfig(seed=1, lr=0.00123456789, epochs=5)
        await app.push_screen(SteerScreen("rn1-0001", config, 6, resumes=True), answers.append)
        await pilot.press("enter")
        await until(pilot, lambda: "at least 6 epochs" in str(app.screen.query_one("#steer-error", Label).content))
        app.screen.query_one("#steer-lr", Input).value = "[/]"
        await pilot.press("enter")
        await until(pilot, lambda: "not [/]" in str(app.screen.query_one("#steer-error", Label).content))
        app.screen.query_one("#steer-lr", Input).value = "0.00123457"
        app.screen.query_one("#steer-epochs", Input).value = "6"
        await pilot.press("enter")
        await until(pilot, lambda: bool(answers))
    assert answers == [Request(epochs=6)]
