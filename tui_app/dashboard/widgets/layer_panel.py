"""The layer table of a network, as Annexe 1 of the exam has it."""

from __future__ import annotations

from collections.abc import Sequence
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
from core.networks.layer_table import Layer, LayerTable
from core.runs.events import LayersMeasured
from tui_app import tables, terminal, wording
from tui_app.dashboard.widgets.health_columns import health_columns
from tui_app.i18n import _, number, printable
from tui_app.tables import LayerColumn

_HEAD = 2
"""Lines above the first layer."""


class LayerPanel(VerticalScroll):
    """A panel that shows a network's table and keeps those it was given; it scrolls if there are many layers."""

    HELP = N_(
        "The layers of the network in the form, or of the current run: what each is, the size of what it puts out and"
        " its number of parameters, with how each is worked out. The arrows choose a layer, and Enter looks inside it."
        " A run with --health adds, after each epoch, the norm of each layer's gradient over the last epochs, the share"
        " of a ReLU's units that are 0 for all of 128 training images, and histograms of weights and activations, from"
        " the least to the greatest value."
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
        self._shown: tuple[Architecture, LayerTable] | None = None
        self._health: tuple[Architecture, tuple[LayersMeasured, ...]] | None = None
        """Network of the current run, and what was measured in it, if that was asked for."""
        self._cursor = 0
        """Row of the table that the keys are on."""

    def compose(self) -> ComposeResult:
        self.border_title = _("Layers")
        yield Static(_("The layer table appears once torch is loaded…"), id="layer-table")
        yield Static(id="layer-health")
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

    def show_known(self, architecture: Architecture) -> None:
        """Show a network's table if there is one, before its run says anything."""
        if architecture in self._tables:
            self.show(architecture)

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

    @property
    def shown_table(self) -> LayerTable | None:
        """Table on show."""
        return self._shown[1] if self._shown is not None else None

    # The cursor

    def on_focus(self) -> None:
        self._lay_out()

    def on_blur(self) -> None:
        self._lay_out()

    def action_move(self, rows: int) -> None:
        if not self._layers:
            return
        count = len(self._layers)
        self._cursor = min(max(0, self._cursor + rows), count - 1)
        self._lay_out()
        drawn = self.query_one("#layer-table", Static).size.height
        row = _HEAD + (drawn - _HEAD) * self._cursor // count
        self.scroll_to_region(Region(0, row - 1, 1, 3), animate=False)

    def action_pick(self) -> None:
        if self._layers:
            self.post_message(self.Picked(self._layers[self._cursor].name))

    @property
    def _layers(self) -> tuple[Layer, ...]:
        return self._shown[1].layers if self._shown is not None else ()

    # The table

    def show_health(self, architecture: Architecture, measured: Sequence[LayersMeasured] | None) -> None:
        """Show what was measured in the layers of the current run; None if that was not asked for."""
        health = None if measured is None else (architecture, tuple(measured))
        if health != self._health:
            self._health = health
            self._lay_out()

    def on_resize(self) -> None:
        if self._health is not None:
            self._lay_out()

    def _lay_out(self) -> None:
        """Show the table, and the health of its layers beside it, or below it where it is too wide."""
        if self._shown is None:
            return
        architecture, table = self._shown
        columns: tuple[LayerColumn, ...] = ()
        if self._health is not None and self._health[0] == architecture:
            columns = health_columns(self._health[1], plain=not terminal.has_utf8())
        chosen = self._cursor if self.has_focus else None
        grid = tables.layers(table, beside=columns, chosen=chosen)
        fits = tables.width(grid) < self.outer_size.width - self.gutter.width  # a scroll bar has room too
        self.query_one("#layer-table", Static).update(grid if fits else tables.layers(table, chosen=chosen))
        below = self.query_one("#layer-health", Static)
        below.display = bool(columns) and not fits
        below.update(tables.layer_columns(table, columns) if below.display else "")

    def _show_table(self, architecture: Architecture, table: LayerTable) -> None:
        title = _("Layers of {model}").format(model=wording.network_name(architecture, folder=False))
        self.border_title = Content(title)  # no markup: a file's name may have brackets
        self.border_subtitle = _("{count} parameters").format(count=number(table.total))
        self.remove_class("has-problem")
        self._shown, self._cursor = (architecture, table), min(self._cursor, max(0, len(table.layers) - 1))
        self._lay_out()
        self.query_one("#derivations", Static).update(Content("\n".join(_in_pairs(tables.derivations(table)))))

    def _show_problem(self, text: str) -> None:
        self.add_class("has-problem")
        self._shown = None
        self.query_one("#layer-health").display = False
        self.border_title = _("Layers")
        self.border_subtitle = ""
        self.query_one("#layer-table", Static).update(Content(text))
        self.query_one("#derivations", Static).update("")


def _in_pairs(lines: list[str]) -> list[str]:
    """Join lines in pairs: five single ones would not fit under ten layers."""
    width = max(map(len, lines), default=0) + 3
    return [f"{lines[i]:{width}}{lines[i + 1] if i + 1 < len(lines) else ''}" for i in range(0, len(lines), 2)]
