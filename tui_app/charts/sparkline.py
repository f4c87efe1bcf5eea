"""Numbers as a line of characters, one for each."""

from __future__ import annotations

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = ".:-=+*#@"


def sparkline(values: Sequence[float | None], *, plain: bool) -> str:
    """Return a block for each number, as high as it is beside the greatest, and a blank for None.

    The numbers are 0 or greater. Where there is only ASCII (`plain`), the blocks are signs of increasing weight.
    """
    signs = _PLAIN if plain else _BLOCKS
    greatest = max((value for value in values if value is not None), default=0.0)
    return "".join(
        " " if value is None else signs[min(len(signs) - 1, int(value / (greatest or 1.0) * len(signs)))]
        for value in values
    )
