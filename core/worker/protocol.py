"""The protocol between a dashboard and its standby worker: a JSON object per line, on the worker's stdin and stdout."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from core.config import Architecture, RunConfig
from core.data.conditions import Condition
from core.machine import DeviceInfo
from core.messages import Message
from core.networks.layer_table import LayerTable


class Describe(msgspec.Struct, frozen=True, tag=True):
    """A request for the layer table of a network."""

    architecture: Architecture


class Settle(msgspec.Struct, frozen=True, tag=True):
    """A request to choose everything that the settings of a comparison leave open, and to download the data."""

    config: RunConfig
    """Settings that the configurations share."""
    configurations: tuple[RunConfig, ...]


class Try(msgspec.Struct, frozen=True, tag=True):
    """A request to try out a custom network by the run's own step, before the run is created."""

    config: RunConfig


class Train(msgspec.Struct, frozen=True, tag=True):
    """The handover of a run directory: from here on the worker is independent of the dashboard."""

    run_dir: str


class Browse(msgspec.Struct, frozen=True, tag=True):
    """A request for test images of a finished run.

    They are its errors, the images of a cell of its confusion matrix or, with another run, those that one of the two
    runs gets wrong, or both.
    """

    run_dir: str
    other_dir: str = ""
    label: int | None = None
    predicted: int | None = None
    which: Literal["wrong", "other_wrong", "both_wrong"] = "wrong"
    """Images to return if there is another run: wrong in the first only, in the other only, or in both."""


class Recognise(msgspec.Struct, frozen=True, tag=True):
    """A request for what finished runs make of a drawing or of a picture in a file."""

    run_dirs: tuple[str, ...]
    pixels: bytes = b""
    """Drawing: 784 pixels, row by row, with bright ink."""
    path: str = ""
    """Picture to prepare instead, if it is not empty."""


class Measure(msgspec.Struct, frozen=True, tag=True):
    """A request for the accuracy of a finished run under a condition, or on the unmodified test images if it is None.

    Conditions are requested one at a time, so that the dashboard can show progress or cancel, and a run need not wait
    long.
    """

    run_dir: str
    condition: Condition | None


Question: TypeAlias = Describe | Try | Settle | Browse | Recognise | Measure
Request: TypeAlias = Question | Train


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The announcement that the libraries are loaded: the next run starts at once."""

    devices: tuple[DeviceInfo, ...]
    """Available devices, best first: the first is what `auto` means."""


class Described(msgspec.Struct, frozen=True, tag=True):
    request: Describe
    table: LayerTable


class Tried(msgspec.Struct, frozen=True, tag=True):
    """The answer that a network trains."""

    request: Try


class ProgressNote(msgspec.Struct, frozen=True, tag=True):
    """News of a request that is still being worked on, such as a download."""

    request: Settle
    message: Message
    fraction: float | None = None


class Settled(msgspec.Struct, frozen=True, tag=True):
    request: Settle
    config: RunConfig


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The answer that a request cannot be carried out, and why."""

    request: Question
    message: Message
    advice: Message


class Digit(msgspec.Struct, frozen=True):
    """A test image and its predictions; 784 pixels, row by row."""

    index: int
    label: int
    predicted: int
    probability: float
    """Probability of the predicted class."""
    pixels: bytes
    other_predicted: int | None = None
    other_probability: float | None = None


class Browsed(msgspec.Struct, frozen=True, tag=True):
    request: Browse
    digits: tuple[Digit, ...]
    """Images, the most confident predictions first, and no more than can be looked through."""
    total: int


class Recognised(msgspec.Struct, frozen=True, tag=True):
    request: Recognise
    pixels: bytes
    """Drawing or picture as the networks see it."""
    probabilities: dict[str, tuple[float, ...]]
    """Probabilities of the classes, by run."""
    doubts: tuple[Message, ...] = ()
    """Doubts that a picture shows one digit."""


class Measured(msgspec.Struct, frozen=True, tag=True):
    request: Measure
    accuracy: float
    """Fraction from 0 to 1."""


SideAnswer: TypeAlias = ProgressNote | Settled | Browsed | Recognised | Measured
Answer: TypeAlias = Ready | Described | Tried | Refused | SideAnswer

encode = msgspec.json.Encoder().encode
decode_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
decode_answer: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
