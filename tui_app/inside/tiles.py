"""Pictures of a network's values in characters: two rows of values in a line of cells, or shades of ASCII."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import NamedTuple

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from core.inspecting.views import FeatureMap, LevelScale

_GREYS = 15
_TINTS = 10
"""Steps of brightness: few enough to keep every style instead of making one for each cell."""
_POSITIVE, _NEGATIVE = (255, 176, 64), (72, 164, 255)
"""Colours of the greatest values of either sign, which those see apart who confuse red and green."""
_RISING = " .:-=+*#%@"
_FALLING = " ,;~ioaeXM"
"""Characters of positive and of negative values where there are no colours."""


@dataclass(frozen=True)
class Tile:
    """A picture of rows × columns values; `zoom` is the number of cells, and of half lines, that a value takes."""

    rows: int
    columns: int
    levels: bytes
    scale: LevelScale
    caption: str = ""
    zoom: int = 1
    marks: frozenset[int] = frozenset()
    """Places, row by row, that are tinted."""
    cursor: int | None = None
    heat: bytes = b""
    """For each value how much it is tinted, 128 for not at all; what is below is of the other colour."""

    @property
    def width(self) -> int:
        return self.columns * self.zoom

    @property
    def height(self) -> int:
        """Lines of cells."""
        return -(-self.rows * self.zoom // 2)

    def cropped(self, columns: int, lines: int) -> Tile:
        """Return the part around the cursor or the marks that fits into so many columns and lines."""
        width, height = min(self.columns, columns // self.zoom), min(self.rows, 2 * lines // self.zoom)
        if (width, height) == (self.columns, self.rows) or width < 1 or height < 1:
            return self
        places = [self.cursor] if self.cursor is not None else sorted(self.marks) or [0]
        row, column = divmod(places[len(places) // 2], self.columns)
        top = min(max(0, row - height // 2), self.rows - height)
        left = min(max(0, column - width // 2), self.columns - width)

        def moved(place: int) -> int | None:
            at_row, at_column = place // self.columns - top, place % self.columns - left
            return at_row * width + at_column if 0 <= at_row < height and 0 <= at_column < width else None

        kept = (self.levels[(top + at) * self.columns + left :][:width] for at in range(height))
        return replace(
            self,
            rows=height,
            columns=width,
            levels=b"".join(kept),
            marks=frozenset(place for mark in self.marks if (place := moved(mark)) is not None),
            cursor=None if self.cursor is None else moved(self.cursor),
        )


def tile_of(
    feature_map: FeatureMap, scale: LevelScale, shape: tuple[int, ...], columns: int, caption: str = ""
) -> Tile:
    """Return a channel of an output of this `shape` as a tile; a vector is laid out in at most `columns` columns."""
    if len(shape) >= 2:
        return Tile(feature_map.rows, feature_map.columns, feature_map.levels, scale, caption)
    return strip(feature_map.levels[: shape[0] if shape else 1], scale, columns, caption)


def strip(levels: bytes, scale: LevelScale, columns: int, caption: str = "") -> Tile:
    """Return a vector as a tile of at most so many columns, its last row filled up with zeros."""
    columns = max(1, min(len(levels), columns))
    rows = -(-len(levels) // columns)
    span = scale.high - scale.low
    zero = round(-scale.low / span * 255) if span else 0
    return Tile(rows, columns, levels.ljust(rows * columns, bytes([zero])), scale, caption)


class _Paint(NamedTuple):
    """What a value is painted with: its brightness, and if it is marked (1) or under the cursor (2)."""

    step: int
    is_signed: bool
    state: int
    heat: int = 0
    """Step of the tint laid over it, negative for the other colour."""


class Painter:
    """Paints tiles line by line; `plain` means without colours and block characters."""

    def __init__(
        self, *, plain: bool, mark: tuple[int, int, int] = (0, 200, 90), cursor: tuple[int, int, int] = (255, 80, 200)
    ) -> None:
        self._plain = plain
        self._tints = {1: mark, 2: cursor}
        self._styles: dict[tuple[_Paint, _Paint | None], Style] = {}
        self._steps: dict[LevelScale, tuple[int, ...]] = {}

    def line(self, tile: Tile, number: int) -> Iterator[Segment]:
        """Yield the cells of a line of a tile."""
        upper, lower = (self._row(tile, half // tile.zoom) for half in (2 * number, 2 * number + 1))
        pairs = zip_longest(upper, lower)
        for pair, same in groupby(pairs):
            text = (self._character(*pair) if self._plain else "▀") * (tile.zoom * len(list(same)))
            yield Segment(text, self._style(*pair))

    def _row(self, tile: Tile, row: int) -> list[_Paint]:
        if row >= tile.rows:
            return []
        steps, is_signed = self._steps_of(tile.scale), tile.scale.low < 0
        start = row * tile.columns
        states = [0] * tile.columns
        if tile.marks or tile.cursor is not None:
            states = [2 if at == tile.cursor else int(at in tile.marks) for at in range(start, start + tile.columns)]
        levels = tile.levels[start : start + tile.columns]
        if not tile.heat:
            return [_Paint(steps[level], is_signed, state) for level, state in zip(levels, states, strict=True)]
        heats = [round((heat - 128) / 127 * _TINTS) for heat in tile.heat[start : start + tile.columns]]
        if self._plain:
            return [_Paint(min(len(_RISING) - 1, max(1 - len(_FALLING), heat)), True, 0) for heat in heats]
        return [
            _Paint(steps[level], is_signed, state, heat)
            for level, state, heat in zip(levels, states, heats, strict=True)
        ]

    def _steps_of(self, scale: LevelScale) -> tuple[int, ...]:
        """Return the step of brightness for each level, negative below zero."""
        if scale not in self._steps:
            if len(self._steps) > 500:
                self._steps.clear()
            greatest = max(abs(scale.low), abs(scale.high)) or 1.0
            most = (len(_RISING) - 1) if self._plain else _TINTS if scale.low < 0 else _GREYS
            values = (scale.low + level / 255 * (scale.high - scale.low) for level in range(256))
            self._steps[scale] = tuple(round(value / greatest * most) for value in values)
        return self._steps[scale]

    def _character(self, upper: _Paint, lower: _Paint | None) -> str:
        if upper.state == 2 or (lower is not None and lower.state == 2):
            return "+"
        step = upper.step if lower is None else round((upper.step + lower.step) / 2)
        return _RISING[step] if step >= 0 else _FALLING[-step]

    def _style(self, upper: _Paint, lower: _Paint | None) -> Style:
        key = upper, lower
        if key not in self._styles:
            if self._plain:
                marked = upper.state == 1 or (lower is not None and lower.state == 1)
                self._styles[key] = Style(reverse=marked)
            else:
                below = None if lower is None else self._colour(lower)
                self._styles[key] = Style(color=self._colour(upper), bgcolor=below)
        return self._styles[key]

    def _colour(self, paint: _Paint) -> Color:
        if paint.is_signed:
            full = _POSITIVE if paint.step >= 0 else _NEGATIVE
            share = abs(paint.step) / _TINTS
        else:
            full, share = (255, 255, 255), paint.step / _GREYS
        parts = [part * share for part in full]
        if paint.heat:
            weight, over = 0.75 * abs(paint.heat) / _TINTS, _POSITIVE if paint.heat > 0 else _NEGATIVE
            parts = [part * (1 - weight) + tint * weight for part, tint in zip(parts, over, strict=True)]
        if paint.state:
            weight = 0.45 if paint.state == 1 else 0.8
            parts = [
                part * (1 - weight) + tint * weight for part, tint in zip(parts, self._tints[paint.state], strict=True)
            ]
        return Color.from_rgb(*parts)
