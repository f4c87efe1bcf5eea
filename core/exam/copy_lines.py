"""The lines of a copy as cells, whatever program it was filled in with: Markdown, CSV or columns apart by tabs."""

from __future__ import annotations

import csv
import html
import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from core.exam.sheet import Column
from core.messages import Problem

ColumnOfCopy = Column | str
"""A column to fill in, or `network` or `name`."""

_HEADINGS: tuple[tuple[ColumnOfCopy, str], ...] = (
    # Headings without accents and in small letters; the first that fits decides.
    ("parameters", r"(nombre|nb|number|no\.?|num|#|total)\b.*\bparam.*|param.*"),
    ("type", r"(type|kind|genre|nature)\b.*|layer (type|kind)"),
    ("specification", r"spec.*|caracteristiques?|settings|reglages"),
    ("output", r"(dim|taille|forme|size|shape)\w*\.?( .*)?|(sortie|output)( .*)?"),
    ("network", r"reseau( de neurones)?|network|exercice|exercise|modele|model"),
    ("name", r"noms?( (de la|des) couches?)?|(layer )?names?|couches?|layers?"),
)
_RULE = re.compile(r"[\s|:+=\-–—_]*")
_FENCE = re.compile(r"\s*(```+|~~~+)\s*(\w*)")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_DELIMITERS = (";", ",")
_LONGEST_HEADING = 60
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x19\x1b-\x1f\x7f-\x9f]")


class CopyLine(NamedTuple):
    """A line of a copy: its cells, or its whole text as the only one."""

    cells: tuple[str, ...]
    is_row: bool
    """True if something set its cells apart."""

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.cells))


def decoded(content: bytes) -> str:
    """Return a copy's text. Raises `Problem` if it is none."""
    encodings = ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252")
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if _CONTROL.search(text) is None:
            return unicodedata.normalize("NFC", text)
    raise Problem("it is no text: save it as Markdown, CSV or plain text")


def lines(text: str) -> Iterator[CopyLine]:
    """Yield the lines of a copy, split as its headings are, or else most of its lines."""
    rows = text.splitlines()
    if _has_header(rows, "|"):
        yield from _markdown(rows)
    elif _has_header(rows, "\t"):
        yield from (_tabbed(row) for row in rows if not _RULE.fullmatch(row))
    elif _is_csv(text):
        yield from _comma_separated(text)
    elif sum(row.count("|") >= 2 for row in rows) >= sum(row.count("\t") >= 2 for row in rows):
        yield from _markdown(rows)
    else:
        yield from (_tabbed(row) for row in rows if not _RULE.fullmatch(row))


def columns(cells: tuple[str, ...]) -> dict[int, ColumnOfCopy]:
    """Return which column each of these headings stands over; nothing if they are no headings."""
    found: dict[int, ColumnOfCopy] = {}
    for place, cell in enumerate(cells):
        heading = folded(cell[:_LONGEST_HEADING])
        column = next((column for column, pattern in _HEADINGS if re.fullmatch(pattern, heading)), None)
        if column is not None and column not in found.values():
            found[place] = column
    return found if "name" in found.values() and len(found) >= 3 else {}


def folded(text: str) -> str:
    """Return a text in small letters, without accents, with single spaces and without marks of emphasis."""
    plain = unicodedata.normalize("NFKD", text.strip("*_#` \t").casefold())
    return " ".join("".join(char for char in plain if not unicodedata.combining(char)).split())


def _has_header(rows: list[str], separator: str) -> bool:
    split = _piped if separator == "|" else _tabbed
    return any(separator in row and columns(split(row).cells) for row in rows)


def _markdown(rows: list[str]) -> Iterator[CopyLine]:
    """Yield the lines of Markdown, without the code of a network, which is in a block marked with its language."""
    fence = ""
    for number, row in enumerate(rows):
        if found := _FENCE.match(row):
            if fence and not found[2] and found[1].startswith(fence):
                fence = ""
            elif not fence and found[2] and any(each.strip().startswith(found[1]) for each in rows[number + 1 :]):
                fence = found[1]
        elif not fence and not _RULE.fullmatch(row):
            yield _piped(row)


def _piped(row: str) -> CopyLine:
    """Split a row of a pipe table; its outer pipes may be missing."""
    parts = re.split(r"(?<!\\)\|", row.strip())
    if len(parts) == 1:
        return CopyLine((_markdown_text(row),), is_row=False)
    if not parts[0].strip():
        del parts[0]
    if parts and not parts[-1].strip():
        del parts[-1]
    return CopyLine(tuple(map(_markdown_text, parts)), is_row=True)


def _markdown_text(text: str) -> str:
    """Return a cell without Markdown's own characters: `512` for `**512**`, and `a|b` for `a\\|b`."""
    text = re.sub(r"<br\s*/?>", " ", text, flags=re.IGNORECASE).strip()
    for mark in ("**", "__", "`"):
        if len(text) > 2 * len(mark) and text.startswith(mark) and text.endswith(mark):
            text = text[len(mark) : -len(mark)].strip()
    return html.unescape(_ESCAPED.sub(r"\1", text)).strip()


def _tabbed(row: str) -> CopyLine:
    parts = row.split("\t")
    return CopyLine(tuple(part.strip().strip('"') for part in parts), is_row=len(parts) > 1)


def _is_csv(text: str) -> bool:
    """Tell if a text has headings with commas or semicolons between them, or else hardly anything but such rows."""
    if any(columns(line.cells) for line in _comma_separated(text)):
        return True
    filled = [row for row in text.splitlines() if row.strip()]
    return max(sum(row.count(each) >= 3 for row in filled) for each in _DELIMITERS) * 2 > len(filled)


def _comma_separated(text: str) -> list[CopyLine]:
    """Return the rows of CSV, by the delimiter under which there are headings, else by the more frequent one."""
    found = {each: _rows(text, each) for each in _DELIMITERS}
    delimiter = max(_DELIMITERS, key=lambda each: (any(columns(row.cells) for row in found[each]), text.count(each)))
    return found[delimiter]


def _rows(text: str, delimiter: str) -> list[CopyLine]:
    try:
        read = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    except csv.Error:  # a field without end
        return []
    return [CopyLine(tuple(" ".join(cell.split()) for cell in row), is_row=len(row) > 1) for row in read if any(row)]
