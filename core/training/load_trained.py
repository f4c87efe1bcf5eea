"""Loading a trained run's network, and the data set that it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from core import files
from core.data import datasets
from core.data.datasets import Dataset
from core.messages import N_, Message, Problem, reason
from core.networks.build import build_network
from core.networks.state import load_network_state
from core.randomness import random_state_kept
from core.runs.directory import Run
from core.training import acceleration, weights

_MAX_WEIGHTS = 1 << 30


class DatasetCache:
    """A cache of the data sets of runs, each loaded once."""

    def __init__(
        self,
        notify: Callable[[Message], None],
        progress: Callable[[Message, float], None],
        should_stop: Callable[[], bool],
    ) -> None:
        """Take the callbacks of `datasets.load`."""
        self._notify, self._progress, self._should_stop = notify, progress, should_stop
        self._kept: dict[tuple[str, str], Dataset] = {}

    def of(self, run: Run) -> Dataset:
        """Return a run's data set, before the run's settings change anything in it. Raises `Problem`."""
        config = run.config()
        started = run.first_start()
        if started is None:
            raise Problem("run {run} has not started", run=run.id)
        key = started.dataset, config.data_dir
        if key not in self._kept:
            self._kept[key] = datasets.load(
                started.dataset,
                Path(config.data_dir),
                notify=self._notify,
                progress=self._progress,
                should_stop=self._should_stop,
            )
        return self._kept[key]


def load_network(run: Run) -> nn.Module:
    """Load a run's network with its trained parameters, on the CPU, in eval mode. Raises `Problem`."""
    from safetensors import SafetensorError

    config = run.config()
    try:
        path = run.result_paths("weights", ".safetensors")[0]
        tensors = weights.unpack(files.read_small(path, _MAX_WEIGHTS))
    except FileNotFoundError as error:
        advice = N_("Only a finished run has them.") if run.state() != "done" else ""
        raise Problem("run {run} has no trained weights", advice=advice, run=run.id) from error
    except (OSError, SafetensorError, ValueError, LookupError) as error:
        raise Problem("the weights of run {run} cannot be read: {reason}", run=run.id, reason=reason(error)) from error
    torch.set_default_dtype(torch.float32)  # another network's file may have changed it
    with random_state_kept():
        network = build_network(config.architecture)
    try:
        load_network_state(network, tensors)
    except RuntimeError as error:
        raise Problem(
            "the weights of run {run} do not fit its network {model}", run=run.id, model=config.model
        ) from error
    acceleration.lay_out(network, torch.device("cpu"), exact=config.exact)
    return network.eval()
