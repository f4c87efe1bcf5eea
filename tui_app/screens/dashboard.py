"""The one screen of the program: it owns what is known of the runs, and shows it in its panels."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import ScreenResume
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Header, Static, Tab, Tabs
from textual.worker import Worker, WorkerState

from core import runs
from core.config import EXAM_NETWORKS, RunConfig
from core.events import Event
from core.files import disk_is_full
from core.layer_table import LayerTable
from core.problems import Problem
from core.replay import Replay
from core.runs import LIVE, RESUMABLE, Run, State, Summary
from core.standby import (
    Answer,
    Browse,
    Browsed,
    Describe,
    Described,
    Measure,
    Measured,
    Question,
    Ready,
    Recognise,
    Recognised,
    Refused,
)
from tui_app import overlay, terminal
from tui_app.i18n import _, ngettext, printable, say
from tui_app.run_book import BUSY_INTERVAL_S, Followed, RunBook
from tui_app.screens.aside import Asking
from tui_app.standby import StandbyWorker
from tui_app.widgets.chart_axes import UNITS, Unit
from tui_app.widgets.chart_picture import Words
from tui_app.widgets.layer_panel import LayerPanel
from tui_app.widgets.loss_chart import LossChart
from tui_app.widgets.progress_panel import ProgressPanel
from tui_app.widgets.result_panel import ConfusionMatrix, ResultPanel
from tui_app.widgets.run_form import RunForm
from tui_app.widgets.runs_panel import RunsPanel

LISTING_INTERVAL_S, BUSY_LISTING_INTERVAL_S = 2.0, 6.0


class Dashboard(Screen[None]):
    """`settings` fill the form; `run_id` is shown at once, and resumed if so asked."""

    AUTO_FOCUS = ""
    TITLE = "mnist-tui"
    PANELS: ClassVar = ("form", "layers", "chart", "progress", "result", "runs-panel")

    class News(Message):
        """New events of a run, or another state."""

        def __init__(self, run_id: str, events: Sequence[Event], state: State) -> None:
            super().__init__()
            self.run_id = run_id
            self.events = events
            self.state = state

    class Listed(Message):
        """The runs that there are."""

        def __init__(self, summaries: Sequence[Summary]) -> None:
            super().__init__()
            self.summaries = summaries

    class Answered(Message):
        """The standby worker said something."""

        def __init__(self, answer: Answer) -> None:
            super().__init__()
            self.answer = answer

    def __init__(self, runs_dir: Path, settings: dict[str, Any], run_id: str | None, *, resume: bool) -> None:
        super().__init__()
        self._is_painted = False
        self._book = RunBook(runs_dir)
        self._settings = settings
        self._open_first = run_id
        self._resume_first = resume
        self._chart_shows: object = None
        self._bindings_are_of: object = None
        self._chart_soon: Timer | None = None
        self._disk_was_full = False
        self._tables: dict[Describe, LayerTable] = {}
        self._wanted_table: Describe | None = None
        self._table_is_of = ""
        """The run on show whose table was shown, before its user chose another network in the form."""
        self._accuracies: dict[Measure, float] = {}
        self._standby: StandbyWorker | None = None
        self._workers: list[StandbyWorker] = []

    def compose(self) -> ComposeResult:
        names = (_("Run"), _("Layers"), _("Loss"), _("Progress"), _("Result"), _("Runs"))
        yield Header()
        yield Tabs(*(Tab(name, id=f"tab-{panel}") for name, panel in zip(names, self.PANELS, strict=True)), id="tabs")
        with Container(id="panels", classes="show-form"):
            yield RunForm(self._settings, id="form", classes="panel")
            with Vertical(id="chart", classes="panel") as chart_panel:
                chart_panel.border_title = _("Running loss")
                chart_panel.border_subtitle = _unit_name("epochs")
                yield LossChart(
                    _chart_words(),
                    plain=not terminal.has_utf8(),
                    placeholder=_("The loss of each batch, once a run has begun."),
                )
            yield RunsPanel(id="runs-panel", classes="panel")
            yield ProgressPanel(id="progress", classes="panel")
            yield LayerPanel(id="layers", classes="panel")
            yield ResultPanel(id="result", classes="panel")
        yield Static(_("mnist-tui needs 80 columns and 24 rows."), id="too-small")
        yield Footer(compact=True)  # else 80 columns do not hold it

    def on_mount(self) -> None:
        self.query_one("HeaderIcon").tooltip = _("Open the command palette")
        self.call_after_refresh(self.query_one("#network").focus)
        self._ensure_standby()
        self._list_runs()

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Before the first painting every widget has its styles: another look at all of them is spared."""
        event.refresh_styles = self._is_painted
        self._is_painted = True

    def on_unmount(self) -> None:
        if self._standby is not None:
            self._standby.close()

    # The standby worker

    def _ensure_standby(self) -> StandbyWorker | None:
        if self._standby is None or self._standby.process.poll() is not None:
            try:
                self._standby = StandbyWorker()
            except Problem as problem:
                self._complain(problem)
                return None
            self._listen(self._standby)
        return self._standby

    @work(exit_on_error=False, group="standby")
    async def _listen(self, standby: StandbyWorker) -> None:
        async for answer in standby.answers():
            self.post_message(self.Answered(answer))

    @on(Answered)
    def _take_answer(self, message: Answered) -> None:
        match message.answer:
            case Ready(devices=devices):
                self.query_one(RunForm).show_devices(devices)
                self._ask_for_table(self._wanted_table)
            case Described(request=request, table=table):
                self._tables[request] = table
                if request == self._wanted_table:
                    self.query_one(LayerPanel).show_table(request, table)
            case Browsed() | Recognised() | Measured() | Refused(request=Measure()) as answer:
                if isinstance(answer, Measured):
                    self._accuracies[answer.request] = answer.accuracy
                for screen in self._asking():
                    if isinstance(answer.request, screen.ASKS):
                        screen.show(answer)
            case Refused(request=Browse() | Recognise()) as refused:
                self.notify(say(refused.message, refused.advice), severity="error", timeout=10, markup=False)
                for screen in self._asking():
                    screen.give_up()
            case Refused() as refused:
                if refused.request == self._wanted_table:
                    text = say(refused.message, refused.advice)
                    self.query_one(LayerPanel).show_problem(text)
                    self.query_one(RunForm).show_problem(text)

    def _asking(self) -> list[Asking]:
        """The screen that asks the worker; the help may be on top of it."""
        return [screen for screen in self.app.screen_stack if isinstance(screen, Asking)]

    @on(RunForm.NetworkChosen)
    def _network_chosen(self, message: RunForm.NetworkChosen) -> None:
        self._show_table(message.network)

    def _show_table(self, network: Describe) -> None:
        self._wanted_table = network
        table = self._tables.get(network)
        if table is not None:
            self.query_one(LayerPanel).show_table(network, table)
        else:
            self._ask_for_table(network)

    def _show_table_of_run(self, network: Describe) -> None:
        """A run's files may name any Python file as its network: only the user's own word has it executed."""
        if network.model in EXAM_NETWORKS or network in self._tables:
            self._show_table(network)
        else:
            self._wanted_table = None
            self.query_one(LayerPanel).show_problem(printable(network.model))

    def _ask_for_table(self, network: Describe | None) -> None:
        if network is None or network in self._tables:
            return
        self._ask(network)

    def _ask(self, question: Question) -> None:
        standby = self._ensure_standby()
        if standby is not None:
            try:
                standby.ask(question)
            except Problem as problem:
                self._complain(problem)

    # Starting, stopping and resuming runs

    @on(RunForm.Submitted)
    def _train(self, message: RunForm.Submitted) -> None:
        self._start(message.config)

    def _start(self, config: RunConfig) -> None:
        try:
            run = runs.create(self._book.runs_dir, config)
        except Problem as problem:
            self._complain(problem)
            return
        self._hand_over(run)
        self._list_runs()

    def _hand_over(self, run: Run) -> None:
        standby = self._ensure_standby()
        if standby is None:
            return
        worker_before = run.worker()
        try:
            standby.hand_over(run)
        except Problem as problem:
            self._complain(problem)
            self._standby = None
            return
        self._workers.append(standby)
        self._standby = None  # the next one is started when no run needs the processor, or somebody needs it
        followed = self._book.follow(run.id)
        followed.handed_to, followed.worker_before, followed.state = standby, worker_before, "starting"
        self.show_run(run.id)
        tabs = self.query_one(Tabs)
        if tabs.active == "tab-form":  # where panels are tabs: what was asked for is to be seen elsewhere
            tabs.active = "tab-chart"

    def stop_runs(self, run_ids: Sequence[str]) -> None:
        """Ask runs to stop."""
        for run_id in run_ids:
            try:
                runs.find(self._book.runs_dir, run_id).request_stop()
            except Problem as problem:
                self._complain(problem)

    def live_runs(self) -> list[str]:
        """The ids of the runs in progress."""
        return self._book.live()

    # Actions

    def action_train(self) -> None:
        self.query_one(RunForm).submit()

    @on(RunForm.StopPressed)
    def action_stop(self) -> None:
        self.stop_runs([self._book.on_show])
        self.notify(_("{run} will stop at its next batch.").format(run=self._book.on_show))

    def action_resume(self) -> None:
        run = self._book.run(self._book.on_show)
        try:
            runs.check_resumable(run)
        except Problem as problem:
            self._complain(problem)
            return
        run.withdraw_stop()
        self._hand_over(run)

    def action_toggle_log_scale(self) -> None:
        chart = self.query_one(LossChart)
        chart.log_scale = not chart.log_scale

    def action_next_x_unit(self) -> None:
        chart = self.query_one(LossChart)
        chart.x_unit = UNITS[(UNITS.index(chart.x_unit) + 1) % len(UNITS)]
        self.query_one("#chart").border_subtitle = _unit_name(chart.x_unit)

    def action_toggle_overlay(self) -> None:
        run_id = self.query_one(RunsPanel).under_cursor
        if run_id is not None:
            self._toggle_overlay(run_id)

    def action_show_log(self) -> None:
        from tui_app.screens.log import LogScreen

        run = self._book.run(self._book.on_show)
        self.app.push_screen(LogScreen(run.id, run.log_tail(500)))

    def action_show_digits(self, cell: tuple[int, int] | None = None) -> None:
        from tui_app.screens import looking

        try:
            self.app.push_screen(looking.digits_screen(self._in_hand(), cell, self._ask))
        except Problem as problem:
            self._complain(problem)

    @on(ConfusionMatrix.Picked)
    def _show_cell(self, message: ConfusionMatrix.Picked) -> None:
        self.action_show_digits((message.label, message.predicted))

    def action_draw(self) -> None:
        from tui_app.screens import looking

        try:
            self.app.push_screen(looking.draw_screen(self._in_hand(), self._ask))
        except Problem as problem:
            self._complain(problem)

    def action_test(self) -> None:
        from tui_app.screens import looking

        colours = {run_id: self._resolve(colour) for run_id, colour in overlay.colours(self._book).items()}
        try:
            screen = looking.conditions_screen(self._in_hand(), colours, self._ask, self._accuracies)
        except Problem as problem:
            self._complain(problem)
            return
        self.app.push_screen(screen, lambda _none: self._stop_testing() if screen.is_waiting else None)

    def _stop_testing(self) -> None:
        """A wide network may take a minute, for which the next run must not wait."""
        if self._standby is not None:
            self._standby.abandon()
            self._workers.append(self._standby)
            self._standby = None
        self._ensure_standby()

    def _in_hand(self) -> list[tuple[Path, Replay]]:
        return [(followed.run.path, followed.replay) for followed in self._book.shown]

    @on(RunForm.ComparePressed)
    def action_compare(self) -> None:
        try:
            settings = self.query_one(RunForm).config()
        except Problem as problem:
            self._complain(problem)
            return
        from tui_app.screens.compare import CompareScreen

        screen = CompareScreen(self._book.runs_dir, settings, self.query_one(RunForm).best_device)
        self.app.push_screen(screen, self._show_together)

    def action_next_panel(self) -> None:
        self._go_to_panel(1)

    def action_previous_panel(self) -> None:
        self._go_to_panel(-1)

    def _go_to_panel(self, offset: int) -> None:
        tabs = self.query_one(Tabs)
        if tabs.display:
            here = self.PANELS.index((tabs.active or "tab-form").removeprefix("tab-"))
            tabs.active = f"tab-{self.PANELS[(here + offset) % len(self.PANELS)]}"
            return
        focusable = [panel for panel in self.PANELS if self._first_focusable(panel) is not None]
        here = next((i for i, panel in enumerate(focusable) if self.query_one(f"#{panel}").has_focus_within), -1)
        self.set_focus(self._first_focusable(focusable[(here + offset) % len(focusable)]))

    def _first_focusable(self, panel: str) -> Any:
        widget = self.query_one(f"#{panel}")
        inside = [widget, *widget.query("*")]
        return next((w for w in self.focus_chain if w in inside), None)

    @on(Tabs.TabActivated)
    def _show_panel(self, event: Tabs.TabActivated) -> None:
        chosen = (event.tab.id or "").removeprefix("tab-")
        panels = self.query_one("#panels")
        for panel in self.PANELS:
            panels.set_class(panel == chosen, f"show-{panel}")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        state = self._book.state_on_show
        if action == "stop":
            return True if state in LIVE else None
        if action == "resume":
            return True if state in RESUMABLE else None
        if action == "show_log":
            return True if self._book.on_show else None
        return True

    # The list of runs

    @work(exit_on_error=False, exclusive=True, group="listing")
    async def _list_runs(self) -> None:
        listing = runs.Listing(self._book.runs_dir)
        while True:
            self.post_message(self.Listed(await asyncio.to_thread(listing.read)))
            self._say_when_disk_is_full(await asyncio.to_thread(disk_is_full, self._book.runs_dir))
            await asyncio.sleep(BUSY_LISTING_INTERVAL_S if self._book.is_busy else LISTING_INTERVAL_S)

    def _say_when_disk_is_full(self, is_full: bool) -> None:
        """The runs' own word of it cannot be written."""
        if is_full and not self._disk_was_full:
            text = _("The disk of {path} is full: runs go on, but what they say is not kept until there is room.")
            path = printable(str(self._book.runs_dir))
            self.notify(text.format(path=path), severity="error", timeout=30, markup=False)
        self._disk_was_full = is_full

    @on(Listed)
    def _take_listing(self, message: Listed) -> None:
        first = self._book.summaries is None
        self._book.summaries = message.summaries
        live = [summary.id for summary in message.summaries if summary.state in LIVE]
        for summary in message.summaries:
            if summary.state in LIVE or summary.id in self._book.followed:
                self._follow(summary.id)
        if first:
            self._open_at_start(live)
        self.sub_title = (
            ngettext("{count} run in progress", "{count} runs in progress", len(live)).format(count=len(live))
            if live
            else ""
        )
        self._show_list()

    def _open_at_start(self, live: Sequence[str]) -> None:
        if live and self._open_first is None:
            text = ngettext("In progress: {runs}", "In progress: {runs}", len(live))
            self.notify(text.format(runs=", ".join(live)))
        run_id = self._open_first or (live[-1] if live else None)
        if run_id is None:
            return
        self.show_run(run_id)
        if self._resume_first:
            self.action_resume()

    def _show_list(self) -> None:
        book = self._book
        ticked = {run_id: self._resolve(colour) for run_id, colour in overlay.colours(book).items()}
        self.query_one(RunsPanel).show_runs(book.summaries or (), book.on_show, ticked)

    def _resolve(self, colour: str) -> str:
        return self.app.theme_variables.get(colour.removeprefix("$"), "")

    # Runs on show

    @on(RunsPanel.Picked)
    def _pick(self, message: RunsPanel.Picked) -> None:
        self.show_run(message.run_id)

    @on(RunsPanel.Ticked)
    def _tick(self, message: RunsPanel.Ticked) -> None:
        self._toggle_overlay(message.run_id)

    def _toggle_overlay(self, run_id: str) -> None:
        if run_id in self._book.overlaid:
            self._book.overlaid.remove(run_id)
        else:
            self._book.overlaid.append(run_id)
            self._follow(run_id)
        self._show_chart()
        self._show_list()

    def _show_together(self, run_ids: Sequence[str] | None) -> None:
        """In the chart, and nothing else there."""
        if run_ids:
            self._book.overlaid = list(run_ids)
            for run_id in run_ids:
                self._follow(run_id)
            self.show_run(run_ids[0])
            self.query_one(Tabs).active = "tab-chart"

    def show_run(self, run_id: str) -> None:
        """Fill the panels with a run, live or not."""
        self._book.on_show, self._table_is_of = run_id, ""
        self._follow(run_id)
        self._show_all()
        self._show_list()

    def _follow(self, run_id: str) -> None:
        followed = self._book.follow(run_id)
        if not followed.is_read and (followed.state in LIVE or self._is_listed_otherwise(followed)):
            followed.is_read = True
            followed.state = "starting"
            self._read(followed)

    def _is_listed_otherwise(self, followed: Followed) -> bool:
        """Whether somebody went on with it since."""
        states = [summary.state for summary in self._book.summaries or () if summary.id == followed.run.id]
        return any(state in LIVE or state != followed.state for state in states)

    @work(exit_on_error=False, group="follow")
    async def _read(self, followed: Followed) -> None:
        try:
            while True:
                # First: what was written before the end is then read.
                state = await asyncio.to_thread(followed.current_state)
                while events := await asyncio.to_thread(followed.reader.read_new):
                    followed.replay.apply(events)
                    self.post_message(self.News(followed.run.id, events, state))
                self.post_message(self.News(followed.run.id, (), state))
                if state not in LIVE:
                    return
                await asyncio.sleep(followed.interval_s)
        finally:
            followed.is_read = False

    @on(News)
    def _take_news(self, message: News) -> None:
        followed = self._book.followed[message.run_id]
        was, followed.state = followed.state, message.state
        if message.events or was != message.state:
            if message.run_id == self._book.on_show:
                self._show_all()
            elif message.run_id in self._book.overlaid:
                self._show_chart_soon(message.state)
        if was in LIVE and message.state not in LIVE:
            self._ended()

    def _ended(self) -> None:
        for worker in self._workers:
            worker.process.poll()  # takes its exit status: nothing of it is left behind
        self._list_runs()
        if not self.live_runs():
            self._ensure_standby()

    def _show_all(self) -> None:
        run_id = self._book.on_show
        followed = self._book.followed[run_id]
        replay, state = followed.replay, followed.state
        self.query_one(ProgressPanel).show_run(run_id, replay, state)
        self.query_one(ResultPanel).show_run(run_id, replay)
        self.query_one(RunForm).show_stoppable(state in LIVE)
        if replay.started is not None and self._table_is_of != run_id:
            self._table_is_of = run_id
            self._show_table_of_run(Describe.of(replay.started.config))
        self._show_chart()
        if (run_id, state) != self._bindings_are_of:
            self._bindings_are_of = run_id, state
            self.refresh_bindings()

    def _show_chart_soon(self, state: State) -> None:
        """Many runs may be in progress: the chart is not drawn anew for each of them."""
        if state not in LIVE:
            self._show_chart()
        elif self._chart_soon is None:
            self._chart_soon = self.set_timer(BUSY_INTERVAL_S, self._show_chart)

    def _show_chart(self) -> None:
        if self._chart_soon is not None:
            self._chart_soon.stop()
            self._chart_soon = None
        chart = self.query_one(LossChart)
        series = overlay.series(self._book)
        started = self._book.shown[0].replay.started if self._book.on_show else None
        total = started.config.epochs if started else None
        if (series, total) != self._chart_shows:
            self._chart_shows = (series, total)
            chart.show(series, total)
            self._show_list()
        else:
            chart.refresh_data()

    # Trouble

    @on(Worker.StateChanged)
    def _worker_failed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            if event.worker.group == "standby":
                for screen in self._asking():
                    screen.give_up()
            error = event.worker.error
            if isinstance(error, Problem):
                self._complain(error)
            else:
                self.notify(printable(f"{type(error).__name__}: {error}"), severity="error", markup=False)

    def _complain(self, problem: Problem) -> None:
        self.notify(say(problem), severity="error", timeout=10, markup=False)


def _chart_words() -> Words:
    return Words(
        x_labels={"epochs": _("Epoch"), "seconds": _("Time"), "macs": _("MACs")},
        y_label=_("Loss"),
        running=_("running loss"),
        batch=_("batch losses"),
        validation=_("validation loss"),
        no_macs=_("multiply–accumulates not known"),
        failure=_("The chart cannot be drawn."),
        decimal_mark=_("."),
    )


def _unit_name(unit: Unit) -> str:
    """Of what the x axis counts, after the key that changes it."""
    names = {
        "epochs": _("epochs"),
        "seconds": _("seconds of training"),
        "macs": _("multiply–accumulates, forward"),
    }
    return f"x: {names[unit]}"
