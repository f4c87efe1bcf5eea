"""The sheets of Annexe 1 that a user fills in, as practice or as the exam, with the clock that runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import msgspec

from core.exam.kept import FORMAT, KeptFile
from core.exam.sheet import MAX_ANSWER, Answers, Column
from core.networks.layer_table import LayerTable

EXAM_S = 3600.0
"""Seconds that the exam takes."""
_FILE = "annexe.json"
_MOST_BYTES = 1 << 19

_Cell = Annotated[str, msgspec.Meta(max_length=MAX_ANSWER)]
_Row = dict[Column, _Cell]
_Sheet = Annotated[list[_Row], msgspec.Meta(max_length=1000)]


class Sheets(msgspec.Struct, frozen=True):
    """Filled-in sheets by network."""

    format: int = FORMAT
    practice: dict[str, _Sheet] = {}
    exam: dict[str, _Sheet] = {}
    began: float | None = None
    """Time at which the exam began, in seconds since the epoch; None if none was begun."""
    is_handed_in: bool = False
    hints: dict[str, Annotated[int, msgspec.Meta(ge=0, le=3)]] = {}
    """Number of hints that were taken in practice, by `network/layer/column`."""

    @property
    def is_exam(self) -> bool:
        """True while the exam is on, or its marks are looked at."""
        return self.began is not None

    def left_s(self) -> float:
        """Return the seconds that are left of the exam; a clock that was put back gives no more than there were."""
        return 0.0 if self.began is None else min(EXAM_S, max(0.0, self.began + EXAM_S - time.time()))

    def answers(self, table: LayerTable) -> Answers:
        """Return what is written in a network's sheet, a mapping for each row."""
        kept = (self.exam if self.is_exam else self.practice).get(table.model, [])
        rows = len(table.layers)
        return tuple(kept[position] if position < len(kept) else {} for position in range(rows))

    def with_answer(self, table: LayerTable, row: int, column: Column, text: str) -> Sheets:
        """Return the sheets with another answer in a cell."""
        answers = [dict(each) for each in self.answers(table)]
        answers[row][column] = text[:MAX_ANSWER]
        name = "exam" if self.is_exam else "practice"
        changed = {**getattr(self, name), table.model: answers}
        return msgspec.structs.replace(self, **{name: changed})

    def with_hint(self, key: str) -> Sheets:
        """Return the sheets with one more hint taken for a cell."""
        return msgspec.structs.replace(self, hints={**self.hints, key: min(3, self.hints.get(key, 0) + 1)})

    def begun(self) -> Sheets:
        """Return the sheets with an exam that begins now."""
        return msgspec.structs.replace(self, exam={}, began=time.time(), is_handed_in=False)

    def handed_in(self) -> Sheets:
        return msgspec.structs.replace(self, is_handed_in=True)

    def left(self) -> Sheets:
        """Return the sheets with the exam put away."""
        return msgspec.structs.replace(self, exam={}, began=None, is_handed_in=False)

    def emptied(self, table: LayerTable) -> Sheets:
        """Return the sheets with an empty one for a network."""
        name = "exam" if self.is_exam else "practice"
        kept = {model: sheet for model, sheet in getattr(self, name).items() if model != table.model}
        if self.is_exam:
            return msgspec.structs.replace(self, exam=kept)
        hints = {key: count for key, count in self.hints.items() if not key.startswith(f"{table.model}/")}
        return msgspec.structs.replace(self, practice=kept, hints=hints)


def sheets_file(folder: Path | None) -> KeptFile[Sheets]:
    """Return the file of a user's sheets."""
    return KeptFile(folder, _FILE, Sheets(), _MOST_BYTES)
