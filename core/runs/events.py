"""The events of a run: one JSON object per line, appended to its `events.jsonl`."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from core import files
from core.config import LearningRate, NumEpochs, RunConfig
from core.files import open_regular
from core.messages import Message
from core.runs import lease
from core.runs.bounds import Classes, Count, Epoch, Seconds, Share
from core.runs.formats import FORMAT, stored_config
from core.runs.layer_health import Layers

Status = Literal["done", "stopped", "diverged", "failed"]

MAX_LINE = 4 << 20
"""Longest line in bytes; a longer one is not ours and is skipped."""
_MAX_PENDING = 32 << 20


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_snake_case):
    time: float = msgspec.field(default_factory=time.time)
    """Seconds since the Unix epoch, by the clock of the host that trains."""
    run: str = ""
    """Id of the run."""
    attempt: Count = 0
    """Attempt that the event belongs to, counted from 1; 0 in the events of older versions."""
    format: Count = 1
    """Version of the format of the run directory that its writer knew."""


class Notice(_Event, frozen=True):
    """Information while a run prepares or trains: a download, a fallback, a full disk."""

    message: Message
    fraction: Share | None = None
    """Completed fraction of the work that the message describes, from 0 to 1; None if its length is unknown."""


class RunStarted(_Event, frozen=True):
    """The start of training, just before the first batch. A resumed run repeats it, from where it continues."""

    config: RunConfig
    device: str
    device_name: str
    torch_version: str
    threads: Count
    dataset: str
    """Name in `catalogue.DATA_SET_NAMES`; `sample` must be labelled wherever a result is shown."""
    dataset_title: str
    class_names: Classes[str]
    train_size: Count
    test_size: Count
    parameters: Count
    steps_per_epoch: Count
    epoch: Epoch = 1
    step: Count = 0
    """Completed batches of `epoch`, which is counted from 1; not 0 if the run resumes."""
    macs: Count | None = None
    """Multiply–accumulates per image in the forward pass; None if unknown."""
    validation_size: Count = 0
    """Images held out of the training set, not counted in `train_size`."""


class Progress(_Event, frozen=True):
    """Batches completed since the last progress, some ten times a second."""

    epoch: Epoch
    step: Count
    loss: float | None
    """Running loss, the mean over the epoch so far; None if not finite."""
    losses: tuple[float | None, ...]
    """Losses of the batches since the last `progress`, up to that of `step`; None for each that is not finite."""
    images_per_s: Annotated[float, msgspec.Meta(ge=0)]
    elapsed_s: Seconds
    """Training time in seconds, including that before a resumption."""
    lr: LearningRate | None = None
    """Learning rate, if a change has set it."""
    epochs: NumEpochs | None = None
    """Number of epochs in all, if a change has set it."""


class EpochEnded(_Event, frozen=True):
    """The end of an epoch."""

    epoch: Epoch
    loss: float
    """Mean loss of the epoch, the exam's `running_loss / len(train_loader)`."""
    seconds: Seconds


class Validated(_Event, frozen=True):
    """The network's result on the held-out training images after an epoch."""

    epoch: Epoch
    loss: float | None
    """Mean loss over the images; None if not finite."""
    accuracy: Share
    """Fraction from 0 to 1."""


class LayersMeasured(_Event, frozen=True):
    """The layers after an epoch, measured on some training images if that was asked for."""

    epoch: Epoch
    layers: Layers


class CheckpointSaved(_Event, frozen=True):
    """A checkpoint from which the run can be resumed."""

    epoch: Epoch
    step: Count


class SettingsChanged(_Event, frozen=True):
    """A change while a run trains or as it is resumed, from the next batch on. What is None stays as it is.

    A resumed run repeats the changes that came after its checkpoint, unless a new one was made before them.
    """

    epoch: Epoch
    step: Count
    """Completed batches of `epoch` when it takes effect."""
    threads: Count | None = None
    lr: LearningRate | None = None
    epochs: NumEpochs | None = None
    """Number of epochs in all."""
    paused: bool | None = None
    repeated: bool = False
    """True if a resumed run repeats a change that it had made after its checkpoint."""


class WeightsRestored(_Event, frozen=True):
    """The weights of the epoch with the least validation loss, put back after the last epoch, to be tested and kept."""

    epoch: Epoch
    loss: float
    """Validation loss of that epoch."""


class Evaluated(_Event, frozen=True):
    """The trained network's result on the test images."""

    correct: Count
    total: Count
    accuracy: Share
    """Fraction from 0 to 1."""
    test_loss: float | None
    confusion: Classes[Classes[Count]]
    """Numbers of test images, as `confusion[label][predicted]`."""


class RunEnded(_Event, frozen=True):
    """The last event of an attempt, unless its process was killed."""

    status: Status
    message: Message | None = None
    advice: Message | None = None


Event: TypeAlias = (
    Notice
    | RunStarted
    | Progress
    | EpochEnded
    | Validated
    | LayersMeasured
    | CheckpointSaved
    | SettingsChanged
    | WeightsRestored
    | Evaluated
    | RunEnded
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def finite(value: float) -> float | None:
    """Return `value`, or None if it is not finite: JSON has no number for it."""
    return value if math.isfinite(value) else None


def encode(event: Event) -> bytes:
    """Return the event as a line of JSON, newline included."""
    return _encoder.encode(event) + b"\n"


def decode(line: bytes) -> Event | None:
    """Return the event on a line; None if it is damaged or of a type unknown to this version."""
    try:
        return _decoder.decode(line)
    except (ValueError, RecursionError):
        return _newer_start(line)


def _newer_start(line: bytes) -> RunStarted | None:
    """Return the start of a run whose settings only a newer version knows, without those; None if it is none."""
    try:
        raw = msgspec.json.decode(line, type=dict[str, Any])
        if raw.pop("type", "") != "run_started":
            return None
        return msgspec.convert({**raw, "config": stored_config(raw["config"]).config}, RunStarted)
    except (ValueError, RecursionError, LookupError, AttributeError):
        return None


class AttemptFilter:
    """A filter for events as they are read: late ones, of a process that had been superseded, are passed over."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self.newest = 0
        """Number of the newest attempt so far."""

    def __call__(self, events: Iterable[Event | None]) -> list[Event]:
        kept = []
        for event in events:
            if event is not None and event.attempt >= self.newest and self._exists(event.attempt):
                self.newest = event.attempt
                kept.append(event)
        return kept

    def _exists(self, attempt: int) -> bool:
        """Tell if an attempt has been made, so that one damaged number does not hide all later events."""
        return attempt == self.newest or attempt <= (lease.newest_attempt(self._run_dir) or attempt)


class EventReader:
    """A reader of a run's events as they are appended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.offset = 0
        """Number of bytes read so far."""
        self._torn = b""
        self._too_long = False
        self._filter = AttemptFilter(path.parent)
        self.skipped = 0
        """Number of lines that could not be read."""

    def read_new(self, limit: int = 4 << 20) -> list[Event]:
        """Return the next events since the last call, at most `limit` bytes; an empty list means nothing new."""
        events: list[Event] = []
        try:
            with open_regular(self._path) as file:
                file.seek(self.offset)
                while not events:  # a chunk without a readable event is not the end
                    chunk = file.read(limit)
                    if not chunk:
                        break
                    self.offset += len(chunk)
                    events = self._events(chunk)
        except OSError:
            pass  # not created yet, or not readable: the run's state says which
        return events

    def _events(self, chunk: bytes) -> list[Event]:
        *lines, self._torn = (self._torn + chunk).split(b"\n")
        if self._too_long and lines:
            del lines[0]
            self._too_long = False
        if len(self._torn) > MAX_LINE:
            self._torn, self._too_long = b"", True
            self.skipped += 1
        found = [decode(line) for line in lines if line]
        self.skipped += found.count(None)
        return self._filter(found)


def last_events(path: Path, span: int = 1 << 16) -> Sequence[Event]:
    """Return the events in the last `span` bytes of a file. Raises `OSError`."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - span))
        lines = file.read(span).split(b"\n")
    if size > span:
        del lines[0]  # its beginning is cut off
    return AttemptFilter(path.parent)(decode(line) for line in lines if line)


def first_events(path: Path, span: int) -> Sequence[Event]:
    """Return the events in the first `span` bytes of a file. Raises `OSError`."""
    with open_regular(path) as file:
        *lines, _cut = file.read(span).split(b"\n")
    return AttemptFilter(path.parent)(decode(line) for line in lines if line)


class EventWriter:
    """An appending writer; events that a full disk refuses are kept and written once there is room again."""

    def __init__(self, path: Path, attempt: int) -> None:
        """Open the events of a run, in its directory. Raises `OSError`."""
        self._stamp = {"run": path.parent.name, "attempt": attempt, "format": FORMAT}
        self._file = files.open_to_append(path)
        size = os.fstat(self._file).st_size
        # A killed writer may have left half a line, which must not swallow our first event.
        self._pending = b"" if size == 0 or os.pread(self._file, 1, size - 1) == b"\n" else b"\n"

    def stamped(self, event: Event) -> Event:
        """Return the event with the run and the attempt that it belongs to, and the format."""
        return msgspec.structs.replace(event, **self._stamp)

    def write(self, event: Event) -> OSError | None:
        """Append an event, stamped; return the error if it could not be written yet."""
        self._pending += encode(self.stamped(event))
        return self.flush()

    def flush(self) -> OSError | None:
        """Append the events that could not be written yet; return the error if they still cannot be."""
        try:
            while self._pending:
                written = files.write_some(self._file, self._pending)
                if written == 0:
                    raise OSError("nothing was written")
                self._pending = self._pending[written:]
        except OSError as error:
            if len(self._pending) > _MAX_PENDING:
                self._pending = self._pending[: self._pending.rindex(b"\n", 0, -1) + 1]
            return error
        return None

    def close(self) -> OSError | None:
        """Make the events durable and close the file; return the error if they may not be."""
        try:
            files.sync(self._file)
        except OSError as error:
            return error
        finally:
            os.close(self._file)
        return None
