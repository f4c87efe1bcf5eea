"""The exam's fourteen questions: guess first, see for yourself, then read the answer."""

from __future__ import annotations

from collections.abc import Callable

from textual import events, on
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Header, Input, OptionList, Static
from textual.widgets.option_list import Option

from core.exam import guesses
from core.exam.kept import KeptFile
from core.exam.progress import ExamProgress, Guessed
from core.exam.questions import PLACES, AnswerPlace, Guess, Question
from core.messages import N_, Problem
from tui_app import question_text, wording
from tui_app.dashboard.exam_places import ExamPlaces
from tui_app.dashboard.keys import exam_keys
from tui_app.dashboard.screens.side_screen import SideScreen
from tui_app.dashboard.widgets.guess_fields import ChoiceField, NumberField
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.i18n import _, printable
from tui_app.question_text import LaidOut

LOOK_S = 1.0
"""Seconds between two looks at whether a run that is needed has ended."""


class ExamScreen(SideScreen[None]):
    """The fourteen questions, one at a time, below a map of all; `file` keeps what was done."""

    AUTO_FOCUS = ""
    HELP = N_(
        "The fourteen questions of the exam. Where there is something to guess, guess it first: a number may be written"
        " in any way, or as the sum that gives it. Then s opens the screen that shows the answer with live numbers; Esc"
        " there comes back, and the answer unfolds. While a number is being typed, every letter goes into it: the"
        " function keys do then what the letters do, or Tab leaves the field. The map above shows what was guessed"
        " right, missed or only seen. What was missed comes back at the end."
    )

    def __init__(self, places: ExamPlaces, file: KeptFile[ExamProgress], problem: Problem | None = None) -> None:
        super().__init__(exam_keys())
        self._places = places
        self._file = file
        self._progress, unreadable = file.read()
        self._told = problem or unreadable
        self._cannot_keep = problem is not None
        self._questions = question_text.all_questions()
        self._at = self._open_last()
        self._shown: set[AnswerPlace] = set()
        """Places that were opened from here."""
        self._next_place = 0
        """Number of the place of the question that is opened next."""
        self._is_away = False
        """True while a place is open over this screen."""
        self._waited_for = ""

    def compose(self) -> ComposeResult:
        yield Header()
        yield Static(id="exam-map")
        with VerticalScroll(id="exam-body", can_focus=False):
            yield Static(id="exam-question")
            yield Static(id="exam-mended", classes="muted")
            yield Static(id="exam-guessed")
            yield Static(id="exam-prompt")
            yield NumberField(id="exam-number", placeholder=_("a number, or the sum that gives it, then Enter"))
            yield ChoiceField(id="exam-choices", compact=True)
            yield Static(id="exam-next")
            yield Static(id="exam-answer")
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        if self._told is not None:
            self._complain(self._told)
        self.set_interval(LOOK_S, self._look_at_runs)
        self._fill()

    # The question, and how far it is answered

    @property
    def question(self) -> Question:
        return self._questions[self._at]

    @property
    def _is_seen(self) -> bool:
        return self._progress.of(self.question.id).is_seen

    @property
    def _pending(self) -> Guess | None:
        """What is still to be guessed before the answer is shown."""
        given = self._progress.of(self.question.id).guesses
        return None if self._is_seen else next((each for each in self.question.guesses if each.id not in given), None)

    @property
    def _place(self) -> AnswerPlace | None:
        """AnswerPlace that is opened next: one that has what it needs, if there is one."""
        places = PLACES[self.question.id]
        in_turn = [places[(self._next_place + offset) % len(places)] for offset in range(len(places))]
        return next((place for place in in_turn if not self._places.missing(place)), None)

    @property
    def _lacking(self) -> AnswerPlace | None:
        """First place that needs a run which is not there."""
        return next((place for place in PLACES[self.question.id] if self._places.missing(place)), None)

    @property
    def _still_open(self) -> list[int]:
        """Numbers of the questions whose answer was not seen."""
        return [at for at, each in enumerate(self._questions) if self._progress.standing(each) == "open"]

    def _open_last(self) -> int:
        ids = [question.id for question in self._questions]
        return ids.index(self._progress.at) if self._progress.at in ids else self._first_open()

    def _first_open(self) -> int:
        return next(iter(self._still_open), 0)

    # Guessing

    @on(Input.Submitted, "#exam-number")
    def _take_number(self, event: Input.Submitted) -> None:
        event.stop()
        if event.value.strip():
            self._guess(event.value.strip())

    @on(OptionList.OptionSelected, "#exam-choices")
    def _take_choice(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._guess(str(event.option_id))

    def _take_typed(self) -> bool:
        """Take what was typed but not entered; return False if it cannot be read."""
        typed = self.query_one(NumberField).value.strip()
        return not typed or self._guess(typed)

    def _guess(self, typed: str) -> bool:
        """Take a guess; return False if it cannot be read."""
        pending = self._pending
        if pending is None:
            return True
        truth = guesses.truth(pending.id, self._places.evidence())
        is_right = guesses.judge(typed, truth)
        if is_right is None:
            self.notify(_("This is not read as a number: write it like 18 496, 0.5 or 3×3 + 1."), severity="warning")
            return False
        guessed = Guessed(typed, is_right, truth)
        self._keep(lambda kept: kept.with_guess(self.question.id, pending.id, guessed))
        self._fill()
        return True

    def _reveal(self) -> None:
        """Show the answer, and hold the guesses against what is seen now."""
        evidence = self._places.evidence()

        def seen(kept: ExamProgress) -> ExamProgress:
            for guess_id, guessed in kept.of(self.question.id).guesses.items():
                truth = guesses.truth(guess_id, evidence)
                judged = Guessed(guessed.typed, bool(guesses.judge(guessed.typed, truth)), truth)
                kept = kept.with_guess(self.question.id, guess_id, judged)
            return kept.with_seen(self.question.id)

        self._keep(seen)
        self._fill()

    def _keep(self, change: Callable[[ExamProgress], ExamProgress]) -> None:
        """Change the progress as it is kept now: another dashboard may have changed it, too."""
        self._progress = change(self._file.newest(self._progress))
        try:
            self._file.write(self._progress)
        except Problem as problem:
            if not self._cannot_keep:
                self._complain(problem)
            self._cannot_keep = True

    # Going on

    def action_go_on(self) -> None:
        """Take the next natural step."""
        if self._pending is not None:
            self._focus_field()
        elif not self._is_seen and self._place is not None:
            self.action_show_me()
        elif not self._is_seen:
            self._reveal()
        else:
            self._go_to_next()

    def action_turn(self, offset: int) -> None:
        self._go_to((self._at + offset) % len(self._questions))

    def action_page(self, pages: int) -> None:
        """Scroll while there is more, then turn to another question."""
        body = self.query_one("#exam-body")
        if body.scroll_y < body.max_scroll_y if pages > 0 else body.scroll_y > 0:
            body.scroll_relative(y=pages * max(1, body.size.height - 1), animate=False)
        else:
            self.action_turn(pages)

    def action_scroll(self, rows: int) -> None:
        self.query_one("#exam-body").scroll_relative(y=rows, animate=False)

    def _go_to(self, at: int) -> None:
        self._at, self._next_place = at, 0
        self._keep(lambda kept: kept.with_open(self.question.id))
        self.query_one("#exam-number", Input).value = ""
        self._fill()
        self.query_one("#exam-body").scroll_home(animate=False)

    def _go_to_next(self) -> None:
        """Go to the next question; once all are seen, to the next one that was missed."""
        if self._still_open:
            self._go_to((self._at + 1) if self._at + 1 < len(self._questions) else self._first_open())
            return
        missed = [number for number, question in enumerate(self._questions) if self._is_missed(question)]
        if not missed:
            self.notify(_("All fourteen are done, and none is left to guess again."))
            return
        self._go_to(next((number for number in missed if number > self._at), missed[0]))
        self.action_again()

    def _is_missed(self, question: Question) -> bool:
        return self._progress.standing(question) == "missed"

    def action_again(self) -> None:
        self._keep(lambda kept: kept.begun_again(self.question))
        self._go_to(self._at)

    # Seeing

    def action_show_me(self) -> None:
        place = self._place
        if place is None or not self._take_typed():
            return
        self._next_place = PLACES[self.question.id].index(place) + 1
        try:
            self._places.open(place)
        except Problem as problem:
            self._complain(problem)
        else:
            self._is_away = True
            self._shown.add(place)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        super().on_screen_resume(event)
        if self._is_away and self.app.screen is self:
            self._is_away = False
            if not self._is_seen:
                self._reveal()
            self._fill()

    def action_train(self) -> None:
        if self._lacking is not None:
            self._trying(lambda: self._places.train(self._lacking))  # type: ignore[arg-type]

    def action_open_annexe(self) -> None:
        self._trying(self._places.open_annexe)

    def action_open_program(self) -> None:
        self._trying(lambda: self._places.open(AnswerPlace(kind="program")))

    def _look_at_runs(self) -> None:
        """Say what has become of the runs that the question needs."""
        if self._pending is None and self._runs_line() != self._waited_for:  # what is being typed stays
            self._fill()

    def why_not(self, verb: str) -> str:
        is_done = self._is_seen and self._progress.standing(self.question) in ("missed", "seen")
        if verb == "again" and not is_done:
            return _("Only what was missed, or seen without a guess, is guessed again.")
        if verb == "show_me" and self._place is None:
            return self._runs_line() or _("Nothing more is to be seen here: Enter shows the answer.")
        if verb == "train" and self._lacking is None:
            return _("Every run that this question needs is there: s shows it.")
        if verb == "train" and self._lacking is not None and self._places.in_training(self._lacking):
            return self._runs_line()
        return ""

    # Showing

    def _fill(self) -> None:
        pending, answered = self._pending, self._progress.of(self.question.id)
        evidence = self._places.evidence()
        self.query_one("#exam-map", Static).update(question_text.progress_map(self._progress, self.question.id))
        self._show("#exam-question", f"{self.question.id}  {question_text.filled(self.question.text)}")
        mended = _("Mended: {what}").format(what=self.question.mended) if self.question.mended else ""
        self._show("#exam-mended", mended)
        line = question_text.verdict_line if self._is_seen else question_text.guessed_line
        given = [each for each in self.question.guesses if each.id in answered.guesses]
        lines = [line(each, answered.guesses[each.id]) for each in given]
        self._show("#exam-guessed", "\n".join(lines))
        self._show("#exam-prompt", question_text.asked(pending, evidence).prompt if pending is not None else "")
        self._show_field(pending)
        self._waited_for = self._runs_line()
        self._show("#exam-next", "" if pending is not None else self._next_text())
        answer = self.query_one("#exam-answer", Static)
        answer.display = self._is_seen
        answer.update(LaidOut(question_text.filled(self.question.answer)) if self._is_seen else "")
        self.refresh_bindings()

    def _show(self, selector: str, text: str) -> None:
        widget = self.query_one(selector, Static)
        widget.display = bool(text)
        widget.update(LaidOut(text))

    def _show_field(self, pending: Guess | None) -> None:
        choices, number = self.query_one(ChoiceField), self.query_one(NumberField)
        choices.display = pending is not None and bool(pending.choices)
        number.display = pending is not None and not pending.choices
        number.value = ""
        choices.clear_options()
        if pending is not None:
            choices.add_options([Option(Content(choice.text), id=choice.key) for choice in pending.choices])
            choices.highlighted = 0 if pending.choices else None
        self._focus_field()

    def _focus_field(self) -> None:
        fields = (self.query_one(ChoiceField), self.query_one(NumberField))
        self.set_focus(next((field for field in fields if field.display), None))

    def _next_text(self) -> str:
        """Return where the answer is seen, and what to look for."""
        lines = [self._places_line(), self._waited_for]
        if not self._is_seen and self._place is not None:
            lines.append(_("Look for: {what}").format(what=question_text.filled(self.question.look_for)))
        missed = question_text.missed(self._progress)
        if self._is_seen and missed and not self._still_open:
            lines.append(_("To guess again: {questions}").format(questions=", ".join(missed)))
        return "\n".join(filter(None, lines))

    def _places_line(self) -> str:
        places = PLACES[self.question.id]
        names = [
            f"{question_text.SIGNS['seen']} " * (each in self._shown and len(places) > 1)
            + question_text.place_name(each, self._places.runs_for(each))
            for each in places
        ]
        line = _("s shows you: {places}").format(places=" · ".join(names))
        seen = sum(each in self._shown for each in places)
        count = _("{seen} of {total} seen").format(seen=seen, total=len(places))
        return f"{line} ({count})" if seen and len(places) > 1 else line

    def _runs_line(self) -> str:
        """Say which run is needed, and the key that trains it, or that it is in training."""
        place = self._lacking
        if place is None:
            return ""
        if run_id := self._places.in_training(place):
            return _("{run} is in training: it can be seen here once it has ended.").format(run=printable(run_id))
        network = wording.network_name(self._places.missing(place)[0])
        text = _("No trained {network} yet: t trains one.").format(network=network)
        without = _("Enter shows the answer without.")
        return text if self._is_seen or self._place is not None else f"{text} {without}"
