"""The screen of test images behind a result: a cell of the confusion matrix, or images on which two runs differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.events import Click
from textual.widgets import Header, Static, Tab, Tabs

from core.messages import N_
from core.worker.protocol import AskedImage, Browse, Browsed, MomentView
from tui_app.dashboard.enquiries import Enquiries
from tui_app.dashboard.keys import digits_keys
from tui_app.dashboard.moment_walk import MomentWalk
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.why_not import no_snapshots
from tui_app.dashboard.widgets.digit_card import FORMATS, DigitCard, EnlargedDigit, Format, caption
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.i18n import _, ngettext, number

Cell = tuple[int, int]
"""A label and a predicted class: a cell of the confusion matrix."""

_ENOUGH = 6
"""Number of images that a page should have, if there are so many."""


@dataclass(frozen=True)
class Choice:
    """A set of images to look at, with its name."""

    name: str
    request: Browse


class DigitsScreen(AskingScreen[None]):
    """Pages of test images, at any of `moments` of the first run, at first the one called `moment`.

    `ask` sends a request, whose answer comes to `show`. The images of a choice stay the same while the moments pass.
    """

    ASKS = Browse
    AUTO_FOCUS = "Page"
    HELP = N_(
        "The test images behind the result, those first of which the network was most sure. The tabs choose which:"
        " all errors, a cell of the confusion matrix (Enter there opens it), or those on which two runs of the chart"
        " differ. The comma and the full stop show what the same images were taken for at an earlier or later moment"
        " of the training that was kept, and j plays them: one sees which change sides."
    )

    def __init__(
        self,
        choices: Sequence[Choice],
        runs: Sequence[str],
        moments: Sequence[MomentView],
        moment: str,
        ask: Callable[[Browse], None],
        look: Callable[[AskedImage, str, str], None],
    ) -> None:
        super().__init__(digits_keys())
        self._choices = choices
        self._runs = runs
        self._enquiries = Enquiries(ask)
        self._look = look
        self._walk = MomentWalk(self, moments, moment, lambda _moment: self._ask_again(), self._tell)
        self._answer: Browsed | None = None
        self._current = 0
        """Number of the image under the cursor, among all that there are."""
        self._choice = choices[0].request
        """Request of the images that are on the page, by whose predictions these were chosen."""
        self._cards: list[DigitCard] = []
        """Images of the page."""
        self._filled: object = None
        """What the page was filled with: images, from which one on, and their size."""

    def compose(self) -> ComposeResult:
        yield Header()
        yield Tabs(*(Tab(choice.name, id=f"choice-{i}") for i, choice in enumerate(self._choices)))
        yield Static(_("Fetching the images…"), id="digits-summary", classes="muted")
        yield Page(id="digits")
        yield KeyFooter(self.keys)

    @on(Tabs.TabActivated)
    def _choose(self, event: Tabs.TabActivated) -> None:
        self._answer, self._current = None, 0
        request = self._choices[int((event.tab.id or "choice-0").removeprefix("choice-"))].request
        self._choice = msgspec.structs.replace(request, chosen_at=self._walk.wanted.name)
        self._ask_again()

    @property
    def _wanted(self) -> Browse:
        return msgspec.structs.replace(self._choice, moment=self._walk.wanted.name)

    def _ask_again(self) -> None:
        self._enquiries.ask(self._wanted)

    def show(self, answer: Browsed) -> None:
        if (
            self._enquiries.take(answer.request) and answer.request == self._wanted
        ):  # and not that of a tab that was left
            self._answer = answer
            self._walk.arrive()

    def give_up(self) -> None:
        self._enquiries.forget()
        self._walk.give_up()

    def _tell(self, text: str) -> None:
        """Tell what is going on; nothing tells what is on the page."""
        if text:
            self.query_one("#digits-summary", Static).update(Content(text))
        else:
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
        return no_snapshots() if verb in ("moment", "play") and len(self._walk.moments) < 2 else ""

    def action_moment(self, offset: int) -> None:
        self._walk.step(offset)

    def action_play(self) -> None:
        self._walk.play()

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
            image = AskedImage(self._answer.digits[self._current].index)
            self._look(image, self._runs[0], self._answer.request.moment)

    def action_enlarge(self) -> None:
        """Show the image under the cursor as large as the screen allows."""
        if self._answer is not None and self._answer.digits:
            digit = self._answer.digits[self._current]
            self.app.push_screen(EnlargedDigit(digit, caption(digit, self._runs, marked=self._is_marked)))

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
        digits = self._answer.digits[first : first + page]
        short = self._format.rows_of_text == 1
        captions = [caption(digit, self._runs, short=short, marked=self._is_marked) for digit in digits]
        filled = [digit.index for digit in digits], first, across, self._format
        if filled != self._filled:
            self._filled = filled
            self._lay_out([DigitCard(first + at, digit, self._format) for at, digit in enumerate(digits)], across)
        self.query_one("#digits-summary", Static).update(Content(self._summary(self._answer, first, len(digits))))
        for card, text in zip(self._cards, captions, strict=True):
            card.say(text)
            card.set_class(card.number == self._current, "-current")

    def _lay_out(self, cards: list[DigitCard], across: int) -> None:
        self._cards = cards
        self.refresh_bindings()
        container, form = self.query_one("#digits", Container), self._format
        container.styles.grid_size_columns = across
        container.styles.grid_rows = f"{form.rows}"
        container.styles.grid_columns = f"{form.columns}"
        container.remove_children()
        container.mount_all(cards)

    @property
    def _is_marked(self) -> bool:
        """True if answers may change from moment to moment."""
        return len(self._walk.moments) > 1

    def _summary(self, answer: Browsed, first: int, count: int) -> str:
        """Say which images are on the page, from number `first` on, and at which moment they are asked about."""
        if not count:
            return _("No image here: this network made no such error. The tabs above show others; Esc goes back.")
        request = answer.request
        place = self._walk.named(request.moment)
        if request.moment != request.chosen_at:
            right = sum(digit.predicted == digit.label for digit in answer.digits[first : first + count])
            text = _("{moment} · the same images, {first} to {last} of {total}: {right} right")
            values = {"first": number(first + 1), "last": number(first + count), "total": number(answer.total)}
            return text.format(moment=place, right=number(right), **values)
        images = ngettext("{total} image", "{total} images", answer.total).format(total=number(answer.total))
        text = _("{images}: showing {first} to {last}, most confident first")
        text = text.format(images=images, first=number(first + 1), last=number(first + count))
        return f"{place} · {text}" if request.moment else text


class Page(Container, can_focus=True):
    """The images of a page, of which the arrows choose one."""
