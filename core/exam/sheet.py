"""The sheet of Annexe 1: a table of layers with cells to fill in, and the marks that its cells get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

Column = Literal["type", "specification", "output", "parameters"]
COLUMNS: tuple[Column, ...] = get_args(Column)
"""Columns to fill in, from left to right; the layers' names are given."""

State = Literal["right", "form", "empty", "unreadable", "wrong"]
"""How a cell is marked; `form` is right but for the form."""

Kind = Literal[
    "bias_forgotten",
    "bias_twice",
    "bias_per_weight",
    "bias_of_inputs",
    "bias_added",
    "kernel_side",
    "input_channels_forgotten",
    "groups_ignored",
    "other_layer",
    "other_type",
    "image_multiplied",
    "channels_alone",
    "image_alone",
    "pool_not_applied",
    "pool_twice",
    "padding_forgotten",
    "stride_forgotten",
    "channels_for_flattened",
    "image_for_flattened",
    "value_wrong",
    "slip",
    "carried",
]
"""Mistakes that can be named; `carried` follows from an earlier answer for which no reason was found."""

Answers = tuple[Mapping[Column, str], ...]
"""What is written in the cells, a mapping for each row of the layer table; a column that is missing is empty."""

MAX_ANSWER = 300
"""Characters of the longest answer that is read."""


class Reason(msgspec.Struct, frozen=True):
    """A mistake that a cell was found to hold."""

    kind: Kind
    written: str = ""
    """What is written, such as `572`; empty if that says nothing more."""
    expected: str = ""
    """What should be there instead, such as `512`."""
    layer: str = ""
    """Layer in which it was made, or that something was taken from, such as `pool1`; empty if that is clear."""
    carried_from: str = ""
    """Layer in whose row this mistake was marked already, such as `fc1`; empty if it is marked here."""


class Mark(msgspec.Struct, frozen=True):
    """The mark of a cell."""

    layer: str
    column: Column
    answer: str
    state: State
    reasons: tuple[Reason, ...] = ()
    """Mistakes that are certain; a wrong cell without any is just not right."""
    form: str = ""
    """For an answer that is right but for the form: the form that is expected."""
    points: float = 0.0
    out_of: float = 1.0
    """Points of a right answer; 0 where there is nothing to write."""


class MarkedSheet(msgspec.Struct, frozen=True):
    """The marks of a sheet, row by row and from left to right."""

    model: str
    marks: tuple[Mark, ...]

    def row(self, position: int) -> tuple[Mark, ...]:
        """Return the marks of a row of the table."""
        return self.marks[position * len(COLUMNS) : (position + 1) * len(COLUMNS)]

    def mark(self, position: int, column: Column) -> Mark:
        """Return the mark of a cell."""
        return self.row(position)[COLUMNS.index(column)]

    @property
    def points(self) -> float:
        return sum(mark.points for mark in self.marks)

    @property
    def out_of(self) -> float:
        return sum(mark.out_of for mark in self.marks)
