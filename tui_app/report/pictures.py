"""Small pictures for a report: curves and dots, as SVG written by hand. All text is escaped."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from tui_app.i18n import printable

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444")
"""Okabe and Ito's, which can be told apart whatever one's colour vision."""

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 16, 40, 48
_TICKS = 5
_MOST_OWN_TICKS = 10
_CHARACTER = 7
"""The width of one, about."""

Format = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """Values by x; `low` and `high` are the edges of a band around them, or empty."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Group:
    """Dots above a name, and their mean with its interval where it has one."""

    name: str
    values: Sequence[float]
    mean: float
    low: float | None = None
    high: float | None = None


def curves(title: str, x_label: str, y_label: str, series: Sequence[Series], x_format: Format, y_format: Format) -> str:
    """A line for each series, within its band; where there are few values of x, each has its tick."""
    xs = sorted({x for each in series for x in each.x})
    ys = [y for each in series for y in (*each.y, *each.low, *each.high)]
    axes = _Axes(xs if 2 <= len(xs) <= _MOST_OWN_TICKS else _ticks(xs), _ticks(ys))
    body = [axes.frame(title, x_label, y_label, x_format, y_format)]
    for position, each in enumerate(series):
        colour = COLOURS[position % len(COLOURS)]
        if each.low:
            edge = [*zip(each.x, each.high, strict=True), *reversed(list(zip(each.x, each.low, strict=True)))]
            body.append(f'<polygon points="{axes.points(edge)}" fill="{colour}" fill-opacity="0.2"/>')
        line = list(zip(each.x, each.y, strict=True))
        body.append(f'<polyline points="{axes.points(line)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="2.5" fill="{colour}"/>' for x, y in line]
        body.append(_legend(position, each.name, colour))
    return _picture(title, body)


def dots(title: str, y_label: str, groups: Sequence[Group], y_format: Format) -> str:
    """A column of dots for each group, beside its mean and interval."""
    ys = [y for group in groups for y in (*group.values, group.low, group.high) if y is not None]
    axes = _Axes([0.0, float(len(groups))], _ticks(ys))
    body = [axes.frame(title, "", y_label, None, y_format)]
    for position, group in enumerate(groups):
        colour = COLOURS[position % len(COLOURS)]
        at, beside = axes.x(position + 0.5), axes.x(position + 0.5) + 24
        for value in group.values:
            body.append(f'<circle cx="{at:.1f}" cy="{axes.y(value):.1f}" r="4" fill="{colour}" fill-opacity="0.6"/>')
        if group.low is not None and group.high is not None:
            ends = f'y1="{axes.y(group.low):.1f}" y2="{axes.y(group.high):.1f}"'
            body.append(f'<line x1="{beside:.1f}" x2="{beside:.1f}" {ends} stroke="{colour}" stroke-width="2"/>')
        height = axes.y(group.mean)
        ends = f'x1="{beside - 8:.1f}" x2="{beside + 8:.1f}" y1="{height:.1f}" y2="{height:.1f}"'
        if len(group.values) > 1:
            body.append(f'<line {ends} stroke="{colour}" stroke-width="3"/>')
        room = (_WIDTH - _LEFT - _RIGHT) // len(groups)
        body.append(_text(at, _HEIGHT - _BOTTOM + 20, _shortened(group.name, room), "middle"))
    return _picture(title, body)


class _Axes:
    def __init__(self, x_ticks: list[float], y_ticks: list[float]) -> None:
        self._x_ticks, self._y_ticks = x_ticks, y_ticks

    def x(self, value: float) -> float:
        return _LEFT + _position(value, self._x_ticks) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - _position(value, self._y_ticks) * (_HEIGHT - _TOP - _BOTTOM)

    def points(self, points: Sequence[tuple[float, float]]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)

    def frame(self, title: str, x_label: str, y_label: str, x_format: Format | None, y_format: Format) -> str:
        parts = [_text(_LEFT, 18, title, "start", weight="bold")]
        for tick in self._y_ticks:
            height = self.y(tick)
            ends = f'x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}"'
            parts.append(f'<line {ends} stroke="#ddd"/>')
            parts.append(_text(_LEFT - 6, height + 4, y_format(tick), "end"))
        for tick in self._x_ticks if x_format is not None else ():
            parts.append(_text(self.x(tick), _HEIGHT - _BOTTOM + 20, x_format(tick) if x_format else "", "middle"))
        parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_label, "middle"))
        middle = (_TOP + _HEIGHT - _BOTTOM) / 2
        parts.append(_text(14, middle, y_label, "middle", turn=f"rotate(-90 14 {middle:.0f})"))
        return "\n".join(parts)


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers, the outer ones around all the values."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    if high - low <= 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5 * max(abs(low), 1e-3), high + 0.5 * max(abs(high), 1e-3)
    rough = (high - low) / (_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def _position(value: float, ticks: list[float]) -> float:
    return (value - ticks[0]) / (ticks[-1] - ticks[0])


def _legend(position: int, name: str, colour: str) -> str:
    height = _TOP + 14 + 18 * position
    square = f'<rect x="{_WIDTH - _RIGHT - 14}" y="{height - 10}" width="12" height="12" fill="{colour}"/>'
    return square + _text(_WIDTH - _RIGHT - 20, height, _shortened(name, _WIDTH // 2), "end")


def _shortened(name: str, room: int) -> str:
    """Its end, which tells networks apart, in so many pixels."""
    most = max(2, room // _CHARACTER)
    return name if len(name) <= most else "…" + name[1 - most :]


def _text(x: float, y: float, text: str, anchor: str, weight: str = "normal", turn: str = "") -> str:
    transform = f' transform="{turn}"' if turn else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"{transform}'
    return f"<text {place}>{escape(printable(text))}</text>"


def _picture(title: str, body: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        ' role="img" font-family="sans-serif" font-size="12">'
    )
    background = f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>'
    return "\n".join([head, f"<title>{escape(printable(title))}</title>", background, *body, "</svg>"]) + "\n"
