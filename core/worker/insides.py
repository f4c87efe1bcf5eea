"""What happens inside runs' networks, image by image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.catalogue import DATA_SETS, SIDE, DataSource
from core.data import drawing, own_pictures
from core.data.datasets import Dataset
from core.inspecting.inspection import Inspection, Look, log_odds
from core.inspecting.reasons import STRIDE
from core.messages import Message, Problem
from core.networks import kept_tables
from core.runs.directory import Run
from core.runs.resumption import check_trusted
from core.training.load_trained import load_network
from core.worker.protocol import (
    FindNearest,
    InsideAnswer,
    InsideQuestion,
    Inspect,
    Inspected,
    InspectedLayer,
    InspectedValue,
    InspectLayer,
    InspectValue,
    MomentView,
    NearestFound,
    Occlude,
    Occluded,
    Picture,
)

_MOST_MAPS = 24
"""Channels of a layer that are sent at once."""
_NUM_NEIGHBOURS = 12
_MOST_NETWORKS = 4
_MOST_LOOKS = 8


class Insides:
    """Answers about what happens inside the networks of runs; `dataset_of` loads a run's data.

    A custom network's file is executed, if its run is the user's own.
    """

    def __init__(self, dataset_of: Callable[[Run], Dataset]) -> None:
        self._dataset_of = dataset_of
        self._inspections: OrderedDict[tuple[str, str], Inspection] = OrderedDict()
        self._looks: OrderedDict[tuple[str, str, Picture], Look] = OrderedDict()

    def answer(self, request: InsideQuestion, tell: Callable[[Message, float], None]) -> InsideAnswer:
        """Answer a question; `tell` is told of the progress of a long answer. Raises `Problem`."""
        run = Run(Path(request.run_dir))
        pixels, label, doubts = self._image(run, request.picture)
        inspection, look = self._look(run, request, pixels)
        try:
            match request:
                case Inspect():
                    return self._inspected(request, run, inspection, look, label, doubts)
                case InspectLayer(layer=number):
                    return InspectedLayer(request, *inspection.layer(look, number))
                case InspectValue(layer=number, place=place):
                    return InspectedValue(request, inspection.value(look, number, place))
                case Occlude():
                    return _occluded(request, inspection, look)
                case FindNearest():
                    return self._nearest(request, run, inspection, look, tell)
        except LookupError as error:
            raise Problem("the network called other layers for this image") from error

    def prepare(self) -> None:
        """Find the receptive fields of the network that was asked about last, before they are needed."""
        if self._inspections:
            next(reversed(self._inspections.values())).prepare()

    def _image(self, run: Run, picture: Picture) -> tuple[Tensor, int | None, tuple[Message, ...]]:
        """Return an image, uint8, 28×28, its label if it is known, and doubts. Raises `Problem`."""
        if picture.index is not None:
            dataset = self._dataset_of(run)
            count = len(dataset.test_labels)
            if not 0 <= picture.index < count:
                raise Problem(
                    "there is no test image {number}: they are 0 to {last}", number=picture.index, last=count - 1
                )
            return dataset.test_images[picture.index], int(dataset.test_labels[picture.index]), ()
        if picture.path:
            prepared = own_pictures.prepare(Path(picture.path))
            return torch.from_numpy(prepared.image), None, prepared.doubts
        drawn = np.frombuffer(picture.pixels[: SIDE**2].ljust(SIDE**2, b"\0"), np.uint8).reshape(SIDE, SIDE)
        return torch.from_numpy(drawing.mnist_form(drawn)), None, ()

    def _look(self, run: Run, request: InsideQuestion, pixels: Tensor) -> tuple[Inspection, Look]:
        key = self._state_of(run, request.moment)
        inspection = self._inspections.pop(key, None) or self._open(run, request.moment)
        self._inspections[key] = inspection
        while len(self._inspections) > _MOST_NETWORKS:
            self._inspections.popitem(last=False)
        seen = (*key, request.picture)
        look = self._looks.pop(seen, None) or inspection.look(pixels)
        self._looks[seen] = look
        while len(self._looks) > _MOST_LOOKS:
            self._looks.popitem(last=False)
        return inspection, look

    def _state_of(self, run: Run, moment: str) -> tuple[str, str]:
        """Return what identifies a network's parameters."""
        weights = run.result_paths("weights", ".safetensors")[0]  # others once the run was trained on
        return str(weights), moment

    def _open(self, run: Run, moment: str) -> Inspection:
        """Load a run's network. Raises `Problem`."""
        config = run.config()
        check_trusted(run, config, trust=False)
        started = run.first_start()
        if started is None or started.dataset not in DATA_SETS:
            raise Problem("run {run} has not started", run=run.id)
        table = kept_tables.of_run(run.path, config.architecture)
        data: Dataset | DataSource = DATA_SETS[started.dataset]
        with suppress(Problem):  # a drawing can be followed without them
            data = self._dataset_of(run)
        return Inspection(load_network(run), config, data, table)

    def _inspected(
        self,
        request: Inspect,
        run: Run,
        inspection: Inspection,
        look: Look,
        label: int | None,
        doubts: tuple[Message, ...],
    ) -> Inspected:
        started = run.first_start()
        assert started is not None
        record = run.tail()
        return Inspected(
            request=request,
            pixels=look.pixels.numpy().tobytes(),
            label=label,
            class_names=started.class_names,
            layers=inspection.way(look, _MOST_MAPS),
            logits=tuple(look.logits.tolist()),
            probabilities=tuple(look.probabilities.tolist()),
            loss=None if label is None else look.loss(label),
            moments=(MomentView("", *record.position),),
            is_double=inspection.is_double,
            doubts=doubts,
        )

    def _nearest(
        self, request: FindNearest, run: Run, inspection: Inspection, look: Look, tell: Callable[[Message, float], None]
    ) -> NearestFound:
        def told(fraction: float) -> None:
            tell(Message("Looking through the training images"), fraction)

        return NearestFound(request, inspection.nearest(look, self._dataset_of(run), _NUM_NEIGHBOURS, told))


def _occluded(request: Occlude, inspection: Inspection, look: Look) -> Occluded:
    odds, probabilities = inspection.without_each_place(look, request.chosen)
    whole = float(log_odds(look.logits[None], request.chosen)[0])
    return Occluded(request, SIDE // STRIDE, odds, probabilities, whole, float(look.probabilities[request.chosen]))
