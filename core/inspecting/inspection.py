"""A trained network looked into, image by image: the whole way, a layer, a value, and why it answers as it does."""

from __future__ import annotations

import math
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
from core.inspecting.forward_pass import BATCH, FAILURES, Passes, Step, failure_on_image
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
    SlidWindow,
    ValueView,
)
from core.messages import Problem
from core.networks.describe import BATCH_NORMS, DROPOUTS, kind, specification
from core.networks.layer_table import LayerTable
from core.networks.output_size import CONVOLUTIONS, window
from core.networks.shapes import place_at
from core.randomness import random_state_kept
from core.training.batches import normalise
from core.training.evaluation import evaluation_batch_size

_TOLERANCE = 1e-9
_SINGLE_TOLERANCE = 1e-5
"""Tolerances of a formula, relative to the sum of its terms' magnitudes."""
_MOST_LEVELS = 1_500_000


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
        self,
        network: nn.Module,
        config: RunConfig,
        data: Dataset | DataSource,
        table: LayerTable | None = None,
        fields: ReceptiveFields | None = None,
    ) -> None:
        """Take over a trained network, in eval mode, that was trained with `config` on `data`.

        `table` is its layer table, `fields` are the receptive fields of the same network with other parameters.
        """
        self._config = config
        self._rows = {row.name: row for row in table.layers} if table is not None else {}
        self._data = data
        self._passes = Passes(network, evaluation_batch_size(config))
        self._fields = fields or ReceptiveFields()
        self._last_hidden = LastHidden(self._passes)

    @property
    def is_double(self) -> bool:
        """False for a network that only computes in single precision."""
        return self._passes.is_double

    def prepare(self, is_wanted: Callable[[], bool]) -> None:
        """Find the receptive fields, which take some tenths of a second, until something else is wanted."""
        self._fields.advance(self._passes, is_wanted)

    def look(self, pixels: Tensor) -> Look:
        """Give the network an image, uint8, 28×28, as it is in the data set. Raises `Problem` if that fails."""
        seen = permuted(pixels[None])[0] if self._config.permute else pixels
        image = normalise(seen[None], self._data)[0]
        try:
            steps, logits = self._passes.run(image)
        except FAILURES as error:
            if isinstance(error, Problem):
                raise
            raise failure_on_image(error) from error
        return Look(seen, image, steps, logits.double())

    # The three levels

    def way(self, look: Look, most: int) -> tuple[LayerView, ...]:
        """Return every layer with its `most` active channels, fewer and coarser ones where they would be too large."""
        room = _MOST_LEVELS // max(1, len(look.steps))
        return tuple(_view(number, step, most, room) for number, step in enumerate(look.steps))

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
        facts = LayerFacts(
            row,
            kernels,
            statistics,
            draw,
            dropout=getattr(module, "p", 0.0) if draw else 0.0,
            has_bias=getattr(module, "bias", None) is not None,
            has_weights=isinstance(weight, Tensor),
            window=_slid(module),
            is_torchs=formulas.is_torchs_own(module),
        )
        return view, facts

    def value(self, look: Look, number: int, flat: int) -> ValueView:
        """Return a value of a layer's output, given its place in the flattened output. Raises `LookupError`."""
        step = look.steps[number]
        if step.gave is None or not 0 <= flat < step.gave.numel():
            raise LookupError(flat)
        place = place_at(flat, step.gave.shape)
        tolerance = _TOLERANCE if self.is_double else _SINGLE_TOLERANCE
        derived = formulas.derive(step, place, tolerance=tolerance)
        seen = _as_picture(look.steps, step)
        before, read = _before(seen, derived) if seen is not None else (None, ())
        return ValueView(
            value=float(step.gave[place]),
            place=place,
            formula=derived.formula if derived else None,
            before=before,
            before_scale=feature_maps.scale_of(seen) if seen is not None else LevelScale(0.0, 0.0),
            before_name=step.source,
            num_before=feature_maps.shape_of_maps(seen.shape)[0] if seen is not None else 0,
            window=read,
            receptive_field=self._field(look, step, place),
            is_field_known=self._fields.are_known,
        )

    def _field(self, look: Look, step: Step, place: tuple[int, ...]) -> bytes:
        """Return the pixels that a value depends on, tried on this very image: all others may be anything."""
        field = self._fields.of(step, place)
        if not field or all(field) or step.gave is None:
            return field
        mask = torch.tensor(list(field), dtype=torch.bool).reshape(1, SIDE, SIDE)
        noise = torch.randn(look.image.shape, generator=torch.Generator().manual_seed(0))
        try:
            steps, _logits = self._passes.run(torch.where(mask, look.image, noise))
        except FAILURES:
            return b""
        twin = next((each for each in steps if each.name == step.name and each.gave is not None), None)
        if twin is None or twin.gave is None or twin.gave.shape != step.gave.shape:
            return b""
        tolerance = _TOLERANCE * max(1.0, float(step.gave.abs().nan_to_num(0, 0, 0).max()))
        return field if abs(float(twin.gave[place]) - float(step.gave[place])) <= tolerance else b""

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
        except LookupError as error:
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
        size = BATCH if self._passes.batch_size == 1 else self._passes.batch_size
        others = self._prepared(self._data.test_images[: size - 1])
        images = torch.cat([look.image[None], others])
        try:
            given = self._passes.given_in_batch(module, images)
        except FAILURES:
            return None
        apart = given.movedim(1, 0).flatten(1)
        ones = torch.ones_like(module.running_mean)
        gamma, beta = (ones, 0 * ones) if module.weight is None else (module.weight, module.bias)
        return ChannelStatistics(
            len(images),
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
    seen: set[str] = set()
    while name and name not in seen:
        seen.add(name)  # a layer may be called more than once
        before = by_name[name]
        if before.gave is not None and before.gave.dim() == 3:
            return tuple(before.gave.shape)
        name = before.source if isinstance(before.module, (nn.Flatten, nn.Identity, *DROPOUTS)) else None
    return IMAGE_SHAPE if name == "" else None


def _view(number: int, step: Step, most: int | None, room: int = _MOST_LEVELS) -> LayerView:
    gave = step.gave
    if gave is None:
        gave = torch.zeros(0)
    scale, shape = feature_maps.scale_of(gave), tuple(gave.shape)
    count, rows, columns = feature_maps.shape_of_maps(shape)
    if most is None and gave.numel() > room:
        most = count
    if most is not None:
        most = min(most, max(1, room // max(1, rows * columns)))
    coarseness = math.ceil(math.sqrt(max(1, rows * columns / room)))
    maps = feature_maps.pictures(gave, scale, most, coarseness) if gave.numel() else ()
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


def _slid(module: Any) -> SlidWindow | None:
    """Return how a convolution's window lies on its input; None for another layer."""
    slid = window(module)
    if slid is None or not isinstance(module, CONVOLUTIONS):
        return None
    before = tuple(total // 2 for total in slid.padding)
    return SlidWindow(slid.kernel, slid.stride, before, slid.dilation, module.groups)


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
        shares[term.at // size] = shares.get(term.at // size, 0.0) + abs(term.contribution)
    channel = max(shares, key=shares.__getitem__, default=0)
    picture = feature_maps.pictures(feature_maps.as_maps(given)[channel], scale)[0]
    read = tuple(at % size for at in derived.window if at // size == channel)
    is_all = len(read) == min(size, given.numel()) or not derived.window
    return msgspec.structs.replace(picture, channel=channel), () if is_all else read


def _draw(step: Step, scale: LevelScale) -> DropoutDraw | None:
    """Draw once what dropout would leave out of a training step."""
    if step.given is None:
        return None
    with random_state_kept():
        torch.manual_seed(0)
        try:
            dropped = step.module.train()(step.given[None].clone())[0]
        except FAILURES:  # somebody's own kind of dropout
            return None
        finally:
            step.module.eval()
    left_out = int(((dropped == 0) & (step.given != 0)).sum())
    return DropoutDraw(feature_maps.pictures(dropped, scale), left_out, int((step.given != 0).sum()))
