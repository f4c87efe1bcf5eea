"""What a dashboard and its standby worker say to each other: a JSON object a line, on the worker's stdin and stdout."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from core.config import Architecture, RunConfig
from core.data.conditions import Condition
from core.machine import DeviceInfo
from core.messages import Message
from core.networks.layer_table import LayerTable


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Asks for the layer table of a network."""

    architecture: Architecture


class Settle(msgspec.Struct, frozen=True, tag=True):
    """Asks for the settings of a comparison of some networks with nothing left to choose; fetches the data."""

    models: tuple[str, ...]
    config: RunConfig


class Train(msgspec.Struct, frozen=True, tag=True):
    """Hands over a run directory: from here on the worker goes its own way, whatever becomes of the dashboard."""

    run_dir: str


class Browse(msgspec.Struct, frozen=True, tag=True):
    """Asks for test images of a finished run: its errors, those of a cell of its confusion matrix, or, with another
    run, those that one of the two gets wrong, or both.
    """

    run_dir: str
    other_dir: str = ""
    label: int | None = None
    predicted: int | None = None
    which: Literal["wrong", "other_wrong", "both_wrong"] = "wrong"
    """With another run: wrong in the first alone, in the other alone, in both."""


class Recognise(msgspec.Struct, frozen=True, tag=True):
    """Asks what finished runs make of a drawing: 784 pixels, row by row, ink bright."""

    run_dirs: tuple[str, ...]
    pixels: bytes


class Measure(msgspec.Struct, frozen=True, tag=True):
    """Asks for the accuracy of a finished run under a condition; None: on the test images as they are.

    One at a time, so that whoever asks can say how far it is, and leave off, and a run need not wait long.
    """

    run_dir: str
    condition: Condition | None


Question: TypeAlias = Describe | Settle | Browse | Recognise | Measure
Request: TypeAlias = Question | Train


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The libraries are loaded: the next run starts at once."""

    devices: tuple[DeviceInfo, ...]
    """The best first: the one that `auto` means."""


class Described(msgspec.Struct, frozen=True, tag=True):
    request: Describe
    table: LayerTable


class Told(msgspec.Struct, frozen=True, tag=True):
    """Says what it is at meanwhile: a download."""

    request: Settle
    message: Message
    fraction: float | None = None


class Settled(msgspec.Struct, frozen=True, tag=True):
    request: Settle
    config: RunConfig


class Refused(msgspec.Struct, frozen=True, tag=True):
    """It cannot be done, and why."""

    request: Question
    message: Message
    advice: Message


class Digit(msgspec.Struct, frozen=True):
    """A test image and what is made of it; 784 pixels, row by row."""

    index: int
    label: int
    predicted: int
    probability: float
    """Of what is predicted."""
    pixels: bytes
    other_predicted: int | None = None
    other_probability: float | None = None


class Browsed(msgspec.Struct, frozen=True, tag=True):
    request: Browse
    digits: tuple[Digit, ...]
    """The most confident errors first; not more than fit into a look."""
    total: int


class Recognised(msgspec.Struct, frozen=True, tag=True):
    request: Recognise
    pixels: bytes
    """The drawing as the networks see it."""
    probabilities: dict[str, tuple[float, ...]]
    """By run, of each class."""


class Measured(msgspec.Struct, frozen=True, tag=True):
    request: Measure
    accuracy: float
    """0 to 1."""


SideAnswer: TypeAlias = Told | Settled | Browsed | Recognised | Measured
Answer: TypeAlias = Ready | Described | Refused | SideAnswer

encode = msgspec.json.Encoder().encode
decode_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
decode_answer: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
