"""The screen that tests trained networks on harder images, and plots accuracy against strength."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich.measure import Measurement
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, ScrollableContainer, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Header, Input, Label, ProgressBar, Static, Tab, Tabs

from core.data import conditions
from core.data.conditions import DEFAULTS, Condition, Kind
from core.messages import N_, InvalidSetting
from core.worker.protocol import Measure, Measured, Refused
from tui_app import comparison_text, terminal
from tui_app.charts import accuracy_chart
from tui_app.charts.accuracy_chart import AccuracyCurve
from tui_app.dashboard.keys import conditions_keys
from tui_app.dashboard.screens.side_screen import AskingScreen
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.i18n import _, say, short


@dataclass(frozen=True)
class Subject:
    """A finished run to test, with the lines that represent it, its id first."""

    run_dir: str
    lines: tuple[str, ...]


class ConditionsScreen(AskingScreen[None]):
    """Accuracies of runs under harder conditions. `ask` sends a request, whose answer comes to `show`.

    `known` holds earlier measurements and receives the new ones; `notes` are remarks on the runs; `colours` returns
    those of the runs by id, as the theme has them now.
    """

    ASKS = Measure
    AUTO_FOCUS = "Tabs"
    HELP = N_(
        "How well the runs of the chart recognise digits that are shifted, rotated or noisy, without being trained for"
        " it. Change the strengths and press Test; the tabs choose which condition is plotted."
    )

    def __init__(
        self,
        subjects: Sequence[Subject],
        notes: Sequence[str],
        colours: Callable[[], Mapping[str, str]],
        ask: Callable[[Measure], None],
        known: Mapping[Measure, float],
    ) -> None:
        super().__init__(conditions_keys())
        self._subjects = subjects
        self._notes = list(notes)
        self._colours = colours
        self._ask = ask
        self._known = known
        self._conditions = conditions.default()
        self._refused: set[str] = set()
        self._waiting: Measure | None = None

    def compose(self) -> ComposeResult:
        yield Header()
        with Vertical(classes="body"):
            with Horizontal(classes="field"):
                for kind, label in (("shift", _("Shift px")), ("turn", _("Rotation °")), ("noise", _("Noise 0–1"))):
                    strengths = " ".join(map(short, DEFAULTS[kind]))  # type: ignore[index]
                    yield Label(label)
                    yield Input(strengths, id=kind, compact=True, tooltip=_("Strengths, separated by spaces"))
                yield Button(_("Test"), id="start", variant="primary", compact=True)
            yield ProgressBar(total=1, show_eta=False, show_percentage=False, id="conditions-progress")
            yield Static(id="conditions-state")
            with VerticalScroll(id="conditions-notes"):
                yield Static(classes="muted")
            with Horizontal(id="conditions"):
                with ScrollableContainer(id="conditions-table"):
                    yield Static(id="accuracies")
                with Vertical():
                    yield Tabs(
                        *(Tab(comparison_text.condition_kind(kind), id=f"kind-{kind}") for kind in conditions.KINDS)
                    )
                    yield CurveView()
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._fill())
        self._ask_next()

    # Questions

    @on(Button.Pressed, "#start")
    @on(Input.Submitted)
    def action_test(self) -> None:
        """Test under the conditions entered; earlier measurements are kept."""
        try:
            self._conditions = self._typed()
        except InvalidSetting as invalid:
            self.query_one(f"#{invalid.field}").focus()
            self._say(say(invalid))
            self.app.bell()
            return
        self._ask_next()

    @on(Input.Changed)
    def _check(self) -> None:
        """Mark invalid input while it is typed."""
        wrong = None
        try:
            self._typed()
        except InvalidSetting as invalid:
            wrong = invalid
        for field in self.query(Input):
            field.set_class(wrong is not None and field.id == wrong.field, "wrong")
        if wrong is not None:
            self._say(say(wrong))
        else:
            self._say(self._progress_text())

    def _typed(self) -> list[Condition]:
        """Return the conditions entered; a kind without strengths is left out. Raises `InvalidSetting`."""
        found: list[Condition] = []
        for kind in DEFAULTS:
            text = self.query_one(f"#{kind}", Input).value
            found += sorted(conditions.from_text(kind, text)) if text.strip() else []
        return found

    @property
    def _plan(self) -> list[Measure]:
        """Measurements condition by condition, so that networks can be compared from the first row on."""
        asked = (None, *self._conditions)
        return [Measure(subject.run_dir, condition) for condition in asked for subject in self._subjects]

    def _ask_next(self) -> None:
        """Send the next question: one at a time, so that leaving the screen keeps nobody waiting."""
        left = [one for one in self._plan if one not in self._known and one.run_dir not in self._refused]
        if left and self._waiting is None:
            self._waiting = left[0]
            self._ask(left[0])
        self._fill()

    @property
    def is_waiting(self) -> bool:
        """True while a test under a condition is in progress."""
        return self._waiting is not None

    # Progress

    def show(self, answer: Measured) -> None:
        self._go_on_from(answer.request)

    def refuse(self, refused: Refused) -> None:
        if isinstance(refused.request, Measure):
            self._refused.add(refused.request.run_dir)
            self._notes.append(say(refused.message, refused.advice))
            self._go_on_from(refused.request)

    def _go_on_from(self, answered: Measure) -> None:
        if answered == self._waiting:
            self._waiting = None
        self._ask_next()

    def give_up(self) -> None:
        self._waiting = None
        self._fill()

    def _fill(self) -> None:
        plan = self._plan
        done = sum(one in self._known or one.run_dir in self._refused for one in plan)
        self.query_one(ProgressBar).update(progress=done / len(plan))
        self._say(self._progress_text())
        self.query_one("#conditions-notes").display = bool(self._notes)
        self.query_one("#conditions-notes > Static", Static).update(Content("\n".join(self._notes)))
        self._fill_table()
        self._fill_curve()

    def _progress_text(self) -> str:
        plan = self._plan
        done = sum(one in self._known or one.run_dir in self._refused for one in plan)
        if done == len(plan):
            return _("Mean accuracy over the directions of each condition, without retraining.")
        text = _("{done} of {total} tests").format(done=done, total=len(plan))
        if self._waiting is None:
            return text + " · " + _("stopped; F5 continues")
        run_id = self._waiting.run_dir.rpartition("/")[2]
        return f"{text} · {run_id}, {comparison_text.condition_name(self._waiting.condition)}"

    def _say(self, text: str) -> None:
        self.query_one("#conditions-state", Static).update(Content(text))

    def _fill_table(self) -> None:
        plain = not terminal.has_utf8()
        headings = [
            "\n".join((accuracy_chart.marker(position, plain=plain), *subject.lines))
            for position, subject in enumerate(self._subjects)
        ]
        rows = [
            (condition, [self._known.get(Measure(subject.run_dir, condition)) for subject in self._subjects])
            for condition in (None, *self._conditions)
        ]
        grid = comparison_text.by_condition(headings, rows, "–")
        table = comparison_text.as_table(grid, [self._colour(subject) for subject in self._subjects])
        self.query_one("#accuracies", Static).update(table)
        wide = self.app.console.options.update(width=1000)
        self.query_one("#conditions-table").styles.width = Measurement.get(self.app.console, wide, table).maximum + 1

    def _colour(self, subject: Subject) -> str:
        return self._colours().get(subject.lines[0], "")

    @on(Tabs.TabActivated)
    def _fill_curve(self) -> None:
        kind: Kind = (self.query_one(Tabs).active or "kind-shift").removeprefix("kind-")  # type: ignore[assignment]
        asked = [None, *(condition for condition in self._conditions if condition.kind == kind)]
        drawn = []
        for position, subject in enumerate(self._subjects):
            values = [(condition, self._known.get(Measure(subject.run_dir, condition))) for condition in asked]
            points = comparison_text.curve_points(((one, value) for one, value in values if value is not None), kind)
            mark = accuracy_chart.marker(position, plain=not terminal.has_utf8())
            drawn.append(AccuracyCurve(subject.lines[0], mark, self._colour(subject), points))
        strengths = [0.0, *(condition.strength for condition in asked if condition is not None)]
        unit = comparison_text.strength_unit(kind)
        self.query_one(CurveView).show(drawn, strengths, unit)


class CurveView(Widget):
    """A plot of accuracy by strength."""

    def __init__(self) -> None:
        super().__init__()
        self._curves: Sequence[AccuracyCurve] = ()
        self._strengths: Sequence[float] = ()
        self._unit = ""

    def show(self, drawn: Sequence[AccuracyCurve], strengths: Sequence[float], unit: str) -> None:
        self._curves, self._strengths, self._unit = drawn, strengths, unit
        self.refresh()

    def render(self) -> Text:
        if len(self._strengths) < 2:
            return Text(_("No strengths entered."), style="dim")
        width, height = self.content_size
        plain = not terminal.has_utf8()
        drawn = accuracy_chart.draw(self._curves, self._strengths, width, height - 1, plain=plain, from_zero=True)
        return Text.assemble(drawn, "\n", self._unit.rjust(width), no_wrap=True)
