"""A forward pass of one image through a network, with what each layer was given and gave, in double precision."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.inspecting.recording import Call, Keep, recorded
from core.messages import N_, Problem, reason
from core.randomness import random_state_kept, seed_all

_MOST_STEPS = 300
FAILURES = (Exception, SystemExit)
"""What a custom network may raise, apart from an interruption by the user."""
BATCH = 64
"""Images in a batch where the network takes any number: larger ones leave the processor's cache."""


@dataclass(frozen=True, eq=False)
class Step:
    """A layer, or a function that the network calls itself, on one image."""

    name: str
    module: nn.Module
    """Layer, or one that does the same as the function."""
    given: Tensor | None
    """First input for the image, without the batch; None if there is none or the image's part cannot be told."""
    gave: Tensor | None
    is_function: bool
    calls: int = 1
    source: str | None = None
    """Name of the step whose output is the input, value for value; empty for the image, None for neither."""
    given_in: int = 0
    """Address of the memory that the input was in; 0 if it is not known."""
    gave_in: int = 0


class Passes:
    """A network, in double precision if it can be, that is given one image at a time.

    In single precision torch's results differ from themselves by 3e-3 between layouts and sizes of batch.
    """

    def __init__(self, network: nn.Module, batch_size: int) -> None:
        """Take over a network in eval mode. `batch_size` is tried if it takes no batch of one."""
        self.network = network.double().requires_grad_(False)
        self.is_double = True
        self.batch_size = 1
        self._sizes = (1, batch_size)
        self._places: list[tuple[_Place, _Place]] | None = None
        self._given_at: dict[nn.Module, _Place] = {}
        """Where the images are in what each layer is given."""
        self.twin_of: Callable[[nn.Module], nn.Module] = lambda module: module
        """Return this network's module for one of the network that it was copied from."""

    def run(self, image: Tensor) -> tuple[list[Step], Tensor]:
        """Return the layers' values for an image, 1×28×28, normalised, and its logits.

        Raises `Problem` if the network fails.
        """
        self.settle(image)
        calls, output = self._calls(image.expand(self.batch_size, *image.shape))
        if len(calls) != len(self._places or ()):  # the network decides anew in each call what it calls
            self._places = self._places_of(image)
        steps = [
            Step(
                call.name,
                call.module,
                given_at.first(call.given),
                gave_at.first(call.gave),
                call.is_function,
                given_in=call.given_in,
                gave_in=call.gave_in,
            )
            for call, (given_at, gave_at) in zip(calls, self._places or (), strict=False)
        ]
        return _linked(_merged(steps)[:_MOST_STEPS], image.to(self.dtype)), output[0]

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.is_double else torch.float32

    def by_image(self, images: Tensor, reduce: Callable[[Tensor], Tensor]) -> dict[tuple[str, torch.Size], Tensor]:
        """Return what `reduce` makes of each step's output, N×…, for N images, a multiple of `batch_size`.

        Steps are found by their name and the shape of their output for one image.
        """
        found: dict[tuple[str, torch.Size], Tensor] = {}
        places = self._places or []

        def keep(number: int, output: Tensor) -> Tensor | None:
            parts = places[number][1].apart(output, len(images)) if number < len(places) else None
            if parts is None:
                return None
            shapes[number] = parts.shape[1:]
            return reduce(parts)

        shapes: dict[int, torch.Size] = {}
        for number, call in enumerate(self._calls(images, keep)[0]):
            if call.gave is not None:
                found[call.name, shapes[number]] = call.gave
        return found

    @torch.no_grad()
    def _calls(self, images: Tensor, keep: Keep | None = None) -> tuple[list[Call], Tensor]:
        """Run the network on N×1×28×28 images; return all calls and the output. `keep` replaces copies of outputs."""
        with self._undisturbed():
            return recorded(self.network, images.to(self.dtype), keep)

    def outputs(self, images: Tensor) -> Tensor:
        """Return the network's outputs for N×1×28×28 images, N×…"""
        return torch.cat([output[:count] for output, _given, count in self._in_batches(images)])

    def inputs_of(self, layer: nn.Module, images: Tensor) -> Tensor:
        """Return what a layer is given for each of N×1×28×28 images, N×…  Raises `LookupError` if that is not known."""
        parts = []
        for _output, given, count in self._in_batches(images, layer):
            size = count if self.batch_size == 1 else self.batch_size
            apart = self._given_at.get(layer, _Place(None)).apart(given, size)
            if apart is None:
                raise LookupError(layer)
            parts.append(apart[:count])
        return torch.cat(parts)

    def given_in_batch(self, layer: nn.Module, images: Tensor) -> Tensor:
        """Return what a layer is given for a batch, N×1×28×28, in the layer's own shape. Raises `LookupError`."""
        given = next(given for _output, given, _count in self._in_batches(images, layer))
        if given is None:
            raise LookupError(layer)
        return given

    @torch.no_grad()
    def _in_batches(
        self, images: Tensor, layer: nn.Module | None = None
    ) -> Iterator[tuple[Tensor, Tensor | None, int]]:
        """Yield the output of each batch, what a layer was given for it, and how many of the images it has."""
        for part in images.to(self.dtype).split(BATCH if self.batch_size == 1 else self.batch_size):
            missing = 0 if self.batch_size == 1 else self.batch_size - len(part)
            whole = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])])
            given: list[Tensor] = []
            with self._undisturbed(), _watched(layer, given):
                output = self.network(whole)
            yield output, given[-1] if given else None, len(part)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Let a forward pass neither see nor leave anything of what was before."""
        with _as_default(self.dtype), random_state_kept(), _slow_attention():
            seed_all(0)
            yield

    def in_single_precision(self) -> Passes:
        """Return the same in the precision of the training, which takes a fifth of the time; itself if that fails."""
        try:
            single = copy.copy(self)
            single.network = copy.deepcopy(self.network).float()
            single.is_double = False
            twins = dict(zip(self.network.modules(), single.network.modules(), strict=True))
            single.twin_of = twins.__getitem__
            single._given_at = {twins[module]: place for module, place in self._given_at.items()}
        except FAILURES:
            return self
        return single

    def _set_precision(self, is_double: bool) -> None:
        self.is_double = is_double
        self.network.double() if is_double else self.network.float()  # complex parameters stay what they are

    def settle(self, image: Tensor) -> None:
        """Find the precision and the size of batch that the network takes, once. Raises `Problem` if it takes none."""
        if self._places is not None:
            return
        failure: BaseException | None = None
        for is_double in (True, False):
            self._set_precision(is_double)
            for size in self._sizes:
                self.batch_size = size
                try:
                    self._places = self._places_of(image)
                except FAILURES as error:
                    failure = failure or error
                else:
                    return
        assert failure is not None
        raise failure_on_image(failure) from failure

    def _places_of(self, image: Tensor) -> list[tuple[_Place, _Place]]:
        """Find where the images are in each call's tensors: what doubles with them."""
        once, _output = self._calls(image.expand(self.batch_size, *image.shape))
        try:
            twice, _output = self._calls(image.expand(2 * self.batch_size, *image.shape))
        except FAILURES:  # it takes only batches of its own size
            twice = []
        if [call.name for call in once] != [call.name for call in twice]:
            twice = []
        size = self.batch_size
        pairs = zip_longest(once, twice)
        places = [
            (
                _Place.between(one.given, two.given if two else None, size),
                _Place.between(one.gave, two.gave if two else None, size),
            )
            for one, two in pairs
        ]
        self._given_at = {one.module: given_at for one, (given_at, _gave_at) in zip(once, places, strict=True)}
        return places


def failure_on_image(error: BaseException) -> Problem:
    """Return the problem that says that the network's own code failed on an image."""
    text = N_("the network fails on this image: {kind}: {reason}")
    return Problem(text, kind=type(error).__name__, reason=reason(error))


class _Place(NamedTuple):
    """The place of the first image in a tensor of a batch; `dimension` is None if that cannot be told."""

    dimension: int | None
    each: int = 1
    """Number of rows that belong to an image."""

    @classmethod
    def between(cls, once: Tensor | None, twice: Tensor | None, batch_size: int) -> _Place:
        """Find the dimension that doubles with the batch; the first is taken if there is nothing to compare."""
        if once is None:
            return cls(None)
        if twice is None or once.dim() != twice.dim():
            return cls(0 if once.dim() and len(once) == batch_size else None)
        doubled = [at for at, (one, other) in enumerate(zip(once.shape, twice.shape, strict=True)) if one != other]
        if len(doubled) != 1:
            return cls(None)
        size = once.shape[doubled[0]]
        is_whole = size % batch_size == 0 and twice.shape[doubled[0]] == 2 * size
        return cls(doubled[0], size // batch_size) if is_whole else cls(None)

    def first(self, tensor: Tensor | None) -> Tensor | None:
        """Return the first image's part."""
        if tensor is None or self.dimension is None or self.dimension >= tensor.dim():
            return None
        part = tensor.narrow(self.dimension, 0, self.each)
        return part.squeeze(self.dimension) if self.each == 1 else part

    def apart(self, tensor: Tensor | None, num_images: int) -> Tensor | None:
        """Return the parts of all images, with the image as the first dimension."""
        if tensor is None or self.dimension is None or tensor.shape[self.dimension] != self.each * num_images:
            return None
        parts = tensor.movedim(self.dimension, 0)
        return parts if self.each == 1 else parts.reshape(num_images, self.each, *parts.shape[1:])


def _merged(steps: list[Step]) -> list[Step]:
    """Return one step for each layer and size of its output, at the place of its first call: its last call."""
    found: dict[tuple[object, object], Step] = {}
    for step in steps:
        key = step.name if step.is_function else step.module, None if step.gave is None else step.gave.shape
        known = found.get(key)
        calls = 1 if known is None else known.calls + 1
        found[key] = replace(step, calls=calls)
    return list(found.values())


def _linked(steps: list[Step], image: Tensor) -> list[Step]:
    """Name for each step the one whose output it was given: one in the same memory, else the latest of equal values."""
    linked: list[Step] = []
    for step in steps:
        equal = [each for each in linked if step.given is not None and _are_equal(each.gave, step.given)]
        same = [each for each in equal if each.gave_in and each.gave_in == step.given_in]
        source = next(reversed(same or equal), None)
        is_image = source is None and step.given is not None and _are_equal(image, step.given)
        linked.append(replace(step, source=source.name if source is not None else "" if is_image else None))
    return linked


def _are_equal(one: Tensor | None, other: Tensor) -> bool:
    """Tell if two tensors have the same values in the same order; no number equals no number."""
    if one is None or one.numel() != other.numel():
        return False
    left, right = one.flatten(), other.flatten()
    return bool(((left == right) | (left.isnan() & right.isnan())).all())


@contextmanager
def _watched(layer: nn.Module | None, given: list[Tensor]) -> Iterator[None]:
    """Collect what a layer is given."""
    if layer is None:
        yield
        return

    def keep(_module: nn.Module, args: tuple[Tensor, ...]) -> None:
        given.append(args[0].detach().clone())

    with layer.register_forward_pre_hook(keep):
        yield


@contextmanager
def _as_default(dtype: torch.dtype) -> Iterator[None]:
    """Let tensors that a network makes itself have the precision of the others."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def _slow_attention() -> Iterator[None]:
    """Let attention be carried out module by module, so that its layers are seen."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
