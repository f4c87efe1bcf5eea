"""What is written to a terminal that cannot show everything."""

from __future__ import annotations

import io
from typing import Any

import pytest

from tui_app import terminal


def written(text: str, encoding: str) -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=terminal.SIMPLIFY)
    out.write(text)
    out.flush()
    assert isinstance(out.buffer, io.BytesIO)
    return out.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("╭─ Réglages ───╮", "+- Reglages ---+"),
        ("┃ 3×5 · 12\u202f345 °", "| 3x5 . 12 345 o"),
        ("«\u202foui\u202f» … 5–7 → ●", '" oui " . 5-7 > o'),
        ("▁▔▎▊█▀▄ ⣿", "_-||#-_ :"),
        ("✓ ✗ ≈ ○ ·", "+ x ~ o ."),
        ("中 \udcff \x7f", "?? ? \x7f"),
    ],
)
def test_characters_become_similar_ones_of_the_same_width(text: str, expected: str) -> None:
    assert written(text, "ascii") == expected


def test_what_an_encoding_has_stays() -> None:
    assert written("é×─", "latin-1") == "é×-"


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("xterm", "╭ é ▼ ⣿ 中"),
        ("linux", "+ é v : ??"),
        ("vt100", "+ e v : ??"),
    ],
)
def test_a_console_keeps_what_its_font_has(monkeypatch: pytest.MonkeyPatch, term: str, expected: str) -> None:
    """A kernel's console has accents, in UTF-8; a terminal of old has not."""
    monkeypatch.setenv("TERM", term)
    stream = TerminalStream(io.BytesIO(), encoding="utf-8")
    terminal.simplify(stream)
    stream.write("╭ é ▼ ⣿ 中")
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    assert stream.buffer.getvalue().decode() == expected


class TerminalStream(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("term", "is_terminal", "takes"),
    [
        ("xterm-256color", True, True),
        ("vte-256color", True, True),
        ("linux", True, False),
        ("screen.linux", True, False),
        ("vt100", True, False),
        ("linux", False, True),
    ],
)
def test_consoles_with_few_characters(
    monkeypatch: pytest.MonkeyPatch, term: str, is_terminal: bool, takes: bool
) -> None:
    class Stream(io.TextIOWrapper):
        def isatty(self) -> bool:
            return is_terminal

    monkeypatch.setenv("TERM", term)
    stream: Any = Stream(io.BytesIO(), encoding="utf-8")
    assert terminal.takes_utf8(stream) is takes
