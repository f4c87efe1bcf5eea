"""The layers of a network as Annexe 1 of the exam lists them: plain data that needs no torch."""

from __future__ import annotations

from typing import Any

import msgspec

from core.messages import Message


class Settings(msgspec.Struct, frozen=True):
    """What the numbers of a linear layer, a convolution or a pooling are worked out from."""

    inputs: int
    """Channels, or features; 0 for a pooling."""
    outputs: int
    kernel: tuple[int, ...] = ()
    """Window's size in each dimension; empty for a linear layer, as all that follows."""
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = ()
    """Padding on both sides together."""
    dilation: tuple[int, ...] = ()
    ceil: bool = False
    """True if a last window that does not fit counts too."""
    groups: int = 1
    bias: bool = True


class Layer(msgspec.Struct, frozen=True):
    """A row of the table: a layer with one size of its output, or a parameter that belongs to no layer."""

    name: str
    """Path in the network, such as `conv1` or `block.0`."""
    type: str
    """Class name, such as `Conv2d`."""
    kind: Message
    specification: Message
    output_shape: tuple[int, ...] | None
    """Shape without the batch, such as (32, 28, 28); None if there is none or it is unknown."""
    parameters: int
    """Number of parameters, without those counted in an earlier row."""
    parameter_sum: str
    """Derivation of that number, such as `1×32×3×3 + 32`; empty if there are no parameters."""
    output_derivation: str
    """Derivation of the output's size, such as `(28 + 2·1 − 3)/1 + 1 = 28`; empty if there is nothing to derive."""
    shared: bool = False
    """True if some of its parameters are counted in an earlier row."""
    called: bool = True
    """False for a layer that holds parameters but whose own forward the network never calls."""
    calls: int = 1
    """Number of calls for an image that give this size: 0 for a layer never called, 1 for a parameter."""
    input_shape: tuple[int, ...] | None = None
    """Shape of its input without the batch; None if there is none or it is unknown."""
    settings: Settings | None = None
    """None for other layers than linear ones, convolutions and poolings."""

    def remarks(self) -> list[Message]:
        """Return what explains the numbers where they alone would puzzle a reader."""
        remarks = [] if self.called else [Message("never called")]
        if self.calls > 1:
            remarks.append(Message("called {calls} times", {"calls": self.calls}))
        if self.called and self.shared:
            remarks.append(Message("parameters counted above"))
        return remarks


class LayerTable(msgspec.Struct, frozen=True):
    """The layers of a network, in the order in which its forward calls them."""

    model: str
    layers: tuple[Layer, ...]
    total: int
    """Number of all parameters, each counted once."""
    trainable: int
    """Number of those that training changes."""

    def to_dict(self) -> dict[str, Any]:
        """Return the table for JSON, with the texts in English."""
        return {
            "model": self.model,
            "layers": [
                {**msgspec.to_builtins(layer), "kind": str(layer.kind), "specification": str(layer.specification)}
                for layer in self.layers
            ],
            "total": self.total,
            "trainable": self.trainable,
        }
