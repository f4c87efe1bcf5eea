"""A theme's texts are made legible; `test_snapshots` looks at those of the main screens."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.color import Color

from tui_app.dashboard import contrast
from tui_app.dashboard.themes import RECOMMENDED


@pytest.mark.parametrize("theme", RECOMMENDED)
def test_a_legible_colour_is_the_nearest_one(theme: str) -> None:
    """The theme's own colours stay where they can be read."""
    app: App[None] = App()
    app.theme = theme
    own = app.get_css_variables()
    found = contrast.legible(own, ansi=False)
    assert found["background"] == own["background"]
    ground = Color.parse(own["footer-background"])
    key, before = (Color.parse(each["footer-key-foreground"]) for each in (found, own))
    assert contrast.ratio(key, ground) >= 4.5
    assert (key == before) == (contrast.ratio(before, ground) >= 5)
