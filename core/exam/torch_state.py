"""What torch keeps for all of a process, and a custom network's file may have changed before the program runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor


class TorchState(NamedTuple):
    """Torch's generator, and its settings for all threads."""

    generator: Tensor
    dtype: torch.dtype
    is_deterministic: bool
    only_warns: bool

    @classmethod
    def now(cls) -> TorchState:
        return cls(
            torch.get_rng_state(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        )

    def restore(self) -> None:
        torch.set_default_dtype(self.dtype)
        torch.use_deterministic_algorithms(self.is_deterministic, warn_only=self.only_warns)
        torch.set_rng_state(self.generator)


def begin(seed: int) -> None:
    """Have torch as it is when a program begins, but seeded."""
    torch.set_default_dtype(torch.float32)
    torch.use_deterministic_algorithms(False)
    torch.manual_seed(seed)


@contextmanager
def begun(seed: int) -> Iterator[None]:
    """Have torch so inside, the settings of this thread included."""
    before = TorchState.now()
    try:
        with ExitStack() as settings:
            settings.enter_context(torch.inference_mode(False))
            settings.enter_context(torch.enable_grad())
            if torch.get_default_device().type != "cpu":  # naming the device costs time at every call
                settings.enter_context(torch.device("cpu"))
            begin(seed)
            yield
    finally:
        before.restore()
