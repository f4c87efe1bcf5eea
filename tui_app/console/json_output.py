"""What `--json` prints: documents, lines and failures, each message with its sentence in the current language."""

from __future__ import annotations

import msgspec

from core.messages import Message
from core.runs.formats import FORMAT
from tui_app import i18n, terminal


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """The failure of a command, on its last line; a run that fails says so in its `run_ended`."""

    exit_code: int
    message: Message
    advice: Message | None = None
    """Way out, if there is one."""
    run: str = ""
    """Id of the run that the command was about to train or follow; empty if there was none yet."""
    attempt: int = 0
    """Newest attempt at that run that is known, 0 if there is none."""
    format: int = FORMAT
    """Version of the format of run directories that the program knows."""


class Detached(msgspec.Struct, frozen=True, tag_field="type", tag="detached"):
    """The run that `--detach` has started or found."""

    run: str
    """Id of the run."""
    format: int = FORMAT
    """Version of the format of run directories that the program knows."""


def line_of(what: object) -> str:
    """Return `what` as JSON on one line."""
    return i18n.json_with_sentences(what).decode()


def print_line(what: object) -> None:
    print(line_of(what), file=terminal.output(), flush=True)


def print_document(what: object) -> None:
    """Print `what` as indented JSON."""
    print(msgspec.json.format(line_of(what)), file=terminal.output())
