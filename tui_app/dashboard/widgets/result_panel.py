"""The test result of a trained network: its accuracy and its confusion matrix."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Digits, Static

from core.catalogue import NUM_CLASSES
from core.comparing.intervals import wilson_interval
from core.runs.events import Evaluated
from core.runs.record import Record
from tui_app import wording
from tui_app.dashboard.keys import ARROWS
from tui_app.i18n import _, ngettext, number, percent, printable

_NARROWEST_CELL, _WIDEST_CELL = 4, 6
_LABEL = 2


class ResultPanel(Vertical):
    """A panel laid out in full before the first result."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="result-head"):
            yield Digits("", id="accuracy")
            yield Static(id="result-details")
        yield ConfusionMatrix(id="confusion")

    def on_mount(self) -> None:
        self._shown: object = None
        self.show_run("", Record())

    def show_run(self, run_id: str, record: Record) -> None:
        """Show a run's result; called at each of its news, most of which change nothing here."""
        shown = run_id, record.started, record.evaluated, record.restored
        if shown == self._shown:
            return
        self._shown = shown
        title = _("Result of {run}").format(run=run_id) if run_id else _("Result")
        self.border_title = title + (" · " + _("SAMPLE") if record.is_sample else "")
        sample = [_("5,000 images, not all of MNIST")] if record.is_sample else []
        permuted = [_("pixels permuted")] if record.started and record.started.config.permute else []
        best = [wording.kept_epoch(record.restored)] if record.restored else []
        self.border_subtitle = " · ".join(sample + permuted + best)
        result = record.evaluated
        if result is None or result.total <= 0:
            self.query_one("#accuracy", Digits).update("–")
            self.query_one("#result-details", Static).update(_("The test accuracy, once training is over."))
            self.query_one(ConfusionMatrix).show((), ())
            return
        self.query_one("#accuracy", Digits).update(number(100 * result.accuracy, 2))
        self.query_one("#result-details", Static).update(Content(_details(result)))
        names = record.started.class_names if record.started else ()
        self.query_one(ConfusionMatrix).show(result.confusion, names)


def _details(result: Evaluated) -> str:
    errors = result.total - result.correct
    low, high = wilson_interval(max(0, min(result.correct, result.total)), result.total)
    text = ngettext("{errors} error in {total}", "{errors} errors in {total}", errors)
    return "\n".join(
        (
            "% " + _("of the test set"),
            text.format(errors=number(errors), total=number(result.total)),
            _("95%: {low} – {high}").format(low=number(100 * low, 2), high=percent(high)),
        )
    )


class ConfusionMatrix(Static):
    """A confusion matrix: rows are labels, columns are predictions. Choosing a cell opens its images."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [*ARROWS, Binding("enter,space", "pick", show=False)]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "confusion--head",
        "confusion--right",
        "confusion--wrong",
        "confusion--none",
        "confusion--cursor",
    }

    class Picked(Message):
        """Request to show the images of a cell."""

        def __init__(self, label: int, predicted: int) -> None:
            super().__init__()
            self.label = label
            self.predicted = predicted

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._confusion: tuple[tuple[int, ...], ...] = ()
        self._class_names: tuple[str, ...] = ()
        self._cursor = (0, 0)

    def show(self, confusion: tuple[tuple[int, ...], ...], class_names: tuple[str, ...]) -> None:
        self._confusion, self._class_names = confusion[:NUM_CLASSES], class_names
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_focus(self) -> None:
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def action_move(self, rows: int, columns: int) -> None:
        last = max(0, len(self._confusion) - 1)
        label, predicted = self._cursor
        self._cursor = (min(max(0, label + rows), last), min(max(0, predicted + columns), last))
        self._draw()

    def action_pick(self) -> None:
        if self._count(*self._cursor):
            self.post_message(self.Picked(*self._cursor))

    def on_click(self, event: events.Click) -> None:
        label, predicted = event.y - 1, (event.x - _LABEL) // self._cell_width
        if 0 <= label < len(self._confusion) and 0 <= predicted < len(self._confusion):
            self._cursor = (label, predicted)
            self._draw()
            self.action_pick()

    @property
    def _cell_width(self) -> int:
        """Width of a cell: with enough room, four digits do not touch the cell before."""
        return min(max((self.size.width - _LABEL) // NUM_CLASSES, _NARROWEST_CELL), _WIDEST_CELL)

    def _count(self, label: int, predicted: int) -> int:
        row = self._confusion[label] if label < len(self._confusion) else ()
        return row[predicted] if predicted < len(row) else 0

    def _draw(self) -> None:
        size, width = len(self._confusion) or NUM_CLASSES, self._cell_width
        head = self.get_component_rich_style("confusion--head")
        text = Text(no_wrap=True)
        names = "".join(f"{_short(self._class_names, column):>{width}}" for column in range(size))
        text.append(" " * _LABEL + names, head)
        for label in range(size):
            text.append(f"\n{_short(self._class_names, label):>{_LABEL}}", head)
            for predicted in range(size):
                count = self._count(label, predicted)
                kind = "none" if not count else "right" if label == predicted else "wrong"
                if self.has_focus and self._confusion and (label, predicted) == self._cursor:
                    kind = "cursor"
                style = self.get_component_rich_style(f"confusion--{kind}")
                text.append(f"{count or '·':>{width}}", style)
        self.update(text)


def _short(class_names: tuple[str, ...], number: int) -> str:
    """Name a class in two columns: by its name if that fits, else by its number."""
    name = printable(class_names[number]) if number < len(class_names) else str(number)
    return name if len(name) <= 2 else str(number)
