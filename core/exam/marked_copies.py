"""A copy marked: the marks of each network in it, and the mistakes of all copies counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from core.exam import marking
from core.exam.copies import Copy, FilledRow, FilledTable
from core.exam.copy_lines import folded
from core.exam.examined import Examined
from core.exam.sheet import Answers, Column, Mark, MarkedSheet
from core.messages import Message, Problem
from core.networks.layer_table import LayerTable

FULL_MARK = 20
"""The mark of a copy without mistakes, as French universities give it."""


class MarkedCopy(msgspec.Struct, frozen=True):
    """A copy with its marks."""

    file: str
    student: str
    sheets: tuple[MarkedSheet, ...]
    """Marks of each network, `model` being what the sheet calls it."""
    remarks: tuple[Message, ...]
    """What could not be marked, a sentence for each thing."""

    @property
    def points(self) -> float:
        return sum(sheet.points for sheet in self.sheets)

    @property
    def out_of(self) -> float:
        return sum(sheet.out_of for sheet in self.sheets)

    @property
    def mark(self) -> float:
        """Points out of 20."""
        return FULL_MARK * self.points / self.out_of if self.out_of else 0.0


class CountedCell(msgspec.Struct, frozen=True):
    """How often a mistake was made in a cell."""

    network: str
    layer: str
    column: Column
    times: int


class CountedMistake(msgspec.Struct, frozen=True):
    """A mistake in all copies; carried errors are counted where they were made."""

    kind: str
    """Kind of a named mistake, or `unexplained`, `unreadable` or `empty`."""
    times: int
    copies: int
    """Number of copies that it is in."""
    cells: tuple[CountedCell, ...]
    """Cells that it is in, the most frequent first."""


def mark_copy(file: str, copy: Copy, examined: Examined) -> MarkedCopy:
    """Mark a copy. Raises `Problem` if it is about none of the networks, or one of them cannot be built."""
    remarks: list[Message] = []
    found = _tables(copy, examined, remarks)
    if not found:
        raise Problem.of(remarks[0])
    expected = [label for label in examined.labels if examined.are_chosen or found.keys() & examined.labels.keys()]
    labels = [*expected, *(label for label in found if label not in expected)]
    sheets = [_sheet(label, found.get(label), examined.table(label), remarks) for label in labels]
    return MarkedCopy(file, copy.student, tuple(sheets), tuple(remarks))


def _tables(copy: Copy, examined: Examined, remarks: list[Message]) -> dict[str, FilledTable]:
    """Return the tables that are marked, by their networks, and remark on the others."""
    found: dict[str, FilledTable] = {}
    for table in copy.tables:
        label = examined.label(table.network) or _guess(table, examined, found)
        if label is None:
            name = table.network or ", ".join(row.name for row in table.rows[:3])
            remarks.append(Message("{network} is not among the networks that are marked here", {"network": name}))
        elif label in found:
            remarks.append(Message("{network} is there twice: the first table is marked", {"network": label}))
        else:
            found[label] = table
    for label in _not_set(found, examined):
        del found[label]
        remarks.append(Message("{network} is not marked: here exercises count only with --seed", {"network": label}))
    return found


def _not_set(found: Mapping[str, FilledTable], examined: Examined) -> list[str]:
    """Return the exercises that nobody set.

    Without a seed only a copy of a single exercise counts: a student could raise the mark with further ones.
    """
    if examined.seed is not None or (len(found) == 1 and not examined.are_chosen):
        return []
    return [label for label in found if label not in examined.labels]


def answers(table: LayerTable, rows: Sequence[FilledRow]) -> tuple[Answers, list[Message]]:
    """Return what is written in each row of a network's table, and remarks on rows that are in none.

    Rows go by their names, in any order: of those of one name the first belongs to the first.
    """
    remarks: list[Message] = []
    filled: list[FilledRow | None] = [None] * len(table.layers)
    names = [_bare(layer.name) for layer in table.layers]
    for row in rows:
        places = [place for place, name in enumerate(names) if name == _bare(row.name)]
        free = next((place for place in places if filled[place] is None), None)
        if free is not None:
            filled[free] = row
        elif row.cells:
            text = Message("the row {name} is there twice: the first is marked", {"name": row.name})
            other = Message("there is no row {name} in the table of this network", {"name": row.name})
            remarks.append(text if places else other)
    return tuple({} if row is None else row.cells for row in filled), remarks


def count_mistakes(copies: Sequence[MarkedCopy]) -> list[CountedMistake]:
    """Count each mistake and the cells that it is in, the most frequent first."""
    cells: dict[str, Counter[tuple[str, str, Column]]] = {}
    holding: Counter[str] = Counter()
    for copy in copies:
        seen = set()
        for sheet in copy.sheets:
            for mark in sheet.marks:
                for kind in _mistakes(mark):
                    cells.setdefault(kind, Counter())[sheet.model, mark.layer, mark.column] += 1
                    seen.add(kind)
        holding.update(seen)
    counted = [
        CountedMistake(
            kind, where.total(), holding[kind], tuple(CountedCell(*cell, times) for cell, times in where.most_common())
        )
        for kind, where in cells.items()
    ]
    return sorted(counted, key=lambda each: (each.kind in ("empty", "unreadable"), -each.times, each.kind))


def _mistakes(mark: Mark) -> Iterator[str]:
    """Yield the mistakes that a cell holds, without those that were marked in another cell already."""
    if mark.state == "wrong":
        yield from {reason.kind for reason in mark.reasons if not reason.carried_from}
        if not mark.reasons:
            yield "unexplained"
    elif mark.state in ("empty", "unreadable") and mark.out_of:
        yield mark.state


def _sheet(label: str, table: FilledTable | None, key: LayerTable, remarks: list[Message]) -> MarkedSheet:
    if table is None:
        remarks.append(Message("{network} is not in the copy: its cells count as empty", {"network": label}))
    filled, about_rows = answers(key, table.rows if table else ())
    remarks += about_rows
    return msgspec.structs.replace(marking.mark_sheet(key, filled), model=label)


def _guess(table: FilledTable, examined: Examined, found: dict[str, FilledTable]) -> str | None:
    """Return the network whose layers a table without a network's name has, if it is the only such one."""
    if re.search(r"\d|\.py", table.network) or not examined.labels:
        return None
    names = {_bare(row.name) for row in table.rows}
    shared = {
        label: len(names & {_bare(layer.name) for layer in examined.table(label).layers})
        for label in examined.labels
        if label not in found
    }
    best = max(shared.values(), default=0)
    fitting = [label for label, number in shared.items() if number == best]
    return fitting[0] if best * 2 >= len(names) and len(fitting) == 1 else None


def _bare(name: str) -> str:
    """Return a layer's name without what its writers leave out or add: `fc1` for `FC 1`."""
    return re.sub(r"[\W_]", "", folded(name))
