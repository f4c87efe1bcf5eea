"""The layer table of a network, as Annexe 1 of the exam has it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.layer_table import LayerTable
from core.standby import Describe
from tui_app import tables
from tui_app.i18n import _, number


class LayerPanel(VerticalScroll):
    """Scrolls where a network has many layers."""

    def compose(self) -> ComposeResult:
        self.border_title = _("Layers")
        yield Static(_("The layer table comes with torch, in a moment…"), id="layer-table")
        yield Static(id="derivations", classes="muted")

    def show_table(self, network: Describe, table: LayerTable) -> None:
        self.border_title = _("Layers of {model}").format(model=tables.network_name(network, folder=False))
        self.border_subtitle = _("{count} parameters").format(count=number(table.total))
        self.remove_class("has-problem")
        self.query_one("#layer-table", Static).update(tables.layers(table))
        self.query_one("#derivations", Static).update(Content("\n".join(_in_pairs(tables.derivations(table)))))

    def show_problem(self, text: str) -> None:
        self.add_class("has-problem")
        self.border_title = _("Layers")
        self.border_subtitle = ""
        self.query_one("#layer-table", Static).update(Content(text))
        self.query_one("#derivations", Static).update("")


def _in_pairs(lines: list[str]) -> list[str]:
    """Two to a line: five of them would not fit under ten layers."""
    width = max(map(len, lines), default=0) + 3
    return [f"{lines[i]:{width}}{lines[i + 1] if i + 1 < len(lines) else ''}" for i in range(0, len(lines), 2)]
