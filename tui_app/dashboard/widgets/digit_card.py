"""A test image with what it was taken for, on a page or enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from core.catalogue import SIDE
from core.worker.protocol import Digit
from tui_app import terminal
from tui_app.dashboard.widgets.pixels import Pixels
from tui_app.i18n import _, number, percent

_OTHER_ROWS = 5
"""Rows of the screen that are not for the images."""
_GUTTER = 2


@dataclass(frozen=True)
class Format:
    """A size of the images on a page."""

    border: int
    """Pixels at each edge that are left out: MNIST's digits are in the middle 20×20."""
    is_half: bool
    """True if four pixels are shown as one."""
    rows_of_text: int

    @property
    def columns(self) -> int:
        return (SIDE - 2 * self.border) // (1 + self.is_half)

    @property
    def rows(self) -> int:
        return self.columns // 2 + self.rows_of_text

    def per_page(self, width: int, height: int) -> tuple[int, int]:
        """Return how many images fit side by side, and how many rows of them."""
        rows = max(1, (height - _OTHER_ROWS + 1) // (self.rows + 1))
        return max(1, width // (self.columns + _GUTTER)), rows


FORMATS = (Format(0, False, 2), Format(4, False, 2), Format(0, True, 1))
"""Sizes from the largest: whole images, their middle, and all of it at half its resolution."""


class DigitCard(Vertical):
    """An image with its predictions; `number` is its place among all images of the choice."""

    def __init__(self, number: int, digit: Digit, form: Format) -> None:
        super().__init__()
        self.number = number
        self._digit = digit
        self._format = form
        self._caption = Static(classes="caption")
        self._said = ""

    def compose(self) -> ComposeResult:
        pixels = Pixels(plain=not terminal.has_grey(), border=self._format.border, halved=self._format.is_half)
        pixels.show(self._digit.pixels)
        yield pixels
        yield self._caption

    def say(self, caption: str) -> None:
        """Say what the image was taken for."""
        if caption != self._said:
            self._said = caption
            self._caption.update(Content(caption))


class EnlargedDigit(ModalScreen[None]):
    """A test image as large as the screen allows."""

    BINDINGS = [Binding("escape,enter,q", "dismiss", show=False)]  # noqa: RUF012

    def __init__(self, digit: Digit, caption: str) -> None:
        super().__init__()
        self._digit = digit
        self._caption = caption

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="enlarged") as dialog:
            dialog.border_title = _("Test image {number}").format(number=number(self._digit.index))
            dialog.border_subtitle = _("Esc closes")
            yield Pixels(plain=not terminal.has_grey())
            yield Static(Content(self._caption))

    def on_mount(self) -> None:
        self.query_one(Pixels).show(self._digit.pixels)

    def on_resize(self) -> None:
        size = self.app.size
        self.query_one(Pixels).zoom = max(1, min((size.width - 8) // SIDE, (size.height - 8) // (SIDE // 2)))


def caption(digit: Digit, runs: Sequence[str], *, short: bool = False, marked: bool = False) -> str:
    """Say what an image is, and what it was taken for; where that changes, it is `marked` as right or wrong."""
    if digit.other_predicted is None or digit.other_probability is None:
        if marked and digit.predicted == digit.label:
            text = _("{label} = {predicted} {probability}") if short else _("{label}, recognised ({probability})")
        else:
            text = (
                _("{label} → {predicted} {probability}")
                if short
                else _("{label}, taken for {predicted} ({probability})")
            )
        probability = percent(digit.probability, 0 if short else 2)
        text = text.format(label=digit.label, predicted=digit.predicted, probability=probability)
        return _sign(digit, digit.predicted, marked=marked) + text
    answers = ((digit.predicted, digit.probability), (digit.other_predicted, digit.other_probability))
    if short:
        signed = (_sign(digit, predicted, marked=marked) + f"{predicted}" for predicted, _probability in answers)
        return f"{digit.label} → " + " | ".join(signed)
    return (
        _("Label {label}:").format(label=digit.label)
        + " "
        + ", ".join(
            f"{_sign(digit, predicted, marked=marked)}{run} {predicted} ({percent(probability, 0)})"
            for run, (predicted, probability) in zip(runs, answers, strict=False)
        )
    )


def _sign(digit: Digit, predicted: int, *, marked: bool) -> str:
    """Return a sign that an answer is right or wrong."""
    if not marked:
        return ""
    return "✓ " if predicted == digit.label else "✗ "
