"""`mnist-tui export`: runs in the formats of other tools."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from core.exporting import csv
from core.exporting.timeline import RunWriter
from core.messages import N_, InvalidSetting, Problem, reason
from core.runs import directory
from core.runs.directory import Run
from core.runs.record import UNENDED
from tui_app.console.status_line import StatusLine
from tui_app.console.training_command import Watch
from tui_app.i18n import _, printable

FORMATS = ("csv", "tensorboard")

_LOOK_S = 0.5
_CHUNK = 1 << 18
"""Bytes of events between two looks at the progress: a second's work."""

MakeWriter = Callable[[Run, Path], RunWriter]


def chosen(runs_dir: Path, ids: Iterable[str], *, every: bool, live: bool) -> list[Run]:
    """Return the runs of these ids, or each that has started; by default the newest. Raises `Problem`.

    If `live`, runs that were named and are starting are waited for.
    """
    if every and (typed := tuple(ids)):
        raise InvalidSetting("all", N_("--all stands for every run: leave out {value}"), value=", ".join(typed))
    if every:
        listed = [Run(runs_dir / each.id) for each in directory.Listing(runs_dir).read()]
        found = [run for run in listed if _why_not(run) is None]
        if not found:
            raise Problem("there is no run in {path} that this applies to", path=str(runs_dir))
        return found
    found = [directory.find(runs_dir, each) for each in dict.fromkeys(ids)] or [directory.find(runs_dir)]
    for run in found:
        while (why := _why_not(run)) is not None:
            if not live or run.state() not in UNENDED:
                raise why
            time.sleep(_LOOK_S)
    return found


def export(runs: Sequence[Run], to: str | None, output: Path, *, overwrites: bool, live: bool) -> int:
    """Write each run into a folder of its own in `output`, and return the exit code. Raises `Problem`.

    If `live`, a run in progress is written until it ends, else as far as it is. What is broken off otherwise leaves no
    files.
    """
    make_writer, names = _format(to)
    folders = [output / run.id for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        _check(run, folder, names, overwrites)
    status = StatusLine(sys.stderr)
    left: list[_Export] = []
    try:
        for run, folder in zip(runs, folders, strict=True):
            _make_room(folder, names)
            left.append(_Export(run, folder, names, make_writer(run, folder), status))
            if left[-1].advance(live):
                left.pop()
        while left:
            time.sleep(_LOOK_S)
            left = [job for job in left if not job.advance(live)]
    except OSError as error:
        path = printable(str(error.filename or output))
        raise Problem("cannot write to {path}: {reason}", path=path, reason=reason(error)) from error
    finally:
        status.erase()
        for job in left:
            job.break_off(keep=live)
    return 0


class _Export:
    """A run that is being exported."""

    def __init__(self, run: Run, folder: Path, names: Sequence[str], writer: RunWriter, status: StatusLine) -> None:
        self._run = run
        self._folder = folder
        self._names = names
        self._writer = writer
        self._status = status
        self._watch = Watch(run, status.note)
        self._reader = run.reader()

    def advance(self, live: bool) -> bool:
        """Write what is new; return True if that was all, and the files are closed. Raises `OSError` or `Problem`."""
        state = self._watch.look().state  # before reading, so that everything written before the end is read
        size = max(1, self._run.events_path.lstat().st_size)
        while events := self._reader.read_new(_CHUNK):
            for event in events:
                self._writer.add(event)
            self._status.draw_share(self._run.id, min(1.0, self._reader.offset / size))
        if live and state in UNENDED and not self._watch.gives_up(state):
            self._writer.flush()
            return False
        self._writer.close(state)
        self._status.note(_("Written: {path}").format(path=printable(str(self._folder))))
        return True

    def break_off(self, *, keep: bool) -> None:
        """Close the files, and remove them unless they are to be kept."""
        with suppress(OSError):  # that may be why
            self._writer.close(self._run.state())
        if not keep:
            _make_room(self._folder, self._names)


def _format(to: str | None) -> tuple[MakeWriter, tuple[str, ...]]:
    """Return what makes the writer of a run in its folder, and the names of its files. Raises `Problem`."""
    if to == "csv":
        return lambda run, folder: csv.CsvWriter(folder, run.id), csv.NAMES
    if to != "tensorboard":
        text = N_("choose what to export to, {choices}, not {value}") if to else N_("say what to export to: {choices}")
        choices = ", ".join(f"--to {each}" for each in FORMATS)
        raise InvalidSetting("to", text, choices=choices, value=to or "")
    try:
        from core.exporting import tensorboard
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "tensorboard":
            raise
        advice = N_("Install it: {command}")
        command = "pip install 'mnist-tui[tensorboard]'"
        raise Problem("the package tensorboard is not installed", advice=advice, command=command) from error

    axes = _("label"), _("predicted")

    def make(run: Run, folder: Path) -> RunWriter:
        config = run.summary().config or run.stored_config().config
        return tensorboard.TensorBoardWriter(folder, run.id, config, axes)

    return make, tensorboard.NAMES


def _why_not(run: Run) -> Problem | None:
    """Return why a run cannot be exported."""
    summary = run.summary()
    if summary.state == "unreadable" and summary.message is not None:
        return Problem.of(summary.message)
    if not run.has_started():
        return Problem("run {run} has not started: there is nothing to export yet", run=run.id)
    return None


def _check(run: Run, folder: Path, names: Sequence[str], overwrites: bool) -> None:
    """Raise `Problem` if files of these names are in the folder already, or it is the run's own."""
    if folder.resolve() == run.path.resolve():
        text = N_("{path} is the folder of the run itself")
        raise Problem(text, advice=N_("Choose another folder with --output."), path=str(folder))
    present = [folder / name for name in names if (folder / name).exists() or (folder / name).is_symlink()]
    if present and not overwrites:
        advice = N_("Choose another folder with --output, or replace such files with --overwrite.")
        raise Problem("{path} exists already", advice=advice, path=str(present[0]))


def _make_room(folder: Path, names: Sequence[str]) -> None:
    """Make the folder, without the files of these names. Raises `OSError`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).unlink(missing_ok=True)
