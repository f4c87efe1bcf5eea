"""The screen of test images behind a result: a cell of the confusion matrix, or images on which two runs differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.widgets import Header, Static, Tab, Tabs

from core.catalogue import SIDE
from core.messages import N_
from core.worker.protocol import Browse, Browsed, Digit, Picture
from tui_app import terminal
from tui_app.dashboard.keys import digits_keys
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.pixels import Pixels
from tui_app.i18n import _, ngettext, number, percent

Cell = tuple[int, int]
"""A label and a predicted class: a cell of the confusion matrix."""

_OTHER_ROWS = 5
"""Rows of the screen that are not for the images."""
_ENOUGH = 6
"""Number of images that a page should have, if there are so many."""
_GUTTER = 2


@dataclass(frozen=True)
class Choice:
    """A set of images to look at, with its name."""

    name: str
    request: Browse


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


class DigitsScreen(AskingScreen[None]):
    """Pages of test images. `ask` sends a request, whose answer comes to `show`."""

    ASKS = Browse
    AUTO_FOCUS = "Page"
    HELP = N_(
        "The test images behind the result, those first of which the network was most sure. The tabs choose which:"
        " all errors, a cell of the confusion matrix (Enter there opens it), or those on which two runs of the chart"
        " differ."
    )

    def __init__(
        self,
        choices: Sequence[Choice],
        runs: Sequence[str],
        ask: Callable[[Browse], None],
        look: Callable[[Picture, str], None],
    ) -> None:
        super().__init__(digits_keys())
        self._choices = choices
        self._runs = runs
        self._ask = ask
        self._look = look
        self._answer: Browsed | None = None
        self._current = 0
        """Number of the image under the cursor, among all that there are."""
        self._asked: Browse | None = None
        self._filled: object = None
        """What the page was filled with: the answer, the first image, and the size of the images."""

    def compose(self) -> ComposeResult:
        yield Header()
        yield Tabs(*(Tab(choice.name, id=f"choice-{i}") for i, choice in enumerate(self._choices)))
        yield Static(_("Fetching the images…"), id="digits-summary", classes="muted")
        yield Page(id="digits")
        yield KeyFooter(self.keys)

    @on(Tabs.TabActivated)
    def _choose(self, event: Tabs.TabActivated) -> None:
        self._answer, self._current = None, 0
        self._asked = self._choices[int((event.tab.id or "choice-0").removeprefix("choice-"))].request
        self._ask(self._asked)

    def show(self, answer: Browsed) -> None:
        if answer.request == self._asked:  # and not that of a tab that was left
            self._answer = answer
            self._fill()

    def on_resize(self) -> None:
        self._fill()

    # The cursor

    def action_move(self, rows: int, columns: int) -> None:
        """Move the cursor, to another page if need be."""
        across, _rows = self._per_page
        self._go_to(self._current + rows * across + columns)

    def why_not(self, verb: str) -> str:
        across, rows = self._per_page
        if verb == "turn" and self._answer is not None and len(self._answer.digits) <= across * rows:
            return _("All the images are on this page.")
        return ""

    def action_turn(self, pages: int) -> None:
        across, rows = self._per_page
        self._go_to(self._current + pages * across * rows)

    def _go_to(self, image: int) -> None:
        if self._answer is not None:
            self._current = min(max(0, image), max(0, len(self._answer.digits) - 1))
            self._fill()

    def action_look_inside(self) -> None:
        """Follow the image under the cursor through the network."""
        if self._answer is not None and self._answer.digits:
            self._look(Picture(self._answer.digits[self._current].index), self._runs[0])

    def action_enlarge(self) -> None:
        """Show the image under the cursor as large as the screen allows."""
        if self._answer is not None and self._answer.digits:
            digit = self._answer.digits[self._current]
            self.app.push_screen(EnlargedDigit(digit, _captions(digit, self._runs)))

    @on(Click, "DigitCard")
    def _clicked(self, event: Click) -> None:
        card = next((each for each in self.query(DigitCard) if each.region.contains(*event.screen_offset)), None)
        if card is not None:
            self._go_to(card.number)
            self.action_enlarge()

    # The page

    @property
    def _format(self) -> Format:
        """Largest format in which enough of the images fit on a page."""
        wanted = min(_ENOUGH, len(self._answer.digits) if self._answer is not None else 0)

        def fit(each: Format) -> int:
            across, rows = each.per_page(*self.size)
            return across * rows

        return next((each for each in FORMATS if fit(each) >= wanted), max(FORMATS, key=fit))

    @property
    def _per_page(self) -> tuple[int, int]:
        return self._format.per_page(*self.size)

    def _fill(self) -> None:
        if self._answer is None:
            return
        across, rows = self._per_page
        page = across * rows
        first = self._current // page * page
        filled = self._answer, first, across, rows, self._format
        if filled != self._filled:
            self._filled = filled
            self._fill_page(self._answer, first, page, across)
        for card in self.query(DigitCard):
            card.set_class(card.number == self._current, "-current")

    def _fill_page(self, answer: Browsed, first: int, page: int, across: int) -> None:
        digits = answer.digits[first : first + page]
        text = ngettext("{total} image", "{total} images", answer.total).format(total=number(answer.total))
        if digits:
            shown = _("{images}: showing {first} to {last}, most confident first")
            text = shown.format(images=text, first=number(first + 1), last=number(first + len(digits)))
        else:
            text = _("No image here: this network made no such error. The tabs above show others; Esc goes back.")
        self.query_one("#digits-summary", Static).update(Content(text))
        self.refresh_bindings()
        container, form = self.query_one("#digits", Container), self._format
        container.styles.grid_size_columns = across
        container.styles.grid_rows = f"{form.rows}"
        container.styles.grid_columns = f"{form.columns}"
        container.remove_children()
        container.mount_all(
            DigitCard(first + at, digit, form, _captions(digit, self._runs, short=form.rows_of_text == 1))
            for at, digit in enumerate(digits)
        )


class Page(Container, can_focus=True):
    """The images of a page, of which the arrows choose one."""


class DigitCard(Vertical):
    """An image with its predictions; `number` is its place among all images of the choice."""

    def __init__(self, number: int, digit: Digit, form: Format, captions: str) -> None:
        super().__init__()
        self.number = number
        self._digit = digit
        self._format = form
        self._captions = captions

    def compose(self) -> ComposeResult:
        pixels = Pixels(plain=not terminal.has_grey(), border=self._format.border, halved=self._format.is_half)
        pixels.show(self._digit.pixels)
        yield pixels
        yield Static(Content(self._captions), classes="caption")


class EnlargedDigit(ModalScreen[None]):
    """A test image as large as the screen allows."""

    BINDINGS = [Binding("escape,enter,q", "dismiss", show=False)]  # noqa: RUF012

    def __init__(self, digit: Digit, captions: str) -> None:
        super().__init__()
        self._digit = digit
        self._captions = captions

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog", id="enlarged") as dialog:
            dialog.border_title = _("Test image {number}").format(number=number(self._digit.index))
            dialog.border_subtitle = _("Esc closes")
            yield Pixels(plain=not terminal.has_grey())
            yield Static(Content(self._captions))

    def on_mount(self) -> None:
        self.query_one(Pixels).show(self._digit.pixels)

    def on_resize(self) -> None:
        size = self.app.size
        self.query_one(Pixels).zoom = max(1, min((size.width - 8) // SIDE, (size.height - 8) // (SIDE // 2)))


def _captions(digit: Digit, runs: Sequence[str], *, short: bool = False) -> str:
    """Say what an image is, and what it was taken for."""
    if digit.other_predicted is None or digit.other_probability is None:
        long = _("{label}, taken for {predicted} ({probability})")
        text = _("{label} → {predicted} {probability}") if short else long
        probability = percent(digit.probability, 0 if short else 2)
        return text.format(label=digit.label, predicted=digit.predicted, probability=probability)
    answers = ((digit.predicted, digit.probability), (digit.other_predicted, digit.other_probability))
    if short:
        return f"{digit.label} → " + " | ".join(f"{predicted}" for predicted, _probability in answers)
    return (
        _("Label {label}:").format(label=digit.label)
        + " "
        + ", ".join(
            f"{run} {predicted} ({percent(probability, 0)})"
            for run, (predicted, probability) in zip(runs, answers, strict=False)
        )
    )
