"""What the screens beside the dashboard have in common."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from textual.screen import Screen

from core.worker.protocol import Refused
from tui_app.dashboard.keys import Key, bind, key_table
from tui_app.i18n import say

Result = TypeVar("Result")


class SideScreen(Screen[Result]):
    """A screen whose footer, help and command palette show the keys that work on it; escape leaves it."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        super().__init__()
        self.keys = (*keys, *(key for key in key_table() if key.action.startswith("app.")))
        bind(self._bindings, keys)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer nothing that only the dashboard can do."""
        return hasattr(self, f"action_{action}") and super().check_action(action, parameters)

    def action_leave(self) -> None:
        self.dismiss()


class AskingScreen(SideScreen[Result]):
    """A screen that asks the standby worker."""

    ASKS: ClassVar[type]
    """The kind of its questions."""

    @property
    def is_waiting(self) -> bool:
        """The worker may be at a question of this screen for long."""
        return False

    def show(self, answer: Any) -> None:
        """Show what the worker says to one of them."""
        raise NotImplementedError

    def refuse(self, refused: Refused) -> None:
        """Say why the last one cannot be answered."""
        self.notify(say(refused.message, refused.advice), severity="error", timeout=10, markup=False)
        self.give_up()

    def give_up(self) -> None:
        """Wait for the last answer no longer: the worker is gone."""
