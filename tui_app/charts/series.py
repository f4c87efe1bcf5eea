"""What a chart draws: a run, or the seeds of one network, and their place on an x axis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.runs.history import Clock, LossHistory
from tui_app.charts.axes import Unit, jump_beyond, reach_in_epochs

Edges = tuple[float, ...]
"""Steps in ascending order, between which the columns of a chart lie."""


@dataclass(frozen=True)
class Series:
    """A line in the chart: a run, or several that differ only in their seed."""

    key: str
    name: str
    color: str
    """Colour of the running loss: a plain colour, or a theme variable such as `$accent`."""
    histories: tuple[LossHistory, ...]
    """Losses of the runs; for several runs, their mean is drawn with a band."""
    steps_per_epoch: int
    live: bool = False
    macs_per_epoch: float | None = None
    """Forward multiply–accumulates per epoch; None if unknown."""
    validates: bool = False
    """True if there are validation results, or will be."""
    tested: tuple[tuple[int, float], ...] = ()
    """Step and test accuracy, from 0 to 1, of each run that has been tested."""
    moments: tuple[tuple[int, str], ...] = ()
    """Steps at which something happened, and what: a change of settings, the epoch whose weights were kept."""

    @property
    def is_group(self) -> bool:
        return len(self.histories) > 1

    @property
    def end(self) -> int:
        """Return the step after the last known one."""
        return max(history.end for history in self.histories)

    @property
    def versions(self) -> tuple[tuple[int, int], ...]:
        """Return a value that changes whenever a history changes or is replaced by another."""
        return tuple((id(history), history.version) for history in self.histories)


@dataclass(frozen=True)
class Placed:
    """A series on an x axis that counts `unit`."""

    series: Series
    unit: Unit
    clock: Clock

    def reach(self, planned_epochs: float | None) -> float:
        """Return how far the axis must extend for the series, at least."""
        series = self.series
        if self.unit == "seconds":
            end = self.clock.seconds_at(series.end)
            return jump_beyond(max(1.0, end)) if series.live else end
        end = series.end / max(1, series.steps_per_epoch)
        return reach_in_epochs(end, planned_epochs, series.live and planned_epochs is not None) * self.epoch_width

    def steps_at(self, places: Iterable[float]) -> Edges:
        """Convert positions on the axis into steps."""
        if self.unit == "seconds":
            return tuple(map(self.clock.step_at, places))
        factor = max(1, self.series.steps_per_epoch) / self.epoch_width
        return tuple(place * factor for place in places)

    @property
    def least_view(self) -> float:
        """Return the width on the axis of two batches, or of two groups of batches whose mean is all that is known."""
        stride = min(history.batches.stride for history in self.series.histories)
        return 2 * stride * self.epoch_width / max(1, self.series.steps_per_epoch)

    def step_at(self, place: float) -> int:
        """Convert a position on the axis into the step that is taken there."""
        return int(self.steps_at((place,))[0] + 1e-9)

    def place_of(self, step: float) -> float:
        """Convert a step into a position on the axis."""
        if self.unit == "seconds":
            return self.clock.seconds_at(step)
        return step / max(1, self.series.steps_per_epoch) * self.epoch_width

    @property
    def epoch_width(self) -> float:
        """Return the average width of an epoch on the axis."""
        if self.unit == "seconds":
            return self.clock.seconds_at(self.clock.end) / max(1, self.clock.end) * max(1, self.series.steps_per_epoch)
        return (self.series.macs_per_epoch or 1.0) if self.unit == "macs" else 1.0
