"""The confusion matrix: rows are labels, columns are predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.color import BLACK, WHITE, Color
from textual.message import Message
from textual.widget import Widget

from core.catalogue import NUM_CLASSES
from tui_app import terminal
from tui_app.dashboard import contrast
from tui_app.dashboard.keys import ARROWS
from tui_app.i18n import _, ngettext, number, printable

_HEAD = 2
"""Rows above the cells: what the axes are, and the classes."""
_NARROWEST, _ROOMY, _WIDEST = 4, 5, 8
"""Widths of a cell; in a roomy one four digits stand clear of their neighbours."""
_RECALL = 8
_TALLEST = 3
_READABLE = 4.5
"""Minimum contrast of text, by the Web Content Accessibility Guidelines."""


@dataclass(frozen=True)
class MatrixLayout:
    """The sizes of a matrix's parts in columns and rows."""

    label: int
    cell: int
    recall: int
    """Columns of the share of each class that is recognised; 0 where there is no room for it."""
    row: int

    @classmethod
    def fitting(cls, columns: int, rows: int, longest_name: int) -> MatrixLayout:
        """Use the room for clear numbers first, then for recalls, names, and wide cells."""
        label, recall = 2, 0
        room = columns - _ROOMY * NUM_CLASSES
        if room >= label + _RECALL:
            recall = _RECALL
        if room >= longest_name + 1 + recall:
            label = max(label, longest_name + 1)
        widest = max(_WIDEST, longest_name + 2)
        cell = min(max((columns - label - recall) // NUM_CLASSES, _NARROWEST), widest)
        return cls(label, cell, recall, min(max((rows - _HEAD) // NUM_CLASSES, 1), _TALLEST))


class ConfusionMatrix(Widget):
    """A confusion matrix whose errors are the more coloured, the more of their row they are.

    Choosing a cell opens its images.
    """

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [*ARROWS, Binding("enter,space", "pick", show=False)]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "confusion--head",
        "confusion--right",
        "confusion--wrong",
        "confusion--heat",
        "confusion--none",
        "confusion--cursor",
    }

    class Picked(Message):
        """Request to show the images of a cell."""

        def __init__(self, label: int, predicted: int) -> None:
            super().__init__()
            self.label = label
            self.predicted = predicted

    class Pointed(Message):
        """Sent when the cursor has moved; `text` says what it stands on, nothing if the matrix has no focus."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._confusion: tuple[tuple[int, ...], ...] = ()
        self._names: tuple[str, ...] = ()
        self._cursor = (0, 0)

    def show(self, confusion: tuple[tuple[int, ...], ...], class_names: tuple[str, ...]) -> None:
        self._confusion = tuple(row[:NUM_CLASSES] for row in confusion[:NUM_CLASSES])
        self._names = tuple(
            printable(class_names[index]) if index < len(class_names) else str(index) for index in range(NUM_CLASSES)
        )
        self._point()

    # The cursor

    def on_focus(self) -> None:
        self._point()

    def on_blur(self) -> None:
        self._point()

    def action_move(self, rows: int, columns: int) -> None:
        label, predicted = self._cursor
        last = NUM_CLASSES - 1
        self._cursor = (min(max(0, label + rows), last), min(max(0, predicted + columns), last))
        self._point()

    def action_pick(self) -> None:
        if self._count(*self._cursor):
            self.post_message(self.Picked(*self._cursor))
        else:
            self.notify(self._said(), severity="warning", markup=False)

    def on_click(self, event: events.Click) -> None:
        layout = self._layout
        label, predicted = (event.y - _HEAD) // layout.row, (event.x - layout.label) // layout.cell
        if 0 <= label < NUM_CLASSES and 0 <= predicted < NUM_CLASSES:
            self._cursor = (label, predicted)
            self._point()
            self.action_pick()

    def _point(self) -> None:
        self.refresh()
        self.post_message(self.Pointed(self._said() if self.has_focus else ""))

    def _said(self) -> str:
        """Say what the cursor stands on."""
        label, predicted = self._cursor
        count = self._count(label, predicted)
        values = {"label": self._short(label), "predicted": self._short(predicted), "count": number(count)}
        if not self._confusion:
            return _("No result yet: it comes when a run has been tested.")
        if not count:
            text = _("no {label} recognised") if label == predicted else _("no {label} taken for {predicted}")
        elif label == predicted:
            text = ngettext(
                "{label} recognised: {count} image; Enter shows it",
                "{label} recognised: {count} images; Enter shows them",
                count,
            )
        else:
            text = ngettext(
                "{label} taken for {predicted}: {count} image; Enter shows it",
                "{label} taken for {predicted}: {count} images; Enter shows them",
                count,
            )
        return text.format(**values)

    def _count(self, label: int, predicted: int) -> int:
        row = self._confusion[label] if label < len(self._confusion) else ()
        return row[predicted] if predicted < len(row) else 0

    def _total(self, label: int) -> int:
        return sum(self._confusion[label]) if label < len(self._confusion) else 0

    # Drawing, at each painting: the colours are those of the theme

    @property
    def _layout(self) -> MatrixLayout:
        return MatrixLayout.fitting(*self.size, max(map(cell_len, self._names), default=1))

    def render(self) -> Text:
        layout = self._layout
        head = self.get_component_rich_style("confusion--head")
        text = Text(no_wrap=True, end="")
        text.append(_axes(), head)
        text.append("\n" + " " * layout.label, head)
        for predicted in range(NUM_CLASSES):
            text.append(_in_cell(self._name_of(predicted, layout.cell - 1), layout.cell), head)
        if layout.recall:
            text.append(_in_cell(_("recall"), layout.recall), head)
        for row in range(layout.row * NUM_CLASSES):
            label, part = divmod(row, layout.row)
            text.append("\n")
            self._append_row(text, label, layout, is_written=part == layout.row // 2)
        return text

    def _append_row(self, text: Text, label: int, layout: MatrixLayout, *, is_written: bool) -> None:
        head = self.get_component_rich_style("confusion--head")
        name = self._name_of(label, layout.label - 1) if is_written else ""
        text.append(" " * (layout.label - 1 - cell_len(name)) + name + " ", head)
        counts = [self._count(label, predicted) for predicted in range(NUM_CLASSES)]
        for predicted, written in enumerate(_written(counts, layout.cell)):
            style = self._cell_style(label, predicted)
            text.append(written if is_written else " " * layout.cell, style)
        if layout.recall:
            total = self._total(label)
            share = number(100 * counts[label] / total, 1) if total and is_written else ""
            text.append(f"{share:>{layout.recall - 1}} ", head)

    def _cell_style(self, label: int, predicted: int) -> Style:
        count, total = self._count(label, predicted), self._total(label)
        if self.has_focus and self._confusion and (label, predicted) == self._cursor:
            return self.get_component_rich_style("confusion--cursor")
        kind = "none" if not count else "right" if label == predicted else "wrong"
        plain = self.get_component_rich_style(f"confusion--{kind}")
        ground = self.background_colors[1]
        if kind == "none" or not total or ground.ansi is not None:  # the terminal's own colours cannot be blended
            return plain
        if kind == "right":
            heat, strength = self._colour("right"), 0.15
        else:
            # Errors are few: by the root of their share, one in a thousand can be seen, and one in two is not too much.
            heat, strength = self._colour("heat"), min(0.9, 0.12 + 1.2 * (count / total) ** 0.5)
        heated = ground.blend(heat, strength)
        text = _readable(heated, self._colour(kind))
        return Style(bgcolor=heated.rich_color, color=text.rich_color, bold=plain.bold)

    def _colour(self, part: str) -> Color:
        return self.get_component_styles(f"confusion--{part}").color

    def _name_of(self, index: int, width: int) -> str:
        """Name a class: by its name if that fits, else by its number."""
        name = self._names[index] if index < len(self._names) else str(index)
        return name if cell_len(name) <= width else str(index)

    def _short(self, index: int) -> str:
        return self._name_of(index, 10)


def _axes() -> str:
    if terminal.has_utf8():
        return _("true ↓   predicted →")
    return _("rows: true, columns: predicted")


def _written(counts: list[int], width: int) -> list[str]:
    """Return the numbers of a row, none of which touches another.

    In the narrowest cells one of four digits fills its cell: the one before it ends in a blank, and if the one after it
    begins without one, thousands are told.
    """
    texts = [str(count) if count else "·" for count in counts]
    cells: list[str] = []
    for text, after in zip(texts, [*texts[1:], ""], strict=True):
        fits = len(text) < width or (len(text) == width and len(after) < width - 1)
        cells.append(_in_cell(text if fits else f"{text[:-3]}k", width))
    return cells


def _in_cell(text: str, width: int) -> str:
    """Put a text into a cell, with a blank after it if there is room."""
    text = text if cell_len(text) <= width else "…"
    blank = " " if cell_len(text) < width else ""
    return " " * (width - cell_len(text + blank)) + text + blank


def _readable(background: Color, preferred: Color) -> Color:
    """Return a colour for text that can be read on a background: the preferred one, if it can."""
    if contrast.ratio(background, preferred) >= _READABLE:
        return preferred
    return max(WHITE, BLACK, key=lambda colour: contrast.ratio(background, colour))
