"""A forward pass of one image through a network, with what each layer was given and gave, in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from core.inspecting.recording import Call, Keep, recorded
from core.messages import N_, Problem, reason
from core.randomness import random_state_kept, seed_all

_MOST_STEPS = 300
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

    def run(self, image: Tensor) -> list[Step]:
        """Return the layers' values for an image, 1×28×28, normalised. Raises `Problem` if the network fails."""
        if self._places is None:
            self._settle(image)
        calls = self._calls(image.expand(self.batch_size, *image.shape))
        if len(calls) != len(self._places or ()):  # the network decides anew in each call what it calls
            self._places = self._places_of(image)
        steps = [
            Step(name, module, given_at.first(given), gave_at.first(gave), is_function)
            for (name, module, is_function, given, gave), (given_at, gave_at) in zip(
                calls, self._places or (), strict=False
            )
        ]
        return _linked(_merged(steps)[:_MOST_STEPS], image.to(self.dtype))

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
        for number, call in enumerate(self._calls(images, keep)):
            if call.gave is not None:
                found[call.name, shapes[number]] = call.gave
        return found

    @torch.no_grad()
    def _calls(self, images: Tensor, keep: Keep | None = None) -> list[Call]:
        """Run the network on N×1×28×28 images and return all calls; `keep` replaces the copies of the outputs."""
        with _as_default(self.dtype), random_state_kept(), _slow_attention():
            seed_all(0)
            return recorded(self.network, images.to(self.dtype), keep)

    @torch.no_grad()
    def outputs(self, images: Tensor, layer: nn.Module | None = None) -> Tensor:
        """Return the network's outputs for N×1×28×28 images, N×…, or what it gives to one of its layers."""
        size = max(BATCH, self.batch_size) if self.batch_size == 1 else self.batch_size
        found: list[Tensor] = []
        with _as_default(self.dtype), random_state_kept(), _slow_attention():
            for part in images.to(self.dtype).split(size):
                seed_all(0)
                missing = 0 if self.batch_size == 1 else size - len(part)
                whole = torch.cat([part, part[-1:].expand(missing, *part.shape[1:])])
                given: list[Tensor] = []
                with (
                    nullcontext()
                    if layer is None
                    else layer.register_forward_pre_hook(
                        lambda _module, args, given=given: given.append(args[0].detach().clone())
                    )
                ):
                    outputs = self.network(whole)
                found.append((outputs if layer is None else given[-1])[: len(part)])
        return torch.cat(found)

    @contextmanager
    def in_single_precision(self) -> Iterator[None]:
        """Compute as the training did, in a fifth of the time; no parameter changes."""
        was_double = self.is_double
        self._set_precision(False)
        try:
            yield
        finally:
            self._set_precision(was_double)

    def _set_precision(self, is_double: bool) -> None:
        self.is_double = is_double
        self.network.double() if is_double else self.network.float()  # complex parameters stay what they are

    def _settle(self, image: Tensor) -> None:
        """Find the precision and the size of batch that the network takes."""
        failure: Exception | None = None
        for is_double in (True, False):
            self._set_precision(is_double)
            for size in self._sizes:
                self.batch_size = size
                try:
                    self._places = self._places_of(image)
                except Exception as error:  # a custom network may raise anything
                    failure = failure or error
                else:
                    return
        assert failure is not None
        text = N_("the network fails on this image: {kind}: {reason}")
        raise Problem(text, kind=type(failure).__name__, reason=reason(failure)) from failure

    def _places_of(self, image: Tensor) -> list[tuple[_Place, _Place]]:
        """Find where the images are in each call's tensors: what doubles with them."""
        once = self._calls(image.expand(self.batch_size, *image.shape))
        try:
            twice = self._calls(image.expand(2 * self.batch_size, *image.shape))
        except Exception:  # it takes only batches of its own size
            twice = []
        if [call.name for call in once] != [call.name for call in twice]:
            twice = []
        size = self.batch_size
        if not twice:
            return [(_Place.between(one.given, None, size), _Place.between(one.gave, None, size)) for one in once]
        return [
            (_Place.between(one.given, two.given, size), _Place.between(one.gave, two.gave, size))
            for one, two in zip(once, twice, strict=True)
        ]


class _Place(NamedTuple):
    """Where the first image is in a tensor of a batch; `dimension` is None if that cannot be told."""

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
        found[key] = Step(step.name, step.module, step.given, step.gave, step.is_function, calls)
    return list(found.values())


def _linked(steps: list[Step], image: Tensor) -> list[Step]:
    """Name for each step the one whose output it was given, found by the values themselves."""
    linked: list[Step] = []
    for step in steps:
        source = None
        if step.given is not None:
            given = step.given.flatten()
            for name, before in [*((one.name, one.gave) for one in reversed(linked)), ("", image)]:
                if before is not None and before.numel() == given.numel() and torch.equal(before.flatten(), given):
                    source = name
                    break
        linked.append(Step(step.name, step.module, step.given, step.gave, step.is_function, step.calls, source))
    return linked


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
