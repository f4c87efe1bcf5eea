"""When two runs count as the same: if one can replace the other, and if they differ only in their seed.

Both questions are answered only here, from the settings that took effect: what `auto` meant counts, not the word.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

import msgspec

from core.config import RECORDING, RunConfig
from core.messages import InvalidSetting
from core.runs.events import RunStarted

_IRRELEVANT = RECORDING | {"data_dir"}
"""Settings that never make a difference: the data themselves are compared."""
_IRRELEVANT_OR_SEED = _IRRELEVANT | {"seed"}
_TOOK_EFFECT = frozenset({"device", "dataset", "threads"})
"""Settings whose effective value is known only once a run has started."""
_SETTINGS = tuple(
    name for name in RunConfig.__struct_fields__ if name not in _IRRELEVANT_OR_SEED | _TOOK_EFFECT | {"model"}
)
"""Settings beside the network that affect the result and whose value is known from the start."""
_DEFAULTS = RunConfig(seed=0, data_dir="")


def effective_config(started: RunStarted) -> RunConfig:
    """Return a run's settings as they took effect, each `auto` replaced by what it meant where that makes sense."""
    took_effect = {
        "device": started.device,
        "dataset": started.dataset,
        "threads": started.threads,
        "fused": is_fused(started.config, started.device),
    }
    try:
        return msgspec.structs.replace(started.config, **took_effect)
    except InvalidSetting:  # from a damaged or hostile file
        return started.config


def is_fused(config: RunConfig, device: str) -> bool:
    """Tell if a run takes the fused steps that it asks for: only NVIDIA GPUs have them."""
    return config.fused and device.startswith("cuda")


def stands_for_key(config: RunConfig) -> Hashable:
    """Return a key that two runs share if one can replace the other: it includes seed, threads and kind of device.

    `config` must have nothing left to choose: it comes from a plan, or from `effective_config`.
    """
    return _fields(_on_a_kind_of_device(config), _IRRELEVANT)


def could_stand_for_key(config: RunConfig) -> Hashable:
    """Return a coarser `stands_for_key` for a run of which only the configuration is known."""
    return _fields(config, _IRRELEVANT | _TOOK_EFFECT | {"fused"})


def same_but_for_seed_key(started: RunStarted) -> Hashable:
    """Return a key that two runs share if they differ only in their seed."""
    return _fields(_on_a_kind_of_device(effective_config(started)), _IRRELEVANT_OR_SEED), started.steps_per_epoch


def threads_that_differ(runs: Sequence[RunStarted]) -> list[int | None]:
    """Return each run's threads if another of the runs has others and differs at most in its seed beside; else None."""
    threads = [_on_a_kind_of_device(effective_config(started)).threads for started in runs]
    keys = [same_but_for_seed_key(msgspec.structs.replace(started, threads=1)) for started in runs]
    return [
        own if any(key == other and own != others for other, others in zip(keys, threads, strict=True)) else None
        for key, own in zip(keys, threads, strict=True)
    ]


def distinct_names(configs: Sequence[RunConfig], base: RunConfig = _DEFAULTS) -> list[str]:
    """Return short names that tell configurations apart, such as `RN_2+dropout=0.3`.

    A file goes without its folder; a setting is named if it is not the same in all of `configs` and not that of `base`.
    """
    names = []
    differing = differing_settings(configs)
    for config in configs:
        short = config.model.rpartition("/")[2]
        like_it = {other.model for other in configs if other.model.rpartition("/")[2] == short}
        names.append(_name(short if len(like_it) == 1 else config.model, config, base, differing))
    return names


def distinct_settings(configs: Sequence[RunConfig]) -> list[str]:
    """Return what `distinct_names` adds to each network: `+lr=0.0005`, or nothing."""
    differing = differing_settings(configs)
    return [_name("", config, _DEFAULTS, differing) for config in configs]


def full_name(config: RunConfig, base: RunConfig) -> str:
    """Return a configuration as a user types it: its network, with every setting that is not that of `base`."""
    return _name(config.model, config, base, _SETTINGS)


def differing_settings(configs: Sequence[RunConfig]) -> list[str]:
    """Return the settings beside the network that affect the result and are not the same in all of `configs`."""
    return [name for name in _SETTINGS if len({getattr(config, name) for config in configs}) > 1]


def as_typed(value: object) -> str:
    """Return the value of a setting as text that is read as the same value, to the last digit: `0.3`, `2`, `1e-5`."""
    return repr(value).removesuffix(".0").replace("e-0", "e-") if isinstance(value, float) else str(value)


def _name(network: str, config: RunConfig, base: RunConfig, settings: Iterable[str]) -> str:
    values = {name: getattr(config, name) for name in settings if getattr(config, name) != getattr(base, name)}
    return network + "".join(
        f"+{name}" if value is True else f"+{name}={as_typed(value)}" for name, value in values.items()
    )


def _on_a_kind_of_device(config: RunConfig) -> RunConfig:
    """Return `config` with `cuda` for `cuda:3`, and without its threads if these do not do the arithmetic."""
    kind = config.device.partition(":")[0]
    return msgspec.structs.replace(config, device=kind, threads=0 if kind in ("cuda", "mps") else config.threads)


def _fields(config: RunConfig, without: frozenset[str]) -> Hashable:
    return tuple((name, value) for name, value in msgspec.structs.asdict(config).items() if name not in without)
