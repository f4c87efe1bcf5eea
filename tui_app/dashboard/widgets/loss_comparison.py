"""The losses of the exam's program, and of a changed one."""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget

from core.exam.program import CHANGE_EPOCHS
from core.exam.steps import Outcome
from tui_app import terminal
from tui_app.charts import palette, two_losses
from tui_app.charts.two_losses import BatchLosses
from tui_app.i18n import _
from tui_app.program import edits


class LossComparison(Widget):
    """A chart of the batch losses of two programs, or a text where there is none yet."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._outcomes: tuple[Outcome, ...] = ()
        self._text = ""

    def show(self, *outcomes: Outcome) -> None:
        """Show the original program's losses, and those of the changed one."""
        self._outcomes = outcomes
        self.refresh()

    def say(self, text: str) -> None:
        """Show a text instead of curves."""
        self._outcomes, self._text = (), text
        self.refresh()

    def render(self) -> Text:
        if not self._outcomes:
            return Text(self._text)
        width, height = self.content_size
        colours = self.app.theme_variables
        curves = [
            BatchLosses(name, colours[colour.removeprefix("$")], each.losses, each.batches_per_epoch)
            for name, colour, each in zip(edits.names(), palette.NAMES, self._outcomes, strict=False)
        ]
        drawn = two_losses.draw(curves, CHANGE_EPOCHS, width, height - 1, plain=not terminal.has_utf8())
        return Text.assemble(drawn, "\n", _("epochs").rjust(width), no_wrap=True)
