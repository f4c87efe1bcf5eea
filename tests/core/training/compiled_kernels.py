"""Compile every kernel of a fused step for a GPU that is not there, and report what each needs of it.

`python -m tests.core.training.compiled_kernels [80|90 ...]` prints a table.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import triton
from torch import nn
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime import JITFunction

from core.catalogue import DATA_SETS
from core.config import Precision
from core.networks.exam import RN_1, RN_2
from core.training.batches import Batches
from core.training.optimizer import FusedAdam
from core.training.steps.fused.step import FusedStep

_POINTERS = {
    torch.float32: "*fp32",
    torch.bfloat16: "*bf16",
    torch.uint8: "*u8",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


@dataclass(frozen=True)
class Needs:
    """What a kernel needs of a GPU: a thread's registers and bytes of spilled ones, a program's bytes and warps."""

    kernel: str
    where: str
    programs: int
    registers: int
    spilled: int
    shared: int
    warps: int


def launches(
    network: nn.Module, precision: Precision
) -> list[tuple[JITFunction, tuple[int, ...], dict[str, Any], int]]:
    """Return the launches of a step on 64 images: kernel, grid, arguments by name, and warps. Nothing is computed."""
    found = []

    def run(
        self: JITFunction, *args: Any, grid: tuple[int, ...], warmup: bool, num_warps: int = 4, **rest: Any
    ) -> None:
        found.append((self, grid, dict(zip(self.arg_names, args, strict=False)) | rest, num_warps))

    ours = JITFunction.run
    JITFunction.run = run
    try:
        images, labels = torch.zeros(64, 28, 28, dtype=torch.uint8), torch.zeros(64, dtype=torch.int64)
        batches = Batches(images, labels, DATA_SETS["mnist"])
        optimizer = FusedAdam(network, lr=torch.tensor(0.001))
        FusedStep(network, batches, optimizer, 64, precision)(torch.arange(64))
    finally:
        JITFunction.run = ours
    return found


def compiled(kernel: JITFunction, arguments: dict[str, Any], warps: int, capability: int) -> Any:
    """Compile a kernel as a launch with these arguments would."""
    signature, constants, attributes = {}, {}, {}
    for place, parameter in enumerate(kernel.params):
        value = arguments[parameter.name]
        if parameter.is_constexpr:
            signature[parameter.name] = "constexpr"
            constants[parameter.name] = value
        elif isinstance(value, torch.Tensor):
            signature[parameter.name] = _POINTERS[value.dtype]
            if value.data_ptr() % 16 == 0:
                attributes[(place,)] = [["tt.divisibility", 16]]
        else:
            signature[parameter.name] = "fp32" if isinstance(value, float) else "i32"
    source = ASTSource(kernel, signature, constants, attributes)
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})


def needs(capability: int) -> Iterator[Needs]:
    """Yield what each different kernel of both networks needs, in all precisions."""
    seen = set()
    for network_class in (RN_1, RN_2):
        for precision in ("fp32", "tf32", "bf16"):
            for kernel, grid, arguments, warps in launches(network_class(), precision):
                binary = compiled(kernel, arguments, warps, capability)
                if binary.hash not in seen:
                    seen.add(binary.hash)
                    registers, spilled = _resources(binary.asm["cubin"])
                    yield Needs(
                        kernel.__name__.strip("_"), f"{network_class.__name__} {precision}", math.prod(grid),
                        registers, spilled, binary.metadata.shared, warps,
                    )  # fmt: skip


def _resources(cubin: bytes) -> tuple[int, int]:
    """Return the registers and the bytes of local memory of a thread."""
    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run([tool, "-res-usage", file.name], check=True, capture_output=True, text=True)
    text = done.stdout + done.stderr
    registers, stack, local = (int(re.search(rf"{name}:(\d+)", text)[1]) for name in ("REG", "STACK", "LOCAL"))  # type: ignore[index]
    return registers, stack + local


def main() -> None:
    for capability in map(int, sys.argv[1:] or ["90"]):
        print(f"sm_{capability}: kernel, first of, programs, warps, registers, spilled bytes, shared bytes")
        for each in needs(capability):
            numbers = (each.programs, each.warps, each.registers, each.spilled, each.shared)
            print(f"{each.kernel:24} {each.where:10}", *(f"{number:6}" for number in numbers), flush=True)


if __name__ == "__main__":
    main()
