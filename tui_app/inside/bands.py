"""What the three levels of a look inside a network show: bands of pictures, each with a heading."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.catalogue import SIDE
from core.inspecting.views import FeatureMap, Kernels, LayerFacts, LayerView, LevelScale, ValueView
from core.worker.protocol import Inspected, NearestFound, Occluded
from tui_app.i18n import _, ngettext, number, printable
from tui_app.inside.cards import heading
from tui_app.inside.formulas import share_text, value_text
from tui_app.inside.tiles import Tile, tile_of
from tui_app.inside.words import bars

Spot = tuple[int, int]
"""A band, and a picture in it."""
_STRIP_ROWS = 8
"""Rows of values of a vector where all layers are shown."""
_SUMMARY_COLUMNS = 8
_MOST_MARKS = 12
_MOST_ZOOM = 6
_PIXELS = LevelScale(0.0, 255.0)


@dataclass(frozen=True)
class Band:
    """A heading, and pictures below it; `wraps` puts those that do not fit into further rows, else they are beyond."""

    heading: str
    tiles: tuple[Tile, ...] = ()
    wraps: bool = False
    lines: tuple[str, ...] = ()
    """Lines of text below the heading."""
    channels: tuple[int, ...] = ()
    """Channel of the layer that each picture belongs to; empty for none."""
    is_output: bool = False
    """True for the layer's output, as opposed to its weights."""


def image(pixels: bytes, receptive_field: bytes = b"", occluded: Occluded | None = None) -> Tile:
    """Return the image that the network sees, with the pixels that a value depends on, or with what hiding does."""
    marks = frozenset(at for at, seen in enumerate(receptive_field) if seen)
    heat = b"" if occluded is None else _heat(occluded)
    return Tile(SIDE, SIDE, pixels, _PIXELS, marks=marks if len(marks) < SIDE * SIDE else frozenset(), heat=heat)


def _heat(occluded: Occluded) -> bytes:
    """Return how much each pixel speaks for the chosen class: by how much hiding it lowers the log-odds."""
    drops = [occluded.whole_log_odds - each for each in occluded.log_odds]
    drops = [drop if math.isfinite(drop) else 0.0 for drop in drops]
    most = max(map(abs, drops), default=0.0) or 1.0
    step = SIDE // occluded.side
    levels = [128 + round(127 * drop / most) for drop in drops]
    return bytes(levels[row // step * occluded.side + column // step] for row in range(SIDE) for column in range(SIDE))


def neighbours(found: NearestFound, answer: Inspected) -> Band:
    """Return the training images that the network sees most like this one, with their labels."""
    names = answer.class_names
    tiles = tuple(
        Tile(
            SIDE,
            SIDE,
            each.pixels,
            _PIXELS,
            _("{label}, distance {distance}").format(
                label=printable(names[each.label]) if each.label < len(names) else each.label,
                distance=value_text(each.distance),
            ),
        )
        for each in found.neighbours
    )
    return Band(_("The training images that the network sees most like this one"), tiles, wraps=True)


# Level 1: the way through


def num_shown(view: LayerView) -> int:
    """Return the number of pictures of a layer's band."""
    return max(1, len(view.maps) if not view.is_vector else 1)


def way(answer: Inspected, width: int, *, plain: bool) -> list[Band]:
    """Return a band for each layer, and one for the probabilities and the loss."""
    return [*(_layer_band(view, width) for view in answer.layers), _end_band(answer, width, plain=plain)]


def _layer_band(view: LayerView, width: int) -> Band:
    title = heading(view)
    if not view.maps:
        return Band(title, lines=(_("Its output cannot be shown."),))
    title += f" · {value_text(view.scale.low)} … {value_text(view.scale.high)}"
    if view.is_vector:
        tile = tile_of(view.maps[0], view.scale, view.shape, width)
        shown = replace(tile, rows=min(tile.rows, _STRIP_ROWS), levels=tile.levels[: _STRIP_ROWS * tile.columns])
        count = shown.rows * shown.columns
        if tile.rows > shown.rows:
            title += " · " + _("the first {count} values").format(count=number(count))
        return Band(title, (shown,))
    return Band(title, tuple(_map_tile(view, each) for each in view.maps))


def _map_tile(view: LayerView, feature_map: FeatureMap) -> Tile:
    caption = f"{feature_map.channel}" if view.num_maps > 1 else ""
    if feature_map.columns >= 10 and caption:
        caption += f": {value_text(feature_map.largest)}"
    return Tile(feature_map.rows, feature_map.columns, feature_map.levels, view.scale, caption)


def _end_band(answer: Inspected, width: int, *, plain: bool) -> Band:
    lines = bars(answer, min(48, max(20, width - 24)), plain=plain)
    with_logit, of_true = _("{bar}   logit {logit}"), _("{bar}   logit {logit}  ← true")
    texts = [
        (of_true if at == answer.label else with_logit).format(bar=line, logit=value_text(logit))
        for at, (line, logit) in enumerate(zip(lines, answer.logits, strict=False))
    ]
    if answer.loss is not None and answer.label is not None:
        texts.append(
            _("loss on this image: −log {probability} ≈ {loss}").format(
                probability=share_text(answer.probabilities[answer.label]), loss=value_text(answer.loss)
            )
        )
    return Band(_("softmax · cross-entropy"), lines=tuple(texts))


def summary(answer: Inspected, lines: int) -> Band:
    """Return one picture of each layer side by side, its most active channel, no taller than so many lines."""
    tiles: list[Tile] = []
    for view in answer.layers:
        if not view.maps or (view.source is None and not tiles):
            continue
        if view.is_vector:
            most = 2 * max(1, min(lines - 2, SIDE // 2))
            tile = tile_of(view.maps[0], view.scale, view.shape, min(-(-view.size // most), _SUMMARY_COLUMNS))
            shown = min(tile.rows, most)
            tile = replace(tile, rows=shown, levels=tile.levels[: shown * tile.columns])
        else:
            tile = _map_tile(view, view.maps[0]).cropped(SIDE, lines - 2)
        tiles.append(replace(tile, caption=printable(view.name)))
    return Band(_("Inside {network}").format(network=_("the first run's network")), tuple(tiles))


# Level 2: a layer


def layer(view: LayerView, facts: LayerFacts, chosen: int, width: int) -> list[Band]:
    """Return all channels of a layer, and its weights: of many, those of the `chosen` channel or unit."""
    outputs = _outputs(view, _outputs_title(view), view.maps, width)
    if view.is_vector and outputs.tiles:
        outputs = replace(outputs, tiles=(replace(outputs.tiles[0], cursor=chosen),))
    found = [outputs]
    if facts.draw is not None:
        in_training = _outputs(view, _("In training: one draw"), facts.draw.maps, width)
        found = [replace(in_training, is_output=False), replace(outputs, heading=_("In a test: all of them"))]
    if facts.kernels is not None:
        weights = _kernel_band(facts.kernels, chosen, is_unit=view.is_vector)
        found = [weights, *found] if not view.is_vector else [*found, weights]
    return found


def spot_of(shown: Sequence[Band], channel: int) -> Spot:
    """Return the picture of a channel of the output."""
    for at, band in enumerate(shown):
        if band.is_output and channel in band.channels:
            return at, band.channels.index(channel)
    return 0, 0


def channel_at(shown: Sequence[Band], spot: Spot, channel: int) -> int:
    """Return the channel that a picture belongs to; `channel` if it belongs to none."""
    band, number_of = spot
    channels = shown[band].channels if band < len(shown) else ()
    return channels[number_of] if number_of < len(channels) else channel


def _outputs(view: LayerView, title: str, maps: tuple[FeatureMap, ...], width: int) -> Band:
    channels = tuple(each.channel for each in maps)
    if view.is_vector:
        tiles = tuple(tile_of(each, view.scale, view.shape, width) for each in maps)
    else:
        tiles = tuple(_map_tile(view, each) for each in maps)
    return Band(title, tiles, wraps=True, channels=channels, is_output=True)


def _outputs_title(view: LayerView) -> str:
    span = f"{value_text(view.scale.low)} … {value_text(view.scale.high)}"
    if view.is_vector:
        count = view.shape[0] if view.shape else 1
        return ngettext("{count} value, {span}", "{count} values, {span}", count).format(count=number(count), span=span)
    if len(view.maps) < view.num_maps:
        text = _("the {shown} most active of {count} channels, {span}")
        return text.format(shown=number(len(view.maps)), count=number(view.num_maps), span=span)
    return ngettext("{count} channel, {span}", "{count} channels, {span}", view.num_maps).format(
        count=number(view.num_maps), span=span
    )


def _kernel_band(kernels: Kernels, chosen: int, *, is_unit: bool) -> Band:
    span = f"{value_text(kernels.scale.low)} … {value_text(kernels.scale.high)}"
    if kernels.inputs == 1:
        tiles = tuple(kernel(kernels, output, 0, f"{output}") for output in range(kernels.outputs))
        title = (_("Weights of each unit, {span}") if is_unit else _("Weights of each channel, {span}")).format(
            span=span
        )
        return Band(title, tiles, wraps=True, channels=tuple(range(kernels.outputs)))
    if chosen >= kernels.outputs:
        return Band(_("These weights are too many to be shown."))
    text = _("Weights of unit {number}, for each input channel, {span}")
    if not is_unit:
        text = _("Weights of channel {number}, for each input channel, {span}")
    tiles = tuple(kernel(kernels, chosen, each, f"{each}") for each in range(kernels.inputs))
    return Band(text.format(number=chosen, span=span), tiles, wraps=True)


def kernel(kernels: Kernels, output: int, channel: int, caption: str) -> Tile:
    """Return the weights of an output for a channel of the input, small ones enlarged."""
    size = kernels.rows * kernels.columns
    start = (output * kernels.inputs + channel) * size
    zoom = 2 if kernels.columns <= 7 else 1
    return Tile(kernels.rows, kernels.columns, kernels.levels[start : start + size], kernels.scale, caption, zoom)


# Level 3: a value


def strongest_place(view: LayerView, feature_map: FeatureMap) -> int:
    """Return the place of a channel's value of the greatest magnitude."""
    count = feature_map.rows * feature_map.columns if not view.is_vector else view.size
    low, span = view.scale.low, view.scale.high - view.scale.low
    sizes = [abs(low + level / 255 * span) for level in feature_map.levels[:count]]
    return max(range(len(sizes)), key=sizes.__getitem__)


def place_beside(view: LayerView, feature_map: FeatureMap, place: int, rows: int, columns: int, width: int) -> int:
    """Return the place so many rows below a place of a channel, and so many columns to the right, if it is there."""
    tile = tile_of(feature_map, view.scale, view.shape, width)
    count = tile.rows * tile.columns if not view.is_vector else view.size
    row, column = divmod(place, tile.columns)
    row, column = min(max(0, row + rows), tile.rows - 1), min(max(0, column + columns), tile.columns - 1)
    new = row * tile.columns + column
    return new if new < count else place


def place_of(view: LayerView, channel: int, at: int) -> int:
    """Return the place in a layer's flattened output of a value `at` a place of a channel."""
    if view.is_vector:
        return at
    return channel * view.shape[-2] * view.shape[-1] + at


def value(
    view: LayerView, feature_map: FeatureMap, at: int, seen: ValueView | None, width: int, lines: int
) -> list[Band]:
    """Return a channel with the cursor on a value, beside the input with the window that the value is computed from."""
    here = replace(tile_of(feature_map, view.scale, view.shape, width), cursor=at)
    here = _zoomed(here, (width - 1) // 2 if not view.is_vector else width, lines - 1)
    title = printable(view.name)
    if view.num_maps > 1:
        title = f"{title} · {feature_map.channel}"
    if seen is None or seen.before is None:
        return [Band("", (replace(here, caption=title),))]
    before = _before(seen, width, (width - 1) // 2, lines - 1)
    named = {None: _("its input"), "": _("the image, normalised")}.get(
        seen.before_name, printable(seen.before_name or "")
    )
    if seen.num_before > 1:
        named = f"{named} · {seen.before.channel}"
    pair = (replace(before, caption=named), replace(here, caption=title))
    if before.width + here.width + 1 <= width:
        return [Band("", pair)]
    return [Band("", (pair[0],)), Band("", (pair[1],))]


def _before(seen: ValueView, width: int, room: int, lines: int) -> Tile:
    before = seen.before
    assert before is not None
    marks = frozenset(seen.window)
    if not marks and seen.formula is not None and seen.formula.num_terms > 1:  # all: then those that contribute most
        size = before.rows * before.columns
        most = sorted(seen.formula.terms, key=lambda term: -abs(term.value * (term.weight or 0.0)))[:_MOST_MARKS]
        marks = frozenset(term.at % size for term in most if term.at // size == before.channel)
    tile = Tile(before.rows, before.columns, before.levels, seen.before_scale, marks=marks)
    return _zoomed(tile, max(room, min(width, before.columns)) if before.rows == 1 else room, lines)


def _zoomed(tile: Tile, columns: int, lines: int) -> Tile:
    """Return a tile as large as there is room for, or the part of it around the cursor."""
    zoom = min(columns // max(1, tile.columns), 2 * lines // max(1, tile.rows), _MOST_ZOOM)
    return replace(tile, zoom=max(1, zoom)).cropped(columns, lines)
