"""The panel of the loss chart: its words, its units and its drawing rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer

from core.messages import N_
from tui_app import terminal
from tui_app.charts.axes import UNITS, Unit
from tui_app.charts.curves import BANDS, Reading
from tui_app.charts.scale import METRICS
from tui_app.charts.series import Series
from tui_app.charts.view import Words
from tui_app.dashboard.widgets.loss_chart import LossChart
from tui_app.i18n import _, printable, short

_Value = TypeVar("_Value")

SMOOTHINGS = (0.0, 0.6, 0.9, 0.97, 0.99)
"""Weights of the exponential moving mean."""
_ZOOM = 2.0
_SHIFT = 0.25
"""Share of the view by which a key moves it."""
_ON_LINES = ("zoom", "pan", "show_whole", "next_band", "next_smoothing", "next_metric")
"""Changes of the view that have an effect on lines only."""


class ChartPanel(Vertical):
    """A panel with the loss chart, which may be drawn less often than its many runs have news."""

    HELP = N_(
        "The losses of the current run, and of the runs overlaid with Space in the list. Runs that differ only in"
        " their seed are drawn as one: their mean with a band, from the lowest to the highest or the 95% interval of"
        " the mean. The current run joins them if it is overlaid too. ◆ is the validation loss; its figures are the"
        " validation accuracies in %. ▲ is the lowest validation loss, once two epochs in a row were two percent"
        " higher while the training loss fell: overfitting begins. Smoothed losses are debiased, and their weight"
        " counts batches. Multiply–accumulates count the forward passes only: the backward passes take about twice as"
        " many."
    )

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shown: object = None
        self._soon: Timer | None = None
        self._is_other = False
        """True if the scale is the user's choice, and not the one that was chosen by itself."""

    def compose(self) -> ComposeResult:
        self.border_title = _title(Reading(), "")
        self.border_subtitle = _unit_name("epochs")
        yield LossChart(
            chart_words(),
            plain=not terminal.has_utf8(),
            placeholder=_empty(),
        )

    def waits_for(self, text: str) -> None:
        """Show what an empty chart waits for."""
        self.query_one(LossChart).placeholder = text or _empty()

    def show(self, series: tuple[Series, ...], planned_epochs: int | None) -> bool:
        """Draw the series now, the current run's first. Return True if they differ from the last ones."""
        if self._soon is not None:
            self._soon.stop()
            self._soon = None
        chart = self.chart
        if (series, planned_epochs) == self._shown:
            chart.refresh_data()
            return False
        self._shown = (series, planned_epochs)
        chart.show(series, planned_epochs)
        self._say_view()
        return True

    def draw_within(self, seconds: float, draw: Callable[[], None]) -> None:
        """Schedule `draw` after some seconds, unless the chart is drawn earlier."""
        if self._soon is None:
            self._soon = self.set_timer(seconds, draw)

    @property
    def chart(self) -> LossChart:
        return self.query_one(LossChart)

    def why_not(self, change: str) -> str:
        """Return why a change of the view, a method's name, has no effect now, or an empty text."""
        chart = self.chart
        if change == "toggle_log_scale":
            return _("Accuracies have a linear scale only.") if chart.reading.metric == "accuracy" else ""
        if change not in _ON_LINES:
            return ""
        if not any(series.end for series in chart.series):
            return _("The chart is empty: pick a run in the list, or start one with F5.")
        if chart.is_whole and (change == "pan" or (change == "show_whole" and chart.cursor is None)):
            return _("The whole chart is shown: + zooms in.")
        if change == "next_band" and not any(series.is_group for series in chart.series):
            return _("A band needs seeds of one network in the chart: overlay them with o.")
        if change == "next_smoothing" and chart.reading.metric == "accuracy":
            return _("Accuracies are not smoothed: a shows the losses.")
        return ""

    def toggle_log_scale(self) -> None:
        """Go from the scale that is chosen by itself to the other one, to that one by choice, and back to itself."""
        chart = self.chart
        if chart.log_scale is None:
            self._is_other = True
            chart.log_scale = not chart.scales.is_log
        else:
            chart.log_scale = not chart.log_scale if self._is_other else None
            self._is_other = False
        self._say_view()

    def next_x_unit(self) -> None:
        self.chart.x_unit = _next(UNITS, self.chart.x_unit)
        self._say_view()

    def next_metric(self) -> None:
        """Show the losses or the accuracies."""
        self._read(metric=_next(METRICS, self.chart.reading.metric))

    def next_smoothing(self) -> None:
        self._read(smoothing=_next(SMOOTHINGS, self.chart.reading.smoothing))

    def next_band(self) -> None:
        self._read(band=_next(BANDS, self.chart.reading.band))

    def zoom(self, steps: int) -> None:
        self.chart.zoom(_ZOOM**steps)

    def pan(self, steps: int) -> None:
        self.chart.pan(_SHIFT * steps)

    def show_whole(self) -> None:
        self.chart.show_whole()

    def _read(self, **changed: Any) -> None:
        self.chart.reading = replace(self.chart.reading, **changed)
        self._say_view()

    @on(LossChart.Rescaled)
    def _say_view(self) -> None:
        """Say in the border what is drawn, what the axes are, and what was made of the losses."""
        chart = self.chart
        scales, reading = chart.scales, chart.reading
        alone = chart.series[0].name if len(chart.series) == 1 and not chart.series[0].is_group else ""
        self.border_title = Content(_title(reading, alone))  # no markup: a run's folder may have brackets
        parts = [_unit_name(chart.x_unit)]
        if reading.metric == "loss" and reading.smoothing:
            parts.append(_("smoothing {weight}").format(weight=short(reading.smoothing)))
        if reading.metric == "loss" and (scales.is_log or chart.log_scale is not None):
            names = {None: _("log scale (automatic)"), True: _("log scale"), False: _("linear scale")}
            parts.append(names[chart.log_scale])
        if scales.zoom > 1:
            parts.append(_("zoom ×{factor}").format(factor=short(float(f"{scales.zoom:.2g}"))))
        self.border_subtitle = " · ".join(parts)


def _next(values: Sequence[_Value], value: _Value) -> _Value:
    return values[(values.index(value) + 1) % len(values)]


def _title(reading: Reading, run: str) -> str:
    """Name what is drawn, and whose it is if it is of one run."""
    if reading.metric == "accuracy":
        title = _("Accuracy of {run} after each epoch") if run else _("Accuracy after each epoch")
    elif reading.smoothing:
        title = _("Smoothed batch losses of {run}") if run else _("Smoothed batch losses")
    else:
        title = _("Running loss of {run}") if run else _("Running loss")
    return title.format(run=printable(run))


def _empty() -> str:
    return _("The loss of each batch, once a run has started.")


def chart_words() -> Words:
    return Words(
        x_labels={"epochs": _("Epoch"), "seconds": _("Time"), "macs": _("MACs")},
        y_labels={"loss": _("Loss"), "accuracy": _("Accuracy, %")},
        running=_("running loss"),
        smoothed=_("smoothed batch losses"),
        batch=_("batch losses"),
        validation={"loss": _("validation loss"), "accuracy": _("validation accuracy")},
        tested=_("test accuracy"),
        overfitting=_("overfitting begins"),
        bands={"range": _("min–max"), "interval": _("95% interval of the mean")},
        no_macs=_("multiply–accumulates unknown"),
        no_accuracy=_("No accuracy yet: it comes with validation, after each epoch, or at the end."),
        nothing_here=_("Nothing in this part of the chart: 0 shows the whole."),
        failure=_("The chart cannot be drawn."),
        position=_("epoch {epoch}, step {step}"),
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
