"""Picture of the ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 210, 70, 34, 64


def draw(title: str, bars: Sequence[tuple[str, float, float | None]], machine: dict[str, Any]) -> str:
    """Return an SVG with a bar for each ratio, a stroke for the least that it must be, and a line at 1."""
    longest = max([1.0, *(max(ratio, least or 0) for _, ratio, least in bars)])
    scale = (_WIDTH - _LEFT - _RIGHT) / longest
    height = _TOP + _ROW * len(bars) + 40
    drawn = [_bar(i, bar, scale) for i, bar in enumerate(bars)]
    one = _LEFT + scale
    where = f"{machine['cpu']}, {machine['cores']} cores, torch {machine['versions']['torch']}, {machine['day']}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
            f' width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="14">',
            f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
            f'<text x="16" y="28" font-size="17" font-weight="bold">{escape(title)}</text>',
            '<text x="16" y="48" fill="#666" font-size="12">the stroke: what it must at least be; '
            "the line: the program that it is held against</text>",
            *drawn,
            f'<path d="M{one:.1f} {_TOP - 4}V{height - 36}" stroke="#333" stroke-dasharray="3 3"/>',
            f'<text x="16" y="{height - 14}" fill="#666" font-size="12">{escape(where)}</text>',
            "</svg>\n",
        ]
    )


def _bar(number: int, bar: tuple[str, float, float | None], scale: float) -> str:
    name, ratio, least = bar
    y = _TOP + _ROW * number
    middle = y + _ROW / 2
    end = _LEFT + scale * ratio
    parts = [
        f'<text x="{_LEFT - 10}" y="{middle + 1:.1f}" text-anchor="end">{escape(name)}</text>',
        f'<rect x="{_LEFT}" y="{y}" width="{scale * ratio:.1f}" height="{_ROW - 12}" fill="#4c78a8"/>',
        f'<text x="{end + 8:.1f}" y="{middle + 1:.1f}">{ratio:.1f}</text>',
    ]
    if least is not None:
        x = _LEFT + scale * least
        parts.append(f'<path d="M{x:.1f} {y - 3}v{_ROW - 6}" stroke="#e45756" stroke-width="3"/>')
    return "\n".join(parts)
