"""The test result of a trained network: its accuracy and its confusion matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult, RenderResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Digits, Static

from core.comparing.intervals import wilson_interval
from core.messages import N_
from core.runs.events import Evaluated
from core.runs.record import LIVE, RESUMABLE, Record, State
from core.worker.protocol import EvaluateAt, EvaluatedAt, MomentView, Refused
from tui_app import terminal, wording
from tui_app.dashboard.enquiries import Enquiries
from tui_app.dashboard.moment_walk import MomentWalk
from tui_app.dashboard.widgets.confusion_matrix import ConfusionMatrix
from tui_app.i18n import _, ngettext, number, percent, say


class ResultPanel(Vertical):
    """A panel laid out in full before the first result.

    `ask` sends a request for the result at a moment of the training, answered in `show`.
    """

    ASKS = EvaluateAt

    def __init__(self, ask: Callable[[EvaluateAt], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._enquiries = Enquiries(ask)
        self._walk: MomentWalk | None = None
        self._shown: object = None
        self._run_id, self._record, self._no_result = "", Record(), ""
        self._notes = ""
        """What has to be said of the result, in the border."""
        self.moment = ""
        """Name of the snapshot whose result is shown; empty for the trained network's."""

    def compose(self) -> ComposeResult:
        with Horizontal(id="result-head"):
            yield Accuracy("", id="accuracy")
            yield Static(id="result-details")
        yield ConfusionMatrix(id="confusion")

    HELP = N_(
        "The accuracy of the current run on the test images, with its confidence interval (CI, 95%), and its confusion"
        " matrix: a row for each class, a column for each answer. The redder an error, the larger its share of"
        " the row; recall is the share of a class that is recognised. The arrows move the cursor, Enter or a click"
        " shows the images. The comma and the full stop show the result at an earlier or later moment of the training"
        " that was kept, and j plays them."
    )

    def on_mount(self) -> None:
        self._show("", Record(), wording.reading_runs())

    def clear(self) -> None:
        """Show that there is no run."""
        self._show("", Record(), _("The test accuracy, once a run is over: F5 starts one."))

    def show_run(self, run_id: str, record: Record, state: State) -> None:
        """Show a run's result; called at each of its news, most of which change nothing here."""
        self._show(run_id, record, _no_result(state))

    def _show(self, run_id: str, record: Record, no_result: str) -> None:
        """Show a result, or the reason why there is none."""
        shown = run_id, record.started, record.evaluated, record.restored, no_result
        if shown == self._shown:
            return
        self._shown = shown
        self._run_id, self._record, self._no_result = run_id, record, no_result
        self._enquiries.forget()
        if self._walk is not None:
            self._walk.give_up()
            self._walk = None
        self._show_trained()

    def _show_trained(self) -> None:
        self.moment = ""
        title = _("Result of {run}").format(run=self._run_id) if self._run_id else _("Result")
        restored = self._record.restored
        self._fill(title, self._record.evaluated, [wording.kept_epoch(restored)] if restored else [])

    def _fill(self, title: str, result: Evaluated | None, notes: Sequence[str]) -> None:
        record = self._record
        self.border_title = title + (" · " + _("SAMPLE") if record.is_sample else "")
        sample = [_("5,000 images, not all of MNIST")] if record.is_sample else []
        permuted = [_("pixels permuted")] if record.started and record.started.config.permute else []
        self._notes = self.border_subtitle = " · ".join([*sample, *permuted, *notes])
        if result is None or result.total <= 0:
            self.query_one("#accuracy", Digits).update("–")
            self.query_one("#result-details", Static).update(self._no_result)
            self.query_one(ConfusionMatrix).show((), ())
            return
        self.query_one("#accuracy", Digits).update(number(100 * result.accuracy, 2))
        self.query_one("#result-details", Static).update(Content(_details(result)))
        names = record.started.class_names if record.started else ()
        self.query_one(ConfusionMatrix).show(result.confusion, names)

    # Moments of the training

    def walk(self, run_dir: str, moments: Sequence[MomentView]) -> MomentWalk:
        """Return the walk through the moments of the run that is shown; it begins at the trained network."""

        def go_to(moment: MomentView) -> None:
            if moment.name:
                self._enquiries.ask(EvaluateAt(run_dir, moment.name))
            else:
                self._show_trained()
                walk.arrive()

        if self._walk is None:
            walk = self._walk = MomentWalk(self, moments, "", go_to, self._tell)
        return self._walk

    def show(self, answer: EvaluatedAt) -> None:
        """Show the result at a moment, if it is still wanted."""
        walk = self._walk
        if self._enquiries.take(answer.request) and walk is not None and walk.wanted.name == answer.request.moment:
            self.moment = walk.wanted.name
            self._fill(walk.named(self.moment), answer.result, [])
            walk.arrive()

    def refuse(self, refused: Refused) -> None:
        """Tell the user why there is no result at a moment."""
        if isinstance(refused.request, EvaluateAt) and self._enquiries.take(refused.request):
            self.notify(say(refused.message, refused.advice), severity="error", timeout=10, markup=False)
            self.give_up()

    def give_up(self) -> None:
        """Wait for no result any more: the worker is gone."""
        self._enquiries.forget()
        if self._walk is not None:
            self._walk.give_up()

    def _tell(self, text: str) -> None:
        self.border_subtitle = Content(text or self._notes)

    @on(ConfusionMatrix.Pointed)
    def _say(self, message: ConfusionMatrix.Pointed) -> None:
        self.border_subtitle = Content(message.text or self._notes)


class Accuracy(Digits):
    """A number in large digits, or in plain ones where the terminal lacks the lines that those are made of."""

    def render(self) -> RenderResult:
        return super().render() if terminal.has_utf8() else self.value


def _no_result(state: State) -> str:
    if state in LIVE:
        return _("The test accuracy comes when the run has been tested.")
    if state in RESUMABLE:
        return _("Not tested yet: F7 resumes the run.")
    return wording.reading_runs() if state == "done" else ""


def _details(result: Evaluated) -> str:
    errors = result.total - result.correct
    low, high = wilson_interval(max(0, min(result.correct, result.total)), result.total)
    text = ngettext("{errors} error in {total}", "{errors} errors in {total}", errors)
    return "\n".join(
        (
            "% " + _("of the test set"),
            text.format(errors=number(errors), total=number(result.total)),
            _("95% CI: {low}–{high}").format(low=number(100 * low, 2), high=percent(high)),
        )
    )
