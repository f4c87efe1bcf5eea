"""The GPU's fused step, as far as a machine without one can tell; on a GPU, against the plain step too."""

from __future__ import annotations

import copy
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.catalogue import DATA_SETS
from core.networks.exam import RN_1, RN_2
from core.training.batches import Batches
from core.training.optimizer import FusedAdam
from core.training.steps.fused.step import FusedStep

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
INTERPRETED = Path(__file__).parent / "interpreted"
with_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")


@with_triton
def test_the_kernels_compute_what_they_should() -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets or compiles.

    Here most operations are checked as parts of steps only; `make kernels` checks all of it.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    command += [
        "-k",
        "is_the_plain_one or adam or images or (comes_back and RN_1)",
        *map(str, sorted(INTERPRETED.glob("check_*.py"))),
    ]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@with_triton
@pytest.mark.slow
@pytest.mark.parametrize("capability", [80, 90])
def test_every_kernel_compiles_and_keeps_its_values_in_registers(capability: int) -> None:
    from tests.core.training.compiled_kernels import needs

    found = list(needs(capability))
    assert {each.kernel for each in found} >= {"linear_kernel", "linear_backward_kernel", "second_backward_kernel"}
    assert [each for each in found if each.spilled or each.shared > 99 << 10] == []


@on_gpu
@with_triton
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
@pytest.mark.parametrize("network_class", [RN_1, RN_2])
def test_a_captured_training_on_a_gpu_is_the_plain_one_and_repeats(network_class: Any, precision: Any) -> None:
    """In bfloat16 and TF32, both ways are equally near to the training in float32."""
    exact, _ = _trained(network_class, "fp32", fused=False)
    plain, _ = _trained(network_class, precision, fused=False)
    ours, losses = _trained(network_class, precision, fused=True)
    again, same_losses = _trained(network_class, precision, fused=True)
    assert torch.equal(losses, same_losses)
    assert all(map(torch.equal, ours, again))
    for found, other, wanted in zip(ours, plain, exact, strict=True):
        allowed = 1e-4 if precision == "fp32" else 0.02
        assert (found - wanted).norm() <= 1.5 * (other - wanted).norm() + allowed * wanted.norm()


def _trained(network_class: Any, precision: str, *, fused: bool) -> tuple[list[Tensor], Tensor]:
    """Train on random images for 20 batches, the last one smaller; return the first moments and the losses."""
    torch.manual_seed(0)
    how = "tf32" if precision == "tf32" else "ieee"
    torch.backends.cuda.matmul.fp32_precision = how
    torch.backends.cudnn.conv.fp32_precision = how  # type: ignore[attr-defined]
    images = (torch.randint(256, (200, 28, 28)) * (torch.rand(200, 28, 28) < 0.3)).byte().cuda()
    labels, network = torch.randint(10, (200,)).cuda(), network_class().cuda()
    optimizer = FusedAdam(network, lr=torch.tensor(0.001, device="cuda"), eps=1e-3, capturable=True)
    order = [torch.randperm(200)[: 64 if i < 19 else 17].cuda() for i in range(20)]
    if not fused:
        losses = [_plain_step(network, optimizer, images[batch], labels[batch], precision) for batch in order]
    else:
        step = FusedStep(network, Batches(images, labels, DATA_SETS["mnist"]), optimizer, 64, precision)  # type: ignore[arg-type]
        state = copy.deepcopy((network.state_dict(), optimizer.state_dict()))
        batch, stream, graph = order[0].clone(), torch.cuda.Stream(), torch.cuda.CUDAGraph()
        with torch.cuda.stream(stream):
            step(batch)
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, stream=stream):
            loss = step(batch)
        network.load_state_dict(state[0])
        lr = optimizer.param_groups[0]["lr"]
        optimizer.load_state_dict(state[1])
        optimizer.param_groups[0]["lr"] = lr
        step.refresh()
        losses = []
        for indices in order[:-1]:
            batch.copy_(indices)
            graph.replay()
            losses.append(loss.clone())
        losses.append(step(order[-1]).clone())
    return [optimizer.state[parameter]["exp_avg"].clone() for parameter in network.parameters()], torch.stack(losses)


def _plain_step(network: nn.Module, optimizer: FusedAdam, images: Tensor, labels: Tensor, precision: str) -> Tensor:
    x = images.float().div(255).sub(0.13).div(0.31).unsqueeze(1)
    optimizer.zero_grad()
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
        loss = functional.cross_entropy(network(x), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()
