"""The screen that trains configurations on the same seeds and compares them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from rich.console import RenderableType
from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Header, Input, Label, ProgressBar, Static
from textual.worker import Worker, WorkerState

from core import catalogue
from core.comparing import configurations, slots, statistics, stored, watching
from core.comparing.parts import Part, check_seeds
from core.comparing.slots import OccupiedSlot
from core.comparing.statistics import Results
from core.comparing.watching import WatchedComparison
from core.config import RECORDING, Architecture, RunConfig
from core.messages import N_, InvalidSetting, Problem
from core.runs import sameness
from core.worker.protocol import ProgressNote, Refused, Settle, Settled
from tui_app import comparison_text, slot_text
from tui_app.dashboard.keys import compare_keys
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.i18n import _, duration, ngettext, percent, printable, say, short
from tui_app.settings import changed_settings

_INTERVAL_S = 0.5
_SEEDS = 5
_IN_THE_SUMMARY = RECORDING.union(
    {"model", "device", "seed", "threads", "data_dir", "exact", "epochs", "batch_size", "lr", "dataset"}
)
"""Settings that the sentence says, or that are not those of all runs."""


class CompareScreen(AskingScreen[list[str]]):
    """A comparison. `settings` are those of the run form; `ask` sends a question, whose answer comes to `show`.

    The screen is dismissed with the ids of the runs to show in the chart.
    """

    ASKS = Settle

    AUTO_FOCUS = "#seeds"
    HELP = N_(
        "Which network or setting is better, and how confidently: each is trained with the same seeds, and the results"
        " are compared in pairs. Runs that exist already are used again. A comparison continues when you leave it."
    )

    class Advanced(Message):
        """Sent when the runs have advanced, or with the results."""

        def __init__(
            self, made: WatchedComparison, results: Results | None = None, slots: Sequence[OccupiedSlot] = ()
        ) -> None:
            super().__init__()
            self.made = made
            self.results = results
            self.slots = slots
            """Where runs are trained on a cluster."""

    def __init__(
        self,
        runs_dir: Path,
        settings: RunConfig,
        ask: Callable[[Settle], None],
        interrupt: Callable[[], None],
        configs: Sequence[RunConfig] = (),
    ) -> None:
        """Offer the configurations of `configs`, or else those that suit the `settings`."""
        super().__init__(compare_keys())
        self._runs_dir = runs_dir
        unmodified = msgspec.structs.asdict(Architecture(model=settings.model))
        self._settings = msgspec.structs.replace(settings, **unmodified)
        named = [sameness.full_name(config, self._settings) for config in configs]
        self._shows_newest = not configs
        self._offered = list(dict.fromkeys(named)) or _offered(settings, self._settings)
        self._ask = ask
        self._interrupt = interrupt
        self._asked: Settle | None = None
        self._typed: tuple[list[str], int] = [], 0
        """Configurations and number of seeds asked for."""
        self._made: WatchedComparison | None = None
        self._parts: Sequence[Part] = ()

    def compose(self) -> ComposeResult:
        yield Header()
        with Vertical(classes="body"):
            with Horizontal(classes="field", id="field-models"):
                yield Label(_("Networks"))
                line = printable(configurations.line(self._offered))
                yield Input(line, id="models", compact=True, select_on_focus=False)
            with Horizontal(classes="field", id="field-seeds"):
                yield Label(_("Seeds"))
                yield Input(str(_SEEDS), id="seeds", compact=True)
            yield Static(Content(self._summary(self._settings)), classes="muted", id="compare-settings")
            with Horizontal(classes="buttons"):
                yield Button(_("Compare"), id="compare", variant="primary", compact=True, action="screen.compare")
                yield Button(_("Stop"), id="stop-comparison", compact=True, disabled=True, action="screen.stop")
                yield Button(_("Show the curves"), id="overlay", compact=True, disabled=True, action="screen.overlay")
            yield ProgressBar(total=1, show_eta=False, show_percentage=False, id="compare-progress")
            yield Static(id="compare-state")
            with VerticalScroll(id="compare-slots-panel", classes="hidden"):
                yield Static(id="compare-slots")
            with VerticalScroll(id="answer"):
                yield Static(Content(self._help()), id="answer-text")
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        """Show the comparison that is in progress, or the last one that was finished."""
        found = watching.newest(self._runs_dir) if self._shows_newest else None
        if found is not None:
            plan, self._made = found
            self._settings = plan.settings
            self.query_one("#models", Input).value = printable(configurations.line(plan.configurations))
            self.query_one("#seeds", Input).value = str(plan.seeds)
            self.query_one("#compare-settings", Static).update(Content(self._summary(plan.settings)))
            self._watch(self._made)

    def _summary(self, settings: RunConfig) -> str:
        text = ngettext(
            "Each run: {epochs} epoch, batches of {batch_size}, learning rate {lr}, data set {dataset}.",
            "Each run: {epochs} epochs, batches of {batch_size}, learning rate {lr}, data set {dataset}.",
            settings.epochs,
        ).format(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            lr=short(settings.lr),
            dataset=settings.dataset,
        )
        return " ".join([text, *(f"{option} {value}" for option, value in changed_settings(settings, _IN_THE_SUMMARY))])

    def _help(self) -> str:
        same = _("Every network is trained with the same seeds, and so sees the same images in the same order.")
        own = _("A network may have settings of its own, as in RN_2+dropout=0.3+lr=1e-4: {settings}.")
        return f"{same}\n\n{own.format(settings=', '.join(configurations.OWN))}"

    def why_not(self, verb: str) -> str:
        is_at_work = self._made is not None or self._asked is not None
        if verb == "compare" and is_at_work:
            return _("A comparison is in progress: F6 stops it.")
        if verb == "stop" and not is_at_work:
            return _("No comparison is in progress: F5 starts this one.")
        if verb == "overlay" and not any(part.followed for part in self._parts):
            return _("There are no curves yet: F5 trains the runs.")
        return ""

    # Questions

    def _configurations(self) -> list[str]:
        """Return the configurations entered. Raises `InvalidSetting`."""
        texts = configurations.words(self.query_one("#models", Input).value)
        configurations.configurations(texts, self._settings)
        return texts

    def _seeds(self) -> int:
        """Return the number of seeds entered. Raises `InvalidSetting`."""
        return check_seeds(self.query_one("#seeds", Input).value)

    @on(Input.Changed)
    def _check(self) -> None:
        """Mark invalid fields and show why; the first one counts."""
        problems: dict[str, InvalidSetting] = {}
        for name, read in (("models", self._configurations), ("seeds", self._seeds)):
            try:
                read()
            except InvalidSetting as invalid:
                problems[name] = invalid
            self.query_one(f"#field-{name}").set_class(name in problems, "wrong")
        if self._made is None and self._asked is None:
            self._say(say(next(iter(problems.values()))) if problems else "")

    @on(Input.Submitted)
    def action_compare(self) -> None:
        if self._made is not None or self._asked is not None:
            return
        self._parts = ()
        self.query_one("#answer-text", Static).update(Content(self._help()))
        try:
            self._typed = self._configurations(), self._seeds()
        except Problem as problem:
            self._complain(problem)
            return
        # The worker resolves `auto` and checks that the networks can be built: both need torch.
        configs = configurations.configurations(self._typed[0], self._settings)
        self._asked = Settle(self._settings, tuple(configs))
        self._show_possible()
        self._say(_("Looking for the data and the device…"))
        self._ask(self._asked)

    def show(self, answer: ProgressNote | Settled) -> None:
        if answer.request != self._asked:
            return
        if isinstance(answer, ProgressNote):
            if answer.fraction is None:  # such as the sample in place of MNIST: it must not pass unread
                self.notify(say(answer.message), severity="warning", timeout=15, markup=False)
            else:
                self._say(f"{say(answer.message)} {percent(answer.fraction, 0)}")
            return
        self._stop_asking()
        settings = answer.config
        self.query_one("#compare-settings", Static).update(Content(self._summary(settings)))
        try:
            texts, seeds = self._typed
            made = watching.begin(self._runs_dir, stored.make_plan(texts, seeds, settings, devices=answer.devices))
        except Problem as problem:
            self._complain(problem)
            return
        self._made = made
        self._watch(made)

    def refuse(self, refused: Refused) -> None:
        if refused.request == self._asked:
            self._stop_asking()
            self._complain(Problem.of(refused.message, refused.advice))

    def give_up(self) -> None:
        if self._asked is not None:
            self._stop_asking()
            self._say(_("The worker process ended: press Compare to try again."))

    def _stop_asking(self) -> None:
        self._asked = None
        self._show_possible()

    @property
    def is_waiting(self) -> bool:
        """True while the worker is answering a question of this screen."""
        return self._asked is not None

    def action_stop(self) -> None:
        if self._made is not None:
            try:
                self._made.stop()
            except Problem as problem:
                self._complain(problem)
        elif self._asked is not None:
            self._stop_asking()
            self._interrupt()
            self._say(_("stopped; Compare continues from here"))

    def action_turn(self, pages: int) -> None:
        self.query_one("#answer").scroll_relative(y=pages * self.query_one("#answer").size.height, animate=False)

    def action_leave(self) -> None:
        self._leave([])

    def action_overlay(self) -> None:
        if run_ids := [part.followed.run.id for part in self._parts if part.followed is not None]:
            self._leave(run_ids)

    def _leave(self, run_ids: list[str]) -> None:
        if self._made is not None:
            self.app.notify(_("The comparison goes on to its end. Compare shows it again, and can stop it."))
        self.dismiss(run_ids)

    # Progress

    @work(exit_on_error=False)
    async def _watch(self, made: WatchedComparison) -> None:
        while await asyncio.to_thread(made.look):
            found = await asyncio.to_thread(slots.occupied, self._runs_dir, made.slots) if made.is_elsewhere else []
            self.post_message(self.Advanced(made, slots=found))
            await asyncio.sleep(_INTERVAL_S)
        finished = made.finished
        results = None
        if finished:
            results = await asyncio.to_thread(statistics.summarise, finished, made.left_out, made.names)
        self._made = None
        self.post_message(self.Advanced(made, results))

    @on(Advanced)
    def _show(self, message: Advanced) -> None:
        made = message.made
        self.query_one("#compare-progress", ProgressBar).update(progress=made.share)
        self._parts = made.parts
        self._show_possible()
        ended = made.count("done", "left_out")
        text = _("{ended} of {runs} runs, {running} in progress")
        line = text.format(ended=ended, runs=len(made.parts), running=made.count("running"))
        left = made.seconds_left()
        if left is not None and self._made is not None:
            line += " · " + _("{left} left").format(left=duration(left))
        if made.outcome == "stopped":
            line += " · " + _("stopped; Compare continues from here")
        if made.waits_for is not None and self._made is not None:
            line += " · " + say(made.waits_for)
        self._say(line)
        self.query_one("#compare-slots-panel").set_class(not message.slots, "hidden")
        self.query_one("#compare-slots", Static).update(comparison_text.as_table(slot_text.slots(message.slots)))
        answer = self.query_one("#answer-text", Static)
        answer.update(_runs_table(made.parts) if message.results is None else comparison_text.answer(message.results))

    @on(Worker.StateChanged)
    def _failed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            self._made = None
            error = event.worker.error
            self._complain(error if isinstance(error, Problem) else Problem("{reason}", reason=repr(error)))

    def _show_possible(self) -> None:
        """Disable the buttons of what cannot be done now, and dim its keys."""
        for button, verb in (("#compare", "compare"), ("#stop-comparison", "stop"), ("#overlay", "overlay")):
            self.query_one(button, Button).disabled = bool(self.why_not(verb))
        self.refresh_bindings()

    def _say(self, text: str) -> None:
        self.query_one("#compare-state", Static).update(Content(text))

    def _complain(self, problem: Problem, seconds: float = 0) -> None:
        """Say a problem below the buttons, where it stays."""
        self._say(say(problem))
        self.app.bell()


def _offered(form: RunConfig, settings: RunConfig) -> list[str]:
    """Return the configurations to begin with; `settings` are those of the form, with its network unmodified."""
    if form.architecture.is_variant:
        return [form.model, sameness.full_name(form, settings)]
    return list(dict.fromkeys([*catalogue.EXAM_PAIR, form.model]))


def _runs_table(parts: Sequence[Part]) -> RenderableType:
    """Lay out the progress, a row per run."""
    rows = []
    for part in parts:
        result = part.followed.record.evaluated if part.followed is not None else None
        states = {
            "waiting": _("waiting"),
            "running": _("running"),
            "done": _("done"),
            "stopped": _("stopped"),
            "left_out": _("left out"),
        }
        run_id = part.followed.run.id if part.followed is not None else ""
        accuracy = percent(result.accuracy) if result is not None else percent(part.share, 0) if part.share else ""
        rows.append((run_id, printable(part.name), str(part.config.seed), states[part.state], accuracy))
    return comparison_text.as_table(
        comparison_text.Grid((_("Run"), _("Network"), _("Seed"), _("State"), ""), tuple(rows))
    )
