"""Loading a trained run's network, and the data set that it was trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core import files
from core.config import RunConfig
from core.data import datasets
from core.data.datasets import Dataset
from core.messages import N_, Message, Problem, reason
from core.networks.build import build_network
from core.networks.state import load_network_state
from core.randomness import random_state_kept
from core.runs import lease, snapshots
from core.runs.directory import Run
from core.runs.snapshots import Moment
from core.training import acceleration, checkpoints, weights

_MAX_WEIGHTS = 1 << 30
_PARTS_OF_CHECKPOINT = 5
"""A checkpoint has the parameters, two moments of Adam for each, the best epoch's, and little beside."""


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


def load_network(run: Run, moment: Moment | None = None) -> nn.Module:
    """Load a run's network with its trained parameters, or those of a snapshot, on the CPU, in eval mode.

    Raises `Problem`.
    """
    config = run.config()
    path = moment.path if moment is not None else run.result_paths("weights", ".safetensors")[0]
    try:
        return _network(run, config, _read(run, path))
    except FileNotFoundError as error:
        if moment is not None:
            raise Problem("run {run} has no snapshot {file}", run=run.id, file=path.name) from error
        advice = N_("Only a finished run has them.") if run.state() != "done" else ""
        raise Problem("run {run} has no trained weights", advice=advice, run=run.id) from error


def load_newest(run: Run) -> tuple[nn.Module, Moment | None]:
    """Load a run's network with its newest parameters, and the moment that these are of; None for the trained ones.

    While the run is in progress, they are those of its newest checkpoint or snapshot. Raises `Problem` if it has none.
    """
    if _attempt_of_weights(run) >= max(1, lease.newest_attempt(run.path)):
        return load_network(run), None  # no attempt has trained it further
    kept = checkpoints.newest_parameters(run.path, _PARTS_OF_CHECKPOINT * _MAX_WEIGHTS)
    snapshot = max(snapshots.moments(run), default=None)
    newest = max((moment for moment in (kept and kept[0], snapshot) if moment is not None), default=None)
    if newest is None or _attempt_of_weights(run) >= newest.attempt:
        return load_network(run), None
    if kept is not None and newest == kept[0]:
        return _network(run, run.config(), kept[1]), newest
    return load_network(run, newest), newest


def _attempt_of_weights(run: Run) -> int:
    """Return the number of the attempt that the trained parameters are of; 0 for older versions', -1 without any."""
    path = run.result_paths("weights", ".safetensors")[0]
    return int(path.stem.partition("-")[2] or 0) if os.path.lexists(path) else -1


def _read(run: Run, path: Path) -> dict[str, torch.Tensor]:
    """Return the parameters in a file of weights. Raises `FileNotFoundError` or `Problem`."""
    from safetensors import SafetensorError

    try:
        return weights.unpack(files.read_small(path, _MAX_WEIGHTS))
    except FileNotFoundError:
        raise
    except (OSError, SafetensorError, ValueError, LookupError) as error:
        raise Problem("the weights of run {run} cannot be read: {reason}", run=run.id, reason=reason(error)) from error


def _network(run: Run, config: RunConfig, state: Mapping[str, Any]) -> nn.Module:
    """Return a run's network with these parameters and buffers. Raises `Problem` if they do not fit."""
    torch.set_default_dtype(torch.float32)  # another network's file may have changed it
    with random_state_kept():
        network = build_network(config.architecture)
    try:
        load_network_state(network, state)
    except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise Problem(
            "the weights of run {run} do not fit its network {model}", run=run.id, model=config.model
        ) from error
    acceleration.lay_out(network, torch.device("cpu"), exact=config.exact)
    return network.eval()
