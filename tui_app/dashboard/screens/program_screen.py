"""The screen of the exam's program: beside a run, step by step, with its errors mended, and changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Header, Static, Tab, Tabs

from core.exam.program import CHANGE_EPOCHS, CHANGES, SEED, Model, program, stage_of, stages
from core.exam.steps import BatchSeen, ProgramStop, StepAction
from core.messages import N_, Problem
from core.worker.protocol import (
    ChangeTried,
    ProgramQuestion,
    ProgressNote,
    Refused,
    Stepped,
    StepProgram,
    TryChange,
)
from tui_app.dashboard.keys import program_keys
from tui_app.dashboard.run_book import ShownRun
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.widgets.batch_pictures import BatchPictures
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.loss_comparison import LossComparison
from tui_app.dashboard.widgets.source_view import SourceView
from tui_app.i18n import _, percent, say
from tui_app.program import beside, edits, run_text, step_text
from tui_app.program.wrapping import wrapped

RUN, STEPS, ERRORS, CHANGED = "run", "steps", "errors", "changed"
_LOOK_S = 0.5
"""Seconds between two looks at the current run."""
_WIDE = 110
"""Columns from which on the source and what it makes are side by side."""


class ProgramScreen(AskingScreen[None]):
    """The exam's program in four views; `run` returns the current run, `ask` sends a request, answered in `show`.

    It takes MNIST from `data_dir`, or the embedded sample.
    """

    ASKS = (StepProgram, TryChange)
    AUTO_FOCUS = "Tabs"
    HELP = N_(
        "The exam's program. The first tab shows the current run beside it: its stage, both loops, and the values that"
        " it has reported. The second executes the program on real images: Enter executes a line, b a batch, e an"
        " epoch; the arrows go to the lines that have made something. The third shows its mended errors, the fourth"
        " runs it with a mistake beside the original. Left and Right change the tab."
    )

    def __init__(
        self,
        run: Callable[[], ShownRun | None],
        data_dir: str,
        ask: Callable[[ProgramQuestion], None],
        view: str = RUN,
    ) -> None:
        super().__init__(program_keys())
        self._first_view = view
        self._run = run
        self._data_dir = data_dir
        self._ask = ask
        self._model: Model = "RN_1"
        self._waiting: ProgramQuestion | None = None
        """Question whose answer is awaited."""
        self._pending: ProgramQuestion | None = None
        """Question of a key that was pressed during a short one."""
        self._note = ""
        """What the worker says of its progress, or why there is none."""
        self._stop: ProgramStop | None = None
        self._looked_at = 0
        """Line whose values are shown; 0 for the one that was executed last."""
        self._change = 0
        """Number of the chosen change."""
        self._tried: dict[TryChange, ChangeTried] = {}
        self._put_there: dict[str, str] = {}
        """What the texts say, by their places."""

    def compose(self) -> ComposeResult:
        yield Header()
        names = (_("Current run"), _("Step by step"), _("Mended errors"), _("Mistakes"))
        tabs = (Tab(name, id=f"view-{view}") for name, view in zip(names, _VIEWS, strict=True))
        yield Tabs(*tabs, active=f"view-{self._first_view}")
        yield Static(id="program-state", classes="muted")
        with Container(id="program-body"):
            yield SourceView(id="program-source")
            with VerticalScroll(can_focus=False, id="program-details"):
                yield BatchPictures()
                yield Static(id="program-text")
            with VerticalScroll(can_focus=False, id="program-errors"):
                yield Static(id="program-mended")
            with VerticalScroll(can_focus=False, id="program-changes"):
                yield Static(id="program-change")
            with Vertical(id="program-outcome"):
                yield Static(id="program-results")
                yield LossComparison(id="program-losses")
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        self._model = _model_of(self._run())
        self.set_interval(_LOOK_S, self._look_at_run)

    def on_resize(self) -> None:
        self.set_class(self.size.width >= _WIDE, "-wide")
        self.call_after_refresh(self._fill)

    @property
    def _view(self) -> str:
        return (self.query_one(Tabs).active or f"view-{RUN}").removeprefix("view-")

    @on(Tabs.TabActivated)
    def _turn_to_view(self) -> None:
        for view in _VIEWS:
            self.set_class(view == self._view, f"-{view}")
        if self._view == STEPS and self._stop is None and self._waiting is None:
            self._send("start")
        self.refresh_bindings()
        self.call_after_refresh(self._fill)

    # Questions and answers

    def _send(self, action: StepAction) -> None:
        self._ask_for(StepProgram(self._model, action, self._data_dir))

    def _ask_for(self, question: ProgramQuestion) -> None:
        if self._waiting is not None:
            self._pending = question
            return
        self._waiting = question
        if not self._is_short:
            self._note = _("Loading torch: this takes some seconds the first time…")
        self._ask(question)
        self.refresh_bindings()
        self._fill()

    @property
    def keeps_worker(self) -> bool:
        return self._stop is not None

    @property
    def _is_short(self) -> bool:
        """True while a line or a batch is executed: a key that is pressed meanwhile is for what comes next."""
        return isinstance(self._waiting, StepProgram) and self._waiting.action in ("line", "batch")

    @property
    def _is_busy(self) -> bool:
        return self._waiting is not None and not self._is_short

    def show(self, answer: Any) -> None:
        match answer:
            case ProgressNote():
                self._note = f"{say(answer.message)} · {percent(answer.fraction or 0, 0)}"
                self._fill_state()
                return
            case Stepped(request=request, stop=stop) if request.model == self._model:
                self._stop, self._looked_at = stop, 0
            case ChangeTried():
                self._tried[answer.request] = answer
        self._end_waiting(answer.request)

    def refuse(self, refused: Refused) -> None:
        is_gone = isinstance(refused.request, StepProgram) and refused.request.action != "start"
        if is_gone:
            self._stop = None  # another process has taken the place of the one that executed it
        if refused.request == self._waiting:
            self._complain(Problem.of(refused.message, refused.advice))
        self._end_waiting(refused.request)
        if is_gone and self._waiting is None:
            self.give_up()

    def _end_waiting(self, request: object) -> None:
        if request == self._waiting:
            self._waiting, self._note = None, ""
            self._send_pending()
        self.refresh_bindings()
        self._fill()

    def _send_pending(self) -> None:
        pending, self._pending = self._pending, None
        goes_on = isinstance(pending, StepProgram) and pending.action != "start"
        if pending is not None and not (goes_on and (self._stop is None or self._stop.is_over)):
            self._ask_for(pending)

    def give_up(self) -> None:
        self._stop = self._waiting = self._pending = None
        self._note = _("The process that executed the program is gone: r begins anew.")
        self._fill()

    # Actions

    def action_leave(self) -> None:
        """Leave the screen; the worker ends the program."""
        if self._stop is not None or self._waiting is not None:
            self._ask(StepProgram(self._model, "leave", self._data_dir))
        super().action_leave()

    def action_go(self) -> None:
        """Execute the next line, or run the chosen change."""
        if self._view == CHANGED:
            self._ask_for(self._wanted_change)
        elif self._stop is None and self._waiting is None:
            self.action_restart()
        else:
            self.action_step("line")

    def action_step(self, action: StepAction) -> None:
        if self._stop is not None:
            self._send(action)

    def action_stop(self) -> None:
        """Interrupt what is being executed: any other request does."""
        self._pending = None
        if self._waiting is not None:
            self._ask(StepProgram(self._model, "stop", self._data_dir))

    def action_restart(self) -> None:
        self._stop, self._looked_at = None, 0
        self._send("start")

    def action_model(self) -> None:
        self._model = "RN_2" if self._model == "RN_1" else "RN_1"
        if self._view == STEPS:
            self.action_restart()
        else:
            self._stop = None
            self._fill()

    def action_move(self, lines: int) -> None:
        """Look at another line that has made something, choose another change, or scroll."""
        if self._view == CHANGED:
            self._change = (self._change + lines) % len(CHANGES)
        elif self._view == STEPS and self._stop is not None:
            self._look_at_line(self._stop, lines)
        else:
            place = "#program-errors" if self._view == ERRORS else "#program-source"
            self.query_one(place).scroll_relative(y=lines, animate=False)
        self._fill()

    def _look_at_line(self, stop: ProgramStop, lines: int) -> None:
        made = [each.line for each in stop.made]
        if made:
            here = self._looked_at or stop.last_line
            at = made.index(here) if here in made else len(made) - 1
            self._looked_at = made[min(max(0, at + lines), len(made) - 1)]

    def action_turn(self, pages: int) -> None:
        """Scroll the text of the view."""
        place = {ERRORS: "#program-errors", CHANGED: "#program-changes"}.get(self._view, "#program-details")
        part = self.query_one(place)
        part.scroll_relative(y=pages * max(1, part.size.height - 1), animate=False)

    def why_not(self, verb: str) -> str:
        if verb in ("go", "step", "restart") and self._is_busy:
            return _("The program is being executed: Space stops it.")
        if verb == "stop" and self._waiting is None:
            return _("Nothing is being executed.")
        if verb in ("step", "restart") and self._view != STEPS:
            return _("The tab “Step by step” executes the program: Left and Right go there.")
        if verb == "go" and self._view not in (STEPS, CHANGED):
            return _("The tab “Step by step” executes the program: Left and Right go there.")
        if verb == "model" and self._is_busy:
            return _("The program is being executed: Space stops it.")
        if verb == "model" and self._view in (RUN, ERRORS):
            return _("The network can be chosen in “Step by step” and “Mistakes”.")
        if verb in ("go", "step") and self._view == STEPS and self._stop is not None and self._stop.is_over:
            return _("The program is at its end: r begins anew.")
        if verb == "step" and self._stop is None:
            return _("The program has not begun: r begins it.")
        return ""

    # Showing

    @property
    def _source(self) -> str:
        return program(self._model)

    def _source_of_run(self, current: ShownRun | None) -> str:
        return program(_model_of(current))

    @property
    def _wanted_change(self) -> TryChange:
        return TryChange(self._model, CHANGES[self._change].name)

    def _look_at_run(self) -> None:
        if self._view == RUN:
            self._fill()

    def _fill(self) -> None:
        self._fill_state()
        match self._view:
            case "run":
                self._fill_run()
            case "steps":
                self._fill_steps()
            case "errors":
                text = edits.mended(self._width_of("#program-errors"))
                self.query_one("#program-mended", Static).update(text)
            case "changed":
                self._fill_change()

    def _fill_state(self) -> None:
        self._put("#program-state", self._state())

    def _state(self) -> str:
        if self._note and self._view in (STEPS, CHANGED):
            return self._note
        match self._view:
            case "run":
                current = self._run()
                if current is None:
                    return _("No run is shown: the next tab executes the program itself.")
                source = self._source_of_run(current)
                return run_text.title(current.run.id, current.record, current.state, source)
            case "steps" if self._stop is not None:
                return step_text.title(self._model, self._stop)
            case "changed":
                text = _("{model}, {epochs} epochs on the sample of 5,000 images, seed {seed}")
                return text.format(model=self._model, epochs=CHANGE_EPOCHS, seed=SEED)
        return ""

    def _fill_run(self) -> None:
        current, view = self._run(), self.query_one(SourceView)
        source = self._source_of_run(current)
        self.query_one(BatchPictures).show(None)
        if current is None:
            view.show(source, {}, None)
            self._say(_("There is no current run to show beside the program."))
            return
        number = beside.stage_of_run(current.record, current.state)
        view.show(source, beside.of_run(source, current.record), stages(source)[number] if number else None)
        self._say("\n".join(run_text.details(source, current.record, current.state)))

    def _fill_steps(self) -> None:
        stop, source, view = self._stop, self._source, self.query_one(SourceView)
        if stop is None:
            view.show(source, {}, None)
            self.query_one(BatchPictures).show(None)
            self._say("")
            return
        line = self._looked_at or stop.last_line
        stage = stage_of(source, stop.line or stop.last_line)
        view.show(source, beside.of_stop(stop), stage, next_line=stop.line, cursor=line)
        made = next((each for each in stop.made if each.line == line), None)
        seen = made.seen if made is not None else None
        self.query_one(BatchPictures).show(seen if isinstance(seen, BatchSeen) else None)
        self._say("\n".join(step_text.said(source, stop, made)))

    def _fill_change(self) -> None:
        tried = self._tried.get(self._wanted_change)
        width = self._width_of("#program-changes")
        text = edits.change_text(CHANGES, self._change, self._model, width, is_short=not self.has_class("-wide"))
        self.query_one("#program-change", Static).update(text)
        losses = self.query_one(LossComparison)
        if tried is None:
            self._put("#program-results", "")
            losses.say(_("Enter runs it beside the original."))
        else:
            self._put("#program-results", edits.results(tried.original, tried.changed))
            losses.show(tried.original, tried.changed)

    def _say(self, text: str) -> None:
        self._put("#program-text", wrapped(text, self._width_of("#program-details")))

    def _width_of(self, place: str) -> int:
        """Return the columns for a text, beside a scrollbar that may come."""
        return self.query_one(place).content_size.width - 1

    def _put(self, place: str, text: str) -> None:
        """Show a text unless it is there already: a new one costs a new layout, beside a run in progress."""
        if self._put_there.get(place) != text:
            self._put_there[place] = text
            self.query_one(place, Static).update(Content(text))


def _model_of(current: ShownRun | None) -> Model:
    """Return which of the exam's networks a run trains; the first, where it is neither."""
    started = current.record.started if current is not None else None
    return "RN_2" if started is not None and started.config.model == "RN_2" else "RN_1"


_VIEWS = (RUN, STEPS, ERRORS, CHANGED)
