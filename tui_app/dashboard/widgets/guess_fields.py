"""Fields for a guess, which leave the keys that they have no use for to their screen."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList

from core.exam.guesses import MAX_TYPED

_WITHIN = ("cursor_left", "cursor_right")


class NumberField(Input):
    """A field for a number, a size, or the sum that gives it. It takes every character; `Tab` lets go of it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "let_go", show=False),
        Binding("ctrl+left", "screen.turn(-1)", show=False),
        Binding("ctrl+right", "screen.turn(1)", show=False),
    ]

    def __init__(self, *, placeholder: str, id: str) -> None:
        super().__init__(placeholder=placeholder, id=id, compact=True, max_length=MAX_TYPED)

    def action_let_go(self) -> None:
        """Leave the letters to the screen; Enter comes back."""
        self.screen.set_focus(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave the arrows to the screen while there is nothing to move in."""
        if action in _WITHIN and not self.value:
            return False
        return super().check_action(action, parameters)


class ChoiceField(OptionList, inherit_bindings=False):
    """A list of choices, without the keys for pages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "cursor_down", show=False),
        Binding("up", "cursor_up", show=False),
        Binding("enter", "select", show=False),
    ]
