"""Lines of text as wide as there is room for."""

from __future__ import annotations

import textwrap


def wrapped(text: str, width: int) -> str:
    """Break lines, but not at a narrow space before a colon or within a number, where Textual would break them too."""
    if width <= 0:  # before the first layout
        return text
    lines = (textwrap.wrap(line, width, break_on_hyphens=False) or [""] for line in text.split("\n"))
    return "\n".join(part for parts in lines for part in parts)
