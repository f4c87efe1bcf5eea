"""How far a run is, and the exam's lines as they are printed."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from core.events import Validated
from core.replay import MAX_LINES, Replay
from core.runs import State
from tui_app import tables
from tui_app.headless import epoch_line, result_line, time_left
from tui_app.i18n import _, duration, number, percent, printable, say
from tui_app.widgets.lines import Lines


class _Bar(Widget):
    """Textual's own draws itself every second, whether anything has changed or not."""

    share: reactive[float] = reactive(0.0)

    def render(self) -> Content:
        done = round(self.share * self.size.width)
        colour = "$success" if self.share == 1 else "$primary"
        return Content.assemble(("━" * done, colour), ("━" * (self.size.width - done), "$foreground 15%"))


class ProgressPanel(Horizontal):
    """Every line has its place before there is anything to say."""

    def compose(self) -> ComposeResult:
        self.border_title = _("Progress")
        with Vertical(id="progress-numbers"):
            yield Static(_("No run yet: choose a network and press Train."), id="progress-state")
            yield _Bar(id="progress-bar")
            yield Static(id="progress-speed")
            yield Static(id="progress-notice")
        yield Lines(id="lines")

    def on_mount(self) -> None:
        self._run_id = self._notice = ""
        self._lines_are_of: object = None

    def show_run(self, run_id: str, replay: Replay, state: State) -> None:
        """Called at every news of the run, and when another one comes on show."""
        if run_id != self._run_id:  # to say it again would draw the whole panel
            self._run_id = run_id
            self.border_title = _("Progress of {run}").format(run=run_id)
        self._show_numbers(replay, state)
        self._show_lines(replay)

    def _show_numbers(self, replay: Replay, state: State) -> None:
        started, progress = replay.started, replay.progress
        share = replay.done_steps / max(1, replay.total_steps)
        texts = [tables.state_name(state)]
        speed = ""
        if started is not None:
            epoch = progress.epoch if progress else started.epoch
            step = progress.step if progress else started.step
            texts.append(_("epoch {epoch}/{epochs}").format(epoch=number(epoch), epochs=number(started.config.epochs)))
            texts.append(_("batch {step}/{steps}").format(step=number(step), steps=number(started.steps_per_epoch)))
            texts.append(percent(share, 0))
        if started is not None and progress is not None:
            speed = _("{speed} images/s · {elapsed}").format(
                speed=number(progress.images_per_s), elapsed=duration(progress.elapsed_s)
            )
            if state == "running":
                speed += " · " + _("{left} left").format(left=duration(time_left(started, progress)))
        # One line each, whatever it says: to arrange the whole screen anew costs more than a training can spare.
        self.query_one("#progress-state", Static).update(Content(" · ".join(texts)), layout=False)
        self.query_one(_Bar).share = min(1.0, share)
        self.query_one("#progress-speed", Static).update(Content(speed), layout=False)
        notice = _notice(replay, state)
        if notice != self._notice:
            self._notice = notice
            self.query_one("#progress-notice", Static).update(Content(notice))

    def _show_lines(self, replay: Replay) -> None:
        last = [events[-1] if events else None for events in (replay.epochs, replay.validations)]
        lines_are_of = self._run_id, replay.started, last, replay.evaluated
        if lines_are_of != self._lines_are_of:
            self._lines_are_of = lines_are_of
            self.query_one(Lines).show(_lines(replay), _planned_lines(replay))


def _lines(replay: Replay) -> list[str]:
    """The exam's: of each epoch, under it what the validation gave where there is one, and the result."""
    if replay.started is None:
        return []
    lines = {(event.epoch, 0): epoch_line(event, replay.started.config) for event in replay.epochs}
    lines |= {(event.epoch, 1): _validation_line(event) for event in replay.validations}
    result = [result_line(replay.evaluated)] if replay.evaluated is not None else []
    return [lines[place] for place in sorted(lines)] + result


def _planned_lines(replay: Replay) -> int:
    """As many as `_lines` will be at the end."""
    if replay.started is None:
        return 0
    config = replay.started.config
    return min(config.epochs, MAX_LINES) * (2 if config.validate else 1) + 1


def _validation_line(event: Validated) -> str:
    loss = "–" if event.loss is None else number(event.loss, 4)
    return _("  validation {loss}, {accuracy}").format(loss=loss, accuracy=percent(event.accuracy))


def _notice(replay: Replay, state: State) -> str:
    """The one thing that a person should know now."""
    if replay.notice is not None:
        text = say(replay.notice.message)
        return text if replay.notice.fraction is None else f"{text} {percent(replay.notice.fraction, 0)}"
    if replay.ended is not None and replay.ended.message is not None and state not in ("running", "starting"):
        return say(replay.ended.message, replay.ended.advice)
    if state == "crashed":
        return _("The worker is gone. Resume goes on from the last checkpoint; Log shows what it said.")
    if state == "stopped":
        return _("Resume goes on from here.")
    started = replay.started
    if started is None:
        return ""
    where = printable(started.device_name if started.device == "cpu" else f"{started.device} {started.device_name}")
    return f"{tables.dataset_title(started)} · {where} · " + _("seed {seed}").format(seed=started.config.seed)
