"""A text to read: the end of a run's log, or the code of a network."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_app.i18n import _, printable


class TextScreen(ModalScreen[None]):
    """A text in a dialog that scrolls, and that Escape, q and the keys that opened it close."""

    def __init__(self, title: str, lines: Sequence[str], *opened_by: str) -> None:
        super().__init__()
        self._heading = title
        self._lines = lines
        for key in ("escape", "q", *opened_by):
            self._bindings.bind(key, "dismiss", show=False)

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="log") as dialog:
            dialog.border_title = Content(printable(self._heading))
            dialog.border_subtitle = _("Esc closes")
            yield Static(Content("\n".join(printable(line.expandtabs(4)) for line in self._lines)))
