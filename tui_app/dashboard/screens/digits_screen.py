"""The screen of test images behind a result: a cell of the confusion matrix, or images on which two runs differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Header, Static, Tab, Tabs

from core.messages import N_
from core.worker.protocol import Browse, Browsed, Digit
from tui_app import terminal
from tui_app.dashboard.keys import digits_keys
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.pixels import Pixels
from tui_app.i18n import _, ngettext, number, percent

_CARD_WIDTH, _CARD_HEIGHT = 30, 17

Cell = tuple[int, int]
"""A label and a predicted class: a cell of the confusion matrix."""


@dataclass(frozen=True)
class Choice:
    """A set of images to look at, with its name."""

    name: str
    request: Browse


class DigitsScreen(AskingScreen[None]):
    """Pages of test images. `ask` sends a request, whose answer comes to `show`."""

    ASKS = Browse
    HELP = N_(
        "The test images behind the result, those first of which the network was most sure. The tabs choose which:"
        " all errors, a cell of the confusion matrix (Enter there opens it), or those on which two runs of the chart"
        " differ."
    )

    def __init__(self, choices: Sequence[Choice], runs: Sequence[str], ask: Callable[[Browse], None]) -> None:
        super().__init__(digits_keys())
        self._choices = choices
        self._runs = runs
        self._ask = ask
        self._answer: Browsed | None = None
        self._page = 0

    def compose(self) -> ComposeResult:
        yield Header()
        yield Tabs(*(Tab(choice.name, id=f"choice-{i}") for i, choice in enumerate(self._choices)))
        yield Static(_("Fetching the images…"), id="digits-summary", classes="muted")
        yield Container(id="digits")
        yield KeyFooter(self.keys)

    @on(Tabs.TabActivated)
    def _choose(self, event: Tabs.TabActivated) -> None:
        self._answer, self._page = None, 0
        self._ask(self._choices[int((event.tab.id or "choice-0").removeprefix("choice-"))].request)

    def show(self, answer: Browsed) -> None:
        self._answer = answer
        self._fill()

    def on_resize(self) -> None:
        if self._answer is not None:
            self._fill()

    def why_not(self, verb: str) -> str:
        if verb == "turn" and self._answer is not None and len(self._answer.digits) <= self._per_page:
            return _("All the images are on this page.")
        return ""

    def action_turn(self, pages: int) -> None:
        if self._answer is not None:
            last = max(0, (len(self._answer.digits) - 1) // self._per_page)
            self._page = min(max(0, self._page + pages), last)
            self._fill()

    @property
    def _columns(self) -> int:
        return max(1, self.size.width // _CARD_WIDTH)

    @property
    def _per_page(self) -> int:
        return self._columns * max(1, (self.size.height - 5) // _CARD_HEIGHT)

    def _fill(self) -> None:
        assert self._answer is not None
        first = self._page * self._per_page
        digits = self._answer.digits[first : first + self._per_page]
        text = ngettext("{total} image", "{total} images", self._answer.total).format(total=number(self._answer.total))
        if digits:
            shown = _("{images}: showing {first} to {last}, most confident first")
            text = shown.format(images=text, first=number(first + 1), last=number(first + len(digits)))
        else:
            text = _("No image here: this network made no such error. The tabs above show others; Esc goes back.")
        self.query_one("#digits-summary", Static).update(Content(text))
        self.refresh_bindings()
        container = self.query_one("#digits", Container)
        container.styles.grid_size_columns = self._columns
        container.remove_children()
        container.mount_all(DigitCard(digit, self._runs) for digit in digits)


class DigitCard(Vertical):
    """An image with its predictions."""

    def __init__(self, digit: Digit, runs: Sequence[str]) -> None:
        super().__init__()
        self._digit = digit
        self._runs = runs

    def compose(self) -> ComposeResult:
        yield Pixels(plain=not terminal.has_grey())
        digit = self._digit
        lines = [
            _("{label}, taken for {predicted} ({probability})").format(
                **_answer(digit.predicted, digit.probability), label=digit.label
            )
        ]
        if digit.other_predicted is not None and digit.other_probability is not None:
            answers = ((digit.predicted, digit.probability), (digit.other_predicted, digit.other_probability))
            lines = [_("Label {label}:").format(label=digit.label)]
            lines[0] += " " + ", ".join(
                f"{run} {predicted} ({percent(probability, 0)})"
                for run, (predicted, probability) in zip(self._runs, answers, strict=False)
            )
        yield Static(Content("\n".join(lines)))

    def on_mount(self) -> None:
        self.query_one(Pixels).show(self._digit.pixels)


def _answer(predicted: int, probability: float) -> dict[str, object]:
    return {"predicted": predicted, "probability": percent(probability)}
