"""CSV as a spreadsheet in the user's language opens it, and without formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from tui_app.i18n import _, printable

_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def encoded(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV in UTF-8 with a mark, without which a spreadsheet takes it for something else.

    Where numbers have a decimal comma, spreadsheets expect semicolons between cells.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";" if _(".") == "," else ",", lineterminator="\r\n")
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig", errors="replace")


def _safe(cell: str) -> str:
    """Return a text that a spreadsheet takes for no formula."""
    text = printable(cell)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
