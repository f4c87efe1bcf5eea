"""What a mark says to whoever filled in the cell, and how the right answer is found."""

from __future__ import annotations

from core.exam.sheet import Column, Mark, Reason
from core.messages import Message
from core.networks.layer_table import Layer


def reason_text(reason: Reason) -> Message:
    """Return what a mistake is: `the bias is forgotten`."""
    raise NotImplementedError


def verdict(mark: Mark) -> list[Message]:
    """Return what a mark says, a sentence for each thing; nothing of it gives the right answer away."""
    raise NotImplementedError


def hints(layer: Layer, column: Column) -> tuple[Message, Message, Message]:
    """Return the three hints of a cell: what to look at, the formula, and the formula with its numbers."""
    raise NotImplementedError


def right_answer(layer: Layer, column: Column) -> Message:
    """Return the right answer of a cell."""
    raise NotImplementedError
