"""A training step as a CUDA graph: the GPU gets its kernels all at once, not one by one from Python.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from core.training.steps.checked import Step

_WARM_UP = 3


class Graphs(Protocol):
    """What records steps on a device: CUDA's graphs, or what stands for them in a test."""

    def record(self, step: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """Return what replays a step, and the loss that each replay overwrites. Raises `RuntimeError`."""

    def close(self) -> None: ...


class CudaGraphs:
    """CUDA's graphs on a stream of their own: the default one cannot be recorded, and two would wait for each other."""

    def __init__(self, device: torch.device) -> None:
        self._before = torch.cuda.current_stream(device)
        self._stream = torch.cuda.Stream(device)
        self._stream.wait_stream(self._before)
        torch.cuda.set_stream(self._stream)

    def record(self, step: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        """Return what replays a step, and the loss that each replay overwrites. Raises `RuntimeError`."""
        self._record(lambda: torch.zeros((), device=self._stream.device))  # does it record at all?
        try:
            graph, loss = self._record(step)
        except RuntimeError:
            torch.cuda.synchronize(self._stream.device)
            # A failed recording leaves the generator as if it went on, and dropout could not draw: one that succeeds
            # sets it right.
            self._record(lambda: torch.zeros((), device=self._stream.device))
            torch.empty(1, device=self._stream.device).bernoulli_(0.5)
            raise
        return graph.replay, loss

    def _record(self, step: Callable[[], Tensor]) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            loss = step()
        return graph, loss

    def close(self) -> None:
        """Give the stream back that was current before."""
        self._before.wait_stream(self._stream)
        torch.cuda.set_stream(self._before)


class Captured:
    """A recorded step: it replays the kernels on another batch of the same size."""

    def __init__(
        self,
        step: Step,
        graphs: Graphs,
        batch_size: int,
        device: torch.device,
    ) -> None:
        """Record a step. Raises `RuntimeError` if it cannot be.

        The step is first taken a few times, in which the libraries choose their kernels and get their memory: whoever
        makes this puts the state back.
        """
        self.refresh: Callable[[], None] = getattr(step, "refresh", lambda: None)
        """To be called when the state was changed otherwise than by this step."""
        self._indices = torch.arange(batch_size, device=device)
        for _ in range(_WARM_UP):
            step(self._indices)
        self._replay, self._loss = graphs.record(lambda: step(self._indices))

    def __call__(self, indices: Tensor) -> Tensor:
        """Train on a batch and return its loss, on the device; the next call overwrites it."""
        self._indices.copy_(indices)
        self._replay()
        return self._loss
