"""A dashboard's screen as pixels, cell by cell, without a browser."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from PIL import Image, ImageDraw, ImageFont
from rich.cells import cell_len
from textual.app import App

from tests.tui_app.driving import strips

_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def raster(app: App[Any], cell_height: int = 16) -> Image.Image:
    """Draw what a dashboard shows; blocks are drawn as blocks, whatever the font makes of them."""
    rows = strips(app)
    width, height = cell_height // 2, cell_height
    picture = Image.new("RGB", (width * app.size.width, height * len(rows)))
    draw = ImageDraw.Draw(picture)
    for y, strip in enumerate(rows):
        x = 0
        for text, style, _control in strip:
            ink, ground = _colours(style)
            for character in text:
                cells = cell_len(character)
                _draw_cell(draw, (x * width, y * height, cells * width, height), character, ink, ground, style)
                x += cells
    return picture


def _colours(style: Any) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    def triplet(color: Any, default: tuple[int, int, int]) -> tuple[int, int, int]:
        return default if color is None or color.is_default else tuple(color.get_truecolor())

    if style is None:
        return (224, 224, 224), (18, 18, 18)
    ink, ground = triplet(style.color, (224, 224, 224)), triplet(style.bgcolor, (18, 18, 18))
    return (ground, ink) if style.reverse else (ink, ground)


def _draw_cell(
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    character: str,
    ink: tuple[int, int, int],
    ground: tuple[int, int, int],
    style: Any,
) -> None:
    x, y, width, height = box
    draw.rectangle((x, y, x + width - 1, y + height - 1), fill=ground)
    if character == "▀":
        draw.rectangle((x, y, x + width - 1, y + height // 2 - 1), fill=ink)
    elif character == "▄":
        draw.rectangle((x, y + height // 2, x + width - 1, y + height - 1), fill=ink)
    elif character == "█":
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=ink)
    elif character.strip():
        draw.text((x, y), character, fill=ink, font=_font(round(height * 0.8), bool(style and style.bold)))


@cache
def _font(size: int, is_bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSansMono-Bold.ttf" if is_bold else "DejaVuSansMono.ttf"
    return ImageFont.truetype(str(_FONTS / name), size)
