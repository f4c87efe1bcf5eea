"""The program text of a network, in a dialog that scrolls and that Escape closes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_app.i18n import _, printable


class CodeScreen(ModalScreen[None]):
    """The class of a network as it is written in its file."""

    BINDINGS = [Binding("escape,f6,q", "dismiss", show=False)]  # noqa: RUF012

    def __init__(self, model: str, code: str) -> None:
        super().__init__()
        self._model = model
        self._code = code

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="log") as dialog:
            dialog.border_title = Content(printable(self._model))
            dialog.border_subtitle = _("Esc closes")
            yield Static(Content("\n".join(printable(line.expandtabs(4)) for line in self._code.splitlines())))
