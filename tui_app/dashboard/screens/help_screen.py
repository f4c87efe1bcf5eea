"""The help: what has the focus is explained first, then every key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.table import Table
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from tui_app.dashboard.keys import Key
from tui_app.dashboard.screens.keyed_screen import KeyedScreen
from tui_app.i18n import _


class HelpScreen(ModalScreen[None]):
    """The help of a screen in a dialog that scrolls and that Escape closes.

    It shows the texts as they are: loading a library for Markdown would take longer than reading them.
    """

    BINDINGS = [Binding("escape,f1,question_mark,q", "dismiss", show=False)]  # noqa: RUF012

    def __init__(self, asked: KeyedScreen[Any]) -> None:
        super().__init__()
        self._asked = asked

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog", id="help") as dialog:
            dialog.border_title = _("Help")
            dialog.border_subtitle = _("Esc closes")
            for widget in self._asked.in_focus.ancestors_with_self:
                if isinstance(widget, Widget) and widget.HELP:
                    yield Static(Content(_(widget.HELP)))
            yield Static(_key_list(self._asked.keys))


def _key_list(keys: Iterable[Key]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for key in keys:
        table.add_row("  ".join(key.names), key.help)
    return table
