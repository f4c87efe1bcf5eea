"""The side screens: opening them, and passing the worker's answers on to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from core.config import RunConfig
from core.messages import Problem
from core.runs.control import Request
from core.runs.directory import FollowedRun
from core.runs.record import LIVE
from core.worker.protocol import AskedImage, Browse, Measure, Measured, Question, Refused, SideAnswer
from tui_app.charts import palette
from tui_app.dashboard.run_book import RunBook, ShownRun
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.widgets.layer_panel import LayerPanel
from tui_app.dashboard.widgets.result_panel import ResultPanel
from tui_app.dashboard.worker_link import WorkerLink
from tui_app.i18n import _, say

if TYPE_CHECKING:
    from tui_app.dashboard.screens.digits_screen import Cell
    from tui_app.dashboard.screens.runs_screen import Chosen


FIRST_IMAGE = AskedImage(0)


class ScreenOpener:
    """Opener of the side screens. It imports each on first use, so that the first painting need not wait for them.

    `complain` receives the problems.
    """

    def __init__(
        self, dashboard: Screen[None], book: RunBook, link: WorkerLink, complain: Callable[[Problem], None]
    ) -> None:
        self._dashboard = dashboard
        self._book = book
        self._link = link
        self._complain = complain
        self._accuracies: dict[Measure, float] = {}
        self._runs_line = ""
        """Filter line of the table of runs as it was left."""

    # Opening screens: raises `Problem` if there is nothing to show

    def open_log(self) -> None:
        from tui_app.dashboard.screens.text_screen import TextScreen

        run = self._book.run(self._book.current_id)
        followed = self._book.followed.get(run.id)
        remarks = [] if followed is None else [say(each.message) for each in followed.record.remarks]
        lines = [*remarks, *run.log_tail(500)] or [_("The log is empty.")]
        self._dashboard.app.push_screen(TextScreen(_("Log of {run}").format(run=run.id), lines, "f4", "v"))

    def open_digits(self, cell: Cell | None) -> None:
        from tui_app.dashboard.screen_factories import digits_screen

        moment = self._dashboard.query_one(ResultPanel).moment
        self._open(digits_screen(self._book.shown, cell, moment, self._ask_digits, self._look))

    def open_draw(self) -> None:
        from tui_app.dashboard.screen_factories import draw_screen

        self._open(draw_screen(self._book.shown, self._ask, self.ask_beside, self._look))

    def look(self, picture: AskedImage, trusts: bool) -> None:
        """Look inside at a picture, or have one drawn if it is empty. Raises `Problem`."""
        if picture == AskedImage():
            self.open_draw()
        else:
            self.open_inside(picture, trusts=trusts)

    def open_inside(
        self,
        picture: AskedImage = FIRST_IMAGE,
        run_id: str = "",
        moment: str = "",
        layer: str = "",
        *,
        trusts: bool = False,
    ) -> None:
        """Look inside the network of a run, or of the current one, at an image, at a moment of its training.

        `layer` is shown at once; `trusts` allows another user's network to be executed.
        """
        from tui_app.dashboard.screen_factories import inside_screen

        runs = sorted(self._book.shown, key=lambda each: each.run.id != (run_id or self._book.current_id))
        self._open(inside_screen(runs, picture, self.ask_beside, layer=layer, moment=moment, trusts=trusts))

    def open_exam(self, together: Callable[[Sequence[str] | None], None] = lambda _run_ids: None) -> None:
        """Open the exam's questions; `together` shows runs in the chart."""
        from core.exam.kept import state_folder
        from core.exam.progress import progress_file
        from tui_app.dashboard.exam_places import ExamPlaces
        from tui_app.dashboard.screens.exam_screen import ExamScreen

        places = ExamPlaces(self._dashboard, self._book, self, together, self._complain)
        folder, problem = state_folder()
        self._dashboard.app.push_screen(ExamScreen(places, progress_file(folder), problem))

    def open_layers(self, model: str, look: Callable[[str], None]) -> None:
        """Show the layer table of a built-in network; `look` opens one of its layers."""
        from tui_app.dashboard.screens.layers_screen import LayersScreen

        self._dashboard.app.push_screen(LayersScreen(model, look))

    def open_inside_of(self, run_ids: Sequence[str], layer: str) -> None:
        """Look inside the network of the first of these runs, whether the chart shows it or not."""
        from tui_app.dashboard.screen_factories import inside_screen

        self._open(
            inside_screen(self._read(run_ids), FIRST_IMAGE, self.ask_beside, layer=layer, moment="", trusts=False)
        )

    def open_digits_of(self, run_ids: Sequence[str]) -> None:
        """Show the images that the first of these finished runs gets wrong."""
        from tui_app.dashboard.screen_factories import digits_screen

        self._open(digits_screen(self._read(run_ids), None, "", self._ask_digits, self._look))

    def open_conditions_of(self, run_ids: Sequence[str]) -> None:
        """Test these finished runs under harder conditions."""
        from tui_app.dashboard.screen_factories import conditions_screen

        self._open(conditions_screen(self._read(run_ids), self._colours_of(run_ids), self._ask, self._accuracies))

    def _read(self, run_ids: Sequence[str]) -> list[FollowedRun]:
        """Read runs that the chart may not show."""
        runs = [FollowedRun(self._book.run(run_id), keep_losses=False) for run_id in run_ids]
        for run in runs:
            run.read()
        return runs

    def _colours_of(self, run_ids: Sequence[str]) -> Callable[[], dict[str, str]]:
        """Return what gives these runs colours of their own, as the theme has them."""
        names = [name.removeprefix("$") for name in palette.NAMES]
        return lambda: {
            run_id: self._dashboard.app.theme_variables.get(name, "")
            for run_id, name in zip(run_ids, names, strict=False)
        }

    def _look(self, picture: AskedImage, run_id: str, moment: str) -> None:
        """Look inside from another screen."""
        try:
            self.open_inside(picture, run_id, moment)
        except Problem as problem:
            self._complain(problem)

    def open_annexe(self) -> None:
        from tui_app.dashboard.screen_factories import annexe_screen

        layers = self._dashboard.query_one(LayerPanel)
        self._dashboard.app.push_screen(annexe_screen(lambda: layers.shown_table))

    def open_conditions(self, colours: Callable[[], dict[str, str]]) -> None:
        from tui_app.dashboard.screen_factories import conditions_screen

        self._open(conditions_screen(self._book.shown, colours, self._ask, self._accuracies))

    def open_program(self, view: str = "run", run_id: str = "") -> None:
        """Go through the exam's program, beside the current run, or beside a finished one. Raises `Problem`."""
        from tui_app.dashboard.screens.program_screen import ProgramScreen

        finished = self._finished(run_id) if run_id else None
        current = finished or self._book.current
        started = current.record.started if current is not None else None
        data_dir = (started.config if started is not None else RunConfig()).data_dir
        self._open(ProgramScreen(lambda: finished or self._book.current, data_dir, self.ask_beside, view))

    def _finished(self, run_id: str) -> ShownRun:
        """Read a finished run, whether the chart shows it or not."""
        run = ShownRun(self._book.run(run_id))
        run.read()
        run.state = run.current_state()
        return run

    def open_runs(
        self,
        list_again: Callable[[], None],
        show: Callable[[str], None],
        together: Callable[[Sequence[str] | None], None],
    ) -> None:
        """Open the table of all runs, and show those that are chosen there, alone or together, or compare them."""
        from tui_app.dashboard.screens.runs_screen import RunsScreen

        def act(chosen: Chosen | None) -> None:
            self._runs_line = screen.line
            match chosen:
                case "compare", run_ids:
                    try:
                        self._open_comparison_of(run_ids, together)
                    except Problem as problem:
                        self._complain(problem)
                case "overlay", run_ids:
                    together(run_ids)
                case "show", run_ids:
                    show(run_ids[0])

        screen = RunsScreen(self._book.runs_dir, lambda: self._book.summaries, list_again, self._runs_line)
        self._dashboard.app.push_screen(screen, act)

    def _open_comparison_of(self, run_ids: Sequence[str], then: Callable[[list[str] | None], None]) -> None:
        """Offer the configurations of runs for a comparison."""
        self.open_comparison([self._book.run(run_id).config() for run_id in run_ids], then)

    def open_comparison(self, configs: Sequence[RunConfig], then: Callable[[list[str] | None], None]) -> None:
        """Offer these configurations for a comparison."""
        from tui_app.dashboard.screens.compare_screen import CompareScreen

        screen = CompareScreen(self._book.runs_dir, configs[0], self._ask, self._interrupt, configs)
        self._open(screen, then)

    def open_steer(
        self, current: ShownRun, steer: Callable[[Request], None], resume: Callable[[Request], None]
    ) -> None:
        """Ask for other settings of a run that has started."""
        from tui_app.dashboard.screens.steer_screen import SteerScreen

        act = steer if current.state in LIVE else resume
        least = current.record.position[0] + (current.state == "done")
        screen = SteerScreen(current.run.id, current.record.config, least, resumes=current.state not in LIVE)
        self._dashboard.app.push_screen(screen, lambda asked: None if asked is None else act(asked))

    def open_compare(self, config: RunConfig, then: Callable[[list[str] | None], None]) -> None:
        from tui_app.dashboard.screens.compare_screen import CompareScreen

        self._open(CompareScreen(self._book.runs_dir, config, self._ask, self._interrupt), then)

    def _open(self, screen: AskingScreen[Any], then: Callable[[Any], None] = lambda _result: None) -> None:
        self._link.start()  # it will be asked

        def closed(result: Any) -> None:
            if screen.is_waiting:  # the answer may take a minute, and the next run must not wait for it
                self._interrupt()
            then(result)

        self._dashboard.app.push_screen(screen, closed)

    # Questions and answers

    def _ask_digits(self, question: Browse) -> None:
        """Ask for digits: a look at what is kept of a run is no work, an evaluation at a moment is."""
        if question.moment or question.chosen_at:
            self.ask_beside(question)
        else:
            self._ask(question)

    def ask_beside(self, question: Question) -> None:
        """Ask the worker, which leaves the processor to runs in progress."""
        self._ask(question, gives_way=bool(self._book.live()))

    def _ask(self, question: Question, *, gives_way: bool = False) -> None:
        try:
            if gives_way:
                self._link.give_way()
            self._link.ask(question)
        except Problem as problem:
            self._complain(problem)
            self.give_up()

    def take(self, answer: SideAnswer | Refused) -> None:
        """Pass an answer on to who asked."""
        if isinstance(answer, Measured):
            self._accuracies[answer.request] = answer.accuracy
        for asking in self._asking():
            if isinstance(answer.request, asking.ASKS):
                if isinstance(answer, Refused):
                    asking.refuse(answer)
                else:
                    asking.show(answer)

    def give_up(self) -> None:
        """Tell who asked that the worker is gone."""
        for asking in self._asking():
            asking.give_up()

    def _asking(self) -> list[Any]:
        """Return the open screens that query the worker, which the help may be on top of, and the panel that does."""
        screens = [screen for screen in self._dashboard.app.screen_stack if isinstance(screen, AskingScreen)]
        return [self._dashboard.query_one(ResultPanel), *screens]

    def _interrupt(self) -> None:
        try:
            self._link.interrupt()
        except Problem as problem:
            self._complain(problem)
