"""Buttons to choose with, whose state is seen without colour."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.widgets import Checkbox, RadioButton, RadioSet

from tui_app import terminal


class RadioChoice(RadioButton):
    """A radio button: ● if it is on, ○ if not."""

    BUTTON_LEFT = BUTTON_RIGHT = ""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._show_state()

    def watch_value(self) -> None:
        self._show_state()
        super().watch_value()

    def _show_state(self) -> None:
        on, off = ("●", "○") if terminal.has_utf8() else ("(*)", "( )")
        self.BUTTON_INNER = on if self.value else off


class Tick(Checkbox):
    """A checkbox: [x] if it is on, [ ] if not."""

    BUTTON_LEFT = BUTTON_RIGHT = ""
    SIGNS: ClassVar = {True: "[x]", False: "[ ]"}

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.BUTTON_INNER = self.SIGNS[self.value]

    def watch_value(self) -> None:
        self.BUTTON_INNER = self.SIGNS[self.value]
        super().watch_value()


class ChoiceSet(RadioSet):
    """A set of choices in which the highlighted one is the one chosen: moving to a choice chooses it."""

    def action_next_button(self) -> None:
        super().action_next_button()
        self._choose()

    def action_previous_button(self) -> None:
        super().action_previous_button()
        self._choose()

    def _choose(self) -> None:
        """Choose at once, and not when a button's message comes: the next key may be the one that starts a run."""
        if (before := self.pressed_button) is None:  # it is being set up
            return
        chosen = self.query_one(".-selected", RadioButton)
        with self.prevent(RadioButton.Changed):
            before.value = False
            chosen.value = True
        self._pressed_button = chosen
        self.post_message(self.Changed(self, chosen))
