"""The terminal's capabilities, and the program's own output to it."""

from __future__ import annotations

import codecs
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

SIMPLIFY = "mnist-tui-simplify"
"""Name of the way in which an output stream writes what it cannot encode: by a similar character of the same width."""

_SIMPLIFY_BUT_LATIN = "mnist-tui-simplify-but-latin"
"""The same, but Western European letters stay, in UTF-8."""

# Consoles of the kernel and terminals of old have a font of a few hundred characters: `?` for every braille one.
_FEW_CHARACTERS = re.compile(r"(screen\.)?(linux|vt\d|ansi|cons\d|sun|wy\d)")
_SIMILAR = str.maketrans(
    {
        "●": "o",
        "○": "o",
        "⭘": "o",
        "•": "*",
        "◆": "v",
        "■": "#",
        "▶": ">",
        "▸": ">",
        "◀": "<",
        "▲": "^",
        "▼": "v",
        "▾": "v",
        "✓": "+",
        "✗": "x",
    }
    | {"→": ">", "←": "<", "↑": "^", "↓": "v", "–": "-", "—": "-", "−": "-", "×": "x", "±": "~", "·": ".", "…": "."}
    | {"«": '"', "»": '"', "’": "'", "°": "o", "⌈": "[", "⌉": "]", "⌊": "[", "⌋": "]", "œ": "e", "Œ": "E"}
    | {"Σ": "S", "√": "V", "μ": "m", "σ": "s", "γ": "g", "β": "b", "ε": "e", "χ": "X", "∈": "e", "≈": "~"}
)

_own_output: TextIO | None = None


def _similar(char: str) -> str:
    """Return an ASCII character that looks like another one; `?`, twice for a wide one, if none does."""
    name = unicodedata.name(char, "")
    if name.startswith("BOX DRAWINGS"):
        lies, stands = "HORIZONTAL" in name, "VERTICAL" in name
        return "+" if lies == stands or " AND " in name else "-" if lies else "|"
    if name.startswith("BRAILLE PATTERN"):
        return ":"
    if name.endswith(" BLOCK"):
        return "|" if name.startswith(("LEFT", "RIGHT")) else {"UPPER": "-", "LOWER": "_"}.get(name.split()[0], "#")
    plain = unicodedata.normalize("NFKD", char.translate(_SIMILAR))[0]
    return plain if plain.isascii() else "?" * (2 if unicodedata.east_asian_width(char) in "WF" else 1)


def _simplified(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_similar, error.object[error.start : error.end])), error.end


def _simplified_but_latin(error: UnicodeError) -> tuple[bytes, int]:
    simple, end = _simplified(error)
    assert isinstance(error, UnicodeEncodeError)
    written = error.object[error.start : end]
    if len(simple) != len(written):  # a wide character has become two
        return simple.encode(), end
    kept = (char if char.isalpha() and char < "\u0100" else plain for char, plain in zip(written, simple, strict=True))
    return "".join(kept).encode(), end


codecs.register_error(SIMPLIFY, _simplified)
codecs.register_error(_SIMPLIFY_BUT_LATIN, _simplified_but_latin)


def simplify(stream: TextIO) -> None:
    """Have a stream write what its terminal or its encoding lacks by similar characters."""
    encoding, errors = stream.encoding, SIMPLIFY
    if console := _console_with_few_characters(stream):
        encoding = "ascii"
        if console == "linux" and _is_utf8(stream):
            errors = _SIMPLIFY_BUT_LATIN
    stream.reconfigure(encoding=encoding, errors=errors)  # type: ignore[attr-defined]


def claim_stdout() -> None:
    """Keep stdout for what is written to `output`; whatever else is printed, by any means, goes to stderr from now on.

    It stays so until the process ends: a library in C may write out what it was told to print only then.
    """
    global _own_output
    if _own_output is None:
        sys.stdout.flush()
        _own_output = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def output() -> TextIO:
    """Return the stream for the program's results."""
    return _own_output or sys.stdout


@contextmanager
def unclaimed_output_dropped() -> Iterator[None]:
    """Drop what is printed to stdout by others, for a time in which a custom network would print for every batch."""
    sys.stdout.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def has_utf8() -> bool:
    """Tell if the terminal takes more than ASCII."""
    return takes_utf8(sys.__stderr__)


def takes_utf8(stream: TextIO | None) -> bool:
    """Tell if a stream takes more than ASCII, and is no terminal that has characters for little else."""
    if stream is None or not _is_utf8(stream):
        return False
    return not _console_with_few_characters(stream)


def _console_with_few_characters(stream: TextIO) -> str:
    """Return the kind of the console that a stream writes to, such as `linux`; nothing if it is no such console."""
    found = _FEW_CHARACTERS.match(os.environ.get("TERM", "")) if stream.isatty() else None
    return found[2] if found else ""


def _is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "").lower().replace("-", "") == "utf8"


def has_grey() -> bool:
    """Tell if the terminal shows shades and block characters."""
    return has_utf8() and not os.environ.get("NO_COLOR")
