"""What the exam's program made, statement by statement, as plain data: it needs no torch."""

from __future__ import annotations

from typing import Literal

import msgspec

from core.messages import Message

StepAction = Literal["start", "line", "batch", "epoch", "end", "stop", "leave"]
"""What to do with the program: `stop` interrupts it after the batch in progress, `leave` ends it for good."""


class NamedValue(msgspec.Struct, frozen=True):
    """A variable of the program."""

    name: str
    kind: str
    """Name of its type."""
    shape: tuple[int, ...] | None = None
    """Shape of a tensor; None for anything else."""
    dtype: str = ""
    device: str = ""
    size: int | None = None
    """Number of images of a data set, of batches of a loader, or of parameters of a network."""
    values: tuple[float, ...] = ()
    """Number, or the first values of a vector, or those of the first image."""
    text: str = ""


class BatchSeen(msgspec.Struct, frozen=True, tag=True):
    """A batch as it came from its loader."""

    pixels: tuple[bytes, ...]
    """Its first images as the file has them, 784 pixels from 0 to 255 each."""
    labels: tuple[int, ...]
    places: tuple[int, ...]
    """Their places in the file, found by comparing the pixels; −1 for an image that is not there."""
    file_labels: tuple[int, ...]
    """Labels of the file's own first images."""
    low: float
    high: float
    mean: float
    std: float
    """Range, mean and standard deviation of the values that the network is given."""


class LossSeen(msgspec.Struct, frozen=True, tag=True):
    """The loss of a batch, beside that of its first image."""

    label: int
    logits: tuple[float, ...]
    probabilities: tuple[float, ...]
    first: float
    """Loss of the first image, −log of the probability of its label."""
    mean: float
    """Loss of the batch."""
    size: int


class GradientSeen(msgspec.Struct, frozen=True, tag=True):
    """The gradients of the parameters."""

    norm: float | None
    """Norm of all of them together; None where there is none."""
    before: float | None
    """The same before the statement."""
    parts: tuple[tuple[str, float], ...] = ()
    """Norm of each parameter's gradient."""


class StepSeen(msgspec.Struct, frozen=True, tag=True):
    """A step of Adam: what it changed, and for the weight with the largest gradient how much and why."""

    norm: float
    """Norm of the change of all parameters."""
    largest: float
    """Largest change of a parameter."""
    size: int
    """Number of parameters."""
    weight: str
    before: float
    after: float
    gradient: float
    m: float
    v: float
    """Moving means of its gradient and of the gradient's square, as Adam keeps them."""
    m_hat: float
    v_hat: float
    """The same, corrected for having begun at zero."""
    number: int
    """Number of the step."""
    lr: float


class Made(msgspec.Struct, frozen=True):
    """What a statement made when it was executed last."""

    line: int
    epoch: int
    batch: int
    """Batch in progress, from 1; 0 outside of the loops over batches."""
    names: tuple[NamedValue, ...] = ()
    seen: BatchSeen | LossSeen | GradientSeen | StepSeen | None = None
    printed: str = ""


class ProgramStop(msgspec.Struct, frozen=True):
    """The program where it has stopped: before a statement, or at its end."""

    line: int
    """Line that comes next; 0 at the end."""
    last_line: int
    """Line of the statement that was executed last; 0 at the start."""
    epoch: int
    num_epochs: int
    batch: int
    num_batches: int
    """Position of both loops; 0 where they have not begun."""
    made: tuple[Made, ...]
    printed: tuple[str, ...]
    """Lines that the program has printed."""
    mean: float | None
    """running_loss divided by the batches of this epoch so far."""
    dataset: str
    """`mnist`, or `sample`."""
    fault: Message | None = None
    """Exception that ended the program."""

    @property
    def is_over(self) -> bool:
        return self.line == 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of a program that was executed as a whole."""

    losses: tuple[float, ...]
    """Loss of every batch."""
    batches_per_epoch: int
    correct: int
    total: int
    fault: Message | None = None
    """Exception that ended the program."""
