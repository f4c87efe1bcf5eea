"""What is shown at a position inside a network: pictures with a cursor, and the text below them."""

from __future__ import annotations

from typing import NamedTuple

from textual.content import Content

from core.inspecting.views import ValueView
from core.worker.protocol import Inspected, NearestFound, Occluded
from tui_app.inside import bands, words
from tui_app.inside.bands import Band, Spot
from tui_app.inside.cards import CardLine, card, heading, softmax_card
from tui_app.inside.position import LAYER, WAY, Position


class Room(NamedTuple):
    """The columns and lines for pictures, and what the terminal lacks."""

    width: int
    height: int
    plain: bool
    """True without block characters."""
    is_colourless: bool


class Shown(NamedTuple):
    """Pictures, which of them is under the cursor, and a text."""

    bands: list[Band]
    cursor: Spot | None
    text: Content


def neighbours(found: NearestFound, way: Inspected) -> Shown:
    """Return the nearest training images."""
    return Shown([bands.neighbours(found, way)], None, Content(words.neighbours(found, way)))


def level(at: Position, way: Inspected, seen: ValueView | None, occluded: Occluded | None, room: Room) -> Shown:
    """Return what is shown at a position: `seen` is its value once it is known, `occluded` what hiding does."""
    if at.level == WAY:
        text = words.occlusion(occluded, way, is_colourless=room.is_colourless) if occluded is not None else ""
        return Shown(bands.way(way, room.width, plain=room.plain), at.spot, Content(text))
    if at.is_at_end:
        end = bands.way(way, room.width, plain=room.plain)[-1:]
        return Shown(end, None, words.lines(softmax_card(way)))
    if at.of_layer is not None and at.level == LAYER:
        view, facts = at.of_layer.layer, at.of_layer.facts
        text_of_card = words.lines([CardLine("", heading(view)), *card(view, facts, at.channel)])
        return Shown(at.layer_bands(room.width), at.spot, text_of_card)
    if at.view is not None and at.map is not None:
        pictures = bands.value(at.view, at.map, at.place, seen, room.width, room.height)
        return Shown(pictures, None, words.value(at.view, seen, room.width))
    return Shown([], None, Content(""))
