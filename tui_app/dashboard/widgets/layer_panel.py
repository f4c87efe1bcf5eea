"""The layer table of a network, as Annexe 1 of the exam has it."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Static

from core.config import Architecture
from core.messages import N_
from core.networks import kept_tables
from core.networks.layer_table import LayerTable
from tui_app import tables, wording
from tui_app.i18n import _, number, printable

_HEAD = 2
"""Lines above the first layer."""


class LayerPanel(VerticalScroll):
    """A panel that shows a network's table and keeps those it was given; it scrolls if there are many layers."""

    HELP = N_(
        "The layers of the network in the form, or of the current run: what each is, the size of what it puts out and"
        " its number of parameters, with how each is worked out. The arrows choose a layer, and Enter looks inside it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("enter", "pick", show=False),
    ]

    class Picked(Message):
        """Request to look inside a layer."""

        def __init__(self, layer: str) -> None:
            super().__init__()
            self.layer = layer

    class TableWanted(Message):
        """Request for a table that the panel does not have yet."""

        def __init__(self, architecture: Architecture) -> None:
            super().__init__()
            self.architecture = architecture

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._tables = dict(kept_tables.built_in())
        self._wanted: Architecture | None = None
        self._shown: LayerTable | None = None
        self._cursor = 0
        """Row of the table that the keys are on."""

    def compose(self) -> ComposeResult:
        self.border_title = _("Layers")
        yield Static(_("The layer table appears once torch is loaded…"), id="layer-table")
        yield Static(id="derivations", classes="muted")

    def show(self, architecture: Architecture) -> None:
        """Show a network's table, now or as soon as it arrives."""
        self._wanted = architecture
        if architecture in self._tables:
            self._show_table(architecture, self._tables[architecture])
        else:
            text = _("Reading {network}…")
            self._show_problem(text.format(network=wording.network_name(architecture, folder=False)))
            self.post_message(self.TableWanted(architecture))

    def show_of_run(self, architecture: Architecture, kept: LayerTable | None) -> None:
        """Show the table of a run's network, as it was kept with the run.

        A run may name any Python file as its network: it is executed only at the user's own request.
        """
        if kept is None and architecture.is_built_in:
            self.show(architecture)
            return
        self._wanted = None
        if kept is not None:
            self._show_table(architecture, kept)
        else:
            text = _("{network}: the layer table was not kept with the run.")
            self._show_problem(text.format(network=printable(architecture.model)))

    def take(self, architecture: Architecture, table: LayerTable) -> None:
        """Keep a table, and show it if it is the one awaited."""
        self._tables[architecture] = table
        if architecture == self._wanted:
            self._show_table(architecture, table)

    def refuse(self, architecture: Architecture, text: str) -> bool:
        """Show why the awaited table cannot be made. Return False if another one is awaited."""
        if architecture != self._wanted:
            return False
        self._show_problem(text)
        return True

    def ask_again(self) -> None:
        """Request the awaited table again, since the worker asked before is gone."""
        if self._wanted is not None and self._wanted not in self._tables:
            self.post_message(self.TableWanted(self._wanted))

    # The cursor

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def action_move(self, rows: int) -> None:
        if self._shown is None or not self._shown.layers:
            return
        count = len(self._shown.layers)
        self._cursor = min(max(0, self._cursor + rows), count - 1)
        self._draw()
        drawn = self.query_one("#layer-table", Static).size.height
        row = _HEAD + (drawn - _HEAD) * self._cursor // count
        self.scroll_to_region(Region(0, row - 1, 1, 3), animate=False)

    def action_pick(self) -> None:
        if self._shown is not None and self._shown.layers:
            self.post_message(self.Picked(self._shown.layers[self._cursor].name))

    def _draw(self) -> None:
        if self._shown is not None:
            row = self._cursor if self.has_focus else None
            self.query_one("#layer-table", Static).update(tables.layers(self._shown, chosen=row))

    def _show_table(self, architecture: Architecture, table: LayerTable) -> None:
        title = _("Layers of {model}").format(model=wording.network_name(architecture, folder=False))
        self.border_title = Content(title)  # no markup: a file's name may have brackets
        self.border_subtitle = _("{count} parameters").format(count=number(table.total))
        self.remove_class("has-problem")
        self._shown, self._cursor = table, min(self._cursor, max(0, len(table.layers) - 1))
        self._draw()
        self.query_one("#derivations", Static).update(Content("\n".join(_in_pairs(tables.derivations(table)))))

    def _show_problem(self, text: str) -> None:
        self._shown = None
        self.add_class("has-problem")
        self.border_title = _("Layers")
        self.border_subtitle = ""
        self.query_one("#layer-table", Static).update(Content(text))
        self.query_one("#derivations", Static).update("")


def _in_pairs(lines: list[str]) -> list[str]:
    """Join lines in pairs: five single ones would not fit under ten layers."""
    width = max(map(len, lines), default=0) + 3
    return [f"{lines[i]:{width}}{lines[i + 1] if i + 1 < len(lines) else ''}" for i in range(0, len(lines), 2)]
