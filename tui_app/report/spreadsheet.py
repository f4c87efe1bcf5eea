"""CSV as a spreadsheet in the user's language opens it, and without formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from core.exporting.csv import no_formula
from tui_app.i18n import _, printable


def encoded(rows: Iterable[Sequence[str]]) -> bytes:
    """Return rows as CSV in UTF-8 with a mark, without which a spreadsheet takes it for something else.

    Where numbers have a decimal comma, spreadsheets expect semicolons between cells.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";" if _(".") == "," else ",", lineterminator="\r\n")
    writer.writerows([no_formula(printable(cell)) for cell in row] for row in rows)
    return text.getvalue().encode("utf-8-sig", errors="replace")
