"""The program without its dashboard: events as lines or JSON, tables as text."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from core import events, runs
from core.config import RunConfig
from core.detach import StopSignals, redirect_output
from core.events import EpochEnded, Evaluated, Event, Notice, Progress, RunEnded, RunStarted, Validated
from core.problems import Problem
from core.standby import Describe
from tui_app import i18n, tables
from tui_app.i18n import _
from tui_app.status import StatusLine, bar

EXIT_CODES = {"done": 0, "failed": 1, "diverged": 3, "stopped": 130}

_FOLLOW_INTERVAL_S = 0.2


class Printer:
    """Shows events: the exam's lines, or JSON, on `out`, and everything else on `err`.

    A reader that is gone (a closed pipe, a terminal that hung up) is no reason to stop: it is written to no more.
    """

    def __init__(self, run_id: str, out: TextIO, err: TextIO, *, json: bool) -> None:
        self._run_id = run_id
        self._out: TextIO | None = out
        self._status = StatusLine(err)
        self._json = json
        self._said: set[str] = set()
        self._started: RunStarted | None = None
        self._epoch = 0
        self._validated = 0

    def show(self, event: Event) -> None:
        if self._json:
            self._print(i18n.printable_json(events.encode(event).decode().rstrip("\n")))
        match event:
            case Notice():
                self._show_notice(event)
            case RunStarted():
                self._started = event
                self._show_start(event)
            case Progress():
                self._status.draw(self._progress_bar(event))
            case EpochEnded() if event.epoch > self._epoch and self._started and not self._json:
                self._epoch = event.epoch
                self._print(epoch_line(event, self._started.config))
            case Validated() if event.epoch > self._validated and self._started and not self._json:
                self._validated = event.epoch
                self.note(validation_line(event, self._started.config))
            case Evaluated() if not self._json:
                self._print(result_line(event))
            case RunEnded():
                self._show_end(event)

    @property
    def is_read(self) -> bool:
        """Whether there is still somebody who reads `out`."""
        return self._out is not None

    def note(self, text: str) -> None:
        """A line for a person."""
        self._status.note(text)

    def _show_notice(self, event: Notice) -> None:
        text = i18n.say(event.message)
        if event.fraction is not None and self._status.has_bar:
            self._status.draw(f"{text} {bar(event.fraction)} {i18n.percent(event.fraction, 0)}")
        elif text not in self._said:  # a disk that stays full is full at every checkpoint
            self._said.add(text)
            self.note(text)

    def _show_start(self, event: RunStarted) -> None:
        text = _("Run {run}: {model} on {device}, {dataset} ({train_size} to train, {test_size} to test), seed {seed}")
        values = {
            "run": self._run_id,
            "model": tables.network_name(event.config),
            "device": i18n.printable(event.device),
            "dataset": tables.dataset_title(event),
            "train_size": i18n.number(event.train_size),
            "test_size": i18n.number(event.test_size),
            "seed": event.config.seed,
        }
        self.note(text.format(**values))
        if event.validation_size:
            count = i18n.number(event.validation_size)
            self.note(_("Held out of the training set, for validation: {count} images.").format(count=count))
        if event.dataset == "sample":
            self.note(sample_warning())
        if (event.epoch, event.step) != (1, 0):
            self.note(_("Resumed at epoch {epoch}, batch {step}.").format(epoch=event.epoch, step=event.step))

    def _show_end(self, event: RunEnded) -> None:
        self._status.erase()
        if event.status == "stopped":
            self.note(_("Stopped. To go on: mnist-tui resume {run}").format(run=self._run_id))
        for message in (event.message, event.advice):
            if message is not None:
                self.note(i18n.say(message))
        if self._started and self._started.dataset == "sample" and event.status == "done":
            self.note(sample_warning())

    def _progress_bar(self, event: Progress) -> str:
        if self._started is None or not self._status.has_bar:
            return ""
        config, steps = self._started.config, self._started.steps_per_epoch
        done = (event.epoch - 1) * steps + event.step
        share = done / max(1, config.epochs * steps)
        left = time_left(self._started, event)
        return _("Epoch {epoch}/{epochs} {bar} {percent}  loss {loss}  {speed} images/s  {left} left").format(
            epoch=event.epoch,
            epochs=config.epochs,
            bar=bar(share),
            percent=i18n.percent(share, 0),
            loss="–" if event.loss is None else i18n.number(event.loss, 4),
            speed=i18n.number(event.images_per_s),
            left=i18n.duration(left),
        )

    def _print(self, text: str) -> None:
        drawn = self._status.erase()
        try:
            if self._out is not None:
                print(text, file=self._out, flush=True)
        except OSError:
            self._out = None
        self._status.restore(drawn)


def epoch_line(event: EpochEnded, config: RunConfig) -> str:
    """The exam's line of an epoch."""
    return _("Epoch {epoch}/{epochs}, Loss: {loss}").format(
        epoch=event.epoch, epochs=config.epochs, loss=f"{event.loss:.4f}"
    )


def validation_line(event: Validated, config: RunConfig) -> str:
    """What an epoch gave on the images held out."""
    return _("Epoch {epoch}/{epochs}, validation: loss {loss}, accuracy {accuracy}").format(
        epoch=event.epoch,
        epochs=config.epochs,
        loss="–" if event.loss is None else i18n.number(event.loss, 4),
        accuracy=i18n.percent(event.accuracy),
    )


def result_line(event: Evaluated) -> str:
    """The exam's last line."""
    return _("Result: {accuracy}%").format(accuracy=f"{100 * event.accuracy:.2f}")


def sample_warning() -> str:
    return _("THE EMBEDDED SAMPLE: 5,000 images of MNIST, not the whole of it. Results are not MNIST's.")


def time_left(started: RunStarted, progress: Progress) -> float:
    """Seconds until the last batch, at the speed of the moment."""
    config = started.config
    steps = (config.epochs - progress.epoch + 1) * started.steps_per_epoch - progress.step
    return steps * config.batch_size / max(progress.images_per_s, 1e-9)


def train(runs_dir: Path, config: RunConfig, *, json: bool) -> int:
    """Make a run and carry it out in the foreground. Returns the exit code."""
    signals = StopSignals()
    signals.install()
    _say_loading()
    from core import devices, networks

    # What would fail for sure leaves no run behind.
    devices.resolve(config.device)
    networks.build(config.model, config.dropout, config.batch_norm, config.width)
    run = runs.create(runs_dir, config)
    code = _carry_out(run, signals, json=json)
    if code == EXIT_CODES["failed"] and not run.log_tail() and not run.has_started():
        runs.discard(run)
    return code


def resume(run: runs.Run, *, json: bool) -> int:
    """Go on with a run in the foreground. Returns the exit code."""
    signals = StopSignals()
    signals.install()
    _say_loading()
    run.withdraw_stop()
    return _carry_out(run, signals, json=json)


def _say_loading() -> None:
    if sys.stderr.isatty():
        print(_("Loading torch…"), file=sys.stderr, flush=True)


def _carry_out(run: runs.Run, signals: StopSignals, *, json: bool) -> int:
    from core.worker import carry_out

    out = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="replace")
    err = os.fdopen(os.dup(2), "w", encoding=sys.stderr.encoding, errors="replace")
    printer = Printer(run.id, out, err, json=json)
    redirect_output(run.log_path)  # stdout is for the exam's lines, whatever a network prints
    try:
        ended = carry_out(run, printer.show, signals)
    except Problem as problem:  # stderr is the log now
        printer.note(f"mnist-tui: {i18n.say(problem)}")
        return EXIT_CODES["failed"]
    if ended.status == "stopped" and signals.received is not None:
        return 128 + signals.received
    return EXIT_CODES[ended.status]


def follow(run: runs.Run, *, json: bool) -> int:
    """Print the events of a run, from its start until it ends or nobody reads on. Returns the exit code."""
    printer = Printer(run.id, sys.stdout, sys.stderr, json=json)
    reader = run.reader()
    ended: RunEnded | None = None
    while True:
        summary = run.summary()  # before reading: what it wrote before it ended is then read
        state = summary.state
        if state == "unreadable" and summary.message is not None:
            raise Problem.of(summary.message)
        for event in iter_events(reader):
            printer.show(event)
            ended = event if isinstance(event, RunEnded) else None
        if not printer.is_read:
            return 1
        if state not in runs.LIVE:
            break
        time.sleep(_FOLLOW_INTERVAL_S)
    if state == "crashed":
        printer.note(_("Run {run} crashed. The end of its log:").format(run=run.id))
        for line in run.log_tail():
            printer.note(f"  {i18n.printable(line)}")
        printer.note(_("To go on: mnist-tui resume {run}").format(run=run.id))
    return EXIT_CODES[ended.status] if ended else 1


def iter_events(reader: events.EventReader) -> Sequence[Event]:
    """All that a reader has now."""
    found: list[Event] = []
    while new := reader.read_new():
        found += new
    return found


def print_layers(described: Sequence[Describe], *, json: bool) -> None:
    """The layer tables of networks, for a person or a program."""
    import torch

    from core import layers, networks

    found = []
    for each in described:
        torch.manual_seed(0)
        network = networks.build(each.model, each.dropout, each.batch_norm, each.width)
        found.append(layers.layer_table(network, each.model))
    if json:
        as_dicts = [table.to_dict() for table in found]
        print(msgspec.json.format(msgspec.json.encode(as_dicts if len(found) > 1 else as_dicts[0])).decode())
        return
    for each, table in zip(described, found, strict=True):
        tables.print_table(tables.layers(table, tables.network_name(each)), tables.derivations(table))


def print_runs(runs_dir: Path, *, json: bool) -> None:
    """Every run, for a person or a program."""
    summaries = runs.Listing(runs_dir).read()
    if json:
        print(i18n.printable_json(msgspec.json.format(msgspec.json.encode(summaries)).decode()))
    elif summaries:
        tables.print_table(tables.runs(summaries))
    else:
        print(_("There is no run in {path} yet.").format(path=runs_dir), file=sys.stderr)
