"""The random generators that a training may draw from, as one: torch's, Python's and numpy's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

import numpy
import torch


class RandomState(TypedDict, total=False):
    """The states of the generators as plain values. Older checkpoints have only torch's."""

    rng_state: torch.Tensor
    cuda_rng_state: torch.Tensor | None
    mps_rng_state: torch.Tensor | None
    python_rng_state: tuple[Any, ...]
    numpy_rng_state: tuple[Any, ...]


def seed_all(seed: int) -> None:
    """Seed every generator, so that the same seed gives the same run whichever of them a network draws from."""
    torch.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)  # runs of older versions may have larger seeds


def random_state(device: torch.device | None = None) -> RandomState:
    """Return the state of every generator, the one of a GPU, `device`, included."""
    kind = None if device is None else device.type
    name, keys, *rest = numpy.random.get_state(legacy=True)
    return {
        "rng_state": torch.get_rng_state(),
        "cuda_rng_state": torch.cuda.get_rng_state(device) if device is not None and kind == "cuda" else None,
        "mps_rng_state": torch.mps.get_rng_state() if kind == "mps" else None,
        "python_rng_state": random.getstate(),
        "numpy_rng_state": (name, keys.tolist(), *rest),  # type: ignore[union-attr]
    }


def restore_random_state(state: RandomState, device: torch.device | None = None) -> None:
    """Put the generators back into a state; those that it lacks stay as they are.

    Raises `RuntimeError`, `TypeError` or `ValueError` if it is not a state.
    """
    torch.set_rng_state(state["rng_state"])
    cuda_state = state.get("cuda_rng_state")
    if cuda_state is not None and device is not None and device.type == "cuda":
        torch.cuda.set_rng_state(cuda_state, device)
    mps_state = state.get("mps_rng_state")
    if mps_state is not None and device is not None and device.type == "mps":
        torch.mps.set_rng_state(mps_state)
    if "python_rng_state" in state:
        random.setstate(state["python_rng_state"])
    if "numpy_rng_state" in state:
        numpy.random.set_state(state["numpy_rng_state"])


@contextmanager
def random_state_kept(device: torch.device | None = None) -> Iterator[None]:
    """Undo whatever is drawn or seeded inside."""
    state = random_state(device)
    try:
        yield
    finally:
        restore_random_state(state, device)
