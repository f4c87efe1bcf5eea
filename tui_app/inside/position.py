"""A position inside a network, its level, layer, channel and value, and the ways from one to another."""

from __future__ import annotations

from collections.abc import Callable

from core.inspecting.views import FeatureMap, LayerView
from core.worker.protocol import Inspected, InspectedLayer
from tui_app.inside import bands
from tui_app.inside.bands import Band, Spot

WAY, LAYER, VALUE = 1, 2, 3
"""The levels."""


class Position:
    """A position on one of the three levels, with what is known there of the network."""

    def __init__(self) -> None:
        self.level = WAY
        self.spot: Spot = (0, 0)
        """Picture under the cursor, on the first two levels."""
        self.layer = self.channel = self.place = 0
        self.way: Inspected | None = None
        self.of_layer: InspectedLayer | None = None
        """The layer, once it is known."""

    @property
    def view(self) -> LayerView | None:
        return self.of_layer.layer if self.of_layer is not None else None

    @property
    def is_at_end(self) -> bool:
        """True on the softmax after the last layer."""
        return self.way is not None and self.layer >= len(self.way.layers)

    @property
    def map(self) -> FeatureMap | None:
        """Channel that is looked at; None if it is not known yet."""
        maps = self.view.maps if self.view is not None else ()
        return next((each for each in maps if each.channel == self.channel), maps[0] if maps else None)

    @property
    def flat_place(self) -> int | None:
        """Place of the value in the layer's flattened output; None if it is not known yet."""
        return bands.place_of(self.view, self.channel, self.place) if self.view is not None else None

    def layer_bands(self, width: int) -> list[Band]:
        """Return the pictures of the layer."""
        if self.of_layer is None:
            return []
        found = self.of_layer
        chosen = self.place if found.layer.is_vector else self.channel
        return bands.layer(found.layer, found.facts, chosen, width)

    def take_layer(self, answer: InspectedLayer, width: int) -> None:
        """Take what is known of the layer; the cursor is put on it when it is new."""
        is_new, self.of_layer = self.of_layer is None, answer
        if is_new and self.map is not None:
            if answer.layer.is_vector:
                self.place = bands.strongest_place(answer.layer, self.map)
            self.spot = bands.spot_of(self.layer_bands(width), self.channel)

    # Moving

    def go_to_layer(self, layer: int, channel: int = 0) -> None:
        """Go to a layer of the network, or to the end after the last."""
        assert self.way is not None
        self.level = LAYER
        self.layer = min(max(0, layer), len(self.way.layers))
        self.channel, self.place, self.of_layer = channel, 0, None

    def deeper(self) -> bool:
        """Go down a level; return False if there is none."""
        if self.way is None:
            return False
        if self.level == WAY:
            layer, shown = self.spot
            maps = self.way.layers[layer].maps if layer < len(self.way.layers) else ()
            self.go_to_layer(layer, maps[shown].channel if shown < len(maps) else 0)
            return True
        if self.level == LAYER and self.view is not None and self.map is not None and not self.is_at_end:
            if not self.view.is_vector:
                self.place = bands.strongest_place(self.view, self.map)
            self.level = VALUE
            return True
        return False

    def higher(self) -> bool:
        """Go up a level; return False on the first."""
        if self.level == WAY:
            return False
        self.level -= 1
        if self.level == WAY:
            self.spot = (self.layer, 0)
        return True

    def move(self, rows: int, columns: int, width: int, beside: Callable[[int, int], Spot | None]) -> None:
        """Move the cursor; `beside` returns the picture that lies in a direction on the wall of this `width`."""
        if self.way is None:
            return
        if self.level == WAY:
            layer = min(max(0, self.spot[0] + rows), len(self.way.layers))
            most = bands.num_shown(self.way.layers[layer]) if layer < len(self.way.layers) else 1
            self.layer, self.spot = layer, (layer, min(max(0, self.spot[1] + columns), most - 1))
        elif self.map is not None and self.view is not None:
            if self.level == VALUE:
                self.place = bands.place_beside(self.view, self.map, self.place, rows, columns, width)
            elif not self._moves_in_vector(rows, columns, width):
                self.put_on(beside(rows, columns) or self.spot, width)

    def _moves_in_vector(self, rows: int, columns: int, width: int) -> bool:
        """Move from unit to unit in the picture of a vector, and tell if that was possible."""
        shown = self.layer_bands(width)
        assert self.view is not None
        assert self.map is not None
        if not (self.view.is_vector and self.spot[0] < len(shown) and shown[self.spot[0]].is_output):
            return False
        before, self.place = self.place, bands.place_beside(self.view, self.map, self.place, rows, columns, width)
        return self.place != before or bool(columns)

    def put_on(self, spot: Spot, width: int) -> None:
        """Put the cursor on a picture of the level, and choose the channel or unit that it belongs to."""
        self.spot = spot
        if self.level == LAYER and self.view is not None:
            shown = self.layer_bands(width)
            if self.view.is_vector:
                self.place = bands.channel_at(shown, spot, self.place)
            else:
                self.channel = bands.channel_at(shown, spot, self.channel)
