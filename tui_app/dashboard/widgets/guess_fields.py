"""Fields for a guess, which leave the letters and the page keys to their screen."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import Input, OptionList

from core.exam.guesses import MAX_TYPED


class NumberField(Input):
    """A field for a number, a size, or the sum that gives it."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Take what a number is written with; letters are the screen's keys."""
        return super().check_consume_key(key, character) and (character == "x" or not str(character).isalpha())

    async def _on_key(self, event: events.Key) -> None:
        if event.is_printable and not self.check_consume_key(event.key, event.character):
            event.prevent_default()  # it bubbles to the screen
            return
        if len(self.value) >= MAX_TYPED and event.is_printable:
            event.stop()
            event.prevent_default()


class ChoiceField(OptionList, inherit_bindings=False):
    """A list of choices, without the keys for pages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "cursor_down", show=False),
        Binding("up", "cursor_up", show=False),
        Binding("enter", "select", show=False),
    ]
