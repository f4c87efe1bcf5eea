"""What was measured in a layer: plain data that needs no torch."""

from __future__ import annotations

from typing import Annotated

import msgspec

from core.runs.bounds import Count, Share

NUM_BINS = 10
MAX_LAYERS = 200
"""Number of layers that are measured at most, the first ones."""
_Finite = Annotated[float, msgspec.Meta(ge=-1e300, le=1e300)]
_Counts = Annotated[tuple[Count, ...], msgspec.Meta(min_length=1, max_length=100)]
_Name = Annotated[str, msgspec.Meta(max_length=1000)]


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers of values in bins of the same width, of some thousands of the values at most."""

    low: _Finite
    """Least value."""
    high: _Finite
    """Greatest value."""
    counts: _Counts
    """Number of values in each bin, from `low` to `high`."""


class LayerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A layer after an epoch. What is None does not apply to the layer, or is not finite."""

    name: _Name
    """Its name in the layer table, such as `conv1`."""
    gradient_norm: Annotated[float, msgspec.Meta(ge=0, le=1e300)] | None = None
    """Euclidean norm of the loss's gradient with respect to all of its parameters."""
    dead: Share | None = None
    """Of a ReLU: the share of its units, after a convolution its channels, that are 0 for each of the images."""
    weights: Histogram | None = None
    activations: Histogram | None = None
    """Histogram of what the layer puts out."""


Layers = Annotated[tuple[LayerHealth, ...], msgspec.Meta(max_length=MAX_LAYERS)]
