"""`mnist-tui predict`: what a trained network makes of pictures of one's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich import box
from rich.table import Table
from rich.text import Text

from core import paths
from core.messages import Message, Problem, reason
from core.runs.directory import Run
from core.runs.formats import FORMAT
from core.worker.detach import StopSignals
from tui_app import tables, terminal, wording
from tui_app.charts import answer
from tui_app.console import json_output
from tui_app.console.status_line import StatusLine, Stopped
from tui_app.console.training_command import prepare_for_torch
from tui_app.i18n import _, percent, printable, say

if TYPE_CHECKING:
    from core.data.own_pictures import Prepared
    from core.training.recognition import Recogniser

_Complain = Callable[[Problem, Path], None]
"""A function that is told of a file that cannot be read."""
_BAR_WIDTH = 50
"""Columns of a class's name and its bar."""
_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".jp2", ".tga")
)
"""Suffixes of the files in a folder that are taken for pictures."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="prediction"):
    """What a network makes of a picture."""

    run: str
    """Id of the run that trained the network."""
    file: str
    predicted: int
    """Most probable class."""
    class_name: str
    probabilities: tuple[float, ...]
    doubts: tuple[Message, ...]
    """Why the picture may not be what it is taken for."""
    pixels: list[list[int]]
    """Picture as the network sees it, 28 rows of 28 values from 0 to 255."""
    format: int = FORMAT
    """Version of the format of run directories that the program knows."""


class UnreadPicture(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="unread_picture"):
    """A picture or folder that was left out."""

    run: str
    """Id of the run that was asked."""
    file: str
    message: Message
    advice: Message
    format: int = FORMAT
    """Version of the format of run directories that the program knows."""


@dataclass(frozen=True)
class _Predicted:
    file: str
    prepared: Prepared
    probabilities: tuple[float, ...]

    @property
    def predicted(self) -> int:
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__)


def predict(run: Run, typed: Sequence[str], *, names_run: bool, json: bool) -> int:
    """Print what a run's network makes of pictures, and return the exit code: 1 if one could not be read."""
    status, signals = StatusLine(sys.stderr), StopSignals()
    signals.install()
    prepare_for_torch()
    from core.training.recognition import Recogniser

    with terminal.unclaimed_output_dropped():
        recogniser = Recogniser(run)
    if not names_run:
        status.note(_("Run {run}.").format(run=run.id))
    failed: list[Problem] = []

    def complain(problem: Problem, path: Path) -> None:
        failed.append(problem)
        status.note(f"mnist-tui: {say(problem)}")
        if json:
            unread = UnreadPicture(run=run.id, file=str(path), message=problem.message, advice=problem.advice)
            json_output.print_line(unread)

    try:
        found = list(_files(typed, complain))
        predictions = _predictions(recogniser, found, status, signals, complain)
        if json:
            for each in predictions:
                json_output.print_line(_printed(each, run, recogniser))
        elif found and (len(found) > 1 or any(Path(each).is_dir() for each in typed)):
            if rows := list(predictions):
                tables.print_table(_table(rows, recogniser))
        else:
            for each in predictions:
                _print_one(each, run, recogniser)
    except Stopped:
        return 128 + (signals.received or 2)
    return int(bool(failed))


def _files(typed: Sequence[str], complain: _Complain) -> Iterator[Path]:
    """Yield the files that are meant: those named, and the pictures in folders that are named."""
    for each in typed:
        path = paths.absolute(each)
        if not path.is_dir():
            yield path
            continue
        try:
            inside = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in _SUFFIXES)
        except OSError as error:
            complain(Problem("cannot read {path}: {reason}", path=str(path), reason=reason(error)), path)
            continue
        if not inside:
            complain(Problem("there is no picture in {path}", path=str(path)), path)
        yield from inside


def _predictions(
    recogniser: Recogniser, files: Sequence[Path], status: StatusLine, signals: StopSignals, complain: _Complain
) -> Iterator[_Predicted]:
    """Yield what the network makes of each file. Raises `Stopped`."""
    from core.data import own_pictures  # here: it loads numpy

    for number, path in enumerate(files):
        if signals():
            status.erase()
            raise Stopped
        if len(files) > 1:
            status.draw_share(_("Reading pictures"), number / len(files))
        try:
            prepared = own_pictures.prepare(path)
        except Problem as problem:
            complain(problem, path)
            continue
        with terminal.unclaimed_output_dropped():
            probabilities = recogniser(prepared.image)
        drawn = status.erase()
        yield _Predicted(str(path), prepared, probabilities)
        status.restore(drawn)
    status.erase()


def _printed(found: _Predicted, run: Run, recogniser: Recogniser) -> Prediction:
    return Prediction(
        run=run.id,
        file=found.file,
        predicted=found.predicted,
        class_name=recogniser.data.class_names[found.predicted],
        probabilities=found.probabilities,
        doubts=tuple(found.prepared.doubts),
        pixels=found.prepared.image.tolist(),
    )


def _table(found: Sequence[_Predicted], recogniser: Recogniser) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    grid.add_column(_("File"), overflow="fold")
    grid.add_column(_("Predicted"), no_wrap=True)
    grid.add_column(_("Probability"), no_wrap=True, justify="right")
    grid.add_column(_("Remarks"))
    for each in found:
        doubts = "; ".join(say(doubt) for doubt in each.prepared.doubts)
        name, probability = recogniser.data.class_names[each.predicted], each.probabilities[each.predicted]
        grid.add_row(*map(Text, (printable(Path(each.file).name), name, percent(probability, 1), doubts)))
    return grid


def _print_one(found: _Predicted, run: Run, recogniser: Recogniser) -> None:
    """Print the picture as the network sees it, and all probabilities."""
    out = terminal.output()
    names = recogniser.data.class_names
    lines, best = answer.bars(found.probabilities, names, _BAR_WIDTH, plain=not terminal.takes_utf8(out))
    text = _("{file} is taken for {name} ({probability}) by {run}, {network}.").format(
        file=printable(Path(found.file).name),
        name=names[found.predicted],
        probability=percent(found.probabilities[found.predicted], 1),
        run=run.id,
        network=wording.network_name(recogniser.config, folder=False),
    )
    picture = answer.image(found.prepared.image.tobytes(), plain=not (out.isatty() and terminal.has_grey()))
    bold = [Text(line, "bold" if number == best else "") for number, line in enumerate(lines)]
    tables.print_texts([text, *(say(doubt) for doubt in found.prepared.doubts), "", picture, "", *bold])
