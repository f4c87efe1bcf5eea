"""The evaluations of runs' networks at the moments of their training, kept for who goes back and forth."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import torch

from core.config import MAX_SNAPSHOTS
from core.data.datasets import Dataset
from core.data.split_and_permute import permuted
from core.runs import snapshots
from core.runs.directory import Run
from core.runs.resumption import check_trusted
from core.training.evaluation import Evaluation
from core.training.load_trained import load_network
from core.training.testing import evaluate_test_images

_MOST_KEPT = 2 * MAX_SNAPSHOTS
"""Evaluations that are kept: of two runs with all their snapshots. One of 10,000 images takes 0.1 MB."""


class MomentEvaluations:
    """Evaluations on the test images at snapshots; `dataset_of` loads a run's data.

    A custom network's file is executed, if its run is the user's own.
    """

    def __init__(self, dataset_of: Callable[[Run], Dataset]) -> None:
        self._dataset_of = dataset_of
        self._kept: OrderedDict[tuple[str, str], Evaluation] = OrderedDict()

    def of(self, run: Run, name: str) -> Evaluation:
        """Return the evaluation of a run's network at the snapshot of this name. Raises `Problem`."""
        key = str(run.path), name
        evaluation = self._kept.pop(key, None) or self._evaluate(run, name)
        self._kept[key] = evaluation
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return evaluation

    def _evaluate(self, run: Run, name: str) -> Evaluation:
        config = run.config()
        check_trusted(run, config, trust=False)
        network = load_network(run, snapshots.find(run, name))
        dataset = self._dataset_of(run)
        if config.permute:  # the training images, which a run reorders too, are not needed here
            dataset = replace(dataset, test_images=permuted(dataset.test_images))
        return evaluate_test_images(network, dataset, config, torch.device("cpu"))
