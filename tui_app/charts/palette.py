"""Colours of lines that hold for the colour-blind, one set for dark backgrounds and one for light ones.

The first are of Okabe and Ito's set (Color Universal Design, 2008), darkened for light backgrounds. Any two differ by
22 and more in CIELAB, also with protanopia, deuteranopia and tritanopia (simulated as by Machado, Oliveira and
Fernandes, 2009), and each has a contrast of at least 4.5 to the background of every theme of Textual's.
"""

from __future__ import annotations

ON_DARK = ("#E69F00", "#56B4E9", "#83FD8E", "#FC7188", "#F6DCFA", "#D2FBD1")
ON_LIGHT = ("#9E4400", "#005FA3", "#7C0CFD", "#632D1D", "#191785", "#000000")
NAMES = tuple(f"$line-{number}" for number in range(len(ON_DARK)))
"""Theme variables of the colours: a line keeps its variable when the theme changes."""


def variables(*, dark: bool) -> dict[str, str]:
    """Return the value of each theme variable on a dark or a light background."""
    return {name.removeprefix("$"): colour for name, colour in zip(NAMES, ON_DARK if dark else ON_LIGHT, strict=True)}
