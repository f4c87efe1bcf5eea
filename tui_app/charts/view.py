"""What a chart is asked to show, and the words that it uses."""

from __future__ import annotations

from dataclasses import dataclass, field

from tui_app.charts.axes import Unit, XWindow
from tui_app.charts.canvas import CellSize
from tui_app.charts.curves import Band, Reading
from tui_app.charts.scale import Metric
from tui_app.charts.series import Series


@dataclass(frozen=True)
class Words:
    """The texts of a chart, in one language."""

    x_labels: dict[Unit, str]
    y_labels: dict[Metric, str]
    running: str
    smoothed: str
    batch: str
    validation: dict[Metric, str]
    tested: str
    overfitting: str
    bands: dict[Band, str]
    no_macs: str
    no_accuracy: str
    nothing_here: str
    failure: str
    position: str
    """Text with {epoch} and {step}."""
    decimal_mark: str

    def number(self, text: str) -> str:
        """Return a number with the decimal mark of the language."""
        return text.replace(".", self.decimal_mark)


@dataclass(frozen=True)
class View:
    """The chart to draw: its size, its series and how to show them."""

    size: CellSize
    series: tuple[Series, ...] = ()
    """Series to draw; the first is the current one and lies on top."""
    planned_epochs: float | None = None
    """Planned epochs of the first series."""
    unit: Unit = "epochs"
    """Quantity on the x axis."""
    log_scale: bool | None = None
    """Whether the losses have a logarithmic scale; None: where a linear one would hide a line."""
    placeholder: str = ""
    """Text shown while the chart is empty."""
    reading: Reading = field(default_factory=Reading)
    window: XWindow | None = None
    """Part of the x axis that is shown; None: the whole."""
