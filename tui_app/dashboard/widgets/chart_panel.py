"""The panel of the loss chart: its words, its units and its drawing rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from core.messages import N_
from tui_app import terminal
from tui_app.charts.axes import UNITS, Unit
from tui_app.charts.curves import Series
from tui_app.charts.picture import Words
from tui_app.dashboard.widgets.loss_chart import LossChart
from tui_app.i18n import _


class ChartPanel(Vertical):
    """A panel with the loss chart, which may be drawn less often than its many runs have news."""

    HELP = N_(
        "The losses of the current run, and of the runs overlaid with Space in the list. Runs that differ only in their"
        " seed are drawn as one: their mean with a band; the current run joins them if it is overlaid too. ◆ is the"
        " validation loss; its figures are the validation accuracies in %. Multiply–accumulates count the forward"
        " passes only: the backward passes take about twice as many."
    )

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shown: object = None
        self._soon: Timer | None = None

    def compose(self) -> ComposeResult:
        self.border_title = _("Running loss")
        self.border_subtitle = _unit_name("epochs")
        yield LossChart(
            _words(),
            plain=not terminal.has_utf8(),
            placeholder=_("The loss of each batch, once a run has started."),
        )

    def show(self, series: tuple[Series, ...], planned_epochs: int | None) -> bool:
        """Draw the series now, the current run's first. Return True if they differ from the last ones."""
        if self._soon is not None:
            self._soon.stop()
            self._soon = None
        chart = self.query_one(LossChart)
        if (series, planned_epochs) == self._shown:
            chart.refresh_data()
            return False
        self._shown = (series, planned_epochs)
        chart.show(series, planned_epochs)
        return True

    def draw_within(self, seconds: float, draw: Callable[[], None]) -> None:
        """Schedule `draw` after some seconds, unless the chart is drawn earlier."""
        if self._soon is None:
            self._soon = self.set_timer(seconds, draw)

    def toggle_log_scale(self) -> None:
        chart = self.query_one(LossChart)
        chart.log_scale = not chart.log_scale

    def next_x_unit(self) -> None:
        chart = self.query_one(LossChart)
        chart.x_unit = UNITS[(UNITS.index(chart.x_unit) + 1) % len(UNITS)]
        self.border_subtitle = _unit_name(chart.x_unit)


def _words() -> Words:
    return Words(
        x_labels={"epochs": _("Epoch"), "seconds": _("Time"), "macs": _("MACs")},
        y_label=_("Loss"),
        running=_("running loss"),
        batch=_("batch losses"),
        validation=_("validation loss"),
        no_macs=_("multiply–accumulates unknown"),
        failure=_("The chart cannot be drawn."),
        decimal_mark=_("."),
    )


def _unit_name(unit: Unit) -> str:
    """Name the unit of the x axis, after the key that changes it."""
    names = {
        "epochs": _("epochs"),
        "seconds": _("seconds of training"),
        "macs": _("multiply–accumulates (forward)"),
    }
    return _("x: {unit}").format(unit=names[unit])
