"""The protocol between a dashboard and its standby worker: a line a message, on the worker's stdin and stdout."""

from __future__ import annotations

import base64
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from core.config import Architecture, RunConfig
from core.data.conditions import Condition, Robustness
from core.exam.program import ChangeName, Model
from core.exam.steps import Outcome, ProgramStop, StepAction
from core.inspecting.views import LayerFacts, LayerView, Neighbour, ValueView
from core.machine import DeviceInfo
from core.messages import InvalidSetting, Message, Problem
from core.networks.layer_table import LayerTable
from core.runs.events import Evaluated

_Decoded = TypeVar("_Decoded")


class Describe(msgspec.Struct, frozen=True, tag=True):
    """A request for the layer table of a network."""

    architecture: Architecture


class Settle(msgspec.Struct, frozen=True, tag=True):
    """A request to choose everything that the settings of a comparison leave open, and to download the data."""

    config: RunConfig
    """Settings that the configurations share."""
    configurations: tuple[RunConfig, ...]
    devices: tuple[str, ...] = ()
    """Devices that are asked for, or `all`; empty for what the settings' device means."""


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
    moment: str = ""
    """Name of the snapshot whose predictions are returned; empty for those of the trained network, which are kept."""
    chosen_at: str = ""
    """Name of the snapshot by whose predictions the images are chosen; empty for the trained network."""


class EvaluateAt(msgspec.Struct, frozen=True, tag=True):
    """A request for the result of a run's network at a snapshot on its test images."""

    run_dir: str
    moment: str
    """Name of the snapshot."""


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


class MeasureAll(msgspec.Struct, frozen=True, tag=True):
    """A request for the accuracies of finished runs under conditions, also of custom networks.

    Who asks has made sure that their files may be executed.
    """

    run_dirs: tuple[str, ...]
    conditions: tuple[Condition, ...]
    device: str


class AskedImage(msgspec.Struct, frozen=True):
    """An image to follow through a network: a test image, a drawing, or a picture in a file."""

    index: int | None = None
    """Number of the test image; None for a drawing or a file."""
    pixels: bytes = b""
    """Drawing: 784 pixels, row by row, with bright ink."""
    path: str = ""


class _AboutImage(msgspec.Struct, frozen=True):
    """What a request about an image in a network has in common."""

    run_dir: str
    picture: AskedImage
    moment: str = ""
    """Name of the snapshot that is asked; empty for the trained network, or the newest state of a run in progress."""
    trusts: bool = False
    """True if the user has allowed the network's file to be executed, whoever the run belongs to."""


class Inspect(_AboutImage, frozen=True, tag=True):
    """A request for an image's way through a network."""


class InspectLayer(_AboutImage, frozen=True, kw_only=True, tag=True):
    """A request for a layer with all its channels and weights."""

    layer: int


class InspectValue(_AboutImage, frozen=True, kw_only=True, tag=True):
    """A request for how a single value of a layer comes about."""

    layer: int
    place: int
    """Place in the layer's flattened output."""


class Occlude(_AboutImage, frozen=True, kw_only=True, tag=True):
    """A request for what hiding each place of an image does to the probability of a class."""

    chosen: int


class FindNearest(_AboutImage, frozen=True, tag=True):
    """A request for the training images that a network sees most like this one."""


class StepProgram(msgspec.Struct, frozen=True, tag=True):
    """A request to execute the exam's program step by step; `start` begins anew, `leave` ends it."""

    model: Model
    action: StepAction
    data_dir: str
    """Folder that may have MNIST; the embedded sample stands in for it."""


class TryChange(msgspec.Struct, frozen=True, tag=True):
    """A request to run the exam's program, and beside it the program with a prepared change, on the sample."""

    model: Model
    change: ChangeName


ProgramQuestion: TypeAlias = StepProgram | TryChange
InsideQuestion: TypeAlias = Inspect | InspectLayer | InspectValue | Occlude | FindNearest
Question: TypeAlias = (
    Describe | Try | Settle | Browse | EvaluateAt | Recognise | Measure | MeasureAll | InsideQuestion | ProgramQuestion
)


class GiveWay(msgspec.Struct, frozen=True, tag=True):
    """A request to leave the processor to a run in progress, from now on: one thread, and the lowest priority."""


Request: TypeAlias = Question | Train | GiveWay


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

    request: Settle | MeasureAll | FindNearest | ProgramQuestion
    message: Message
    """What is done; without a `fraction`, something to be told once."""
    fraction: float | None = None


class Settled(msgspec.Struct, frozen=True, tag=True):
    request: Settle
    config: RunConfig
    devices: tuple[str, ...]
    """Devices to train on, all of one kind."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The answer that a request cannot be carried out, and why."""

    request: Question
    message: Message
    advice: Message
    setting: str = ""
    """Name of the setting that is invalid, if one is."""

    @classmethod
    def because_of(cls, problem: Problem, request: Question) -> Refused:
        """Return the refusal of a request that raised a problem."""
        setting = problem.field if isinstance(problem, InvalidSetting) else ""
        return cls(request, problem.message, problem.advice, setting)

    def problem(self) -> Problem:
        """Return the problem that the request raised."""
        if self.setting:
            return InvalidSetting(self.setting, self.message.text, **self.message.values)
        return Problem.of(self.message, self.advice)


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


class EvaluatedAt(msgspec.Struct, frozen=True, tag=True):
    request: EvaluateAt
    result: Evaluated


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


class MeasuredAll(msgspec.Struct, frozen=True, tag=True):
    request: MeasureAll
    tested: tuple[Robustness, ...]


class MomentView(msgspec.Struct, frozen=True):
    """A state of a run's network that can be looked into."""

    name: str
    """Name of the snapshot; empty for the trained network, or the newest state of a run in progress."""
    epoch: int
    step: int
    """Completed batches of `epoch`."""


class Inspected(msgspec.Struct, frozen=True, tag=True):
    """An image's way through a network."""

    request: Inspect
    pixels: bytes
    """Image as the network sees it, 784 pixels."""
    label: int | None
    """True class; None if it is not known."""
    class_names: tuple[str, ...]
    layers: tuple[LayerView, ...]
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    loss: float | None
    """Cross-entropy of this image, −log of the probability of the true class; None without a label."""
    moments: tuple[MomentView, ...]
    """All states that can be looked into, in the order of training."""
    is_live: bool
    """True for the newest state of a run in progress, which changes."""
    num_images: int
    """Number of test images; 0 if they are no longer there."""
    is_double: bool
    """False if the network only computes in single precision."""
    doubts: tuple[Message, ...] = ()
    """Doubts that a picture shows one digit."""

    @property
    def best(self) -> int:
        """Most probable class."""
        return max(range(len(self.probabilities)), key=self.probabilities.__getitem__, default=0)


class InspectedLayer(msgspec.Struct, frozen=True, tag=True):
    request: InspectLayer
    layer: LayerView
    facts: LayerFacts


class InspectedValue(msgspec.Struct, frozen=True, tag=True):
    request: InspectValue
    value: ValueView


class Occluded(msgspec.Struct, frozen=True, tag=True):
    """What hiding a square around each second pixel does, row by row."""

    request: Occlude
    side: int
    """Number of squares in a row."""
    log_odds: tuple[float, ...]
    """Log-odds of the chosen class with the square hidden."""
    probabilities: tuple[float, ...]
    whole_log_odds: float
    whole_probability: float


class NearestFound(msgspec.Struct, frozen=True, tag=True):
    request: FindNearest
    neighbours: tuple[Neighbour, ...]


class Stepped(msgspec.Struct, frozen=True, tag=True):
    request: StepProgram
    stop: ProgramStop | None
    """None once the program was left."""


class ChangeTried(msgspec.Struct, frozen=True, tag=True):
    request: TryChange
    original: Outcome
    changed: Outcome


ProgramAnswer: TypeAlias = Stepped | ChangeTried
InsideAnswer: TypeAlias = Inspected | InspectedLayer | InspectedValue | Occluded | NearestFound
SideAnswer: TypeAlias = (
    InsideAnswer | ProgramAnswer | ProgressNote | Settled | Browsed | EvaluatedAt | Recognised | Measured | MeasuredAll
)
Answer: TypeAlias = Ready | Described | Tried | Refused | SideAnswer


class _Decoder(Generic[_Decoded]):
    """A decoder of lines."""

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[_Decoded] = msgspec.msgpack.Decoder(kind)

    def decode(self, line: bytes) -> _Decoded:
        """Return what a line says. Raises `ValueError` if it says nothing."""
        return self._decoder.decode(base64.b64decode(line))


def encode(what: Request | Answer) -> bytes:
    """Return a line, without its end. JSON would have no numbers that are infinite, or are none."""
    return base64.b64encode(_encoder.encode(what))


_encoder = msgspec.msgpack.Encoder()
decode_request: _Decoder[Request] = _Decoder(Request)
decode_answer: _Decoder[Answer] = _Decoder(Answer)
