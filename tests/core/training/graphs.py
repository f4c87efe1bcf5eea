"""What stands for CUDA's graphs on the CPU: it records every operation of torch, and replays the same ones.

Like a graph, it does nothing while it records, reads the same tensors again and writes to the same ones, keeps every
number as it was, and runs no Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

_HOST_READS = {"aten::_local_scalar_dense", "aten::is_nonzero"}


class RecordedGraphs:
    """Graphs on the CPU. `fails` makes the recording of that number end in the middle, as where a GPU cannot."""

    def __init__(self, *, fails: Callable[[], BaseException | None] = lambda: None) -> None:
        self._fails = fails
        self.replays = 0
        self.is_closed = False

    def record(self, step: Callable[[], Tensor]) -> tuple[Callable[[], object], Tensor]:
        recorder = _Recorder(self._fails())
        try:
            with recorder:
                loss = step()
        finally:
            recorder.undo()

        def replay() -> None:
            self.replays += 1
            recorder.replay()

        return replay, loss

    def close(self) -> None:
        self.is_closed = True


class _Recorder(TorchDispatchMode):
    def __init__(self, failure: BaseException | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._failure = failure
        self._operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self._before: dict[int, tuple[Tensor, Tensor]] = {}
        self._made: set[int] = set()
        self._generator = torch.get_rng_state()

    def __torch_dispatch__(self, function: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._failure is not None and len(self._operations) == 20:
            raise self._failure
        if function._schema.name in _HOST_READS:
            raise RuntimeError("operation not permitted when stream is capturing")
        kwargs = kwargs or {}
        for argument, given in zip(function._schema.arguments, args, strict=False):
            if argument.alias_info is not None and argument.alias_info.is_write:
                for tensor in tree_leaves(given):
                    if _place(tensor) not in self._made:
                        self._before.setdefault(_place(tensor), (_alias(tensor), tensor.detach().clone()))
        given = tree_map(_alias, (args, kwargs))  # the shape of a tensor may be changed in place later
        outputs = function(*args, **kwargs)
        self._made.update(_place(tensor) for tensor in tree_leaves(outputs) if isinstance(tensor, Tensor))
        self._operations.append((function, *given, tree_map(_alias, outputs)))
        return outputs

    def undo(self) -> None:
        with torch.no_grad():
            for tensor, before in self._before.values():
                tensor.copy_(before)
        torch.set_rng_state(self._generator)

    @torch.no_grad()
    def replay(self) -> None:
        for function, args, kwargs, outputs in self._operations:
            anew = function(*args, **kwargs)
            for kept, new in zip(tree_leaves(outputs), tree_leaves(anew), strict=True):
                if isinstance(kept, Tensor) and _place(kept) != _place(new):
                    kept.copy_(new)


def _alias(value: Any) -> Any:
    """Return a tensor over the same memory, in the shape that it has now; anything else as it is."""
    return value.detach() if isinstance(value, Tensor) else value


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
