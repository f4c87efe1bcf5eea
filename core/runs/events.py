"""What a run says: one JSON object a line, appended to its `events.jsonl`."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec

from core.config import RunConfig
from core.files import open_regular
from core.messages import Message

Status = Literal["done", "stopped", "diverged", "failed"]

MAX_LINE = 4 << 20
"""Bytes: a longer line is none of ours, and is passed over."""
_MAX_PENDING = 32 << 20

# What a line may say: none that says otherwise is ours, and no reader's arithmetic overflows on those that do.
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Item = TypeVar("_Item")
Classes = Annotated[tuple[_Item, ...], msgspec.Meta(max_length=100)]


def _snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_snake_case):
    time: float = msgspec.field(default_factory=time.time)
    """Seconds since the epoch."""


class Notice(_Event, frozen=True):
    """Something to tell while a run prepares or goes on: a download, a fallback, a full disk."""

    message: Message
    fraction: Share | None = None
    """Of the work that the message is about, 0 to 1, where it has a length."""


class RunStarted(_Event, frozen=True):
    """The first batch is next. A resumed run says it again, from where it goes on."""

    config: RunConfig
    device: str
    device_name: str
    torch_version: str
    threads: Count
    dataset: str
    """The name in `catalogue.DATA_SET_NAMES`; `sample` must be labelled wherever a result is shown."""
    dataset_title: str
    class_names: Classes[str]
    train_size: Count
    test_size: Count
    parameters: Count
    steps_per_epoch: Count
    epoch: Count = 1
    step: Count = 0
    """Batches of `epoch` (counted from 1) that are behind it: not 0 when it resumes."""
    macs: Count | None = None
    """Multiply–accumulates per image, forward; None where they are not known."""
    validation_size: Count = 0
    """Images held out of the training set, and not counted in `train_size`."""


class Progress(_Event, frozen=True):
    epoch: Count
    step: Count
    loss: float | None
    """The running loss: the mean over the epoch so far. None: not finite."""
    losses: tuple[float | None, ...]
    """Of the batches since the last `progress`, the last one being that of `step`."""
    images_per_s: float
    elapsed_s: float
    """Training time, that before a resumption included."""


class EpochEnded(_Event, frozen=True):
    epoch: Count
    loss: float
    """`running_loss / len(train_loader)`."""
    seconds: float


class Validated(_Event, frozen=True):
    """What the network makes, after an epoch, of the images held out of the training set."""

    epoch: Count
    loss: float | None
    """The mean over the images. None: not finite."""
    accuracy: Share
    """0 to 1."""


class CheckpointSaved(_Event, frozen=True):
    epoch: Count
    step: Count


class Evaluated(_Event, frozen=True):
    correct: Count
    total: Count
    accuracy: Share
    """0 to 1."""
    test_loss: float | None
    confusion: Classes[Classes[Count]]
    """`confusion[label][predicted]`: numbers of test images."""


class RunEnded(_Event, frozen=True):
    status: Status
    message: Message | None = None
    advice: Message | None = None


Event: TypeAlias = Notice | RunStarted | Progress | EpochEnded | Validated | CheckpointSaved | Evaluated | RunEnded

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def finite(value: float) -> float | None:
    """`value`, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None


def encode(event: Event) -> bytes:
    """One line of JSON, with its newline."""
    return _encoder.encode(event) + b"\n"


def decode(line: bytes) -> Event | None:
    """None where the line is damaged, or of a type that this version does not know."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
        return None


class EventReader:
    """Reads the events of a run as they are appended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._torn = b""
        self._too_long = False
        self.skipped = 0
        """Lines that could not be read."""

    def read_new(self, limit: int = 4 << 20) -> list[Event]:
        """The events since the last call, of at most `limit` bytes: an empty list means that nothing is new."""
        events: list[Event] = []
        try:
            with open_regular(self._path) as file:
                file.seek(self._offset)
                while not events:  # a stretch without one readable event is not the end
                    chunk = file.read(limit)
                    if not chunk:
                        break
                    self._offset += len(chunk)
                    events = self._events(chunk)
        except OSError:
            pass  # not there yet, or no file that can be read: the run's state says which
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
        events = [event for event in found if event is not None]
        self.skipped += len(found) - len(events)
        return events


def last_events(path: Path, span: int = 1 << 16) -> Sequence[Event]:
    """The events in the last `span` bytes of a file. Raises `OSError`."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - span))
        lines = file.read(span).split(b"\n")
    if size > span:
        del lines[0]  # begins in the middle
    return [event for line in lines if line and (event := decode(line)) is not None]


class EventWriter:
    """Appends events; what a full disk refuses is kept and written when there is room again."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        size = os.fstat(self._file).st_size
        # A killed writer may have left half a line: it must not swallow our first one.
        self._pending = b"" if size == 0 or os.pread(self._file, 1, size - 1) == b"\n" else b"\n"

    def write(self, event: Event) -> OSError | None:
        """Returns why nothing could be written, if so."""
        self._pending += encode(event)
        try:
            written = os.write(self._file, self._pending)
        except OSError as error:
            if len(self._pending) > _MAX_PENDING:
                self._pending = self._pending[: self._pending.rindex(b"\n", 0, -1) + 1]
            return error
        self._pending = self._pending[written:]
        return None

    def close(self) -> None:
        os.close(self._file)
