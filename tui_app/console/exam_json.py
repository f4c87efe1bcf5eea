"""Marked copies as JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from core.exam import feedback
from core.exam.marked_copies import CountedCell, CountedMistake, MarkedCopy
from core.exam.sheet import Kind, Mark, MarkedSheet, Reason
from core.messages import Message


class UnreadCopy(msgspec.Struct, frozen=True):
    """A copy, or a folder of them, that was left out."""

    file: str
    message: Message


class PrintedNetwork(msgspec.Struct, frozen=True):
    """The marks of a network in a copy."""

    network: str
    points: float
    out_of: float
    cells: tuple[Mark, ...]
    """Marks of its cells, row by row; with `--no-key`, without anything that is right and not the student's."""


class PrintedCopy(msgspec.Struct, frozen=True):
    """A copy with its marks."""

    file: str
    student: str
    """Name as it is written in the copy; empty if there is none."""
    networks: tuple[PrintedNetwork, ...]
    points: float
    out_of: float
    mark: float
    """Points out of 20."""
    remarks: tuple[Message, ...]
    """What could not be marked."""


class PrintedMistake(msgspec.Struct, frozen=True):
    """A mistake in all copies; carried errors are counted where they were made."""

    kind: str
    """Kind of a named mistake, or `unexplained`, `unreadable` or `empty`."""
    message: Message
    times: int
    copies: int
    """Number of copies that it is in."""
    cells: tuple[CountedCell, ...]


class MarkedCopies(msgspec.Struct, frozen=True):
    """What `exam --mark` found."""

    copies: tuple[PrintedCopy, ...]
    mistakes: tuple[PrintedMistake, ...]
    unread: tuple[UnreadCopy, ...]


def printed(
    copies: Sequence[MarkedCopy], mistakes: Sequence[CountedMistake], unread: Sequence[UnreadCopy], *, with_key: bool
) -> MarkedCopies:
    """Return marked copies as they are printed, with the right answers if `with_key`."""
    return MarkedCopies(
        tuple(_copy(each, with_key) for each in copies),
        tuple(
            PrintedMistake(each.kind, mistake_text(each.kind), each.times, each.copies, each.cells) for each in mistakes
        ),
        tuple(unread),
    )


def mistake_text(kind: str) -> Message:
    """Return what a counted mistake is."""
    match kind:
        case "unexplained":
            return Message("not right, without a named reason")
        case "unreadable":
            return Message("unreadable")
        case "empty":
            return Message("empty")
    return feedback.reason_text(Reason(msgspec.convert(kind, Kind)))


def _copy(copy: MarkedCopy, with_key: bool) -> PrintedCopy:
    networks = tuple(_network(sheet, with_key) for sheet in copy.sheets)
    return PrintedCopy(copy.file, copy.student, networks, copy.points, copy.out_of, round(copy.mark, 4), copy.remarks)


def _network(sheet: MarkedSheet, with_key: bool) -> PrintedNetwork:
    cells = sheet.marks if with_key else tuple(map(_without_key, sheet.marks))
    return PrintedNetwork(sheet.model, sheet.points, sheet.out_of, cells)


def _without_key(mark: Mark) -> Mark:
    return msgspec.structs.replace(mark, reasons=tuple(map(_reason_without_key, mark.reasons)))


def _reason_without_key(reason: Reason) -> Reason:
    """Return a mistake without what should be there; what is right in another layer is another cell's key."""
    written = "" if reason.kind == "other_layer" else reason.written
    return msgspec.structs.replace(reason, written=written, expected="")
