"""The main screen, which is always open: panels that show the runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.events import Resize, ScreenResume
from textual.widgets import Collapsible, Header, Static
from textual.worker import Worker, WorkerState

from core.messages import N_, Problem
from core.runs.control import NOTHING, Request
from core.runs.record import LIVE
from core.worker.protocol import Answer, AskedImage, Describe, Described, Ready, Refused, Tried, Try
from tui_app.dashboard.keys import key_table
from tui_app.dashboard.run_book import RunBook
from tui_app.dashboard.run_control import RunControl
from tui_app.dashboard.run_display import RunDisplay
from tui_app.dashboard.run_follower import Listed, News, RunFollower
from tui_app.dashboard.screen_opener import ScreenOpener
from tui_app.dashboard.screens.panel_screen import PanelScreen
from tui_app.dashboard.why_not import why_not
from tui_app.dashboard.widgets.chart_panel import ChartPanel
from tui_app.dashboard.widgets.confusion_matrix import ConfusionMatrix
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.layer_panel import LayerPanel
from tui_app.dashboard.widgets.progress_panel import ProgressPanel
from tui_app.dashboard.widgets.result_panel import ResultPanel
from tui_app.dashboard.widgets.run_form import RunForm
from tui_app.dashboard.widgets.runs_panel import RunsPanel
from tui_app.dashboard.worker_link import Launch, WorkerLink
from tui_app.i18n import _, ngettext, printable, say


class Dashboard(PanelScreen):
    """The main screen's panels and the actions of its keys.

    `settings` fill the form; `run_id` is shown at once, and resumed with what `resume` asks for, if it is given;
    `look` is a picture to follow through its network, or to draw if it is empty; `launch` starts a worker.
    """

    AUTO_FOCUS = ""
    TITLE = "mnist-tui"
    HELP = N_(
        "Choose a network, a device and the number of epochs, then press Train. The run has a process of its own: it"
        " continues when this dashboard, its terminal or its connection closes, and is shown again next time."
        " Tab and Shift+Tab move between fields, the arrows within one; Enter and Space choose."
    )
    PANELS: ClassVar = ("form", "runs-panel", "chart", "progress", "layers", "result")

    def __init__(
        self,
        runs_dir: Path,
        settings: dict[str, Any],
        run_id: str | None,
        launch: Launch,
        *,
        resume: Request | None,
        look: tuple[AskedImage, bool] | None,
        notifies: bool,
    ) -> None:
        super().__init__(key_table())
        self._is_painted = False
        self._book = RunBook(runs_dir)
        self._link = WorkerLink(launch, self)
        self._opener = ScreenOpener(self, self._book, self._link, self._complain)
        self.control = RunControl(self._book, self._link, self.notify)
        self._follower = RunFollower(self._book, self)
        self._display = RunDisplay(self, self._book, self._follower, notifies=notifies)
        self._settings = settings
        self._open_first = run_id
        self._resume_first = resume
        self._look_first = look

    def compose(self) -> ComposeResult:
        yield Header()
        yield from self.compose_panels(
            (_("Settings"), _("Runs"), _("Loss"), _("Progress"), _("Layers"), _("Result")),
            {
                "choosing": (
                    RunForm(self._settings, id="form", classes="panel"),
                    RunsPanel(id="runs-panel", classes="panel"),
                ),
                "watching": (ChartPanel(id="chart", classes="panel"), ProgressPanel(id="progress", classes="panel")),
                "knowing": (
                    LayerPanel(id="layers", classes="panel"),
                    ResultPanel(self._opener.ask_beside, id="result", classes="panel"),
                ),
            },
        )
        yield Static(_("mnist-tui needs at least 80 columns and 24 rows."), id="too-small")
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        self.query_one("HeaderIcon").tooltip = _("Open the command palette")
        self.call_after_refresh(self.query_one("#network").focus)
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._display.show_list())
        self._follower.list_runs()

    def on_resize(self, event: Resize) -> None:
        before = self.arrangement
        super().on_resize(event)
        if before != self.arrangement == "together":  # unfolded settings would hide the result
            self.query_one("#more", Collapsible).collapsed = True

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Skip a second styling of all widgets before the first painting: they have their styles already."""
        event.refresh_styles = self._is_painted
        self._is_painted = True

    def on_unmount(self) -> None:
        self._link.close()

    @on(Collapsible.Toggled, "#more")
    def _make_room(self, event: Collapsible.Toggled) -> None:
        self.query_one("#panels").set_class(not event.collapsible.collapsed, "unfolded")

    # The standby worker

    @on(WorkerLink.Answered)
    def _take_answer(self, message: WorkerLink.Answered) -> None:
        answer: Answer = message.answer
        match answer:
            case Ready(devices=devices):
                self.query_one(RunForm).show_devices(devices)
                self.query_one(LayerPanel).ask_again()
            case Tried(request=Try(config=config)):
                self._trying(lambda: self._begin(self.control.start(config)))
            case Refused(request=Try()):
                self.control.on_trial = None
                self._complain(Problem.of(answer.message, answer.advice), seconds=30)
            case Described(request=request, table=table):
                self.query_one(LayerPanel).take(request.architecture, table)
            case Refused(request=Describe(architecture=architecture)):
                text = say(answer.message, answer.advice)
                if self.query_one(LayerPanel).refuse(architecture, text):
                    self.query_one(RunForm).show_problem(text)
            case _:
                self._opener.take(answer)

    @on(RunForm.NetworkChosen)
    def _network_chosen(self, message: RunForm.NetworkChosen) -> None:
        self.query_one(LayerPanel).show(message.architecture)

    @on(LayerPanel.TableWanted)
    def _table_wanted(self, message: LayerPanel.TableWanted) -> None:
        self._trying(lambda: self._link.ask(Describe(message.architecture)))

    # Starting, stopping and resuming runs

    @on(RunForm.Touched)
    def _form_touched(self) -> None:
        self._trying(self._link.start)

    @on(RunForm.Submitted)
    def _train(self, message: RunForm.Submitted) -> None:
        self._trying(lambda: self._begin(self.control.train(message.config, draws_seed=message.draws_seed)))

    def _begin(self, run_id: str | None) -> None:
        """Show a run that was started, if one was."""
        if run_id is None:
            return
        self._display.show_run(run_id)
        if self._book.followed[run_id].record.started is None:
            self.query_one(LayerPanel).show_known(self._book.run(run_id).config().architecture)
        self._follower.list_runs()
        if self.panel_in_front in ("form", "runs-panel"):  # behind tabs, the new run is seen on another panel
            self.turn_to("chart")
        elif self.maximized is not None:
            self.minimize()

    # Actions

    def action_train(self) -> None:
        self.query_one(RunForm).submit()

    def action_stop(self) -> None:
        self._trying(lambda: self.control.stop_and_tell(self._book.current_id))

    def action_take_settings(self) -> None:
        current = self._book.current
        if current is not None and current.record.started is not None:
            self.query_one(RunForm).take(current.record.config)
            self.turn_to("form")

    def action_resume(self, asked: Request = NOTHING) -> None:
        current = self._book.current
        if current is not None and current.state == "paused":
            self._trying(lambda: self.control.steer(current.run.id, asked.then(Request(paused=False))))
        else:
            self._trying(lambda: self._begin(self.control.resume(self._book.current_id, asked)))

    def action_pause(self) -> None:
        current = self._book.current
        if current is not None:
            asked = Request(paused=current.state != "paused")
            self._trying(lambda: self.control.steer(current.run.id, asked))

    def action_steer(self) -> None:
        current = self._book.current
        if current is None or current.record.started is None:
            return
        self._opener.open_steer(
            current, lambda asked: self._trying(lambda: self.control.steer(current.run.id, asked)), self.action_resume
        )

    def action_chart(self, change: str, *steps: int) -> None:
        """Change the chart's view: `change` is a method of its panel."""
        panel = self.query_one(ChartPanel)
        self.bring_forward("chart")
        if why := panel.why_not(change):
            self.notify(why, severity="warning", markup=False)
        else:
            getattr(panel, change)(*steps)

    def action_read_chart(self) -> None:
        self.turn_to("chart")
        self.query_one(ChartPanel).chart.read_off()

    def action_show_log(self) -> None:
        self._opener.open_log()

    def action_show_digits(self) -> None:
        self._trying(lambda: self._opener.open_digits(None))

    def action_look_inside(self) -> None:
        self._trying(self._opener.open_inside)

    @on(LayerPanel.Picked)
    def _look_at_layer(self, message: LayerPanel.Picked) -> None:
        self._trying(lambda: self._opener.open_inside(layer=message.layer))

    @on(ConfusionMatrix.Picked)
    def _show_cell(self, message: ConfusionMatrix.Picked) -> None:
        self._trying(lambda: self._opener.open_digits((message.label, message.predicted)))

    def action_moment(self, offset: int) -> None:
        if (walk := self._display.walk_of_result()) is not None:
            walk.step(offset)

    def action_play(self) -> None:
        if (walk := self._display.walk_of_result()) is not None:
            walk.play()

    def action_draw(self) -> None:
        self._trying(self._opener.open_draw)

    def action_test(self) -> None:
        self._trying(lambda: self._opener.open_conditions(self._display.line_colours))

    def action_compare(self) -> None:
        form = self.query_one(RunForm)
        self._trying(lambda: self._opener.open_compare(form.config_for_others(), self._show_together))

    def action_open_exam(self) -> None:
        self._opener.open_exam(self._show_together)

    def action_open_program(self) -> None:
        self._trying(self._opener.open_program)

    def action_runs(self) -> None:
        self._opener.open_runs(self._follower.list_runs, self._show_only, self._show_together)

    def _show_only(self, run_id: str) -> None:
        self._display.show_run(run_id)
        self.turn_to("chart")

    def why_not(self, verb: str) -> str:
        if self.arrangement == "too-small":
            return _("mnist-tui needs at least 80 columns and 24 rows.")
        return why_not(verb, self._book)

    # The list of runs

    @on(Listed)
    def _take_listing(self, message: Listed) -> None:
        is_first = not self._book.is_listed
        if self._book.take_listing(message.summaries, message.began_s):
            self._display.forget_deleted()
        live = [summary.id for summary in message.summaries if summary.state in LIVE]
        for summary in message.summaries:
            if summary.state in LIVE or summary.id in self._book.followed:
                self._follower.follow(summary.id)
        if is_first:
            self._open_at_start(live)
        elif self._book.current is None and (newest := self._book.newest_own()) is not None:
            self._display.show_run(newest)
        text = ngettext("{count} run in progress", "{count} runs in progress", len(live))
        self.sub_title = text.format(count=len(live)) if live else ""
        self._display.show_list()
        self._display.say_when_disk_is_full(message.disk_is_full)

    def _open_at_start(self, live: Sequence[str]) -> None:
        if not self._book.summaries:  # there is nothing to look at: a run will be started
            self._trying(self._link.start)
        if live and self._open_first is None:
            self.notify(ngettext("In progress: {runs}", "In progress: {runs}", len(live)).format(runs=", ".join(live)))
        run_id = self._open_first or (live[-1] if live else self._book.newest_own())
        if run_id is None:
            self._display.show_none()
            return
        self._display.show_run(run_id)
        if self._open_first is not None or not self._settings:  # behind tabs, who has come to look sees the run first
            self.turn_to("chart")
        if self._resume_first is not None:
            self.action_resume(self._resume_first)

    # The current run and the overlaid ones

    @on(RunsPanel.Picked)
    def _pick(self, message: RunsPanel.Picked) -> None:
        self._display.show_run(message.run_id)

    @on(RunsPanel.Ticked)
    def _tick(self, message: RunsPanel.Ticked) -> None:
        self._display.toggle_overlay(message.run_id)

    def action_toggle_overlay(self) -> None:
        run_id = self.query_one(RunsPanel).under_cursor
        if run_id is not None:
            self._display.toggle_overlay(run_id)

    def action_show_alone(self) -> None:
        self._display.show_alone()

    def _show_together(self, run_ids: Sequence[str] | None) -> None:
        """Show exactly these runs in the chart."""
        if run_ids:
            self._display.show_together(run_ids)
            self.turn_to("chart")

    @on(News)
    def _take_news(self, message: News) -> None:
        if self._display.take(message):
            self._link.reap()
            self._follower.list_runs()
            if self._book.followed[message.run_id].is_ours and not self._book.live():
                self._trying(self._link.start)

        current, look = self._book.current, self._look_first
        if look is not None and current is not None and current.record.started is not None:
            self._look_first = None
            self._trying(lambda: self._opener.look(*look))

    @on(Worker.StateChanged)
    def _task_failed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            if event.worker.group == WorkerLink.GROUP:
                self._opener.give_up()
            error = event.worker.error
            if isinstance(error, Problem):
                self._complain(error)
            else:
                self.notify(printable(f"{type(error).__name__}: {error}"), severity="error", markup=False)
