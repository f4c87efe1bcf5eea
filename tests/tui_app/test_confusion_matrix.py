"""The confusion matrix: numbers that can be told apart and read in every theme, axes that are named, and its cursor."""

from __future__ import annotations

import re
from itertools import pairwise

from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.color import Color

from tui_app import i18n
from tui_app.dashboard import contrast
from tui_app.dashboard.widgets.confusion_matrix import ConfusionMatrix

DIGITS = tuple(map(str, range(10)))
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def confusion(right: int = 1027, wrong: int = 3) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(right if row == column else wrong for column in range(10)) for row in range(10))


class Shown(App[None]):
    CSS = """
    ConfusionMatrix { width: 42; height: 12; }
    ConfusionMatrix > .confusion--wrong { color: $text-error; }
    ConfusionMatrix > .confusion--heat { color: $error; }
    ConfusionMatrix > .confusion--right { color: $text-success; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.said = ""
        self.picked: list[tuple[int, int]] = []

    def compose(self) -> ComposeResult:
        yield ConfusionMatrix(id="confusion")

    @on(ConfusionMatrix.Pointed)
    def hear(self, message: ConfusionMatrix.Pointed) -> None:
        self.said = message.text

    @on(ConfusionMatrix.Picked)
    def pick(self, message: ConfusionMatrix.Picked) -> None:
        self.picked.append((message.label, message.predicted))

    @property
    def text(self) -> Text:
        return self.query_one(ConfusionMatrix).render()


def numbers(line: str) -> list[str]:
    """Return the numbers of a row, without its label."""
    return line.split()[1:]


async def test_numbers_stand_apart_at_every_width() -> None:
    app = Shown()
    async with app.run_test(size=(200, 60)) as pilot:
        matrix = app.query_one(ConfusionMatrix)
        for width in (42, 47, 52, 60, 90, 198):
            matrix.styles.width = width
            await pilot.pause()
            for right, wrong, narrow in ((1027, 3, "1027"), (97, 1, "97"), (1027, 100, "1k"), (12_345, 10**20, "12k")):
                matrix.show(confusion(right, wrong), DIGITS)
                rows = app.text.plain.splitlines()
                assert max(map(len, rows)) <= width
                assert rows[0].startswith("true ↓   predicted →")
                for label, row in enumerate(rows[2:]):
                    assert len(numbers(row)) == 10 + ("recall" in rows[1])
                    assert width > 42 or label == 9 or numbers(row)[label] == narrow
                    assert width < 60 or right > 9999 or numbers(row)[label] == str(right)


async def test_with_more_room_there_are_recalls_names_and_taller_rows() -> None:
    app = Shown()
    async with app.run_test(size=(200, 60)) as pilot:
        matrix = app.query_one(ConfusionMatrix)
        matrix.show(confusion(91, 1), CLOTHES)
        for width, height, first in ((42, 12, " 0 "), (60, 12, " 0 "), (75, 12, "T-shirt/top "), (198, 56, " " * 12)):
            matrix.styles.width, matrix.styles.height = width, height
            await pilot.pause()
            rows = app.text.plain.splitlines()
            assert rows[2].startswith(first.strip() if width < 75 else first)
            assert ("recall" in rows[1], "91.0" in app.text.plain) == (width > 42, width > 42)
            assert ("Ankle boot" in rows[1]) == (width == 198)
            assert len(rows) == (32 if height > 12 else 12)


async def test_the_colours_follow_the_theme_and_can_be_read() -> None:
    app = Shown()
    async with app.run_test(size=(60, 20)) as pilot:
        matrix = app.query_one(ConfusionMatrix)
        rows = [[1000 if row == column else 2**column if row == 1 else 0 for column in range(10)] for row in range(10)]
        matrix.show(tuple(map(tuple, rows)), DIGITS)
        seen = set()
        for theme in ("textual-dark", "textual-light", "nord", "dracula", "solarized-light"):
            app.theme = theme
            await pilot.pause()
            line = app.text.split("\n")[3]
            styles = [style for span in line.spans if isinstance(style := span.style, Style) and style.bgcolor][1:]
            grounds = [Color.from_rich_color(style.bgcolor) for style in styles]
            assert (
                min(
                    contrast.ratio(Color.from_rich_color(style.color), ground)
                    for style, ground in zip(styles, grounds, strict=True)
                )
                >= 4.5
            )
            strengths = [contrast.ratio(grounds[column], matrix.background_colors[1]) for column in (0, 2, 4, 6, 8)]
            assert all(one < other for one, other in pairwise(strengths)), theme
            seen.add(tuple(grounds))
        assert len(seen) == 5


async def test_the_cursor_says_what_it_stands_on(language: str) -> None:
    app = Shown()
    async with app.run_test(size=(60, 20)) as pilot:
        matrix = app.query_one(ConfusionMatrix)
        matrix.focus()
        await pilot.press("enter")
        assert app.picked == []
        matrix.show(tuple(tuple(12 * (row == 8) for _column in range(10)) for row in range(10)), DIGITS)
        await pilot.press(*["down"] * 8, *["right"] * 3)
        await pilot.pause()
        expected = {"en": "8 taken for 3: 12 images; Enter shows them", "fr": "8 pris pour 3"}[language]
        assert app.said.startswith(expected)
        assert re.search("12", app.said)
        await pilot.press("enter", "up", "enter")
        assert app.picked == [(8, 3)]  # there is no 7 taken for 3
        assert i18n._("no {label} taken for {predicted}").format(label=7, predicted=3) in app.said
        await pilot.click(ConfusionMatrix, offset=(2 + 4 * 4 + 1, 2 + 8))
        assert app.picked[1:] == [(8, 4)]
