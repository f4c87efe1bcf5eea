"""What finished runs make of test images, also under harder conditions, and of drawings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from core.catalogue import SIDE
from core.data import drawing, own_pictures
from core.data.datasets import Cancelled, Dataset
from core.data.own_pictures import Prepared
from core.messages import Problem
from core.runs import predictions
from core.runs.directory import Run
from core.runs.predictions import Predictions
from core.runs.resumption import check_trusted
from core.training.load_trained import DatasetCache
from core.training.recognition import Recogniser
from core.training.robustness import accuracy
from core.training.testing import evaluated
from core.worker.evaluations import MomentEvaluations
from core.worker.insides import Insides
from core.worker.program_session import ProgramSession
from core.worker.protocol import (
    Browse,
    Browsed,
    Digit,
    EvaluateAt,
    EvaluatedAt,
    Measure,
    Measured,
    Recognise,
    Recognised,
)

_MAX_DIGITS = 100
_MOST = 1 - 2.0**-24
"""Greatest float32 below 1: no softmax is certain, but float32 rounds some to 1."""


class RunInspector:
    """Answers from the cached data and networks of runs. Nothing is downloaded.

    A custom network is executed only to recognise what the user draws or opens, and for a moment of its training.
    """

    def __init__(self, is_wanted: Callable[[], bool] = lambda: False) -> None:
        """`is_wanted` tells a long answer that another request has come."""
        self._datasets = DatasetCache(
            notify=lambda _message: None,
            progress=lambda _message, _share: None,
            should_stop=lambda: True,  # the data of the training are on disk: nothing is downloaded for this
        )
        self._recognisers: dict[Path, Recogniser] = {}
        self._evaluations = MomentEvaluations(self._dataset)
        self.insides = Insides(self._dataset)
        self.program = ProgramSession(is_wanted)

    def browse(self, request: Browse) -> Browsed:
        """Return the requested images, the most confident predictions first. Raises `Problem`."""
        run = Run(Path(request.run_dir))
        images = self._dataset(run).test_images
        first = self._predictions(run, request.chosen_at, len(images))
        other = Run(Path(request.other_dir)) if request.other_dir else None
        second = self._predictions(other, "", len(images)) if other else None
        if second is not None and other is not None and not np.array_equal(first.label, second.label):
            raise Problem("runs {first} and {second} were tested on different images", first=run.id, second=other.id)
        chosen = _chosen(request, first, second)
        confidence = first.probability if request.which != "other_wrong" or second is None else second.probability
        chosen = chosen[np.argsort(-confidence[chosen], kind="stable")]
        shown = self._predictions(run, request.moment, len(images))
        digits = tuple(_digit(int(index), images, shown, second) for index in chosen[:_MAX_DIGITS])
        return Browsed(request, digits, len(chosen))

    def evaluate_at(self, request: EvaluateAt) -> EvaluatedAt:
        """Return the result of a run's network at a snapshot. Raises `Problem`."""
        run = Run(Path(request.run_dir))
        evaluation = self._evaluations.of(run, request.moment)
        return EvaluatedAt(request, evaluated(evaluation, len(self._dataset(run).class_names)))

    def recognise(self, request: Recognise) -> Recognised:
        """Return what each network makes of a drawing or picture, converted to MNIST's form. Raises `Problem`.

        Custom networks answer too, if the run is the user's own: it is their network that is asked.
        """
        if request.path:
            prepared = own_pictures.prepare(Path(request.path))
        else:
            pixels = np.frombuffer(request.pixels[: SIDE**2].ljust(SIDE**2, b"\0"), np.uint8)
            prepared = Prepared(drawing.mnist_form(pixels.reshape(SIDE, SIDE)))
        found: dict[str, tuple[float, ...]] = {}
        for run in (Run(Path(run_dir)) for run_dir in request.run_dirs if prepared.image.any()):
            check_trusted(run, run.config(), trust=False)
            found[run.id] = self._recogniser(run)(prepared.image)
        return Recognised(request, prepared.image.tobytes(), found, prepared.doubts)

    def measure(self, request: Measure) -> Measured:
        """Measure the accuracy of a run under a condition. Raises `Problem`."""
        run = Run(Path(request.run_dir))
        if not run.config().architecture.is_built_in:
            raise Problem("run {run} has a custom network: its file is not executed just to view a run", run=run.id)
        network, dataset = self._recogniser(run).network, self._dataset(run)
        found = accuracy(network, dataset, request.condition, permute=run.config().permute)
        return Measured(request, found)

    def _predictions(self, run: Run, moment: str, size: int) -> Predictions:
        """Return a run's predictions at a snapshot, or those that are kept of its trained network. Raises `Problem`."""
        if moment:
            found = self._evaluations.of(run, moment)
            probability = np.nan_to_num(found.probability.numpy())
            return Predictions(found.labels.numpy(), found.predicted.numpy(), probability)
        kept = predictions.read(run)
        if len(kept.label) != size:
            raise Problem("the predictions of run {run} do not match its test images", run=run.id)
        return kept

    def _recogniser(self, run: Run) -> Recogniser:
        weights = run.result_paths("weights", ".safetensors")[0]  # others once the run was trained on
        if weights not in self._recognisers:
            self._recognisers[weights] = Recogniser(run)
        return self._recognisers[weights]

    def _dataset(self, run: Run) -> Dataset:
        try:
            return self._datasets.of(run)
        except Cancelled as error:
            folder = run.config().data_dir
            raise Problem("the data of run {run} are no longer in {folder}", run=run.id, folder=folder) from error


def _chosen(request: Browse, first: Predictions, second: Predictions | None) -> Any:
    """Return the indices of the requested images."""
    wrong = ~first.right
    if second is not None:
        other_wrong = ~second.right
        masks = {"wrong": wrong & ~other_wrong, "other_wrong": ~wrong & other_wrong, "both_wrong": wrong & other_wrong}
        return np.flatnonzero(masks[request.which])
    if request.label is None or request.predicted is None:
        return np.flatnonzero(wrong)
    return np.flatnonzero((first.label == request.label) & (first.predicted == request.predicted))


def _digit(index: int, images: Tensor, first: Predictions, second: Predictions | None) -> Digit:
    return Digit(
        index=index,
        label=int(first.label[index]),
        predicted=int(first.predicted[index]),
        probability=min(_MOST, float(first.probability[index])),
        pixels=images[index].numpy().tobytes(),
        other_predicted=int(second.predicted[index]) if second is not None else None,
        other_probability=min(_MOST, float(second.probability[index])) if second is not None else None,
    )
