"""When two runs are of one kind. There are two questions, and each is answered here alone.

Both go by the settings as they took effect: what `auto` meant counts, not the word.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from core.config import RunConfig
from core.runs.events import RunStarted

_NEVER = frozenset({"data_dir"})
"""Settings that have no part in anything: the data themselves are compared."""
_BESIDE_SEED = _NEVER | {"seed"}
_TOOK_EFFECT = frozenset({"device", "dataset", "threads"})
"""Settings whose meaning is known only when a run has started."""


def as_it_took_effect(started: RunStarted) -> RunConfig:
    """Return a run's settings with what `auto` meant in its place."""
    return msgspec.structs.replace(
        started.config, device=started.device, dataset=started.dataset, threads=started.threads
    )


def stands_for_key(config: RunConfig) -> Hashable:
    """Return what two runs have in common when one may stand for the other: seed, threads and device included.

    `config` has nothing left to choose: it is that of a plan, or `as_it_took_effect`.
    """
    return _fields(_without_idle_threads(config), _NEVER)


def could_stand_for_key(config: RunConfig) -> Hashable:
    """Return a coarser `stands_for_key`, for a run of which only the configuration is known."""
    return _fields(config, _NEVER | _TOOK_EFFECT)


def same_but_for_seed_key(started: RunStarted) -> Hashable:
    """Return what two runs have in common when they differ in nothing but their seed."""
    config = _without_idle_threads(as_it_took_effect(started))
    kind_of_device = config.device.partition(":")[0]
    return _fields(msgspec.structs.replace(config, device=kind_of_device), _BESIDE_SEED), started.steps_per_epoch


def distinct_names(configs: Sequence[RunConfig]) -> list[str]:
    """Return short names that tell networks apart: the file without its folder, and the settings where these differ."""
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
    """Return `config` without its threads where another device than the CPU does the arithmetic."""
    if config.device.partition(":")[0] in ("cuda", "mps"):
        return msgspec.structs.replace(config, threads=0)
    return config


def _fields(config: RunConfig, without: frozenset[str]) -> Hashable:
    return tuple((name, value) for name, value in msgspec.structs.asdict(config).items() if name not in without)


def _differing(configs: Sequence[RunConfig]) -> list[str]:
    """Return the settings that have a part in the result, and are not the same in all."""
    fields = (field for field in RunConfig.__struct_fields__ if field not in _BESIDE_SEED | _TOOK_EFFECT)
    return [field for field in fields if len({getattr(config, field) for config in configs}) > 1]


def _is_set(config: RunConfig, field: str) -> bool:
    return bool(getattr(config, field) != getattr(RunConfig(seed=0, data_dir=""), field))
