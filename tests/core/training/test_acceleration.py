"""Speed-ups checked against torch's own way, on the CPU and on a GPU if there is one."""

from __future__ import annotations

import copy
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn, optim

from core.training.acceleration import fast_equivalent
from core.training.optimizer import FusedAdam
from core.worker.carry_out import carry_out
from tests.built import built
from tests.core.training.sample_runs import after_batches, batch_losses, carried_out

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
GPU_SETTINGS = [{"model": "RN_1"}, {"model": "RN_2"}, {"model": "RN_1", "dropout": 0.2}, {"precision": "bf16"}]


class _PartlyUsed(nn.Module):
    """A network whose second layer gets its first gradient late, and whose third has another type."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)
        self.third = nn.Linear(5, 5, dtype=torch.float64)

    def forward(self, inputs: torch.Tensor, step: int) -> torch.Tensor:
        outputs: torch.Tensor = self.first(inputs)
        if step > 2:
            outputs = self.second(outputs)
        return self.third(outputs.double()) if step > 4 else outputs


def _train(network: nn.Module, optimizer: optim.Optimizer, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        torch.manual_seed(step)
        inputs = torch.randn(4, 1, 28, 28) if not isinstance(network, _PartlyUsed) else (torch.randn(4, 5), step)
        outputs = network(*inputs) if isinstance(inputs, tuple) else network(inputs)
        outputs.square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("make", [lambda: built("RN_1"), _PartlyUsed])
def test_the_optimizer_is_adam_to_the_last_digit_and_across_a_checkpoint(make: type[nn.Module]) -> None:
    torch.manual_seed(0)
    ours = make()
    reference = copy.deepcopy(ours)
    adam, fused = optim.Adam(reference.parameters(), lr=0.01, fused=True), FusedAdam(ours, lr=0.01)
    _train(reference, adam, range(8))
    _train(ours, fused, range(6))
    continued = FusedAdam(ours, lr=0.5)
    continued.load_state_dict(fused.state_dict())
    _train(ours, continued, range(6, 8))
    assert all(map(torch.equal, ours.state_dict().values(), reference.state_dict().values()))


VARIANTS = [("RN_1", 0.0, False), ("RN_2", 0.0, False), ("RN_1", 0.5, False), ("RN_2", 0.5, True)]


@pytest.mark.parametrize(("model", "dropout", "batch_norm"), VARIANTS)
@pytest.mark.parametrize(("exact", "in_bf16"), [(True, False), (False, False), (False, True)])
def test_the_fast_equivalent_computes_the_same_and_so_do_its_gradients(
    model: str, dropout: float, batch_norm: bool, exact: bool, in_bf16: bool
) -> None:
    torch.manual_seed(0)
    network = built(model, dropout=dropout, batch_norm=batch_norm)
    fast = fast_equivalent(network, torch.device("cpu"), exact=exact)
    assert fast is not network
    images, labels = torch.randn(16, 1, 28, 28), torch.randint(10, (16,))

    def computed(each: nn.Module, images: torch.Tensor, *, in_bf16: bool) -> list[torch.Tensor]:
        """Return the logits in training, the gradients and the logits in testing."""
        torch.manual_seed(1)  # seeds dropout
        each.train().zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=in_bf16):
            logits = each(images)
        nn.functional.cross_entropy(logits.to(images.dtype), labels).backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        each.eval()
        return [tensor.detach().double() for tensor in (logits, *gradients, each(images)) if tensor is not None]

    state = deepcopy(network.state_dict())
    plain = computed(network, images, in_bf16=in_bf16)
    network.load_state_dict(state)  # reset the running statistics of batch normalisation
    ours = computed(fast, images, in_bf16=in_bf16)
    assert len(ours) == len(plain)
    if exact:
        assert all(map(torch.equal, ours, plain))
        return
    # Both round, in different ways: compared with the true values, ours must be no worse than the plain one.
    network.load_state_dict(state)
    network.double()
    for value, reference, truth in zip(ours, plain, computed(network, images.double(), in_bf16=False), strict=True):
        allowed = 2 * (reference - truth).abs().max() + 1e-5 * truth.abs().max()
        assert (value - truth).abs().max() <= allowed


def test_the_fast_equivalent_hides_no_value_that_is_not_finite() -> None:
    """Otherwise a training run that diverged would go on unnoticed."""
    network = built("RN_1")
    fast = fast_equivalent(network, torch.device("cpu"), exact=False)
    with torch.no_grad():
        next(network.parameters())[3, 5] = float("nan")
    assert fast(torch.randn(4, 1, 28, 28)).isnan().all()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_tf32_without_a_gpu_fails_with_one_line(tmp_path: Path) -> None:
    summary = carried_out(tmp_path, device="auto", precision="tf32").summary()
    assert summary.state == "failed"
    assert summary.message is not None
    assert "TF32" in str(summary.message)


@on_gpu
@pytest.mark.parametrize("settings", GPU_SETTINGS)
def test_on_a_gpu_a_stopped_run_goes_on_to_the_same_losses(settings: dict[str, Any], tmp_path: Path) -> None:
    whole = carried_out(tmp_path, device="cuda", **settings)
    stopped = carried_out(tmp_path, after_batches(40), device="cuda", **settings)
    carry_out(stopped, lambda _event: None, lambda: False)
    assert batch_losses(stopped) == batch_losses(whole)


@on_gpu
@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_on_a_gpu_the_losses_are_those_of_the_cpu_but_for_rounding(model: str, tmp_path: Path) -> None:
    of_gpu = batch_losses(carried_out(tmp_path, device="cuda", model=model, epochs=1))
    of_cpu = batch_losses(carried_out(tmp_path, device="cpu", model=model, epochs=1))
    first = [(1, step) for step in range(1, 21)]
    assert [of_gpu[key] for key in first] == pytest.approx([of_cpu[key] for key in first], rel=0.01)
    assert len(set(of_gpu.values())) > 50
