"""The slots of a comparison as a table: where runs are trained, which, how fast, and since when."""

from __future__ import annotations

import time
from collections.abc import Sequence

from core.comparing.slots import OccupiedSlot
from tui_app.comparison_text import Grid
from tui_app.i18n import _, duration, number, printable


def slots(found: Sequence[OccupiedSlot]) -> Grid:
    """Tabulate slots, one a row."""
    rows = tuple(
        (
            printable(slot.node),
            printable(slot.device),
            _runs(slot.runs),
            "–" if slot.images_per_s is None else number(round(slot.images_per_s)),
            "–" if slot.since is None else duration(time.time() - slot.since),
        )
        for slot in found
    )
    return Grid((_("Node"), _("Device"), _("Run"), _("Images/s"), _("For")), rows, texts=True)


def _runs(runs: Sequence[str]) -> str:
    if not runs:
        return _("idle")
    return runs[0] if len(runs) == 1 else _("{run} and {more} more").format(run=runs[0], more=len(runs) - 1)
