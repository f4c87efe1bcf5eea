"""The format of a run directory, and settings written by other versions of the program.

A newer version's run is shown as far as this one understands it, and never trained on: what is not understood would be
dropped without a word.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.config import RunConfig
from core.messages import N_, Problem

FORMAT = 2
"""Version of the format of `config.json`, `run_started` and the checkpoints. 1 had no version, lease or checksum."""
_OPEN = frozenset({"device", "precision", "dataset"})
"""Settings whose values may be names that a newer version has added."""
_FIELDS = frozenset(field.name for field in msgspec.structs.fields(RunConfig))


class StoredConfig(msgspec.Struct, frozen=True):
    """Settings as they were read from disk."""

    config: RunConfig
    """Settings, with the default in place of each that this version does not know."""
    format: int = 1
    name: str = ""
    """Name that the run was started under."""
    unknown: tuple[str, ...] = ()
    """Settings that this version does not know, as `name=value`."""

    @property
    def is_newer(self) -> bool:
        """True if only a newer version understands all of the run."""
        return self.format > FORMAT or bool(self.unknown)

    def check_trainable(self, run_id: str) -> None:
        """Raise `Problem` if only a newer version may train the run."""
        advice = N_("It is shown, but not trained: update mnist-tui.")
        if self.format > FORMAT:
            raise Problem("run {run} was written by a newer version of mnist-tui", advice=advice, run=run_id)
        if self.unknown:
            text = N_("run {run} has settings that this version of mnist-tui does not know: {settings}")
            raise Problem(text, advice=advice, run=run_id, settings=", ".join(self.unknown)[:200])


def encode_config(config: RunConfig, name: str = "") -> bytes:
    """Return the content of a new run's `config.json`."""
    named = {"name": name} if name else {}
    content = {"format": FORMAT, **named, **msgspec.structs.asdict(config)}
    return msgspec.json.format(msgspec.json.encode(content), indent=2)


def decode_config(content: bytes) -> StoredConfig:
    """Read a `config.json`. Raises `ValueError` or `RecursionError`."""
    return stored_config(msgspec.json.decode(content, type=dict[str, Any]))


def stored_config(raw: dict[str, Any]) -> StoredConfig:
    """Take the settings that this version knows from those of any version. Raises `ValueError`."""
    version, name = raw.pop("format", 1), raw.pop("name", "")
    if not isinstance(version, int) or version < 1 or not isinstance(name, str):
        raise ValueError(f"format {version}, name {name}")
    known: dict[str, Any] = {name: value for name, value in raw.items() if name in _FIELDS}
    unknown = {name: value for name, value in raw.items() if name not in _FIELDS}
    try:
        config = msgspec.convert(known, RunConfig)
    except ValueError:
        config, rest = _as_far_as_valid(known)
        if version <= FORMAT and any(name not in _OPEN or not isinstance(rest[name], str) for name in rest):
            raise  # not a newer version's, but damaged
        unknown |= rest
    return StoredConfig(config, version, name, tuple(f"{name}={value}" for name, value in unknown.items()))


def _as_far_as_valid(known: dict[str, Any]) -> tuple[RunConfig, dict[str, Any]]:
    """Return the settings without those that are not valid, and those."""
    valid: dict[str, Any] = {}
    rest = {}
    config = RunConfig()
    for name, value in known.items():
        try:
            config = msgspec.convert(valid | {name: value}, RunConfig)
            valid[name] = value
        except ValueError:
            rest[name] = value
    return config, rest
