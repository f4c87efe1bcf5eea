"""The base classes of the side screens, which open over the dashboard."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from textual.screen import Screen

from core.worker.protocol import Refused
from tui_app.dashboard.keys import Key, bind, key_table
from tui_app.i18n import say

Result = TypeVar("Result")


class SideScreen(Screen[Result]):
    """A screen whose footer, help and command palette list its own keys; Escape leaves it."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        super().__init__()
        self.keys = (*keys, *(key for key in key_table() if key.action.startswith("app.")))
        bind(self._bindings, keys)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the actions that only the dashboard has."""
        return hasattr(self, f"action_{action}") and super().check_action(action, parameters)

    def action_leave(self) -> None:
        self.dismiss()


class AskingScreen(SideScreen[Result]):
    """A screen that queries the standby worker."""

    ASKS: ClassVar[type]
    """Type of the screen's questions."""

    @property
    def is_waiting(self) -> bool:
        """True while the worker is busy with a question of this screen that may take long."""
        return False

    def show(self, answer: Any) -> None:
        """Show the answer to a question."""
        raise NotImplementedError

    def refuse(self, refused: Refused) -> None:
        """Tell the user why the last question cannot be answered."""
        self.notify(say(refused.message, refused.advice), severity="error", timeout=10, markup=False)
        self.give_up()

    def give_up(self) -> None:
        """Stop waiting for the last answer: the worker is gone."""
