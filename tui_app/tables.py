"""Text tables, shared by the dashboard and the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from core.messages import Message, fill
from core.networks.layer_table import Layer, LayerTable
from core.runs.directory import Summary
from tui_app import terminal
from tui_app.i18n import _, number, printable, say, short
from tui_app.run_columns import RunColumn


class LayerColumn(NamedTuple):
    """A further column of a table of layers."""

    heading: str
    width: int
    """Width that it has from the start, in cells."""
    texts: Mapping[str, str]
    """Texts by the names of the layers."""


def layers(table: LayerTable, title: str = "", beside: Sequence[LayerColumn] = (), chosen: int | None = None) -> Table:
    """Lay out a network's layers as in Annexe 1; with a title, the total comes below. The `chosen` row is marked."""
    grid = Table(
        title=title or None,
        title_justify="left",
        box=None,
        header_style="bold",
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_footer=bool(title),
    )
    total = _("Total: {count}").format(count=number(table.total))
    grid.add_column(_("Name"), no_wrap=True)
    grid.add_column(_("Layer\ntype"))
    grid.add_column(_("Specification"))
    grid.add_column(_("Output\nsize"), no_wrap=True, justify="right")
    grid.add_column(_("Number of\nparameters"), footer=total, justify="right")
    for column in beside:
        grid.add_column(column.heading, no_wrap=True, min_width=column.width)
    for position, layer in enumerate(table.layers):
        remarks = ", ".join(map(say, layer.remarks()))
        parameters = f"({remarks}) {count(layer)}" if remarks else count(layer)
        further = [column.texts.get(layer.name, "") for column in beside]
        cells = (
            printable(layer.name),
            say(layer.kind),
            specification(layer.specification),
            shape(layer),
            parameters,
            *further,
        )
        grid.add_row(
            *map(Text, cells), style="reverse" if position == chosen else ""
        )  # as they are: a name may look like markup
    return grid


def layer_columns(table: LayerTable, columns: Sequence[LayerColumn]) -> Table:
    """Lay out further columns alone, beside the names of the layers."""
    grid = Table(box=None, header_style="bold", padding=(0, 1, 0, 0), pad_edge=False)
    grid.add_column(_("Name"), no_wrap=True)
    for column in columns:
        grid.add_column(column.heading, no_wrap=True, min_width=column.width)
    for name in dict.fromkeys(layer.name for layer in table.layers):
        grid.add_row(Text(printable(name)), *(Text(column.texts.get(name, "")) for column in columns))
    return grid


def width(grid: Table) -> int:
    """Return the number of cells that a table takes where no text is wrapped."""
    console = _console()
    return Measurement.get(console, console.options.update(width=1000), grid).maximum


def specification(message: Message) -> str:
    """Format a layer's specification: sizes without separators, as in the sums, and words for its letters."""
    values = {name: short(value) if isinstance(value, float) else value for name, value in message.values.items()}
    parts = printable(fill(_(message.text), values)).split(", ")
    texts = {"s": _("s {stride}"), "p": _("p {padding}"), "op": _("op {padding}")}
    for position, (letter, _space, value) in enumerate(part.partition(" ") for part in parts):
        if letter in texts and not value.startswith("="):
            parts[position] = texts[letter].format(stride=value, padding=value)
    return ", ".join(parts)


def shape(layer: Layer) -> str:
    """Format a layer's output shape: `32×28×28`."""
    return "×".join(str(size) for size in layer.output_shape or ()) or "–"


def count(layer: Layer) -> str:
    """Format a layer's number of parameters: `32×1×3×3 + 32 = 320`, or `0`."""
    return f"{printable(layer.parameter_sum)} = {number(layer.parameters)}" if layer.parameters else "0"


def derivations(table: LayerTable) -> list[str]:
    """Return the calculation of each output size, a line per layer that has one."""
    text = _("{name}: {calculation}")
    return [
        text.format(name=printable(layer.name), calculation=printable(layer.output_derivation))
        for layer in table.layers
        if layer.output_derivation
    ]


def runs(summaries: Sequence[Summary], columns: Sequence[RunColumn]) -> Table:
    """Lay out the list of runs."""
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for column in columns:
        least = (
            max((cell_len(column.text(summary)) for summary in summaries), default=0) if column.word == "run" else None
        )
        justify: Literal["left", "right"] = "right" if column.is_number else "left"
        grid.add_column(column.heading, no_wrap=True, justify=justify, min_width=least)
    for summary in summaries:
        grid.add_row(*(Text(column.text(summary)) for column in columns))
    return grid


def without_those_that_do_not_fit(summaries: Sequence[Summary], columns: Sequence[RunColumn]) -> list[RunColumn]:
    """Leave out columns until the table is no wider than the terminal: settings first, the last one before others."""
    available = _console().width
    fitting = list(columns)
    while width(runs(summaries, fitting)) > available:
        spare = [column for column in fitting if column.is_setting] or fitting[3:]
        if not spare:
            break
        fitting.remove(spare[-1])
    return fitting


def print_table(table: Table, notes: Sequence[str] = ()) -> None:
    """Print a table on stdout, with notes below."""
    console = _console()
    console.print(table)
    if notes:
        print_texts([*notes, ""])


def print_texts(texts: Sequence[str | Text]) -> None:
    """Print texts on stdout, wrapped at words if it is a terminal."""
    console = _console()
    for text in texts:
        console.print(Text(text) if isinstance(text, str) else text, soft_wrap=not console.is_terminal)


def _console() -> Console:
    """Make a console for stdout: 160 columns wide if it is no terminal."""
    output = terminal.output()
    return Console(file=output, width=None if output.isatty() else 160, highlight=False)
