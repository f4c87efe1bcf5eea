"""The test of a trained network: its accuracy, and which digits it takes for which."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Digits, Static

from core.events import Evaluated
from core.replay import Replay, wilson_interval
from tui_app.i18n import _, ngettext, number, percent, printable

_CELL = 4


class ResultPanel(Vertical):
    """Its places are there before the first result."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="result-head"):
            yield Digits("", id="accuracy")
            yield Static(id="result-details")
        yield ConfusionMatrix(id="confusion")

    def on_mount(self) -> None:
        self.border_title = _("Result")
        self.show_run("", Replay())

    def show_run(self, run_id: str, replay: Replay) -> None:
        title = _("Result of {run}").format(run=run_id) if run_id else _("Result")
        self.border_title = title + (" · " + _("SAMPLE") if replay.is_sample else "")
        self.border_subtitle = _("5,000 images, not all of MNIST") if replay.is_sample else ""
        result = replay.evaluated
        if result is None or result.total <= 0:
            self.query_one("#accuracy", Digits).update("–")
            self.query_one("#result-details", Static).update(_("The test accuracy, when the training is over."))
            self.query_one(ConfusionMatrix).show((), ())
            return
        self.query_one("#accuracy", Digits).update(number(100 * result.accuracy, 2))
        self.query_one("#result-details", Static).update(Content(_details(result)))
        names = replay.started.class_names if replay.started else ()
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
    """Rows are the labels, columns what the network takes them for."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "confusion--head",
        "confusion--right",
        "confusion--wrong",
        "confusion--none",
    }

    def show(self, confusion: tuple[tuple[int, ...], ...], class_names: tuple[str, ...]) -> None:
        size = len(confusion)
        head = self.get_component_rich_style("confusion--head")
        text = Text(no_wrap=True)
        text.append("  " + "".join(f"{_short(class_names, column):>{_CELL}}" for column in range(size or 10)), head)
        for label in range(size or 10):
            text.append(f"\n{_short(class_names, label):>2}", head)
            for predicted in range(size or 10):
                count = confusion[label][predicted] if size and predicted < len(confusion[label]) else 0
                kind = "none" if not count else "right" if label == predicted else "wrong"
                style = self.get_component_rich_style(f"confusion--{kind}")
                text.append(f"{count or '·':>{_CELL}}", style)
        self.update(text)


def _short(class_names: tuple[str, ...], number: int) -> str:
    """A class in two columns: its name where that fits, else its number."""
    name = printable(class_names[number]) if number < len(class_names) else str(number)
    return name if len(name) <= 2 else str(number)
