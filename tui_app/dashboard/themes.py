"""The themes to choose from."""

from __future__ import annotations

from collections.abc import Callable

from textual.theme import ThemeProvider

RECOMMENDED = ("textual-dark", "textual-light", "gruvbox", "catppuccin-latte")
"""Two dark ones and two light ones, in which every text is known to be legible."""


class Themes(ThemeProvider):
    """Textual's list of themes, with the recommended ones first."""

    @property
    def commands(self) -> list[tuple[str, Callable[[], None]]]:
        def place(command: tuple[str, Callable[[], None]]) -> int:
            return RECOMMENDED.index(command[0]) if command[0] in RECOMMENDED else len(RECOMMENDED)

        return sorted(super().commands, key=place)
