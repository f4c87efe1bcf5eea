"""Resolving `auto`: settings with nothing left to choose, so that the same request always means the same runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from core import machine
from core.config import RunConfig
from core.data import datasets
from core.data.split_and_permute import expected_train_size
from core.messages import Message
from core.networks.build import build_network
from core.training import devices
from core.training.trial import try_out


def settle(
    config: RunConfig,
    configurations: Sequence[RunConfig],
    wanted: Sequence[str] = (),
    *,
    notify: Callable[[Message], None],
    progress: Callable[[Message, float], None],
    should_stop: Callable[[], bool],
) -> tuple[RunConfig, tuple[str, ...]]:
    """Return the settings that a comparison's configurations share, with nothing left to choose, and its devices.

    These are the `wanted` ones, or else what the settings' device means. Downloads data once, builds every network
    once, and has every configuration of a custom one take a step.

    Raises `Problem` for anything that would fail in every run, and `datasets.Cancelled` if a download is stopped.
    """
    found = devices.of_comparison(config.device, wanted)
    device = devices.resolve(found[0])
    for architecture in dict.fromkeys(each.architecture for each in configurations):
        build_network(architecture)
    dataset = _data_set(config, notify, progress, should_stop)
    for each in configurations:
        try_out(each, device, expected_train_size(msgspec.structs.replace(each, dataset=dataset)))
    settled = msgspec.structs.replace(
        config,
        device=str(device) if len(found) == 1 else device.type,
        threads=config.threads or threads_per_run(str(device)),
        dataset=dataset,
        exact=False,
    )
    return settled, tuple(found)


def threads_per_run(device: str) -> int:
    """Return the threads of each run, from the machine alone, so that a repeated comparison finds its runs again.

    Two runs side by side with one thread each do more in a second than one after the other with two.
    """
    return min(4, max(1, machine.usable_cores() // 8)) if device == "cpu" else 0


def _data_set(
    config: RunConfig,
    notify: Callable[[Message], None],
    progress: Callable[[Message, float], None],
    should_stop: Callable[[], bool],
) -> str:
    """Return the name of the data set to use, checked, and downloaded if missing, before many runs ask for it."""
    if config.dataset == "sample":
        return "sample"
    data_dir = Path(config.data_dir)
    return datasets.load(config.dataset, data_dir, notify=notify, progress=progress, should_stop=should_stop).name
