"""Display of the current run in the panels, and of the overlaid runs in the chart."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.timer import Timer

from core.config import Architecture
from core.networks import kept_tables
from core.runs.record import LIVE, UNENDED, State
from core.worker.moment_views import moment_views
from tui_app import notification, terminal, wording
from tui_app.dashboard import chart_lines
from tui_app.dashboard.moment_walk import MomentWalk
from tui_app.dashboard.run_book import BUSY_INTERVAL_S, RunBook, ShownRun
from tui_app.dashboard.run_follower import News, RunFollower
from tui_app.dashboard.screens.panel_screen import PanelScreen
from tui_app.dashboard.why_not import VERBS, no_snapshots, why_not
from tui_app.dashboard.widgets.chart_panel import ChartPanel
from tui_app.dashboard.widgets.layer_panel import LayerPanel
from tui_app.dashboard.widgets.progress_panel import ProgressPanel
from tui_app.dashboard.widgets.result_panel import ResultPanel
from tui_app.dashboard.widgets.run_form import RunForm
from tui_app.dashboard.widgets.runs_panel import RunsPanel
from tui_app.i18n import _, printable

_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_TURN_S = 0.2
"""Seconds between two signs, one after the other, that a run is starting."""
_BAD_ENDS: tuple[State, ...] = ("failed", "diverged", "crashed")


class RunDisplay:
    """Display of a book's runs in the panels of a screen; with `notifies`, the terminal says when a long one ends."""

    def __init__(self, screen: PanelScreen, book: RunBook, follower: RunFollower, *, notifies: bool) -> None:
        self._screen = screen
        self._book = book
        self._follower = follower
        self._notifies = notifies
        self._possible: Sequence[bool] = ()
        self._disk_was_full = False
        self._turning: Timer | None = None
        self._turns = 0
        self._table_is_of: ShownRun | None = None
        """Run whose layer table was shown last; the form may have replaced it by another network's since."""

    def show_run(self, run_id: str) -> None:
        """Fill the panels with a run, in progress or not."""
        self._book.current_id, self._table_is_of = run_id, None
        self._follower.follow(run_id)
        self._show_all()
        self.show_list()

    def forget_deleted(self) -> None:
        """Take deleted runs off the panels."""
        if self._book.current is None:
            self.show_none()
        self._show_chart()

    def show_none(self) -> None:
        """Show that there is no current run."""
        self._screen.query_one(ProgressPanel).clear()
        self._screen.query_one(ResultPanel).clear()
        self._screen.query_one(LayerPanel).show_health(Architecture(), None)
        form = self._screen.query_one(RunForm)
        form.show_current()
        form.show_stoppable(False)

    def toggle_overlay(self, run_id: str) -> None:
        """Overlay a run on the chart, or remove it."""
        if run_id in self._book.overlaid:
            self._book.overlaid.remove(run_id)
        else:
            self._book.overlaid.append(run_id)
            self._follower.follow(run_id)
        self._show_chart()
        self.show_list()

    def show_together(self, run_ids: Sequence[str]) -> None:
        """Show exactly these runs in the chart."""
        self._book.overlaid = list(run_ids)
        for run_id in run_ids:
            self._follower.follow(run_id)
        self.show_run(run_ids[0])

    def show_alone(self) -> None:
        """Remove every overlaid run from the chart."""
        self._book.overlaid = []
        self._show_chart()
        self.show_list()

    def walk_of_result(self) -> MomentWalk | None:
        """Return the walk through the current run's moments, with its result in front; None if it has none of these."""
        current = self._book.current
        if current is None or current.record.evaluated is None:
            return None
        moments = moment_views(current.run, current.record.position)
        if len(moments) < 2:  # they were asked for, but could not be kept
            self._screen.notify(no_snapshots(), severity="warning", markup=False)
            return None
        self._screen.bring_forward("result")
        return self._screen.query_one(ResultPanel).walk(str(current.run.path), moments)

    def take(self, news: News) -> bool:
        """Show a run's news. Return True if it has just ended."""
        followed = self._book.followed.get(news.run_id)
        if followed is None:  # deleted meanwhile
            return False
        was, followed.state = followed.state, news.state
        followed.heard_s = time.monotonic()
        if news.has_events or was != news.state:
            if news.run_id == self._book.current_id:
                self._show_all()
            elif news.run_id in self._book.overlaid and news.state in LIVE:
                self._screen.query_one(ChartPanel).draw_within(BUSY_INTERVAL_S, self._show_chart)
            elif news.run_id in self._book.overlaid:
                self._show_chart()
            if (summary := self._book.summary(news.run_id)) is not None:
                self._screen.query_one(RunsPanel).show_run(summary)
        if followed.is_awaited and news.state not in UNENDED:
            self._notify_of_end(followed)
        followed.is_awaited = news.state in LIVE or (followed.is_awaited and news.state == "silent")
        has_ended = was in LIVE and news.state not in LIVE
        if has_ended and news.run_id == self._book.current_id and news.state in _BAD_ENDS:
            self._tell_of_bad_end(news.run_id, news.state)
        return has_ended

    def say_when_disk_is_full(self, is_full: bool) -> None:
        """Warn once that the disk is full, which the runs themselves cannot record."""
        if is_full and not self._disk_was_full:
            text = _("The disk of {path} is full: runs continue, but their events are not saved until there is space.")
            path = printable(str(self._book.runs_dir))
            self._screen.notify(text.format(path=path), severity="error", timeout=30, markup=False)
        self._disk_was_full = is_full

    def _tell_of_bad_end(self, run_id: str, state: State) -> None:
        """Say what the progress says, where that is not seen."""
        if not self._screen.query_one(ProgressPanel).size:
            text = _("{run}: {state}. Its progress says more.").format(run=run_id, state=wording.state_name(state))
            self._screen.notify(text, severity="error", timeout=15, markup=False)

    def _notify_of_end(self, followed: ShownRun) -> None:
        """Have the terminal notify its user of the end of a run that took long."""
        progress, driver = followed.record.progress, self._screen.app._driver  # Textual's own way is for the bell only
        is_watched = followed.is_ours or followed.run.id == self._book.current_id
        if (
            self._notifies
            and is_watched
            and driver is not None
            and progress
            and progress.elapsed_s >= notification.LEAST_S
        ):
            evaluated = followed.record.evaluated
            line = wording.ended_line(followed.run.id, followed.state, evaluated.accuracy if evaluated else None)
            driver.write(notification.sequence(line))

    def show_list(self) -> None:
        """Update the list of runs."""
        book = self._book
        if book.is_listed:
            self._screen.query_one(RunsPanel).show_runs(book.summaries, book.current_id, self.line_colours())
        self._show_possible()

    def line_colours(self) -> dict[str, str]:
        """Map each charted run to its line's colour; empty until it starts."""
        variables = self._screen.app.theme_variables
        colours = chart_lines.colours(self._book)
        return {run_id: variables.get(colour.removeprefix("$"), "") for run_id, colour in colours.items()}

    def _show_all(self) -> None:
        screen = self._screen
        followed = self._book.followed[self._book.current_id]
        run_id, record, state = followed.run.id, followed.record, self._state_of(followed)
        resumption, host = wording.resumption(followed.run, state), self._book.listed_elsewhere(run_id)
        screen.query_one(ProgressPanel).show_run(run_id, record, state, resumption, host)
        screen.query_one(ResultPanel).show_run(run_id, record, state)
        form = screen.query_one(RunForm)
        form.show_stoppable(state in LIVE)
        if record.started is not None:
            form.show_current(run_id, record.config)
        self._show_start()
        if record.started is not None:
            measured = record.measured if record.config.health else None
            screen.query_one(LayerPanel).show_health(record.started.config.architecture, measured)
        if record.started is not None and self._table_is_of is not followed:
            self._table_is_of = followed
            architecture = record.started.config.architecture
            screen.query_one(LayerPanel).show_of_run(architecture, kept_tables.of_run(followed.run.path, architecture))
        self._show_chart()

    def _state_of(self, followed: ShownRun) -> State:
        """Return a run's state, as the list has it while the run itself has yet to be read."""
        listed = None if followed.is_known else self._book.listed_state(followed.run.id)
        return listed or followed.state

    def _show_start(self) -> None:
        """Show that a run is starting, for as long as nothing else is to be seen of it."""
        current = self._book.current
        starts = current is not None and current.is_known and current.state in ("starting", "running")
        if current is None or not starts or current.record.progress is not None:
            if self._turning is not None:
                self._turning.stop()
                self._turning = None
            if self._turns:
                self._turns = 0
                self._screen.query_one(ChartPanel).waits_for("")
            return
        if self._turning is None and self._screen.app.animation_level != "none":
            self._turning = self._screen.set_interval(_TURN_S, self._show_start)
        self._turns += 1
        signs = _TURNING if terminal.has_utf8() else "|/-\\"
        is_starting = current.state == "starting"
        text = _("{run} is starting…") if is_starting else _("{run}: no batch is done yet…")
        text = f"{signs[self._turns % len(signs)]} " + text.format(run=current.run.id)
        self._screen.query_one(ChartPanel).waits_for(text)
        if is_starting:
            self._screen.query_one(ProgressPanel).show_start(text)

    def _show_chart(self) -> None:
        current = self._book.current
        started = current.record.started if current is not None else None
        planned_epochs = current.record.config.epochs if current is not None and started is not None else None
        if self._screen.query_one(ChartPanel).show(chart_lines.series(self._book), planned_epochs):
            self.show_list()  # its marks use the colours of the lines
        self._show_possible()

    def _show_possible(self) -> None:
        """Have the footer dim the keys that can do nothing now."""
        possible = [not why_not(verb, self._book) for verb in VERBS]
        if possible != self._possible:
            self._possible = possible
            self._screen.refresh_bindings()
