"""Runs trained at once against the same runs one after the other: how many an hour, and how near their losses are."""

from __future__ import annotations

import time
from statistics import median

import torch

from core.config import RunConfig
from core.data.datasets import Dataset
from core.networks.build import build_network
from core.randomness import seed_all
from core.runs.control import NOTHING
from core.runs.events import EpochEnded
from core.training.loop import train
from core.training.member import Member, on_device
from core.training.together import train_together
from tests.benchmarks.measuring import Options, Table, say
from tests.benchmarks.trainer import Spec, load

SEEDS = {"RN_1": 100, "RN_2": 20}
AT_LEAST = {"RN_1": 8.0, "RN_2": 3.0}
_SEEDS_ON_CPU = 2
_EPOCHS = 2
"""The first one warms up, and is not counted."""


def measure(options: Options) -> list[Table]:
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda:0" if on_gpu else "cpu")
    dataset = load(Spec(dataset=options.dataset, data_dir=options.data_dir))
    where = (
        torch.cuda.get_device_name(0) if on_gpu else "the CPU, where it gains nothing: this only shows that it works"
    )
    table = Table(
        f"Training alone, in runs of one epoch an hour, on {where}",
        ("network", "seeds", "one by one", "at once", "times as many", "at least", "epoch's losses differ by"),
    )
    for model in options.models:
        seeds = SEEDS[model] if on_gpu else _SEEDS_ON_CPU
        ratios, rates, differences = [], [], []
        for _round in range(3 if on_gpu and not options.quick else 1):
            say(f"{seeds} runs of {model}")
            alone_s, alone_loss = _alone(model, dataset, device)
            together_s, losses = _together(model, dataset, device, seeds)
            ratios.append(seeds * alone_s / together_s)
            rates.append((3600 / alone_s, 3600 * seeds / together_s))
            differences.append(abs(losses[0] - alone_loss) / alone_loss)
        ratio = median(ratios)
        one, all_of_them = (median(each) for each in zip(*rates, strict=True))
        least = f"{AT_LEAST[model]:g}" if on_gpu else "–"
        table.add(
            model, str(seeds), f"{one:,.0f}", f"{all_of_them:,.0f}", f"{ratio:.1f}", least, f"{max(differences):.1%}"
        )
        table.data[model] = ratios
    return [table]


def _config(model: str, seed: int, device: torch.device) -> RunConfig:
    return RunConfig(model=model, seed=seed, epochs=_EPOCHS, device=str(device))


def _alone(model: str, dataset: Dataset, device: torch.device) -> tuple[float, float]:
    """Return the seconds and the loss of the last epoch of seed 0 alone."""
    config = _config(model, 0, device)
    seed_all(0)
    events = train(build_network(config.architecture), dataset, config, device, save=lambda _state: None)
    *_, last = (event for event in events if isinstance(event, EpochEnded))
    return last.seconds, last.loss


def _together(model: str, dataset: Dataset, device: torch.device, seeds: int) -> tuple[float, list[float]]:
    """Return the seconds of the last epoch of all seeds at once, and their losses in it."""
    members: list[Member] = []
    shared = on_device(dataset, device)
    for seed in range(seeds):
        config = _config(model, seed, device)
        seed_all(seed)
        network = build_network(config.architecture)
        members.append(
            Member(
                network,
                shared,
                config,
                device,
                resume_from=None,
                save=lambda _state: None,
                look=lambda _epoch, _step: NOTHING,
            )
        )
    ends: list[float] = []
    losses: dict[int, float] = {}
    for member, event in train_together(members):
        if isinstance(event, EpochEnded):
            losses[members.index(member)] = event.loss
            if member is members[-1]:
                ends.append(time.perf_counter())
    return ends[-1] - ends[-2], [losses[index] for index in range(seeds)]
