"""The progress of a run, and the exam's lines as they are printed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from core.messages import N_
from core.runs.events import Validated
from core.runs.record import LIVE, MAX_LINES, Record, State
from tui_app import wording
from tui_app.dashboard.widgets.line_log import LineLog
from tui_app.i18n import _, duration, number, percent, printable, say


class _Bar(Widget):
    """A progress bar; Textual's own redraws itself every second even if nothing has changed."""

    share: reactive[float] = reactive(0.0)

    def render(self) -> Content:
        done = round(self.share * self.size.width)
        colour = "$success" if self.share == 1 else "$primary"
        return Content.assemble(("━" * done, colour), ("━" * (self.size.width - done), "$foreground 15%"))


class ProgressPanel(Horizontal):
    """A panel whose lines have their places before there is anything to show."""

    HELP = N_(
        "How far the current run is, how fast, and the lines that the exam's program prints: the loss of each epoch,"
        " and the result. After the end, images/s is the mean over the run."
    )

    def compose(self) -> ComposeResult:
        self.border_title = _("Progress")
        with Vertical(id="progress-numbers"):
            yield Static(wording.reading_runs(), id="progress-state")
            yield _Bar(id="progress-bar")
            yield Static(id="progress-speed")
            yield Static(id="progress-notice")
        yield LineLog(id="lines")

    def on_mount(self) -> None:
        self._run_id = self._title = self._notice = self._settings = ""
        self._lines_are_of: object = None

    def clear(self) -> None:
        """Show that there is no run."""
        self.on_mount()
        self.border_title, self.border_subtitle = _("Progress"), ""
        self.query_one("#progress-state", Static).update(_("No run yet: choose a network and press Train."))
        self.query_one(_Bar).share = 0.0
        for part in ("#progress-speed", "#progress-notice"):
            self.query_one(part, Static).update("")
        self.query_one(LineLog).show([], 0)

    def show_run(self, run_id: str, record: Record, state: State, resumption: str = "", host: str = "") -> None:
        """Show a run; called at each of its news, and when the current run changes.

        `resumption` is what to do with it, if it can be resumed, and `host` the machine it is on, if it is another one.
        """
        title = _("Progress of {run}").format(run=run_id) + (f" · {printable(host)}" if host else "")
        if title != self._title:  # setting it again would redraw the whole panel
            self._run_id, self._title = run_id, title
            self.border_title = Content(title)
        settings = _settings(record)
        if settings != self._settings:
            self._settings = settings
            self.border_subtitle = Content(settings)  # no markup: a file's name may have brackets
        self._show_numbers(record, state, resumption)
        self._show_lines(record)

    def show_start(self, text: str) -> None:
        """Show that the run is starting."""
        self.query_one("#progress-state", Static).update(Content(text), layout=False)

    def _show_numbers(self, record: Record, state: State, resumption: str) -> None:
        started, progress = record.started, record.progress
        share = record.share
        texts = [wording.state_name(state)]
        speed = ""
        if started is not None:
            epoch, step = record.position
            texts.append(_("epoch {epoch}/{epochs}").format(epoch=number(epoch), epochs=number(record.config.epochs)))
            texts.append(_("batch {step}/{steps}").format(step=number(step), steps=number(started.steps_per_epoch)))
            texts.append(percent(share, 0))
        if started is not None and progress is not None:
            pace = progress.images_per_s if state in LIVE else record.mean_images_per_s
            speed = _("{speed} images/s · {elapsed}").format(speed=number(pace), elapsed=duration(progress.elapsed_s))
            left = record.seconds_left
            if state == "running" and left is not None:
                speed += " · " + _("{left} left").format(left=duration(left))
        # Always one line each: laying out the whole screen again costs more than a training can spare.
        self.query_one("#progress-state", Static).update(Content(" · ".join(texts)), layout=False)
        self.query_one(_Bar).share = share
        self.query_one("#progress-speed", Static).update(Content(speed), layout=False)
        notice = _notice(record, state, resumption)
        if notice != self._notice:
            self._notice = notice
            self.query_one("#progress-notice", Static).update(Content(notice))

    def _show_lines(self, record: Record) -> None:
        last = [events[-1] if events else None for events in (record.epochs, record.validations)]
        result = record.restored, record.evaluated
        lines_are_of = self._run_id, record.started, last, result, record.is_steered and record.config
        if lines_are_of != self._lines_are_of:
            self._lines_are_of = lines_are_of
            self.query_one(LineLog).show(_lines(record), _planned_lines(record))


def _lines(record: Record) -> list[str]:
    """Return the exam's lines: each epoch's, followed by its validation if there is one, and the result."""
    if record.started is None:
        return []
    lines = {(event.epoch, 0): wording.epoch_line(event, record.config) for event in record.epochs}
    lines |= {(event.epoch, 1): _validation_line(event) for event in record.validations}
    kept = [f"  {wording.kept_epoch(record.restored)}"] if record.restored is not None else []
    result = [wording.result_line(record.evaluated)] if record.evaluated is not None else []
    return [lines[place] for place in sorted(lines)] + kept + result


def _planned_lines(record: Record) -> int:
    """Return the final number of `_lines`."""
    if record.started is None:
        return 0
    config = record.config
    return min(config.epochs, MAX_LINES) * (2 if config.validate else 1) + bool(config.patience) + 1


def _validation_line(event: Validated) -> str:
    # With a decimal point in every language, as in the exam's lines around it.
    loss = "–" if event.loss is None else f"{event.loss:.4f}"
    return _("  validation {loss}, {accuracy}%").format(loss=loss, accuracy=f"{100 * event.accuracy:.2f}")


def _settings(record: Record) -> str:
    if record.started is None:
        return ""
    return wording.settings_line(record.config, record.threads if record.started.device == "cpu" else 0)


def _notice(record: Record, state: State, resumption: str) -> str:
    """Return the one thing that the user should know now."""
    if record.notice is not None:
        text = say(record.notice.message)
        return text if record.notice.fraction is None else f"{text} {percent(record.notice.fraction, 0)}"
    if record.ended is not None and record.ended.message is not None and state not in LIVE:
        return say(record.ended.message, record.ended.advice)
    if state == "paused":
        return _("Paused: {key} goes on.").format(key="p")
    if resumption:
        return resumption
    started = record.started
    if started is None:
        return ""
    where = printable(started.device_name if started.device == "cpu" else f"{started.device} {started.device_name}")
    return f"{wording.dataset_title(started)} · {where} · {wording.seed(started)}"
