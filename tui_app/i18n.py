"""French and English: the texts, and the numbers as each language writes them."""

from __future__ import annotations

import decimal
import gettext
import os
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from core.messages import N_, Message, Problem, fill

LOCALES = Path(__file__).with_name("locales")
DOMAIN = "mnist_tui"
LANGUAGES: tuple[str, ...] = ("en", *sorted(path.name for path in LOCALES.iterdir() if path.is_dir()))
"""English, in which the texts are written, and every language that has a catalogue."""

_SYSTEM_REASONS = frozenset(
    # What an operating system says, in English, of a file that cannot be used.
    {
        N_("Disk quota exceeded"),
        N_("File exists"),
        N_("File name too long"),
        N_("Input/output error"),
        N_("Is a directory"),
        N_("No space left on device"),
        N_("No such file or directory"),
        N_("Not a directory"),
        N_("Operation not permitted"),
        N_("Permission denied"),
        N_("Read-only file system"),
        N_("Too many levels of symbolic links"),
        N_("Too many open files"),
    }
)

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
    return _translation.gettext(text) if text else ""  # which gettext would take for the catalogue's header


def ngettext(singular: str, plural: str, count: int) -> str:
    return _translation.ngettext(singular, plural, count)


def say(what: Message | Problem, advice: Message | None = None) -> str:
    """A message or problem in the language in use; its values cannot do anything to a terminal."""
    if isinstance(what, Problem):
        return say(what.message, what.advice)
    if advice is None or not advice.text:
        return _sentence(what)
    return f"{_sentence(what).rstrip('.')}. {_sentence(advice)}"


def _sentence(message: Message) -> str:
    return fill(printable(_(message.text)), {name: _value(value) for name, value in message.values.items()})


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return printable(_(value) if value in _SYSTEM_REASONS else value)
    if isinstance(value, int) and abs(value) < 10_000:
        return str(value)
    return number(value, 0 if isinstance(value, int) else 4)


def printable(text: str) -> str:
    """`text` on one line, without control characters: what came from disk must not steer the terminal."""
    return "".join("�" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text)


def printable_json(text: str) -> str:
    """The same JSON, with every control character but its own newlines written as an escape."""
    if text.isascii():  # JSON itself escapes those of ASCII
        return text
    return "".join(char if char == "\n" or char == printable(char) else _json_escape(char) for char in text)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def number(value: float, decimals: int = 0) -> str:
    """`12,345.68` or `12 345,68`."""
    return _formatted(value, decimals)


def percent(fraction: float, decimals: int = 2) -> str:
    """`97.51%` or `97,51 %`."""
    return _formatted(fraction, decimals, percent_sign())


def percent_sign() -> str:
    """Return what stands after a percentage: `%`, after a narrow space in some languages."""
    from babel import Locale

    pattern: str = Locale.parse(_language).percent_formats[None].pattern
    return pattern.rpartition("0")[2].replace("\xa0", "\u202f")  # narrow, as between groups of digits


def short(value: float) -> str:
    """Write a number without trailing zeros, as a person would type it: `0.5` or `0,5`."""
    return f"{value:g}".replace(".", _("."))


def _formatted(value: float, decimals: int, sign: str = "") -> str:
    from babel.numbers import format_decimal  # takes a while, and not every command shows numbers

    pattern = f"#,##0.{'0' * decimals}".rstrip(".") + sign
    # The numbers of a damaged run may have any length, and more digits than the context has are an error.
    with decimal.localcontext(prec=5000):
        return format_decimal(value, pattern, locale=_language)


def duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
