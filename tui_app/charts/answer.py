"""An image as the networks see it, and a network's answer to it, in characters."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from core.catalogue import SIDE
from tui_app.i18n import percent, printable

_RAMP = " .:-=+*#%@"


def shade(upper: int, lower: int) -> str:
    """Return the character that is as bright as two pixels from 0 to 255, one above the other."""
    return _RAMP[(upper + lower) * (len(_RAMP) - 1) // 510]


def image(pixels: bytes, *, plain: bool) -> Text:
    """Draw 784 pixels, row by row, in 28 columns and 14 rows; `plain` means without colours and block characters."""
    text = Text(no_wrap=True)
    for start in range(0, SIDE * SIDE, 2 * SIDE):
        upper, lower = pixels[start : start + SIDE], pixels[start + SIDE : start + 2 * SIDE]
        for above, below in zip(upper, lower, strict=True):
            if plain:
                text.append(shade(above, below))
            else:
                text.append("▀", f"rgb({above},{above},{above}) on rgb({below},{below},{below})")
        text.append("\n")
    text.right_crop()
    return text


def bars(probabilities: Sequence[float], names: Sequence[str], width: int, *, plain: bool) -> tuple[list[str], int]:
    """Return a line for each class, with a bar for its probability, and the most probable class, or -1 if none is.

    A name and its bar together take `width` columns; a long name is cut to half of them.
    """
    for_name = min(width // 2, max(map(len, names), default=1))
    best = max(range(len(names)), key=probabilities.__getitem__) if len(probabilities) == len(names) else -1
    lines = []
    for number, name in enumerate(names):
        share = probabilities[number] if best >= 0 else 0.0
        bar = ("#" if plain else "█") * round(share * (width - for_name))
        figure = percent(share, 0) if best >= 0 else ""
        lines.append(f"{printable(name)[:for_name]:{for_name}} {bar:{width - for_name}} {figure:>5}")
    return lines, best
