"""The end of a run's log."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui_app.i18n import _, printable


class LogScreen(ModalScreen[None]):
    """The log in a dialog that scrolls and that Escape closes."""

    BINDINGS = [Binding("escape,f4,v,q", "dismiss", show=False)]  # noqa: RUF012

    def __init__(self, run_id: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._run_id = run_id
        self._lines = lines

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="log") as dialog:
            dialog.border_title = _("Log of {run}").format(run=self._run_id)
            dialog.border_subtitle = _("Esc closes")
            text = "\n".join(printable(line.expandtabs(4)) for line in self._lines)
            yield Static(Content(text or _("The log is empty.")))
