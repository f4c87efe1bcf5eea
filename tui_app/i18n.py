"""The texts in each language, and numbers as each language writes them."""

from __future__ import annotations

import decimal
import gettext
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from core.messages import N_, Message, Problem, fill

LOCALES = Path(__file__).with_name("locales")
DOMAIN = "mnist_tui"
LANGUAGES: tuple[str, ...] = ("en", *sorted(path.name for path in LOCALES.iterdir() if path.is_dir()))
"""English, the language of the source texts, then every language that has a catalogue."""

_SYSTEM_REASONS = frozenset(
    # The operating system's English reasons for a file or a connection that cannot be used.
    {
        N_("Connection refused"),
        N_("Connection reset by peer"),
        N_("Connection timed out"),
        N_("Name or service not known"),
        N_("Network is unreachable"),
        N_("Temporary failure in name resolution"),
        N_("timed out"),
        N_("Disk quota exceeded"),
        N_("File exists"),
        N_("File name too long"),
        N_("Input/output error"),
        N_("Is a directory"),
        N_("No locks available"),
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
    """Return the locale's language if it is translated, else English."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return value[:2].lower() if value[:2].lower() in LANGUAGES else "en"
    return "en"


def use(language: str) -> None:
    """Switch all texts to a language from now on."""
    global _translation, _language
    _language = language
    _translation = gettext.translation(DOMAIN, LOCALES, [language], fallback=language == "en")


def language() -> str:
    return _language


def _(text: str) -> str:
    return _translation.gettext(text) if text else ""  # gettext returns the catalogue's header for an empty text


def ngettext(singular: str, plural: str, count: int) -> str:
    return _translation.ngettext(singular, plural, count)


def say(what: Message | Problem, advice: Message | None = None) -> str:
    """Return a message or problem in the current language, with its values made safe to print on a terminal."""
    if isinstance(what, Problem):
        return say(what.message, what.advice)
    if advice is None or not advice.text:
        return _sentence(what)
    return f"{_sentence(what).rstrip('.')}. {_sentence(advice)}"


def _sentence(message: Message) -> str:
    return fill(printable(_(message.text)), {name: _value(value) for name, value in message.values.items()})


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return system_reason(value)
    return number(value, 0 if isinstance(value, int) else 4)


def system_reason(text: str) -> str:
    """Translate the operating system's reasons for failures in a text, and make it safe to print."""
    parts = re.split("(; |: )", text)
    return printable("".join(_(part) if part in _SYSTEM_REASONS else part for part in parts))


def printable(text: str) -> str:
    """Put `text` on one line without control characters: text read from disk must not steer the terminal."""
    return "".join("�" if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in text)


def json_with_sentences(what: object) -> bytes:
    """Return `what` as JSON in which each message also has its sentence in the current language."""
    return printable_json(msgspec.json.encode(_with_sentences(msgspec.to_builtins(what))).decode()).encode()


def _with_sentences(what: Any) -> Any:
    if isinstance(what, list | tuple):
        return [_with_sentences(each) for each in what]
    if not isinstance(what, dict):
        return what
    if what.keys() == {"text", "values"}:
        return {**what, "sentence": say(msgspec.convert(what, Message))}
    return {name: _with_sentences(value) for name, value in what.items()}


def printable_json(text: str) -> str:
    """Escape every control character in JSON except its own newlines."""
    if text.isascii():  # JSON itself escapes ASCII control characters
        return text
    return "".join(char if char == "\n" or char == printable(char) else _json_escape(char) for char in text)


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", errors="surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def number(value: float, decimals: int = 0) -> str:
    """Format a number: `12,345.68` or `12 345,68`."""
    return _formatted(value, decimals)


def percent(fraction: float, decimals: int = 2) -> str:
    """Format a fraction as a percentage: `97.51%` or `97,51 %`; what is less than all never reads 100%."""
    most = 1 - 10.0 ** -(decimals + 2)
    is_less = fraction < 1 - 1e-9  # and not only by the rounding of floats
    return _formatted(min(fraction, most) if is_less else fraction, decimals, percent_sign())


def percent_sign() -> str:
    """Return the percent sign, with the narrow space that some languages put before it."""
    from babel import Locale

    pattern: str = Locale.parse(_language).percent_formats[None].pattern
    return pattern.rpartition("0")[2].replace("\xa0", "\u202f")  # narrow, like the space between digit groups


def short(value: float) -> str:
    """Format a number without trailing zeros, as a person would type it: `0.5` or `0,5`."""
    return f"{value:g}".replace(".", _("."))


def _formatted(value: float, decimals: int, sign: str = "") -> str:
    from babel.numbers import format_decimal  # slow to import, and not every command shows numbers

    pattern = f"#,##0.{'0' * decimals}".rstrip(".") + sign
    # A damaged run may hold numbers of any length, and more digits than the context allows are an error.
    with decimal.localcontext(prec=5000):
        return format_decimal(value, pattern, locale=_language)


def duration(seconds: float) -> str:
    """Format a duration: `42 s`, `3 min 05 s`, `2 h 07 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
