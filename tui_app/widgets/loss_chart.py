"""The losses of one run, with those of others laid over them. The only file that knows plotext.

plotext aborts the whole process on a NaN and raises on ranges that overflow: so it is given nothing but points between
0 and 1, at most two per column, whatever the losses are. Scales and tick positions are decided here, and move rarely:
what did not change is not sent to the terminal.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, ClassVar, NamedTuple
from weakref import WeakKeyDictionary

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color, ColorParseError
from textual.geometry import Region, Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from core.history import Column, Curve, LossHistory

# What a cell shows, as the number that is its colour's blue while plotext has it, and later its style.
_BLANK, _AXIS, _LABEL, _GRID, _BATCH, _GAP, _EPOCH, _VALIDATION, _PLACEHOLDER = range(9)
_COMPONENTS = {
    _AXIS: "axis",
    _LABEL: "label",
    _GRID: "grid",
    _BATCH: "batch",
    _GAP: "gap",
    _VALIDATION: "validation",
    _PLACEHOLDER: "placeholder",
}
_FIRST_SERIES = 9
_MOST_SERIES = 200

_LARGEST = 1e300
_SMALLEST = 1e-300
_CUT = 20
"""A loss so many times larger than all but the highest 5 % of the columns does not set the scale: it is drawn at its
edge. Smaller ones do."""

_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_STEPS = (1, 2, 2.5, 5, 10)
_SGR = re.compile(r"\x1b\[([\d;]*)m")
_ASCII = str.maketrans("│┤├┊─┼┬┴└┘┌┐━⣿×…●◆┄", "||||-+++++++=:x~ov.")
_ASCII_LINES = "*o+#@%&"


@dataclass(frozen=True)
class Series:
    """A run in the chart."""

    key: str
    name: str
    color: str
    """Of its running loss: a colour, or a variable of the theme such as `$accent`."""
    history: LossHistory
    steps_per_epoch: int
    live: bool = False

    def step_at(self, x: float) -> float:
        """The inverse of what the x axis counts: epochs."""
        return x * max(1, self.steps_per_epoch)

    def x_at(self, step: int) -> float:
        return step / max(1, self.steps_per_epoch)


class Row(NamedTuple):
    """A line of the widget: its characters, and for each character what it shows."""

    text: str
    paint: str

    @classmethod
    def of(cls, runs: Iterable[tuple[str, int]]) -> Row:
        runs = list(runs)
        return cls("".join(text for text, _ in runs), "".join(chr(paint) * len(text) for text, paint in runs))

    def with_text(self, column: int, text: str, paint: int) -> Row:
        """`text` written over what is there."""
        end = column + cell_len(text)
        return Row(
            self.text[:column] + text + self.text[end:], self.paint[:column] + chr(paint) * len(text) + self.paint[end:]
        )

    def changed_from(self, old: Row) -> tuple[int, int] | None:
        """The columns, from and to, in which the two differ."""
        if self == old:
            return None
        width = len(self.text)
        if width != len(old.text) or cell_len(self.text) != width or cell_len(old.text) != width:
            return 0, max(cell_len(self.text), cell_len(old.text))
        different = [a != b or p != q for a, b, p, q in zip(self.text, old.text, self.paint, old.paint, strict=True)]
        return different.index(True), width - different[::-1].index(True)


@dataclass(frozen=True)
class Scale:
    """The y axis. `bottom` and `top` are losses, or their common logarithms."""

    bottom: float
    top: float
    log: bool = False

    def fraction(self, loss: float) -> float:
        """0 at the bottom, 1 at the top; what lies beyond, at the edge."""
        if self.log:
            loss = math.log10(min(max(loss, _SMALLEST), _LARGEST))
        loss = min(max(loss, self.bottom), self.top)
        return (loss - self.bottom) / (self.top - self.bottom)

    def includes(self, other: Scale) -> bool:
        return self.log == other.log and self.bottom <= other.bottom and other.top <= self.top

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Fractions and labels: at most about `most`, at round numbers."""
        step = _tick_step((self.top - self.bottom) / max(1, most))
        if self.log:
            apart = max(1, math.ceil(step))
            exponents = range(math.ceil(self.bottom), math.floor(self.top) + 1)
            ticks = [(10.0**e, f"{10.0**e:g}") for e in exponents if e % apart == 0]
            if len(ticks) < 2 <= most:
                ticks = [(v, f"{v:g}") for e in exponents for v in (10.0**e, 2 * 10.0**e, 5 * 10.0**e)]
                ticks = [tick for tick in ticks if self.bottom <= math.log10(tick[0]) <= self.top]
            return [(self.fraction(value), label) for value, label in ticks]
        first, last = math.ceil(self.bottom / step - 1e-9), math.floor(self.top / step + 1e-9)
        return [(self.fraction(i * step), _label(i * step, step)) for i in range(first, last + 1)]


def _tick_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(least, _SMALLEST)))
    return next(power * digit for digit in _STEPS if power * digit >= least * (1 - 1e-9))


def _label(value: float, step: float) -> str:
    digits = -math.floor(math.log10(step)) + (0 if f"{step:.1e}"[2] == "0" else 1)
    if digits > 4 or abs(value) >= 1e5:
        return f"{value:.2g}".replace("e+", "e").replace("e-0", "e-")
    return f"{value:.{max(0, digits)}f}"


def _round_up(value: float) -> float:
    """The next round number."""
    value = min(max(value, _SMALLEST), _LARGEST)
    power = 10.0 ** math.floor(math.log10(value))
    return next((power * digit for digit in _ROUND if power * digit >= value * (1 - 1e-9)), power * 10)


def _highest(values: Sequence[float]) -> float:
    """The greatest, but no few that would flatten all the others."""
    typical = sorted(values)[int(0.95 * (len(values) - 1))]
    greatest = max(values)
    return greatest if typical <= 0 or greatest <= _CUT * typical else 2 * typical


def _scale(columns: Sequence[Column], log: bool) -> Scale:
    if not columns:
        return Scale(-2, 1, log) if log else Scale(0, 2.5)
    lows, highs = [c.low for c in columns], [c.high for c in columns]
    if log:
        positive = sorted(min(value, _LARGEST) for value in (*lows, *highs) if value > _SMALLEST)
        if not positive:
            return Scale(-2, 1, log)
        bottom: float = math.floor(math.log10(positive[len(positive) // 20]))
        top = math.log10(_round_up(positive[-1]))
        return Scale(bottom, max(top, bottom + 1), log)
    top = _highest(highs)
    bottom = -_highest([-low for low in lows])
    top = _round_up(top) if top > 0 else 0.0
    bottom = -_round_up(-bottom) if bottom < 0 else 0.0
    return Scale(bottom, top if top > bottom else 1.0)


def _reach(end: float, total: float | None, live: bool) -> float:
    """The end of the x axis, in epochs: the whole of a short run; of a long one, a part that grows in jumps."""
    if not live and end > 0:
        total = min(total or math.inf, math.ceil(end - 1e-9))
    least = max(1.0, end) if total is None else max(10.0, 2 * end)
    power = 10.0 ** math.floor(math.log10(least))
    jump = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= least * (1 - 1e-9))
    return max(1.0, end, jump if total is None else min(total, jump))


class _Reduced(NamedTuple):
    version: int
    edges: tuple[float, ...]
    columns: list[Column | None]
    gaps: list[int]


class _Reductions:
    """Curves as columns, each worked out again only when it has changed: a finished run costs nothing."""

    def __init__(self) -> None:
        self._kept: WeakKeyDictionary[Curve, _Reduced] = WeakKeyDictionary()

    def get(self, curve: Curve, edges: tuple[float, ...]) -> _Reduced:
        kept = self._kept.get(curve)
        if kept is None or kept.version != curve.version or kept.edges != edges:
            kept = _Reduced(curve.version, edges, curve.columns(edges), curve.gaps(edges))
            self._kept[curve] = kept
        return kept


@dataclass(frozen=True)
class _Layout:
    """What has a place in a chart of a given size: the legend, then the axes, make way for the canvas."""

    size: Size
    margin: int
    """The width of the tick labels."""

    @property
    def has_legend(self) -> bool:
        return self.size.width >= 24 and self.size.height >= 5

    @property
    def has_axes(self) -> bool:
        return self.size.width >= 20 and self.size.height >= 4

    @property
    def plot(self) -> Size:
        """Canvas, axes and tick labels."""
        return Size(self.size.width, self.size.height - self.has_legend)

    @property
    def canvas(self) -> Region:
        left = self.margin + 1 if self.has_axes else 0
        return Region(left, int(self.has_legend), self.size.width - left, self.plot.height - 2 * self.has_axes)


@dataclass(frozen=True)
class _Content:
    """What a canvas shows, in columns: for the run on show two to a cell, as braille has them; for others one."""

    reach: float
    """Epochs on the x axis."""
    batches: list[Column | None]
    running: list[_Reduced]
    epochs: list[Column | None]
    validation: list[Column | None]
    gaps: list[list[int]]
    """Per series, the cells in which a batch's loss is not finite."""

    @property
    def finite(self) -> list[Column]:
        marks = [*self.epochs, *self.validation]
        found = [*self.batches, *marks, *(column for series in self.running for column in series.columns)]
        return [column for column in found if column is not None]

    @property
    def is_empty(self) -> bool:
        return not self.finite and not any(self.gaps)

    def running_line(self, number: int) -> list[tuple[int, float, bool]]:
        """Column, loss, and whether it is joined to the one before: not from one epoch to the next while epochs are
        wide enough to tell apart, nor where a loss between the two is not finite.
        """
        reduced = self.running[number]
        width = len(reduced.columns)
        gaps = set(reduced.gaps)
        found = [i for i, column in enumerate(reduced.columns) if column is not None and i not in gaps]
        apart = width >= 4 * self.reach
        joined = [False]
        for i, j in pairwise(found):
            next_epoch = apart and self._epoch(i, width) != self._epoch(j, width)
            joined.append(not next_epoch and gaps.isdisjoint(range(i, j)))
        columns = reduced.columns
        return [(i, c.mean, join) for i, join in zip(found, joined, strict=False) if (c := columns[i]) is not None]

    def validation_line(self) -> list[tuple[int, float, bool]]:
        """Column, loss, and whether it is joined to the one before."""
        found = [(i, column.mean) for i, column in enumerate(self.validation) if column is not None]
        return [(i, mean, number > 0) for number, (i, mean) in enumerate(found)]

    def _epoch(self, column: int, width: int) -> int:
        return int(column / width * self.reach)


class _Canvas:
    """A plotext figure: whatever is drawn on it has coordinates from 0 to 1."""

    @staticmethod
    def load() -> None:
        import plotext  # noqa: F401

    def __init__(self, layout: _Layout, plain: bool) -> None:
        import plotext

        plotext.terminal.limit(False, False)
        self._plotext = plotext
        self._figure = type(plotext.figure)(plotext.terminal)
        self._figure.plot_size(*layout.plot)
        self._figure.theme("colorless").canvas("default")
        self._plain = plain
        self._layout = layout
        self._dots = layout.canvas.height * (1 if plain else 4)

    def axes(self, x_ticks: list[tuple[float, str]], y_ticks: list[tuple[float, str]]) -> None:
        figure, shown = self._figure, self._layout.has_axes
        figure.axes(False)
        for name, side, ticks in (("x", "lower", x_ticks), ("y", "left", y_ticks)):
            ruler = figure.ruler(name).lim(0, 1).alignment(lim="edge").pixel(self._pixel(_LABEL))
            ruler.ticks([p for p, _ in ticks] if shown else [], [label for _, label in ticks] if shown else [])
            figure.axes(shown, pixel=self._pixel(_AXIS), axis=name, side=side)

    def grid(self, positions: Iterable[float]) -> None:
        for position in positions:
            self._figure.line(position, orientation=1, style="dotted", pixel=self._pixel(_GRID))

    def band(self, columns: Sequence[Column | None], scale: Scale) -> None:
        found = [(self._x(i, len(columns)), c) for i, c in enumerate(columns) if c is not None]
        marker = self._marker(_BATCH, ":")
        xs = [x for x, _ in found]
        highs = self._figure.signal(xs, [self.y(scale.fraction(c.high)) for _, c in found], marker=marker)
        lows = self._figure.signal(xs, [self.y(scale.fraction(c.low)) for _, c in found], marker=marker)
        self._figure.draw(highs.fill(lows).density("full"))

    def line(self, points: list[tuple[int, float, bool]], width: int, scale: Scale, paint: int, plain: str) -> None:
        """The cells on its way are wiped first, for plotext would merge the dots of the band into the line's."""
        corners = _corners([(i, self.y(scale.fraction(loss)), joined) for i, loss, joined in points])
        xs, ys = [self._x(i, width) for i, _, _ in corners], [y for _, y, _ in corners]
        wiper = [] if self._plain else [self._plotext.marker("hd", self._pixel(paint))]
        for marker in (*wiper, self._marker(paint, plain)):
            signal = self._figure.signal(xs, ys, marker=marker).lines().density("full")
            for i, (_, _, joined) in enumerate(corners):
                if not joined:
                    signal.line(i, False)
            self._figure.draw(signal)

    def marks(self, columns: Sequence[Column | None], scale: Scale, paint: int, sign: str) -> None:
        found = [(self._x(i, len(columns)), self.y(scale.fraction(c.mean))) for i, c in enumerate(columns) if c]
        marker = self._plotext.marker(sign.translate(_ASCII) if self._plain else sign, self._pixel(paint))
        self._figure.draw(self._figure.signal([x for x, _ in found], [y for _, y in found], marker=marker))

    def rows(self) -> list[Row]:
        width = self._layout.plot.width
        return [_row(line, width) for line in self._figure.build().string().split("\n")[: self._layout.plot.height]]

    def _pixel(self, paint: int) -> Any:
        return self._plotext.pixel(foreground=(0, 0, paint))

    def _marker(self, paint: int, plain: str) -> Any:
        return self._plotext.marker(plain if self._plain else "braille", self._pixel(paint))

    def _x(self, column: int, width: int) -> float:
        return (column + 0.5) / width

    def y(self, fraction: float) -> float:
        """The middle of a dot, from the lowest to the highest."""
        return (0.5 + round(fraction * (self._dots - 1))) / self._dots


def _corners(points: list[tuple[int, float, bool]]) -> list[tuple[int, float, bool]]:
    """The same line without the points in the middle of level stretches: plotext's cost is by the point."""
    level = [False] + [after[2] and point[1] == after[1] for point, after in pairwise(points)] + [False]
    return [point for i, point in enumerate(points) if not (level[i] and level[i + 1] and point[2])]


def _row(line: str, width: int) -> Row:
    """A line of plotext's, its colours taken as what the cells show."""
    paint = _BLANK
    runs: list[tuple[str, int]] = []
    first, *rest = _SGR.split(line)
    runs.append((first, paint))
    for code, text in zip(rest[::2], rest[1::2], strict=True):
        if code.startswith("38;2;0;0;"):
            paint = int(code[9:])
        elif code in ("", "0"):
            paint = _BLANK
        runs.append((text, paint))
    runs.append((" " * (width - sum(len(text) for text, _ in runs)), _BLANK))
    return Row.of(runs)


class LossChart(Widget):
    """Batch losses as a band, the running loss as a line, a mark per epoch, and the validation loss as a second line;
    of other runs, the running loss.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "loss-chart--axis",
        "loss-chart--label",
        "loss-chart--grid",
        "loss-chart--batch",
        "loss-chart--running",
        "loss-chart--validation",
        "loss-chart--gap",
        "loss-chart--placeholder",
    }

    DEFAULT_CSS = """
    LossChart {
        height: 1fr;
        min-height: 1;
    }
    LossChart > .loss-chart--axis {
        color: $foreground 40%;
    }
    LossChart > .loss-chart--label {
        color: $foreground 70%;
    }
    LossChart > .loss-chart--grid {
        color: $foreground 15%;
    }
    LossChart > .loss-chart--batch {
        color: $foreground 30%;
    }
    LossChart > .loss-chart--running {
        color: $accent;
        text-style: bold;
    }
    LossChart > .loss-chart--validation {
        color: $warning;
        text-style: bold;
    }
    LossChart > .loss-chart--gap {
        color: $error;
        text-style: bold;
    }
    LossChart > .loss-chart--placeholder {
        color: $text-muted;
    }
    """

    log_scale: reactive[bool] = reactive(False)
    placeholder: reactive[str] = reactive("")
    """What stands in the chart while it is empty."""

    def __init__(
        self,
        *,
        x_label: str = "Epoch",
        y_label: str = "Loss",
        running_name: str = "running loss",
        batch_name: str = "batch losses",
        validation_name: str = "validation loss",
        failure: str = "The chart cannot be drawn.",
        decimal_mark: str = ".",
        plain: bool = False,
        placeholder: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.x_label, self.y_label = x_label, y_label
        self.running_name, self.batch_name, self.validation_name = running_name, batch_name, validation_name
        self.failure = failure
        self.decimal_mark = decimal_mark
        self.plain = plain
        """ASCII only, for a terminal without UTF-8."""
        self.set_reactive(LossChart.placeholder, placeholder)
        self._series: tuple[Series, ...] = ()
        self._total_epochs: float | None = None
        self._shown: object = None
        self._scale = Scale(0, 2.5)
        self._reductions = _Reductions()
        self._rows: list[Row] = []
        self._strips: dict[int, Strip] = {}
        self._styles_by_paint: dict[str, Style] = {}
        self._base_style: Style | None = None
        self._may_draw = False

    def on_mount(self) -> None:
        self.call_after_refresh(self._load_canvas)

    async def _load_canvas(self) -> None:
        """It takes 0.2 s, a third of what the first painting of the screen would wait for."""
        with suppress(Exception):  # what is wrong will show when it draws
            await asyncio.to_thread(_Canvas.load)
        self._may_draw = True
        self._shown = None
        self.refresh_data()

    def show(self, series: Sequence[Series], total_epochs: float | None = None) -> None:
        """The first is the run on show, `total_epochs` how long it is planned to be; the others are laid over it."""
        self._may_draw = True
        old, self._series = self._series, tuple(series[:_MOST_SERIES])
        self._total_epochs = total_epochs
        if [s.key for s in old] != [s.key for s in self._series]:
            self._scale = _scale([], self.log_scale)
        if [s.color for s in old] != [s.color for s in self._series]:
            self._styles_by_paint.clear()
            self._rows, self._shown = [], None
        self.refresh_data()

    def refresh_data(self) -> None:
        """Draw what is new: only the cells that changed are sent to the terminal."""
        state = self._state()
        if state == self._shown or not self.size:
            return
        self._shown = state
        old, self._rows = self._rows, self._build()
        if len(old) != len(self._rows):
            self._strips.clear()
            self.refresh()
            return
        changes = [(y, row.changed_from(was)) for y, (row, was) in enumerate(zip(self._rows, old, strict=True))]
        regions = [Region(span[0], y, span[1] - span[0], 1) for y, span in changes if span is not None]
        for region in regions:
            self._strips.pop(region.y, None)
        if regions:
            self.refresh(*regions)

    def _state(self) -> object:
        """Two equal states look the same."""
        versions = [s.history.version for s in self._series]
        names = (self.running_name, self.batch_name, self.validation_name)
        texts = (self.placeholder, self.x_label, self.y_label, *names, self.decimal_mark)
        return self.size, self.log_scale, self.plain, texts, self._series, self._total_epochs, versions

    def watch_log_scale(self) -> None:
        self.refresh_data()

    def watch_placeholder(self) -> None:
        self.refresh_data()

    def on_resize(self) -> None:
        self.refresh_data()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._base_style = None

    def render_lines(self, crop: Region) -> list[Strip]:
        base = self.rich_style
        if base != self._base_style:  # another theme, or another background behind the chart
            self._base_style = base
            self._styles_by_paint.clear()
            self._strips.clear()
        self.refresh_data()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get(y)
        if strip is None or strip.cell_length != width:
            strip = self._strips[y] = Strip(self._segments(self._rows[y])).adjust_cell_length(width, self.rich_style)
        return strip

    def _segments(self, row: Row) -> Iterator[Segment]:
        begin = 0
        for paint, run in groupby(row.paint):
            end = begin + sum(1 for _ in run)
            yield Segment(row.text[begin:end], self._style(paint))
            begin = end

    def _style(self, paint: str) -> Style:
        style = self._styles_by_paint.get(paint)
        if style is None:
            style = self._styles_by_paint[paint] = self._resolve(ord(paint))
        return style

    def _resolve(self, paint: int) -> Style:
        if paint == _BLANK:
            return self.rich_style
        if paint in _COMPONENTS:
            return self.get_component_rich_style(f"loss-chart--{_COMPONENTS[paint]}")
        style = self.get_component_rich_style("loss-chart--running")
        number = 0 if paint == _EPOCH else paint - _FIRST_SERIES
        color = self._series[number].color if number < len(self._series) else ""
        if color.startswith("$"):
            color = self.app.theme_variables.get(color[1:], "")
        try:
            return style + Style(color=Color.parse(color).rich_color)
        except ColorParseError:
            return style

    # What is drawn, as rows of text

    def _build(self) -> list[Row]:
        layout = _Layout(self.size, max(6, cell_len(self.x_label)))
        content = self._reduce(layout.canvas.width)
        self._settle_scale(content.finite)
        if content.is_empty and not self._may_draw:
            return self._with_message([self._blank_row()] * self.size.height, self.placeholder)
        try:
            rows = self._draw(layout, content)
        except Exception:  # whatever a drawing library may raise, the run on show must not go down with it
            return self._with_message([self._blank_row()] * self.size.height, self.failure)
        if layout.has_axes:
            column = layout.margin - cell_len(self.x_label)
            rows[-1] = rows[-1].with_text(column, self.x_label, _LABEL)
        if layout.has_legend:
            rows.insert(0, self._legend(layout))
        rows += [self._blank_row()] * (self.size.height - len(rows))
        self._mark_gaps(rows, layout.canvas, content.gaps)
        if content.is_empty:
            rows = self._with_message(rows, self.placeholder)
        return [Row(row.text.translate(_ASCII), row.paint) for row in rows] if self.plain else rows

    def _reduce(self, width: int) -> _Content:
        """The shown series in `width` cells."""
        reach = self._reach()
        cells = [reach * i / max(1, width) for i in range(width + 1)]
        halves = [reach * i / max(1, 2 * width) for i in range(2 * width + 1)]
        if not self._series:
            return _Content(reach, [], [], [], [], [])
        first = self._series[0]
        steps = [tuple(map(s.step_at, halves if s is first else cells)) for s in self._series]
        batches = [self._reductions.get(s.history.batches, edges) for s, edges in zip(self._series, steps, strict=True)]
        running = [self._reductions.get(s.history.running, edges) for s, edges in zip(self._series, steps, strict=True)]
        epochs = self._reductions.get(first.history.epochs, tuple(map(first.step_at, cells)))
        validation = self._reductions.get(first.history.validation, steps[0])
        gaps = [sorted({i // 2 for i in batches[0].gaps}), *(reduced.gaps for reduced in batches[1:])]
        return _Content(reach, batches[0].columns, running, epochs.columns, validation.columns, gaps)

    def _reach(self) -> float:
        if not self._series:
            return max(1.0, self._total_epochs or 1.0)
        end, *others = [s.x_at(s.history.end) for s in self._series]
        return max(_reach(end, self._total_epochs, self._series[0].live), *map(math.ceil, others), 1.0)

    def _settle_scale(self, columns: Sequence[Column]) -> None:
        """Keep the scale for as long as it serves: a new one redraws every cell."""
        new, old = _scale(columns, self.log_scale), self._scale
        if not columns or not old.includes(new) or new.top - new.bottom < 0.3 * (old.top - old.bottom):
            self._scale = new

    def _draw(self, layout: _Layout, content: _Content) -> list[Row]:
        canvas = _Canvas(layout, self.plain)
        step = max(1, math.ceil(_tick_step(content.reach * 7 / max(1, layout.canvas.width))))
        epochs = range(0, math.floor(content.reach) + 1, step)
        x_ticks = [(min(epoch / content.reach, 1 - 1e-9), str(epoch)) for epoch in epochs]
        y_ticks = [
            (canvas.y(fraction), label.replace(".", self.decimal_mark).rjust(layout.margin))
            for fraction, label in self._scale.ticks(layout.canvas.height // 2)
        ]
        canvas.axes(x_ticks, y_ticks)
        canvas.grid(position for position, _ in x_ticks[1:])
        canvas.band(content.batches, self._scale)
        for number in reversed(range(len(content.running))):  # the first lies on top
            points = content.running_line(number)
            sign = _ASCII_LINES[number % len(_ASCII_LINES)]
            canvas.line(points, len(content.running[number].columns), self._scale, _FIRST_SERIES + number, sign)
        canvas.line(content.validation_line(), len(content.validation), self._scale, _VALIDATION, ".")
        if content.reach <= layout.canvas.width / 4:
            canvas.marks(content.epochs, self._scale, _EPOCH, "●")
            canvas.marks(content.validation, self._scale, _VALIDATION, "◆")
        return canvas.rows()

    def _legend(self, layout: _Layout) -> Row:
        """The name of the y axis at its head, what the lines are at the right."""
        head = self.y_label.rjust(layout.margin)
        many = len(self._series) > 1
        entries = [(_FIRST_SERIES + i, "━━", s.name if many else self.running_name) for i, s in enumerate(self._series)]
        if self._series:
            entries.insert(1, (_BATCH, "⣿⣿", self.batch_name))
            if len(self._series[0].history.validation):
                entries.insert(1, (_VALIDATION, "━◆", self.validation_name))
        runs: list[tuple[str, int]] = []
        room = layout.size.width - cell_len(head)
        for paint, sign, name in entries:
            name = "".join(c if c.isprintable() else "·" for c in name)
            if self.plain and paint >= _FIRST_SERIES:
                sign = _ASCII_LINES[(paint - _FIRST_SERIES) % len(_ASCII_LINES)] * 2
            needed = 2 + cell_len(f"{sign} {name}")
            if needed > room - 3:
                runs.append(("  …", _LABEL))
                room -= 3
                break
            runs += [("  ", _BLANK), (sign, paint), (f" {name}", _LABEL)]
            room -= needed
        return Row.of([(head, _LABEL), (" " * room, _BLANK), *runs])

    def _mark_gaps(self, rows: list[Row], canvas: Region, gaps: list[list[int]]) -> None:
        for number, cells in reversed(list(enumerate(gaps))):
            for cell in cells:
                paint = _FIRST_SERIES + number if number else _GAP
                rows[canvas.y] = rows[canvas.y].with_text(canvas.x + cell, "×", paint)

    def _with_message(self, rows: list[Row], text: str) -> list[Row]:
        width = self.size.width
        text = set_cell_size(text, width) if cell_len(text) > width else text
        y = max(0, (len(rows) - 1) // 2)
        message = rows[y].with_text((width - cell_len(text)) // 2, text, _PLACEHOLDER)
        return [*rows[:y], message, *rows[y + 1 :]]

    def _blank_row(self) -> Row:
        return Row.of([(" " * self.size.width, _BLANK)])
