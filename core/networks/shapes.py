"""Shapes as they are written, and places in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def times(factors: Iterable[object]) -> str:
    """Return a product such as `1×32×3×3`."""
    return "×".join(map(str, factors)) or "1"


def place_at(at: int, shape: Sequence[int]) -> tuple[int, ...]:
    """Return the place in a tensor of this shape of a place in the flattened tensor."""
    place: list[int] = []
    for size in reversed(shape):
        at, index = divmod(at, size)
        place.insert(0, index)
    return tuple(place)
