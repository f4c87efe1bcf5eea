"""A theme's colours, changed as far as its texts need it to be legible.

WCAG 2.1, success criterion 1.4.3: a text's contrast with its background is at least 4.5:1.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.color import BLACK, WHITE, Color

_AIM = 5.0
"""Contrast with a theme's own backgrounds: those of a focused or hovered widget are a little different."""
_STEPS = 50
_TEXTS: dict[str, tuple[str, ...]] = {
    "foreground": ("background", "surface", "panel"),
    "text-primary": ("background", "surface"),
    "text-success": ("background", "surface"),
    "text-error": ("background", "surface", "error-muted"),
    "text-warning": ("background", "surface"),
    "text-accent": ("background", "surface"),
    "footer-key-foreground": ("footer-background",),
    "footer-description-foreground": ("footer-background",),
    "block-cursor-foreground": ("block-cursor-background",),
    "block-cursor-blurred-foreground": ("block-cursor-blurred-background",),
    "input-selection-foreground": ("input-selection-background",),
    "on-primary": ("primary",),
    "on-warning": ("warning",),
    "on-error": ("error",),
}
"""Variables of texts, and those of the backgrounds on which they are written; `on-…` are ours."""


def ratio(first: Color, second: Color) -> float:
    """Return the contrast of two opaque colours, from 1 to 21."""
    darker, lighter = sorted(map(_luminance, (first, second)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: Color) -> float:
    """Return the relative luminance that WCAG defines, from 0 to 1."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color.normalized)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def legible(variables: Mapping[str, str], *, ansi: bool) -> dict[str, str]:
    """Return a theme's variables with legible texts. What an `ansi` theme's colours are, only the terminal knows."""
    found = {"on-primary": "auto", "on-warning": "auto", "on-error": "auto", **variables}
    if ansi:
        return found | {name: variables["button-color-foreground"] for name in found if name.startswith("on-")}
    background = Color.parse(variables["background"])
    found["text-muted"] = "auto 72%"
    for name, grounds in _TEXTS.items():
        for ground in grounds:
            found[name] = _legible(found.get(name, "auto"), background + _color(variables[ground])).hex
    return found


def _color(text: str) -> Color:
    """Return a colour of a style sheet, such as `#81a1c1 35%`."""
    name, _, share = text.partition(" ")
    return Color.parse(name).with_alpha(float(share.removesuffix("%")) / 100) if share else Color.parse(name)


def _legible(text: str, ground: Color) -> Color:
    """Return the colour nearest to that of a text that can be read on an opaque background."""
    pole = max((BLACK, WHITE), key=lambda each: ratio(each, ground))
    color = pole if text.startswith("auto") else ground + _color(text)
    shades = (color.blend(pole, step / _STEPS) for step in range(_STEPS + 1))
    return next((shade for shade in shades if ratio(shade, ground) >= _AIM), pole)
