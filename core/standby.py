"""What a dashboard and its standby worker say to each other: a JSON object a line, on the worker's stdin and stdout."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from core.conditions import Condition
from core.config import RunConfig
from core.layer_table import LayerTable
from core.problems import Message


class Describe(msgspec.Struct, frozen=True, tag=True):
    """Asks for the layer table of a network, which these settings of a run describe."""

    model: str
    dropout: float = 0.0
    batch_norm: bool = False
    width: float = 1.0

    @classmethod
    def of(cls, config: RunConfig) -> Describe:
        return cls(config.model, config.dropout, config.batch_norm, config.width)


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


Question: TypeAlias = Describe | Browse | Recognise | Measure
Request: TypeAlias = Question | Train


class DeviceInfo(msgspec.Struct, frozen=True):
    """One that can train. Memory in bytes, use from 0 to 1, where the device tells."""

    id: str
    name: str
    free_memory: int | None = None
    total_memory: int | None = None
    use: float | None = None


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The libraries are loaded: the next run starts at once."""

    devices: tuple[DeviceInfo, ...]
    """The best first: the one that `auto` means."""


class Described(msgspec.Struct, frozen=True, tag=True):
    request: Describe
    table: LayerTable


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


Answer: TypeAlias = Ready | Described | Refused | Browsed | Recognised | Measured

encode = msgspec.json.Encoder().encode
decode_request: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)
decode_answer: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)
