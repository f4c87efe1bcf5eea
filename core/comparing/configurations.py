"""The configurations of a comparison as a user types them: a network, and what is particular to it.

`RN_2+dropout=0.3+batch_norm` is RN_2 with two settings of its own; every other setting is that of the comparison.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import msgspec

from core.config import RECORDING, RunConfig, setting_from_text
from core.messages import N_, InvalidSetting

_SAME_IMAGES = N_("{setting} cannot differ between configurations: all are trained and tested on the same images")
_SAME_MACHINE = N_("{setting} cannot differ between configurations: their times would not be comparable")
_OF_ALL = {
    "seed": N_("{setting} cannot differ between configurations: all are trained with the same seeds"),
    "dataset": _SAME_IMAGES,
    "data_dir": _SAME_IMAGES,
    "validate": _SAME_IMAGES,
    "permute": _SAME_IMAGES,
    "device": _SAME_MACHINE,
    "threads": _SAME_MACHINE,
    "exact": N_(
        "{setting} is not for comparisons: it takes the exam program's number of threads, and here runs share the cores"
    ),
}
"""Settings that are the same for all configurations, and why."""
OWN = tuple(name for name in RunConfig.__struct_fields__ if name not in RECORDING.union(_OF_ALL) and name != "model")
"""Settings that a configuration may have for itself."""
_FLAGS = frozenset(field.name for field in msgspec.structs.fields(RunConfig) if field.type is bool)

_PLUS = re.compile(r"\+(?=\s*[^\W\d])")
"""A plus before a name; the one in `lr=1e+3` is none."""
_WORD = re.compile(r'(?:"[^"]*"|[^\s,]|(?<=\d),(?=\d))+')


def words(line: str) -> list[str]:
    """Split a line into configurations, at blanks and commas that are not in double quotes nor in a number."""
    return [word.replace('"', "") for word in _WORD.findall(line)]


def line(texts: Sequence[str]) -> str:
    """Join configurations into a line that `words` splits again."""
    return " ".join(f'"{text}"' if re.search(r"[\s,]", text) else text for text in texts)


def configurations(texts: Sequence[str], settings: RunConfig) -> list[RunConfig]:
    """Return the settings of each configuration: its own where it has some, else `settings`.

    Raises `InvalidSetting` for one that is not valid, and unless there are two or more, all different.
    """
    found = [msgspec.structs.replace(settings, **_parse(text)) for text in texts]
    for (first, one), (second, other) in combinations(zip(texts, found, strict=True), 2):
        if one == other:
            text = N_("{first} and {second} are the same: a configuration cannot be compared with itself")
            raise InvalidSetting("model", text, first=first, second=second)
    if len(found) < 2:
        raise InvalidSetting("model", "a comparison needs two configurations or more, such as RN_2 RN_2+dropout=0.3")
    return found


def _parse(text: str) -> dict[str, Any]:
    """Return the fields of `RunConfig` that a configuration sets."""
    network = _network(text)
    found: dict[str, Any] = {"model": setting_from_text("model", network)}
    for part in _PLUS.split(text[len(network) :])[1:]:
        typed, equals, value = (piece.strip() for piece in part.partition("="))
        name = typed.replace("-", "_")
        reason = _OF_ALL.get(name, "")
        if reason:
            raise InvalidSetting(name, reason, setting=typed)
        if name not in OWN:
            message = N_("{configuration}: there is no setting {setting}; there are {known}")
            raise InvalidSetting("model", message, configuration=text, setting=typed, known=", ".join(OWN))
        if name in found:
            raise InvalidSetting(name, "{configuration}: {setting} is given twice", configuration=text, setting=typed)
        if name in _FLAGS and equals:
            raise InvalidSetting(name, "{setting} takes no value: write +{setting}", setting=typed)
        if name not in _FLAGS and not equals:
            raise InvalidSetting(name, "{setting} needs a value: write +{setting}=VALUE", setting=typed)
        found[name] = True if name in _FLAGS else setting_from_text(name, value)
    return found


def _network(text: str) -> str:
    """Return the part of a configuration that names its network; a file may have a plus in its path."""
    starts = [text[: plus.start()] for plus in _PLUS.finditer(text)]
    for candidate in (text, *reversed(starts)):
        try:
            setting_from_text("model", candidate)
        except InvalidSetting:
            continue
        return candidate
    likely = (start for start in (*reversed(starts), text) if re.search(r":\s*\w+\s*$", start))
    return next(likely, (*starts, text)[0])
