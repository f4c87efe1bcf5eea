"""French and English: the texts, and the numbers as each language writes them."""

from __future__ import annotations

import gettext
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from core.problems import Message, Problem, fill

Language = Literal["en", "fr"]
LANGUAGES: tuple[str, ...] = get_args(Language)
LOCALES = Path(__file__).with_name("locales")
DOMAIN = "mnist_tui"

_translation = gettext.NullTranslations()
_language: str = "en"


def from_locale(environment: Mapping[str, str] = os.environ) -> str:
    """The language of the locale where there is a translation, else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return value[:2].lower() if value[:2].lower() in LANGUAGES else "en"
    return "en"


def use(language: str) -> None:
    """Every text from now on is in this language."""
    global _translation, _language
    _language = language
    _translation = gettext.translation(DOMAIN, LOCALES, [language], fallback=language == "en")


def language() -> str:
    return _language


def _(text: str) -> str:
    return _translation.gettext(text)


def ngettext(singular: str, plural: str, count: int) -> str:
    return _translation.ngettext(singular, plural, count)


def say(what: Message | Problem) -> str:
    """A message or problem in the language in use; its values cannot do anything to a terminal."""
    if isinstance(what, Problem):
        return " ".join(filter(None, (_sentence(what.message), _sentence(what.advice))))
    return _sentence(what)


def _sentence(message: Message) -> str:
    if not message.text:
        return ""
    values = {
        name: printable(value) if isinstance(value, str) else _value(value) for name, value in message.values.items()
    }
    return fill(printable(_(message.text)), values)


def _value(value: float) -> str:
    if isinstance(value, int) and abs(value) < 10_000:
        return str(value)
    return number(value, 0 if isinstance(value, int) else 4)


def printable(text: str) -> str:
    """`text` on one line, without control characters: what came from disk must not steer the terminal."""
    return "".join("�" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text)


def number(value: float, decimals: int = 0) -> str:
    """`12,345.68` or `12 345,68`."""
    text = f"{value:,.{decimals}f}"
    if _language == "fr":
        return text.replace(",", "\u202f").replace(".", ",")
    return text


def percent(fraction: float, decimals: int = 2) -> str:
    """`97.51%` or `97,51 %`."""
    return number(100 * fraction, decimals) + ("\u202f%" if _language == "fr" else "%")


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
