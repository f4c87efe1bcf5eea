"""The layers of a network as Annexe 1 of the exam lists them: plain data, which needs no torch."""

from __future__ import annotations

from typing import Any

import msgspec

from core.messages import Message


class Layer(msgspec.Struct, frozen=True):
    """One line of the table: a call of a layer, or a parameter that no layer holds."""

    name: str
    """Its place in the network, such as `conv1` or `block.0`."""
    type: str
    """Its class, such as `Conv2d`."""
    kind: Message
    specification: Message
    output_shape: tuple[int, ...] | None
    """Without the batch, such as (32, 28, 28); None where it has none or it is not known."""
    parameters: int
    """How many; those that an earlier line has counted are not counted again."""
    parameter_sum: str
    """Where the number comes from, such as `1×32×3×3 + 32`; empty where there are none."""
    output_derivation: str
    """Where the output's size comes from, such as `(28 + 2·1 − 3)/1 + 1 = 28`; empty where there is nothing to say."""
    shared: bool = False
    """Some of its parameters are counted in an earlier line."""
    called: bool = True
    """False for a layer that holds parameters but whose own forward the network never calls."""

    def remark(self) -> Message | None:
        """What the numbers alone would leave a reader to wonder about."""
        if not self.called:
            return Message("never called")
        return Message("parameters counted above") if self.shared else None


class LayerTable(msgspec.Struct, frozen=True):
    """A network's layers, in the order in which its forward calls them."""

    model: str
    layers: tuple[Layer, ...]
    total: int
    """All parameters, each counted once."""
    trainable: int
    """Of these, those that the training changes."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON, the texts in English."""
        return {
            "model": self.model,
            "layers": [
                {**msgspec.structs.asdict(layer), "kind": str(layer.kind), "specification": str(layer.specification)}
                for layer in self.layers
            ],
            "total": self.total,
            "trainable": self.trainable,
        }
