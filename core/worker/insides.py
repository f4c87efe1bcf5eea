"""What happens inside runs' networks, image by image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from core.catalogue import DATA_SETS, SIDE, DataSource
from core.data import drawing, own_pictures
from core.data.datasets import Dataset
from core.inspecting.inspection import Inspection, Look, log_odds
from core.inspecting.reasons import STRIDE
from core.inspecting.receptive_field import ReceptiveFields
from core.messages import Message, Problem
from core.networks import kept_tables
from core.runs import snapshots
from core.runs.directory import Run
from core.runs.record import LIVE
from core.runs.resumption import check_trusted
from core.runs.snapshots import Moment
from core.training.load_trained import load_network, load_newest
from core.worker.moment_views import moment_views
from core.worker.protocol import (
    AskedImage,
    FindNearest,
    InsideAnswer,
    InsideQuestion,
    Inspect,
    Inspected,
    InspectedLayer,
    InspectedValue,
    InspectLayer,
    InspectValue,
    NearestFound,
    Occlude,
    Occluded,
)

_MOST_MAPS = 24
"""Channels of a layer that are sent at once."""
_NUM_NEIGHBOURS = 12
_MOST_NETWORKS = 4
_MOST_LOOKS = 8


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_State = tuple[str, str]
"""A run, and what identifies its network's parameters."""


class _Opened(NamedTuple):
    """A network with its parameters at a moment."""

    inspection: Inspection
    position: tuple[int, int]
    """Epoch and completed batches."""
    is_final: bool


class Insides:
    """Answers about what happens inside the networks of runs; `dataset_of` loads a run's data.

    A custom network's file is executed, if its run is the user's own.
    """

    def __init__(self, dataset_of: Callable[[Run], Dataset]) -> None:
        self._dataset_of = dataset_of
        self._inspections: OrderedDict[_State, _Opened] = OrderedDict()
        self._looks: OrderedDict[tuple[_State, bytes], Look] = OrderedDict()
        self._fields: OrderedDict[str, ReceptiveFields] = OrderedDict()
        """Receptive fields by run: those of all its moments are the same."""
        self._newest: dict[str, str] = {}
        """State of each run that was the newest when an image's way was asked for: what is deeper belongs to it."""
        self._positions: dict[_State, tuple[int, int]] = {}
        """Epoch and completed batches of every state that was opened."""

    def answer(self, request: InsideQuestion, tell: Callable[[Message, float], None]) -> InsideAnswer:
        """Answer a question; `tell` is told of the progress of a long answer. Raises `Problem`."""
        run = Run(Path(request.run_dir))
        pixels, label, doubts = self._image(run, request.picture)
        opened, look = self._look(run, request, pixels)
        inspection = opened.inspection
        if isinstance(request, InspectLayer | InspectValue) and request.layer >= len(look.steps):
            raise Problem("the network called other layers for this image")
        match request:
            case Inspect():
                return self._inspected(request, run, opened, look, label, doubts)
            case InspectLayer(layer=number):
                return InspectedLayer(request, *inspection.layer(look, number))
            case InspectValue(layer=number, place=place):
                return InspectedValue(request, inspection.value(look, number, place))
            case Occlude():
                return _occluded(request, inspection, look)
            case FindNearest():
                return self._nearest(request, run, inspection, look, tell)

    def prepare(self, is_wanted: Callable[[], bool]) -> None:
        """Find the receptive fields of the network that was asked about last, until something else is wanted."""
        if self._inspections:
            next(reversed(self._inspections.values())).inspection.prepare(is_wanted)

    def _image(self, run: Run, picture: AskedImage) -> tuple[Tensor, int | None, tuple[Message, ...]]:
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

    def _look(self, run: Run, request: InsideQuestion, pixels: Tensor) -> tuple[_Opened, Look]:
        check_trusted(run, run.config(), trust=request.trusts)
        state = str(run.path), request.moment or self._newest_state(run, is_asked=isinstance(request, Inspect))
        opened = self._inspections.pop(state, None) or self._open(run, request.moment)
        _keep(self._inspections, state, opened, _MOST_NETWORKS)
        self._positions[state] = opened.position
        seen = state, pixels.numpy().tobytes()
        look = self._looks.pop(seen, None) or opened.inspection.look(pixels)
        _keep(self._looks, seen, look, _MOST_LOOKS)
        return opened, look

    def _newest_state(self, run: Run, *, is_asked: bool) -> str:
        """Return what identifies a run's newest parameters: the names of the files that may have them."""
        key = str(run.path)
        if is_asked or key not in self._newest:
            names = (path.name for path in run.path.iterdir() if path.name.startswith(("checkpoint", "weights")))
            kept = (moment.path.name for moment in snapshots.moments(run))
            self._newest[key] = " ".join(sorted([*names, *kept]))
        return self._newest[key]

    def _newest_position(self, run: Run) -> tuple[int, int]:
        state = str(run.path), self._newest_state(run, is_asked=False)
        return self._positions.get(state) or run.tail().position

    def _open(self, run: Run, name: str) -> _Opened:
        """Load a run's network at a moment. Raises `Problem`."""
        config = run.config()
        started = run.first_start()
        if started is None or started.dataset not in DATA_SETS:
            raise Problem("run {run} has not started", run=run.id)
        table = kept_tables.of_run(run.path, config.architecture)
        data: Dataset | DataSource = DATA_SETS[started.dataset]
        with suppress(Problem):  # a drawing can be followed without them
            data = self._dataset_of(run)
        moment: Moment | None
        if name:
            moment = snapshots.find(run, name)
            network = load_network(run, moment)
        else:
            network, moment = load_newest(run)
        position = run.tail().position if moment is None else moment.position
        fields = self._fields.pop(str(run.path), None) or ReceptiveFields()
        _keep(self._fields, str(run.path), fields, _MOST_NETWORKS)
        return _Opened(Inspection(network, config, data, table, fields), position, is_final=moment is None)

    def _inspected(
        self,
        request: Inspect,
        run: Run,
        opened: _Opened,
        look: Look,
        label: int | None,
        doubts: tuple[Message, ...],
    ) -> Inspected:
        started = run.first_start()
        assert started is not None
        inspection = opened.inspection
        newest = opened.position if not request.moment else self._newest_position(run)
        return Inspected(
            request=request,
            pixels=look.pixels.numpy().tobytes(),
            label=label,
            class_names=started.class_names,
            layers=inspection.way(look, _MOST_MAPS),
            logits=tuple(look.logits.tolist()),
            probabilities=tuple(look.probabilities.tolist()),
            loss=None if label is None else look.loss(label),
            moments=moment_views(run, newest),
            is_live=not opened.is_final and not request.moment and run.state() in LIVE,
            num_images=self._num_images(run),
            is_double=inspection.is_double,
            doubts=doubts,
        )

    def _num_images(self, run: Run) -> int:
        try:
            return len(self._dataset_of(run).test_labels)
        except Problem:
            return 0

    def _nearest(
        self, request: FindNearest, run: Run, inspection: Inspection, look: Look, tell: Callable[[Message, float], None]
    ) -> NearestFound:
        def told(fraction: float) -> None:
            tell(Message("Looking through the training images"), fraction)

        return NearestFound(request, inspection.nearest(look, self._dataset_of(run), _NUM_NEIGHBOURS, told))


def _keep(kept: OrderedDict[_Key, _Value], key: _Key, value: _Value, most: int) -> None:
    """Keep a value as the newest of at most so many."""
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


def _occluded(request: Occlude, inspection: Inspection, look: Look) -> Occluded:
    odds, probabilities = inspection.without_each_place(look, request.chosen)
    whole = float(log_odds(look.logits[None], request.chosen)[0])
    return Occluded(request, SIDE // STRIDE, odds, probabilities, whole, float(look.probabilities[request.chosen]))
