"""Names beside the ends of the lines, and words beside marks, where nothing is in their way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tui_app.charts.canvas import CellArea, Row
from tui_app.charts.drawing import is_free

_ID = re.compile(r"[+ (]")
"""Pattern of what ends the id in a name: without the settings after it, it may have room."""
_ROWS_AWAY = (0, -1, 1, -2, 2)


@dataclass(frozen=True)
class Label:
    """A text for a point of the canvas, by its cell."""

    text: str
    x: int
    y: int
    paint: int


def place(rows: list[Row], canvas: CellArea, labels: Sequence[Label]) -> None:
    """Write the labels, the most important first, each only where it covers nothing; cut where that helps."""
    for label in labels:
        if label.text.isprintable() and label.text.strip():
            for text in dict.fromkeys((label.text, _ID.split(label.text, maxsplit=1)[0] or label.text)):
                found = _room(rows, canvas, label, len(text))
                if found is not None:
                    x, y = found
                    rows[y] = rows[y].with_text(x, text, label.paint)
                    break


def _room(rows: Sequence[Row], canvas: CellArea, label: Label, width: int) -> tuple[int, int] | None:
    """Return where there is room for a text: at the right of its point, else above or below, to its left."""
    right = canvas.x + canvas.width
    for away in _ROWS_AWAY:
        y = label.y + away
        if not canvas.y <= y < canvas.y + canvas.height:
            continue
        for x in (label.x + 2, label.x + 1 - width):
            if canvas.x < x and x + width <= right and is_free(rows[y], x - 1, min(width + 2, right - x + 1)):
                return x, y
    return None
