"""Numbers of the exam's program as they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence

from core.exam.steps import NamedValue
from tui_app.i18n import _, ngettext, number


def figure(value: float, digits: int = 4) -> str:
    """Write a number with so many significant digits."""
    if not math.isfinite(value):
        return _("not finite")
    return f"{value:.{digits}g}".replace("-", "−").replace(".", _("."))


def figures(values: Sequence[float], digits: int = 3) -> str:
    """Write numbers one after another: whole ones as they are."""
    return "  ".join(number(each) if each == int(each) else figure(each, digits) for each in values)


def shape_text(shape: tuple[int, ...]) -> str:
    """Write the shape of a tensor: `64×1×28×28`, or `()` of a single number, as torch does."""
    return "×".join(map(str, shape)) or "()"


def size_text(value: NamedValue) -> str:
    """Say how large a data set, a loader or a network is."""
    count = value.size or 0
    if value.kind == "DataLoader":
        return ngettext("{count} batch", "{count} batches", count).format(count=number(count))
    if value.kind == "MNIST":
        return ngettext("{count} image", "{count} images", count).format(count=number(count))
    return ngettext("{count} parameter", "{count} parameters", count).format(count=number(count))
