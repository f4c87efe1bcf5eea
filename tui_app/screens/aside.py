"""The screens beside the dashboard."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from textual.screen import Screen

from tui_app.keys import Key, bind, key_table

Result = TypeVar("Result")


class Aside(Screen[Result]):
    """Its footer, help and command palette show the keys that work on it; escape leaves it."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        super().__init__()
        self.keys = (*keys, *(key for key in key_table() if key.action.startswith("app.")))
        bind(self._bindings, keys)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What only the dashboard can do is not offered."""
        return hasattr(self, f"action_{action}") and super().check_action(action, parameters)

    def action_leave(self) -> None:
        self.dismiss()


class Asking(Aside[None]):
    """Has the standby worker asked."""

    ASKS: ClassVar[type]
    """The kind of its questions."""

    def show(self, answer: Any) -> None:
        """What the worker says to one of them."""
        raise NotImplementedError

    def give_up(self) -> None:
        """There will be no answer to the last one."""
