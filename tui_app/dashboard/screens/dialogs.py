"""Small questions: a text, a yes or a no, and a choice from a list."""

from __future__ import annotations

from collections.abc import Iterable

from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Button, Input, Label, SelectionList
from textual.widgets.selection_list import Selection as Entry

from tui_app.i18n import _


class TextDialog(ModalScreen[str | None]):
    """A dialog dismissed with a text, or None."""

    BINDINGS = [Binding("escape", "dismiss(None)", show=False)]  # noqa: RUF012

    def __init__(self, question: str, text: str = "") -> None:
        super().__init__()
        self._question = question
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Content(self._question))
            yield Input(self._text, id="dialog-text", compact=True)

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)


class SureDialog(ModalScreen[bool]):
    """A dialog dismissed with True if the user agrees; its first button, which has the focus, does nothing."""

    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss(False)", show=False),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__()
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Content(self._question))
            with Horizontal(classes="buttons"):
                yield Button(_("Cancel"), id="cancel")
                yield Button(self._yes, id="yes", variant="error")

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")


class Choices(SelectionList[str]):
    """A list with a cross before what is chosen, and only there: Textual's own crosses differ in colour."""

    def render_line(self, y: int) -> Strip:
        strip, place = super().render_line(y), self.scroll_offset.y + y
        if place >= self.option_count or self.get_option_at_index(place).value in self.selected:
            return strip
        left, cross, *others = strip
        return Strip([left, Segment(" " * cross.cell_length, cross.style), *others])


class ChoiceDialog(ModalScreen[list[str] | None]):
    """A dialog dismissed with the entries that were chosen, or None; `entries` are words with their names."""

    BINDINGS = [Binding("escape", "dismiss(None)", show=False)]  # noqa: RUF012

    def __init__(self, question: str, entries: Iterable[tuple[str, str]], chosen: Iterable[str]) -> None:
        super().__init__()
        self._question = question
        chosen = set(chosen)
        self._entries = [Entry(name, word, word in chosen) for word, name in entries]

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Label(Content(self._question))
            yield Choices(*self._entries, id="dialog-choice")
            with Horizontal(classes="buttons"):
                yield Button(_("Show"), id="choose", variant="primary")
                yield Button(_("Cancel"), id="cancel")

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        event.stop()
        chosen = self.query_one(SelectionList).selected
        self.dismiss(chosen if event.button.id == "choose" else None)
