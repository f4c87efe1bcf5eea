"""When two runs count as the same: if one can replace the other, and if they differ only in their seed.

Both questions are answered only here, from the settings that took effect: what `auto` meant counts, not the word.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from core.config import RunConfig
from core.runs.events import RunStarted

_IRRELEVANT = frozenset({"data_dir"})
"""Settings that never make a difference: the data themselves are compared."""
_IRRELEVANT_OR_SEED = _IRRELEVANT | {"seed"}
_TOOK_EFFECT = frozenset({"device", "dataset", "threads"})
"""Settings whose effective value is known only once a run has started."""


def effective_config(started: RunStarted) -> RunConfig:
    """Return a run's settings with each `auto` replaced by what it meant."""
    return msgspec.structs.replace(
        started.config, device=started.device, dataset=started.dataset, threads=started.threads
    )


def stands_for_key(config: RunConfig) -> Hashable:
    """Return a key that two runs share if one can replace the other: it includes seed, threads and device.

    `config` must have nothing left to choose: it comes from a plan, or from `effective_config`.
    """
    return _fields(_without_idle_threads(config), _IRRELEVANT)


def could_stand_for_key(config: RunConfig) -> Hashable:
    """Return a coarser `stands_for_key` for a run of which only the configuration is known."""
    return _fields(config, _IRRELEVANT | _TOOK_EFFECT)


def same_but_for_seed_key(started: RunStarted) -> Hashable:
    """Return a key that two runs share if they differ only in their seed."""
    config = _without_idle_threads(effective_config(started))
    kind_of_device = config.device.partition(":")[0]
    return _fields(msgspec.structs.replace(config, device=kind_of_device), _IRRELEVANT_OR_SEED), started.steps_per_epoch


def distinct_names(configs: Sequence[RunConfig]) -> list[str]:
    """Return short names that tell networks apart: the file without its folder, plus the settings that differ."""
    names = []
    for config in configs:
        short = config.model.rpartition("/")[2]
        like_it = {other.model for other in configs if other.model.rpartition("/")[2] == short}
        name = short if len(like_it) == 1 else config.model
        differing = _differing([other for other in configs if other.model == config.model])
        settings = [f"{field}={getattr(config, field)}" for field in differing if _is_set(config, field)]
        names.append(f"{name} ({', '.join(settings)})" if settings else name)
    return names


def _without_idle_threads(config: RunConfig) -> RunConfig:
    """Return `config` without its threads if a device other than the CPU does the arithmetic."""
    if config.device.partition(":")[0] in ("cuda", "mps"):
        return msgspec.structs.replace(config, threads=0)
    return config


def _fields(config: RunConfig, without: frozenset[str]) -> Hashable:
    return tuple((name, value) for name, value in msgspec.structs.asdict(config).items() if name not in without)


def _differing(configs: Sequence[RunConfig]) -> list[str]:
    """Return the settings that affect the result and are not the same in all of `configs`."""
    fields = (field for field in RunConfig.__struct_fields__ if field not in _IRRELEVANT_OR_SEED | _TOOK_EFFECT)
    return [field for field in fields if len({getattr(config, field) for config in configs}) > 1]


def _is_set(config: RunConfig, field: str) -> bool:
    return bool(getattr(config, field) != getattr(RunConfig(seed=0, data_dir=""), field))
