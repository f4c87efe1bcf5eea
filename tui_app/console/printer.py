"""A run's events as lines of text or as JSON."""

from __future__ import annotations

import errno
from typing import TextIO

import msgspec

from core.messages import Problem
from core.runs.events import (
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    Notice,
    Progress,
    RunEnded,
    RunStarted,
    SettingsChanged,
    Validated,
    WeightsRestored,
)
from core.runs.record import Record
from tui_app import i18n, wording
from tui_app.console.json_output import Failure, line_of
from tui_app.console.status_line import StatusLine, bar
from tui_app.i18n import _


class Printer:
    """A printer of events: the exam's lines, or JSON, on `out`, and everything else on `err`.

    A reader that goes away (a closed pipe, a terminal that hung up) does not stop the run: output to it just ends.
    Nor does output that fails, but `failure` is then the error.
    """

    def __init__(self, run_id: str, out: TextIO, err: TextIO, *, json: bool) -> None:
        self._run_id = run_id
        self._out: TextIO | None = out
        self._to_terminal = out.isatty()
        self._status = StatusLine(err)
        self._json = json
        self.failure: OSError | None = None
        self.host = ""
        """Machine that trains the run, if it is another one."""
        self._said: set[str] = set()
        self.record = Record(keep_losses=False)
        self._epoch = 0
        self._validated = 0

    def show(self, event: Event) -> None:
        self.record.apply((event,))
        started = self.record.started
        if self._json:
            stamped = event if event.run else msgspec.structs.replace(event, run=self._run_id)  # of an older version
            self._print(line_of(stamped))
        match event:
            case Notice():
                self._show_notice(event)
            case CheckpointSaved():
                self._said.clear()  # a disk that is full once more is worth a word
            case RunStarted():
                self._show_start(event)
            case Progress():
                self._status.draw(self._progress_bar(event))
            case EpochEnded() if event.epoch > self._epoch and started and not self._json:
                self._epoch = event.epoch
                self._print(wording.epoch_line(event, self.record.config))
            case Validated() if event.epoch > self._validated and started and not self._json:
                self._validated = event.epoch
                self.note(wording.validation_line(event, self.record.config))
            case Evaluated() if not self._json:
                self._print(wording.result_line(event))
            case SettingsChanged() if line := wording.change_line(event):
                self.note(_("Run {run}: {change}.").format(run=self._run_id, change=line))
            case WeightsRestored():
                self.note(wording.restored_line(event))
            case RunEnded():
                self._show_end(event)

    @property
    def is_read(self) -> bool:
        """False once the reader of `out` is gone."""
        return self._out is not None

    def note(self, text: str) -> None:
        """Print a line of text on `err`."""
        self._status.note(text)

    def show_failure(self, problem: Problem, code: int, attempt: int) -> None:
        """Print for a script why the command ends with this exit code, where no event says it."""
        if self._json:
            advice = problem.advice if problem.advice.text else None
            failure = Failure(exit_code=code, message=problem.message, advice=advice, run=self._run_id, attempt=attempt)
            self._print(line_of(failure))

    def _show_notice(self, event: Notice) -> None:
        text = i18n.say(event.message)
        if event.fraction is not None and self._status.has_bar:
            self._status.draw(f"{text} {bar(event.fraction)} {i18n.percent(event.fraction, 0)}")
        elif text not in self._said:  # without a bar, the progress of a download is a line, once
            self._said.add(text)
            self.note(text)

    def _show_start(self, event: RunStarted) -> None:
        text = _("Run {run}: {model} on {device}, {dataset} ({train_size} to train, {test_size} to test), {seed}")
        values = {
            "run": self._run_id,
            "model": wording.network_name(event.config),
            "device": i18n.printable(f"{event.device} ({self.host})" if self.host else event.device),
            "dataset": wording.dataset_title(event),
            "train_size": i18n.number(event.train_size),
            "test_size": i18n.number(event.test_size),
            "seed": wording.seed_and_threads(event, self.record.threads),
        }
        self.note(text.format(**values))
        if event.validation_size:
            count = i18n.number(event.validation_size)
            self.note(_("Held out from the training set for validation: {count} images.").format(count=count))
        if event.dataset == "sample":
            self.note(wording.sample_warning())
        if (event.epoch, event.step) != (1, 0):
            self.note(_("Resumed at epoch {epoch}, batch {step}.").format(epoch=event.epoch, step=event.step))

    def _show_end(self, event: RunEnded) -> None:
        self._status.erase()
        if event.status == "stopped":
            self.note(_("Stopped. To continue: mnist-tui resume {run}").format(run=self._run_id))
        for message in (event.message, event.advice):
            if message is not None:
                self.note(i18n.say(message))

    def _progress_bar(self, event: Progress) -> str:
        record = self.record
        left = record.seconds_left
        if record.started is None or left is None or not self._status.has_bar:
            return ""
        return _("Epoch {epoch}/{epochs} {bar} {percent}  loss {loss}  {speed} images/s  {left} left").format(
            epoch=event.epoch,
            epochs=record.config.epochs,
            bar=bar(record.share),
            percent=i18n.percent(record.share, 0),
            loss="–" if event.loss is None else i18n.number(event.loss, 4),
            speed=i18n.number(event.images_per_s),
            left=i18n.duration(left),
        )

    def _print(self, text: str) -> None:
        drawn = self._status.erase()
        try:
            if self._out is not None:
                print(text, file=self._out, flush=True)
        except OSError as error:
            self._out = None
            is_gone = error.errno == errno.EPIPE or (error.errno == errno.EIO and self._to_terminal)
            if not is_gone:
                self.failure = error
        self._status.restore(drawn)
