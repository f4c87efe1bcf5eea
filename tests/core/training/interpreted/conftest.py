"""Fixtures of these checks. Triton is only imported where one of them runs: not every machine has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _bfloat16_as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Round to nearest, where the interpreter cuts off, and multiply values, where it takes their bits for them."""
    import triton.language as tl
    from triton.runtime import interpreter

    convert, dot = interpreter._convert_float, interpreter.InterpreterBuilder.create_dot

    def rounded(values: Any, kind: Any, new_kind: Any, mode: Any) -> Any:
        if (kind, new_kind) == (tl.float32, tl.bfloat16):
            return torch.from_numpy(np.array(values)).bfloat16().view(torch.uint16).numpy()
        return convert(values, kind, new_kind, mode)

    def widened(handle: Any) -> Any:
        if handle.dtype.scalar != tl.bfloat16:
            return handle
        return interpreter.TensorHandle((handle.data.astype(np.uint32) << 16).view(np.float32), tl.float32)

    monkeypatch.setattr(interpreter, "_convert_float", rounded)
    monkeypatch.setattr(
        interpreter.InterpreterBuilder,
        "create_dot",
        lambda self, left, right, *rest: dot(self, widened(left), widened(right), *rest),
    )


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make tiles so large that a whole step takes the interpreter a second."""
    from core.training.steps.fused import convolutions, kernels

    for name, value in {"COLUMNS": 256, "WEIGHT_ROWS": 256, "WEIGHT_COLUMNS": 512, "ADAM_BLOCK": 1 << 16}.items():
        monkeypatch.setattr(kernels, name, value)
    tiles = {"POSITIONS": 512, "SUMMED_POSITIONS": 512, "SLICES": 3, "WINDOWS": 128, "COLUMNS": 64}
    for name, value in {**tiles, "INPUT_POSITIONS": 512, "DEPTH": 64}.items():
        monkeypatch.setattr(convolutions, name, value)
