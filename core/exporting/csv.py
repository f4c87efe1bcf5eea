"""A run as CSV files: RFC 4180, UTF-8, a header line, `.` as the decimal sign."""

from __future__ import annotations

import codecs
import csv
import os
from pathlib import Path

import msgspec

from core import files
from core.exporting.timeline import Timeline
from core.runs.events import EpochEnded, Evaluated, Event, Progress, RunStarted, Validated
from core.runs.record import State

COLUMNS: dict[str, tuple[str, ...]] = {
    "batches.csv": ("step", "epoch", "batch", "loss", "running_loss", "lr", "time"),
    "epochs.csv": ("step", "epoch", "loss", "seconds", "time"),
    "validation.csv": ("step", "epoch", "loss", "accuracy", "time"),
    "confusion.csv": ("label", "label_name", "predicted", "predicted_name", "images"),
    "settings.csv": ("setting", "value"),
    "result.csv": (
        *("run", "state", "dataset", "device", "device_name", "parameters", "epochs", "seconds"),
        *("correct", "total", "accuracy", "test_loss"),
    ),
}
"""Columns of each file."""
NAMES = tuple(COLUMNS)

_SCANNED = 1 << 16
"""Bytes that are read row by row to find one; many times the length of a row."""

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Beginnings of a formula, also in the full width that some spreadsheets take for the same."""


class _Table:
    """A file of rows. Where the first column is the step, it rises: a row that does not is passed over."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = os.fdopen(files.create(folder / name), "w+b")
        self._rows = csv.writer(codecs.getwriter("utf-8")(self._file, "replace"))
        self._rows.writerow(COLUMNS[name])
        self._begin = self._file.tell()
        self._last = 0

    def add(self, *values: object) -> None:
        self._rows.writerow([_cell(value) for value in values])

    def add_step(self, step: int | None, *values: object) -> None:
        if step is not None and step > self._last:
            self._last = step
            self.add(step, *values)

    def cut(self, step: int) -> None:
        """Remove the rows after `step`, which a resumed run repeats."""
        if step >= self._last:
            return
        low, high = self._begin, self._file.seek(0, os.SEEK_END)
        while high - low > _SCANNED:
            self._file.seek((low + high) // 2)
            self._file.readline()
            middle = self._file.tell()
            low, high = (middle, high) if _step(self._file.readline()) <= step else (low, middle)
        self._file.seek(low)
        while (row := self._file.readline()) and _step(row) <= step:
            low += len(row)
        self._file.seek(low)
        self._file.truncate()
        self._last = step

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class CsvWriter:
    """A writer of a run as the files of `COLUMNS`, in a folder that has none of them. Raises `OSError`."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self._run_id = run_id
        self._timeline = Timeline()
        self._tables = {name: _Table(folder, name) for name in NAMES}
        self._batches = self._tables["batches.csv"]
        self._epochs = self._tables["epochs.csv"]
        self._validation = self._tables["validation.csv"]

    def add(self, event: Event) -> None:
        timeline = self._timeline
        timeline.apply(event)
        match event:
            case RunStarted():
                for table in (self._batches, self._epochs, self._validation):
                    table.cut(timeline.step(event.epoch, event.step) or 0)
            case Progress():
                for batch in timeline.batches(event):
                    running = event.loss if batch.number == event.step else None
                    lr = timeline.record.config.lr
                    self._batches.add_step(batch.step, batch.epoch, batch.number, batch.loss, running, lr, batch.time)
            case EpochEnded():
                self._epochs.add_step(timeline.step(event.epoch), event.epoch, event.loss, event.seconds, event.time)
            case Validated():
                step = timeline.step(event.epoch)
                self._validation.add_step(step, event.epoch, event.loss, event.accuracy, event.time)

    def flush(self) -> None:
        for table in self._tables.values():
            table.flush()

    def close(self, state: State) -> None:
        record = self._timeline.record
        if record.started is not None:
            for name, value in msgspec.structs.asdict(record.config).items():
                self._tables["settings.csv"].add(name, value)
            started, result, progress = record.started, record.evaluated, record.progress
            self._tables["result.csv"].add(
                *(self._run_id, state, started.dataset, started.device, started.device_name, started.parameters),
                *(len(record.epoch_losses), progress.elapsed_s if progress else None),
                *((result.correct, result.total, result.accuracy, result.test_loss) if result else [None] * 4),
            )
            if result is not None:
                self._add_confusion(result, started.class_names)
        for table in self._tables.values():
            table.close()

    def _add_confusion(self, result: Evaluated, names: tuple[str, ...]) -> None:
        named = dict(enumerate(names))
        for label, row in enumerate(result.confusion):
            for predicted, count in enumerate(row):
                self._tables["confusion.csv"].add(label, named.get(label), predicted, named.get(predicted), count)


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return no_formula(value) if isinstance(value, str) else value


def no_formula(text: str) -> str:
    """Return a text as a cell that a spreadsheet takes for no formula: the text may come from anywhere."""
    return f"'{text}" if text.startswith(("\t", "\r")) or text.lstrip().startswith(_FORMULA) else text


def _step(row: bytes) -> int:
    return int(row.split(b",", 1)[0])
