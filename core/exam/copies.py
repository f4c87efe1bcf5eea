"""A filled-in copy of a sheet, read with distrust: a copy is data, and nothing in it is ever executed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import msgspec

from core import files
from core.exam import copy_lines
from core.exam.copy_lines import ColumnOfCopy, CopyLine, folded
from core.exam.sheet import COLUMNS, MAX_ANSWER, Column
from core.messages import Problem, reason

MAX_BYTES = 1 << 20
MAX_ROWS = 500
MAX_TABLES = 20
"""Networks in one copy, at most."""

_MAX_NAME = 100
_USUAL: dict[int, ColumnOfCopy] = dict(enumerate(("name", *COLUMNS)))
"""Columns of a table without headings."""
_LAYER = re.compile(r"[A-Za-z_][\w.]{0,60}")
_NETWORK = re.compile(r"\brn[ _]?\d+\b|\b(reseau|network|exerci[cs]e)\b.*\d|\.py:\w+")
_LONGEST_HEADING = 80
"""Characters of the longest line that is taken for a heading although it is not marked as one."""
_STUDENT = re.compile(
    r"(?P<label>nom|prenom|nom ?[/&,] ?prenom|nom et prenom|nom complet|etudiant|etudiante|name|first name|last name|"
    r"full name|student|surname|given name)(?P<colon> ?:|$)"
)
_OTHER_LABEL = re.compile(r"\b(pr[ée]nom|first name)\s*:", re.IGNORECASE)
_TO_FILL_IN = re.compile(r"[\s._…\-–—]*")


class FilledRow(msgspec.Struct, frozen=True):
    """A row of a copy: a layer's name, and what is written in its cells."""

    name: str
    cells: Mapping[Column, str]


class FilledTable(msgspec.Struct, frozen=True):
    """A table of a copy, and the line or cell that says of which network it is, as it was written."""

    network: str
    rows: tuple[FilledRow, ...]


class Copy(msgspec.Struct, frozen=True):
    """What a student has handed in."""

    student: str
    """Name as it is written in the copy; empty if there is none."""
    tables: tuple[FilledTable, ...]


def read(path: Path) -> Copy:
    """Read a copy. Raises `Problem`: what keeps it from being read, without its name."""
    try:
        _check_kind(path)
        content = files.read_small(path, MAX_BYTES)
    except OSError as error:
        if path.is_file() and path.lstat().st_size > MAX_BYTES:
            raise Problem("it is larger than {size} MB", size=MAX_BYTES >> 20) from error
        raise Problem("{reason}", reason=reason(error)) from error
    return parse(copy_lines.decoded(content))


def _check_kind(path: Path) -> None:
    """Raise `Problem` for what is no file. Raises `OSError` where there is nothing."""
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        raise Problem("it is a link: name the file that it leads to")
    if stat.S_ISDIR(mode):
        raise Problem("it is a folder")
    if not stat.S_ISREG(mode):
        raise Problem("it is not a regular file")


def parse(text: str) -> Copy:
    """Return the tables in a copy's text. Raises `Problem` if there is none, or there are too many."""
    reading = _Reading()
    for line in copy_lines.lines(text):
        reading.add(line)
    if not reading.tables:
        raise Problem("there is no filled-in table in it: a row begins with the name of its layer, such as fc1")
    if len(reading.tables) > MAX_TABLES:
        raise Problem("it has more than {count} tables", count=MAX_TABLES)
    filled = (FilledTable(network, tuple(rows)) for network, rows in reading.tables)
    return Copy(" ".join(reading.names.values())[:_MAX_NAME], tuple(filled))


class _Reading:
    """What is known of a copy while its lines are read."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        """Parts of the student's name by their labels."""
        self.tables: list[tuple[str, list[FilledRow]]] = []
        self._columns: dict[int, ColumnOfCopy] = {}
        self._network = ""
        self._label = ""
        """Label of a name that may follow on the next line."""
        self._rows = 0

    def add(self, line: CopyLine) -> None:
        """Take a line into account. Raises `Problem` if there are too many rows."""
        if found := copy_lines.columns(line.cells) if line.is_row else {}:
            self._columns = found
        elif not self._takes_name(line) and not self._takes_heading(line) and line.is_row:
            self._add_row(line)

    def _takes_name(self, line: CopyLine) -> bool:
        """Take a line for the student's name, as in `Nom : Dupont`, if it is that and no table has begun."""
        label, self._label = self._label, ""
        if self.tables:
            return False
        first, *others = (line.cells[0] if line.is_row else line.text).strip("*_ #>"), *line.cells[1:]
        found = _STUDENT.match(folded(first))
        if found is None:
            if label and not line.is_row and not self._is_heading(line):
                self._keep_name(label, first)
            return False
        named = first.partition(":")[2] if found["colon"] else ""
        self._keep_name(found["label"], " ".join(filter(None, (named, *others))))
        return True

    def _keep_name(self, label: str, name: str) -> None:
        """Keep what follows a label; if that is nothing, it may be on the next line."""
        name = _OTHER_LABEL.sub(" ", name).strip("*_ ")
        if _TO_FILL_IN.fullmatch(name):
            self._label = label
        else:
            self.names.setdefault(label, " ".join(name.split()))

    def _takes_heading(self, line: CopyLine) -> bool:
        if not self._is_heading(line):
            return False
        self._network = line.text.strip("#* ")
        return True

    def _is_heading(self, line: CopyLine) -> bool:
        """Tell if a line says of which network the following rows are."""
        if line.is_row and (not line.cells[0] or any(line.cells[1:])):
            return False
        may_be = line.text.startswith("#") or len(line.text) <= _LONGEST_HEADING
        return may_be and _NETWORK.search(folded(line.text)) is not None

    def _add_row(self, line: CopyLine) -> None:
        cells = {self._column(place): text for place, text in enumerate(line.cells)}
        name = cells.get("name", "")
        if not self._columns and not (_LAYER.fullmatch(name) and len(line.cells) > 1):
            return
        if not name:
            return
        self._rows += 1
        if self._rows > MAX_ROWS:
            raise Problem("it has more than {count} rows", count=MAX_ROWS)
        if cells.get("network"):  # an empty cell means the one above
            self._network = cells["network"]
        network = self._network
        if not self.tables or folded(self.tables[-1][0]) != folded(network):
            self.tables.append((network[:_MAX_NAME], []))
        answers = {column: cells[column][: MAX_ANSWER + 1] for column in COLUMNS if cells.get(column)}
        self.tables[-1][1].append(FilledRow(name[:_MAX_NAME], answers))

    def _column(self, place: int) -> ColumnOfCopy:
        return (self._columns or _USUAL).get(place, "")


def files_in(folder: Path, limit: int = 1000) -> list[Path]:
    """Return the files in a folder and in those within it, as learning platforms hand copies out; none of dot names.

    Raises `OSError`, and `Problem` if there are more than `limit` or none.
    """
    found = list(islice(_walk(folder), limit + 1))
    if len(found) > limit:
        raise Problem("it has more than {count} files", count=limit)
    if not found:
        raise Problem("there is no file in it")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise error

    for where, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(where, name) for name in sorted(names) if not name.startswith("."))
