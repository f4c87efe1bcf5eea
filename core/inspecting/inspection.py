"""A trained network looked into, image by image: the whole way, a layer, a value, and why it answers as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import torch
from torch import Tensor, nn

from core.catalogue import IMAGE_SHAPE, SIDE, DataSource
from core.config import RunConfig
from core.data.datasets import Dataset
from core.data.split_and_permute import permuted
from core.inspecting import feature_maps, formulas, reasons
from core.inspecting.forward_pass import Passes, Step
from core.inspecting.reasons import LastHidden
from core.inspecting.receptive_field import ReceptiveFields
from core.inspecting.views import (
    ChannelStatistics,
    DropoutDraw,
    FeatureMap,
    LayerFacts,
    LayerView,
    LevelScale,
    Neighbour,
    ValueView,
)
from core.messages import Problem
from core.networks.describe import BATCH_NORMS, DROPOUTS, kind, specification
from core.networks.layer_table import LayerTable
from core.networks.output_size import CONVOLUTIONS
from core.training.evaluation import evaluation_batch_size
from core.training.loop import normalise

_TOLERANCE = 1e-9
_SINGLE_TOLERANCE = 1e-5
"""Tolerances of a formula, relative to the sum of its terms' magnitudes."""
_MOST_LEVELS = 1_500_000
_BATCH = 64


@dataclass(frozen=True, eq=False)
class Look:
    """A network's answer to an image, with all that happened on the way."""

    pixels: Tensor
    """Image as the network sees it, before it is normalised: uint8, 28×28."""
    image: Tensor
    """The same normalised: float32, 1×28×28."""
    steps: list[Step]
    logits: Tensor
    """One for each class."""

    @property
    def probabilities(self) -> Tensor:
        return self.logits.softmax(0)

    def loss(self, label: int) -> float:
        """Return the cross-entropy, −log of the probability of the true class."""
        return float(-self.logits.log_softmax(0)[label])


class Inspection:
    """A network to be looked into."""

    def __init__(
        self, network: nn.Module, config: RunConfig, data: Dataset | DataSource, table: LayerTable | None = None
    ) -> None:
        """Take over a trained network, in eval mode, that was trained with `config` on `data`, and its layer table."""
        self._config = config
        self._rows = {row.name: row for row in table.layers} if table is not None else {}
        self._data = data
        self._passes = Passes(network, evaluation_batch_size(config))
        self._fields = ReceptiveFields(self._passes)
        self._last_hidden = LastHidden(self._passes)

    @property
    def is_double(self) -> bool:
        """False for a network that only computes in single precision."""
        return self._passes.is_double

    def prepare(self) -> None:
        """Find the receptive fields, which take some tenths of a second, before they are needed."""
        self._fields.measure()

    def look(self, pixels: Tensor) -> Look:
        """Give the network an image, uint8, 28×28, as it is in the data set. Raises `Problem` if that fails."""
        seen = permuted(pixels[None])[0] if self._config.permute else pixels
        image = normalise(seen[None], self._data)[0]
        steps = self._passes.run(image)
        return Look(seen, image, steps, self._passes.outputs(image[None])[0].double())

    # The three levels

    def way(self, look: Look, most: int) -> tuple[LayerView, ...]:
        """Return every layer with its `most` active channels."""
        return tuple(_view(number, step, most) for number, step in enumerate(look.steps))

    def layer(self, look: Look, number: int) -> tuple[LayerView, LayerFacts]:
        """Return a layer with all its channels, and what its card says. Raises `LookupError`."""
        step = look.steps[number]
        row = None if step.is_function else self._rows.get(step.name)
        view = _view(number, step, None)
        module = step.module
        weight = getattr(module, "weight", None)
        kernels = None
        if isinstance(module, (*CONVOLUTIONS, nn.Linear)) and isinstance(weight, Tensor):
            kernels = feature_maps.kernels(weight.detach(), _shape_before(look.steps, step))
        statistics = self._statistics(look, module) if isinstance(module, BATCH_NORMS) else None
        draw = _draw(step, view.scale) if isinstance(module, DROPOUTS) else None
        return view, LayerFacts(row, kernels, statistics, draw, getattr(module, "p", 0.0) if draw else 0.0)

    def value(self, look: Look, number: int, flat: int) -> ValueView:
        """Return a value of a layer's output, given its place in the flattened output. Raises `LookupError`."""
        step = look.steps[number]
        if step.gave is None or not 0 <= flat < step.gave.numel():
            raise LookupError(flat)
        place = formulas.place_at(flat, step.gave.shape)
        tolerance = _TOLERANCE if self.is_double else _SINGLE_TOLERANCE
        derived = formulas.derive(step, place, tolerance=tolerance)
        seen = _as_picture(look.steps, step)
        before, window = _before(seen, derived) if seen is not None else (None, ())
        return ValueView(
            value=float(step.gave[place]),
            place=place,
            formula=derived.formula if derived else None,
            before=before,
            before_scale=feature_maps.scale_of(seen) if seen is not None else LevelScale(0.0, 0.0),
            before_name=step.source,
            num_before=feature_maps.shape_of_maps(seen.shape)[0] if seen is not None else 0,
            window=window,
            receptive_field=self._fields.of(step, place),
        )

    # Why this answer

    def without_each_place(self, look: Look, chosen: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return, for each place that is hidden, the log-odds of a class, and its probability."""
        background = normalise(torch.zeros(1, SIDE, SIDE, dtype=torch.uint8), self._data)[0, 0, 0, 0]
        logits = reasons.without_each_place(self._passes, look.image, float(background)).double()
        return tuple(log_odds(logits, chosen).tolist()), tuple(logits.softmax(1)[:, chosen].tolist())

    def nearest(self, look: Look, dataset: Dataset, count: int, tell: Callable[[float], None]) -> tuple[Neighbour, ...]:
        """Return the training images that the network sees most like this one. Raises `Problem`."""
        try:
            found = self._last_hidden.nearest(look.steps, dataset.train_images, self._prepared, tell, count)
        except (LookupError, RuntimeError, TypeError) as error:
            raise Problem("the network has no last linear layer whose input could be compared") from error
        labels = dataset.train_labels
        return tuple(
            Neighbour(index, int(labels[index]), distance, dataset.train_images[index].numpy().tobytes())
            for index, distance in found
        )

    def _statistics(self, look: Look, module: Any) -> ChannelStatistics | None:
        """Return a batch norm's numbers; None if it keeps none, or there are no other images to make a batch of."""
        if module.running_mean is None or not isinstance(self._data, Dataset):
            return None
        others = self._prepared(self._data.test_images[: _BATCH - 1])
        given = self._passes.outputs(torch.cat([look.image[None], others]), module)
        apart = given.movedim(1, 0).flatten(1)
        ones = torch.ones_like(module.running_mean)
        gamma, beta = (ones, 0 * ones) if module.weight is None else (module.weight, module.bias)
        return ChannelStatistics(
            len(given),
            _numbers(apart.mean(1)),
            _numbers(apart.var(1, unbiased=False)),
            _numbers(module.running_mean),
            _numbers(module.running_var),
            _numbers(gamma),
            _numbers(beta),
        )

    def _prepared(self, images: Tensor) -> Tensor:
        """Return images of the data set, N×28×28, as the network is given them."""
        return normalise(permuted(images) if self._config.permute else images, self._data)


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(values.detach().double().tolist())


def log_odds(logits: Tensor, chosen: int) -> Tensor:
    """Return the log-odds of a class, N, from N×classes logits."""
    others = [at for at in range(logits.shape[1]) if at != chosen]
    return logits[:, chosen] - logits[:, others].logsumexp(1)


def _shape_before(steps: list[Step], step: Step) -> tuple[int, ...] | None:
    """Return the shape of the picture, channels × rows × columns, that a layer reads flattened, if it reads one."""
    by_name = {each.name: each for each in steps}
    name = step.source
    while name:
        before = by_name[name]
        if before.gave is not None and before.gave.dim() == 3:
            return tuple(before.gave.shape)
        name = before.source if isinstance(before.module, (nn.Flatten, nn.Identity, *DROPOUTS)) else None
    return IMAGE_SHAPE if name == "" else None


def _view(number: int, step: Step, most: int | None) -> LayerView:
    gave = step.gave
    if gave is None:
        gave = torch.zeros(0)
    scale, shape = feature_maps.scale_of(gave), tuple(gave.shape)
    count, rows, columns = feature_maps.shape_of_maps(shape)
    if most is None and gave.numel() > _MOST_LEVELS:
        most = max(1, _MOST_LEVELS // max(1, rows * columns))
    maps = feature_maps.pictures(gave, scale, most) if gave.numel() else ()
    return LayerView(
        number=number,
        name=step.name,
        kind=kind(step.module),
        specification=specification(step.module),
        shape=shape,
        scale=scale,
        maps=maps,
        num_maps=count if maps else 0,
        source=step.source,
        is_function=step.is_function,
        calls=step.calls,
    )


def _as_picture(steps: list[Step], step: Step) -> Tensor | None:
    """Return what a step was given, in the shape of the picture that was flattened into it if there is one."""
    if step.given is None:
        return None
    shape = _shape_before(steps, step) if step.given.dim() == 1 else None
    return step.given if shape is None else step.given.reshape(shape)


def _before(given: Tensor, derived: formulas.Derivation | None) -> tuple[FeatureMap, tuple[int, ...]]:
    """Return the channel of the input that contributes most to a value, and the places of it that the value reads.

    There are no places if it reads all of the channel, or if that is not known.
    """
    _count, rows, columns = feature_maps.shape_of_maps(given.shape)
    scale, size = feature_maps.scale_of(given), rows * columns
    if derived is None:
        return feature_maps.pictures(given, scale, 1)[0], ()
    shares: dict[int, float] = {}
    for term in derived.formula.terms:
        contribution = abs(term.value * (1.0 if term.weight is None else term.weight))
        shares[term.at // size] = shares.get(term.at // size, 0.0) + contribution
    channel = max(shares, key=shares.__getitem__, default=0)
    picture = feature_maps.pictures(feature_maps.as_maps(given)[channel], scale)[0]
    window = tuple(at % size for at in derived.window if at // size == channel)
    is_all = len(window) == min(size, given.numel())
    return msgspec.structs.replace(picture, channel=channel), () if is_all else window


def _draw(step: Step, scale: LevelScale) -> DropoutDraw | None:
    """Draw once what dropout would leave out of a training step."""
    if step.given is None:
        return None
    torch.manual_seed(0)
    step.module.train()
    dropped = step.module(step.given[None])[0]
    step.module.eval()
    left_out = int(((dropped == 0) & (step.given != 0)).sum())
    return DropoutDraw(feature_maps.pictures(dropped, scale), left_out, int((step.given != 0).sum()))
