"""Small pictures for a report, drawn by matplotlib and returned as SVG: curves, and dots with their mean.

Text stays text: it can be searched and read aloud, it takes the page's colours, and it is set in the reader's own font,
which may have letters that matplotlib's fonts lack. No text is interpreted as mathematics.
"""

from __future__ import annotations

import io
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from tui_app.i18n import printable

if TYPE_CHECKING:  # slow to load
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")
"""Okabe and Ito's palette, which can be told apart with any kind of colour vision."""
INK, FAINT, GRID, PAPER = "#1f2328", "#59636e", "#d8dde3", "#ffffff"
_PAGE_COLOURS = {INK: "ink", FAINT: "faint", GRID: "grid", PAPER: "paper"} | {
    colour: f"colour-{number}" for number, colour in enumerate(COLOURS)
}
"""Names of the colours in the style sheet, which has them for a dark page too."""
_MARKERS = "osD^vPX"

_WIDTH, _HEIGHT = 5.4, 3.0
"""Size in inches of 72 points."""
_FIRST_ROW, _ROW_HEIGHT = 0.8, 0.5
_LEGEND_ROW = 0.18
_TICKS = 5
_MOST_OWN_TICKS = 10
_LABEL_SHARE = 0.05
"""Minimum distance between two ticks of the x axis whose values are given, as a share of its length."""
_NAME_LENGTH = 28
"""Maximum length of a name beside the axis, in characters."""
_LEGEND_LENGTH = 64
"""Maximum length of a line of the legend, in characters."""
_LARGEST = 1e100
"""Limit to which values are clipped: an axis cannot be longer than the largest float."""
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"

Format = Callable[[float, int], str]
"""A function that formats a value with so many decimals; a share in percent gets two fewer."""


@dataclass(frozen=True)
class Trace:
    """Values by x; `low` and `high` are the edges of a band around them, or empty."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Group:
    """Dots beside a name, and their mean, with its interval if it has one."""

    name: str
    values: Sequence[float]
    mean: float
    low: float | None = None
    high: float | None = None


def curves(
    title: str, x_label: str, y_label: str, traces: Sequence[Trace], x_format: Callable[[float], str], y_format: Format
) -> str:
    """Draw a line for each trace, within its band; if there are few values of x, each gets a tick."""
    columns = max(1, _LEGEND_LENGTH // (4 + max((len(trace.name) for trace in traces), default=1)))
    height = _HEIGHT + _LEGEND_ROW * (math.ceil(len(traces) / columns) - 1)
    with _drawing(title, height) as (figure, axes):
        lines: list[Line2D] = []
        for number, trace in enumerate(traces):
            colour = COLOURS[number % len(COLOURS)]
            marker, apart = _MARKERS[number % len(_MARKERS)], math.ceil(len(trace.x) / _MOST_OWN_TICKS) or 1
            if trace.low:
                axes.fill_between(trace.x, _drawable(trace.low), _drawable(trace.high), color=colour, alpha=0.2, lw=0)
            y = _drawable(trace.y)
            lines += axes.plot(trace.x, y, color=colour, marker=marker, markevery=apart, clip_on=False)
        y_ticks = _ticks([y for trace in traces for y in (*trace.y, *trace.low, *trace.high)])
        _label_ticks(axes, "y", y_ticks, y_format)
        x_ticks = _x_ticks(sorted({x for trace in traces for x in trace.x}))
        axes.set_xticks(x_ticks, labels=[_text(x_format(tick)) for tick in x_ticks])
        axes.set_xlabel(_text(x_label))
        axes.set_ylabel(_text(y_label))
        axes.grid(visible=True, axis="y")
        _add_legend(figure, lines, [trace.name for trace in traces], columns)
        return _svg(figure, title)


def dots(title: str, x_label: str, groups: Sequence[Group], x_format: Format) -> str:
    """Draw a row of dots for each group, above its mean and interval."""
    with _drawing(title, _FIRST_ROW + _ROW_HEIGHT * len(groups)) as (figure, axes):
        for row, group in enumerate(groups):
            colour = COLOURS[row % len(COLOURS)]
            above, below = (row - 0.16, row + 0.16) if len(group.values) > 1 else (row, row)
            values = _drawable(group.values)
            axes.plot(values, [above] * len(values), "o", color=colour, alpha=0.6, ms=6, mew=0, clip_on=False)
            if group.low is not None and group.high is not None:
                axes.plot(_drawable([group.low, group.high]), [below, below], "|-", color=colour, ms=7, clip_on=False)
            if len(values) > 1:
                axes.plot(_drawable([group.mean]), [below], "D", color=colour, ms=6, clip_on=False)
        x_ticks = _ticks([x for group in groups for x in (*group.values, group.low, group.high) if x is not None])
        _label_ticks(axes, "x", x_ticks, x_format)
        axes.set_yticks(range(len(groups)), labels=[_shortened(_text(group.name), _NAME_LENGTH) for group in groups])
        axes.set_ylim(len(groups) - 0.5, -0.5)
        axes.set_xlabel(_text(x_label))
        axes.grid(visible=True, axis="x")
        return _svg(figure, title)


def embedded(svg: str) -> str:
    """Adapt the picture to a page whose style sheet has the colours, and make it as wide as there is room."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        style = element.get("style", "")
        if style:
            element.set("style", re.sub("#[0-9a-f]{6}", lambda colour: _page_colour(colour[0]), style))
    for size in ("width", "height"):
        root.attrib.pop(size)
    return _written(root)


def _page_colour(colour: str) -> str:
    return f"var(--{_PAGE_COLOURS[colour]})" if colour in _PAGE_COLOURS else colour


# The axes


def _drawable(values: Sequence[float]) -> list[float]:
    """Clip the values to what an axis can show; those that are not finite become gaps."""
    return [min(max(value, -_LARGEST), _LARGEST) if math.isfinite(value) else math.nan for value in values]


def _ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers that enclose all the values."""
    from matplotlib.ticker import MaxNLocator

    finite = [value for value in _drawable(values) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-90):
        low, high = low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)
    locator = MaxNLocator(nbins=_TICKS, steps=[1, 2, 2.5, 5, 10])
    return [float(tick) for tick in locator.tick_values(low, high)]


def _x_ticks(values: Sequence[float]) -> list[float]:
    """Return the values whose labels fit if there are few, else round numbers among them."""
    if len(values) > _MOST_OWN_TICKS:
        return [tick for tick in _ticks(values) if values[0] <= tick <= values[-1]]
    found: list[float] = []
    for value in values:
        if not found or value - found[-1] >= _LABEL_SHARE * (values[-1] - values[0]):
            found.append(value)
    return found


def _label_ticks(axes: Axes, side: str, ticks: Sequence[float], format: Format) -> None:
    """Label the ticks with as many decimals as tell them apart, and end the axis at the outermost ones."""
    step = ticks[1] - ticks[0]
    digits = -math.floor(math.log10(step))
    decimals = next((number for number in range(max(0, digits), digits + 3) if _divides(10.0**-number, step)), digits)
    ours = max(map(abs, ticks)) < 1e7 and decimals <= 7
    labels = [_text(format(tick, decimals)) if ours else f"{tick:.3g}" for tick in ticks]
    if side == "x":
        axes.set_xticks(ticks, labels=labels)
        axes.set_xlim(ticks[0], ticks[-1])
    else:
        axes.set_yticks(ticks, labels=labels)
        axes.set_ylim(ticks[0], ticks[-1])


def _divides(unit: float, step: float) -> bool:
    return abs(step / unit - round(step / unit)) < 1e-6


def _add_legend(figure: Figure, lines: Sequence[Line2D], names: Sequence[str], columns: int) -> None:
    """Add a legend above the axes."""
    shown = [_shortened(_text(name), _LEGEND_LENGTH - 4) for name in names]
    columns = max(1, _LEGEND_LENGTH // (4 + max(map(len, shown), default=1)))
    legend = figure.legend(
        lines, [str(number) for number in range(len(lines))], loc="outside upper left", ncols=columns
    )
    for text, name in zip(legend.get_texts(), shown, strict=True):
        text.set_text(name)  # set afterwards: matplotlib leaves out of a legend any name that begins with _


# Text


def _text(text: str) -> str:
    """Return the text without control characters and characters that XML forbids."""
    return re.sub("[\ufffe\uffff]", "\ufffd", printable(text))


def _shortened(name: str, most: int) -> str:
    """Shorten a name to its end, which tells networks apart."""
    return name if len(name) <= most else "…" + name[1 - most :]


# Matplotlib


@contextmanager
def _drawing(title: str, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Provide a figure and its axes in our style, whatever style the user has set for other programs.

    `title` keeps the names inside one picture distinct from those of other pictures on the same page.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its font cache and fonts do not concern the user
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": _text(title)}]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about letters that its fonts lack: the reader's may have them
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        yield figure, figure.add_subplot()


_STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.usetex": False,
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": FAINT,
    "axes.edgecolor": FAINT,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.borderaxespad": 0.2,
    "legend.handlelength": 1.8,
}


def _svg(figure: Figure, title: str) -> str:
    """Return the figure as an SVG file, without what only matplotlib needs."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None})
    root = ElementTree.fromstring(out.getvalue())
    _drop(root, "metadata")
    _drop(root.find(f"{{{_SVG}}}defs"), "style")
    used = {name for element in root.iter() for value in element.attrib.values() for name in _referenced(value)}
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        if "font-family" in element.get("style", ""):
            element.set("style", re.sub(r"font-family: [^;]*;?", "", element.get("style", "")).strip())
    root.attrib.update({"role": "img", "font-family": "system-ui, sans-serif", "stroke-linejoin": "round"})
    heading = ElementTree.Element(f"{{{_SVG}}}title")
    heading.text = _text(title)
    root.insert(0, heading)
    return _written(root)


def _drop(parent: ElementTree.Element | None, name: str) -> None:
    child = None if parent is None else parent.find(f"{{{_SVG}}}{name}")
    if parent is not None and child is not None:
        parent.remove(child)


def _referenced(value: str) -> list[str]:
    """Return the names of the elements that an attribute refers to."""
    return [whole or within for whole, within in re.findall(r"^#(.+)$|url\(#([^)]+)\)", value)]


def _written(root: ElementTree.Element) -> str:
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode") + "\n"
