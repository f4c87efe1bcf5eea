"""What there is to see inside a network, as plain data: it needs no torch."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from core.messages import Message
from core.networks.layer_table import Layer


class FeatureMap(msgspec.Struct, frozen=True):
    """One channel of a layer's output as a picture; a vector is laid out in rows."""

    channel: int
    """Number of the channel, from 0; a layer without channels has one map."""
    rows: int
    columns: int
    levels: bytes
    """Values row by row, scaled from `low` to `high` of its layer to 0 to 255."""
    largest: float
    """Value of the greatest magnitude."""


class LevelScale(msgspec.Struct, frozen=True):
    """The values that levels from 0 to 255 stand for."""

    low: float
    high: float


class LayerView(msgspec.Struct, frozen=True):
    """A layer as an image passes through it."""

    number: int
    """Position in the forward pass, from 0."""
    name: str
    kind: Message
    specification: Message
    shape: tuple[int, ...]
    """Shape of the output for one image."""
    scale: LevelScale
    maps: tuple[FeatureMap, ...]
    """Its most active channels, or all of them, as it was asked for."""
    num_maps: int
    """Number of channels in all."""
    source: str | None
    """Name of the layer whose output it is given, empty for the image; None if other code of the network is between."""
    is_function: bool = False
    """True for a function that the network calls itself, such as `F.relu`, which is no module of it."""
    calls: int = 1
    """Number of calls; the last one is shown."""

    @property
    def is_vector(self) -> bool:
        """True for an output without rows and columns: its one map is only laid out in rows."""
        return len(self.shape) <= 1

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)


class Kernels(msgspec.Struct, frozen=True):
    """A layer's weights as pictures: for each channel or unit of the output, one for each channel of the input."""

    outputs: int
    inputs: int
    rows: int
    columns: int
    levels: bytes
    """Weights of the first `outputs` channels, in this order of dimensions, scaled to 0 to 255."""
    scale: LevelScale
    total: int
    """Number of output channels in all, of which the first are here."""


class ChannelStatistics(msgspec.Struct, frozen=True):
    """What batch normalisation computes with, channel by channel."""

    batch_size: int
    batch_mean: tuple[float, ...]
    """Means over a batch of test images, this image among them, as training would use them."""
    batch_variance: tuple[float, ...]
    running_mean: tuple[float, ...]
    running_variance: tuple[float, ...]
    gamma: tuple[float, ...]
    beta: tuple[float, ...]


class DropoutDraw(msgspec.Struct, frozen=True):
    """One draw of what dropout leaves out of a training step."""

    maps: tuple[FeatureMap, ...]
    """Output with the values left out, the others scaled up, on the layer's scale."""
    left_out: int
    """Number of values that were left out."""
    total: int


class Term(msgspec.Struct, frozen=True):
    """A term of the sum, or a candidate of the maximum, that gives a value."""

    at: int
    """Place in the layer's flattened input."""
    value: float
    weight: float | None = None

    @property
    def contribution(self) -> float:
        """Its share of the sum: the value times its weight, which is 1 where the layer has none."""
        return self.value if self.weight is None else self.value * self.weight


FormulaKind = Literal["sum", "mean", "max", "relu", "same", "norm", "softmax", "log_softmax"]


class Formula(msgspec.Struct, frozen=True):
    """How a value follows from the layer's input; it was checked against the value that the network computed."""

    kind: FormulaKind
    terms: tuple[Term, ...]
    """Terms, the greatest contributions first if not all are here."""
    num_terms: int
    rest: float = 0.0
    """Sum of the terms that are not here; for a softmax, of their exponentials."""
    bias: float | None = None
    num_padded: int = 0
    """Places of the window that lie in the padding, and add nothing."""
    norm: tuple[float, float, float, float, float] | None = None
    """For batch normalisation: μ, σ², ε, γ and β."""
    shift: float = 0.0
    """For a softmax: the value that is subtracted in each exponent."""


class ValueView(msgspec.Struct, frozen=True):
    """A single value of a layer's output."""

    value: float
    place: tuple[int, ...]
    """Indices in the output for one image."""
    formula: Formula | None
    """None if it is not known how the value comes about."""
    before: FeatureMap | None
    """The channel of the layer's input that contributes most."""
    before_scale: LevelScale
    before_name: str | None
    """Name of the layer that the input comes from, empty for the image; None if other code is between."""
    num_before: int
    """Number of channels of the input."""
    window: tuple[int, ...]
    """Places of a channel of the input that the value is computed from, row by row; empty for all or unknown."""
    receptive_field: bytes
    """784 bytes, 1 for each pixel of the image that the value depends on; empty if unknown."""
    is_field_known: bool = True
    """False while it is still being found."""


class Neighbour(msgspec.Struct, frozen=True):
    """A training image that the network sees much as the image in question."""

    index: int
    label: int
    distance: float
    """Euclidean distance between the values of the last hidden layer."""
    pixels: bytes


class SlidWindow(msgspec.Struct, frozen=True):
    """How a convolution's window lies on its input, per dimension."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    """Padding before the first row, and column."""
    dilation: tuple[int, ...]
    groups: int


class LayerFacts(msgspec.Struct, frozen=True):
    """What the card of a layer says beside its view."""

    row: Layer | None
    """Its row of the layer table; None for a function."""
    kernels: Kernels | None = None
    statistics: ChannelStatistics | None = None
    draw: DropoutDraw | None = None
    dropout: float = 0.0
    has_bias: bool = True
    has_weights: bool = True
    """False for a layer without parameters, as a batch norm may be."""
    window: SlidWindow | None = None
    is_torchs: bool = True
    """False if somebody has given the layer another forward, or hooks: it may compute something else."""
