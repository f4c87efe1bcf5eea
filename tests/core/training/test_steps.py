"""The faster steps: which networks take them, what they compute, and how they are checked against the plain one."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from core.data.datasets import Dataset
from core.runs.control import NOTHING, Request
from core.runs.events import Event, Notice, Progress
from core.training.batches import Batches
from core.training.loop import Checkpoint, train
from core.training.optimizer import FusedAdam, fused_adam
from core.training.steps import chain, checked, choose
from core.training.steps.chain import Chain
from core.training.steps.fused.flat import FlatState
from core.training.steps.straight import chain_of
from tests.built import built
from tests.core.training.graphs import RecordedGraphs
from tests.core.training.sample_runs import configuration

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
COMPARED = 5
"""Steps by which a faster one is compared: three from the same state, and two in a row."""


class AsInTheExam(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.relu, self.drop, self.fc2 = nn.Linear(784, 20), nn.ReLU(), nn.Dropout(0.3), nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits."""
        x = x.view(x.size(0), -1)
        x = self.relu(self.fc1(x))
        return self.fc2(self.drop(x))  # type: ignore[no-any-return]


class ByFunctions(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(x, 1)
        hidden = functional.relu(self.fc1(x))
        return self.fc2(hidden)  # type: ignore[no-any-return]


class Counts(AsInTheExam):
    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.fc2(self.relu(self.fc1(x.flatten(1))))  # type: ignore[no-any-return]


class Decides(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x.flatten(1))
        if random.random() < 2:
            x = x.relu()
        return self.fc2(x)  # type: ignore[no-any-return]


class Beside(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x.flatten(1))
        self.drop(x)  # it draws
        return self.fc2(x)  # type: ignore[no-any-return]


class Unused(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x.flatten(1))
        _dropped = self.drop(x)
        return self.fc2(x)  # type: ignore[no-any-return]


class Residual(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x.flatten(1))
        return self.fc2(x + x.relu())  # type: ignore[no-any-return]


class CalledOtherwise(AsInTheExam):
    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        return 0.2 * super()._call_impl(*args, **kwargs)  # type: ignore[no-untyped-call]


class ChangedForTheTest(AsInTheExam):
    def eval(self) -> ChangedForTheTest:
        self.drop.p = 0.9
        return super().eval()


def _hidden() -> nn.Module:
    network = AsInTheExam()
    layer = network.fc1
    vars(network)["fc1"] = lambda x: 2 * layer(x)
    return network


def _compiled() -> nn.Module:
    network = AsInTheExam()
    vars(network)["_compiled_call_impl"] = lambda x: 2 * network.forward(x)
    return network


def _sequential(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Flatten(), *layers)


def _hooked() -> nn.Module:
    network = AsInTheExam()
    network.fc1.register_forward_hook(lambda _layer, _given, output: 2 * output)
    return network


def _replaced() -> nn.Module:
    network = AsInTheExam()
    forward = network.fc1.forward
    network.fc1.forward = lambda input: 2 * forward(input)  # type: ignore[method-assign]
    return network


def _tied() -> nn.Module:
    layer = nn.Linear(784, 784)
    return _sequential(layer, nn.ReLU(), layer, nn.Linear(784, 10))


def _frozen() -> nn.Module:
    network = AsInTheExam()
    network.fc1.weight.requires_grad_(False)
    return network


def _normalised() -> nn.Module:
    network = AsInTheExam()
    network.fc1 = nn.utils.parametrizations.weight_norm(network.fc1)
    return network


CHAINS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "RN_1": (lambda: built("RN_1"), 7),
    "RN_1, dropout": (lambda: built("RN_1", dropout=0.4), 10),
    "RN_1, batch norm": (lambda: built("RN_1", batch_norm=True, dropout=0.2), 13),
    "RN_1, wide": (lambda: built("RN_1", width=1.5), 7),
    "one layer": (lambda: _sequential(nn.Linear(784, 10)), 1),
    "ReLU at the end": (lambda: _sequential(nn.Linear(784, 10), nn.ReLU()), 2),
    "nested": (lambda: _sequential(nn.Sequential(nn.Linear(784, 30), nn.ReLU(inplace=True)), nn.Linear(30, 10)), 3),
    "norm after ReLU": (
        lambda: _sequential(
            nn.Linear(784, 9), nn.ReLU(), nn.BatchNorm1d(9), nn.Dropout(0.5), nn.ReLU(), nn.Linear(9, 10)
        ),
        6,
    ),
    "as in the exam": (AsInTheExam, 4),
    "a bias before batch norm": (
        lambda: _sequential(nn.Linear(784, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, 10)),
        4,
    ),
    "by functions": (ByFunctions, 3),
}
NO_CHAINS: dict[str, Callable[[], nn.Module]] = {
    "convolutions": lambda: built("RN_2"),
    "counts": Counts,
    "decides": Decides,
    "beside": Beside,
    "unused": Unused,
    "residual": Residual,
    "hooked": _hooked,
    "a layer's forward replaced": _replaced,
    "called otherwise": CalledOtherwise,
    "changed for the test": ChangedForTheTest,
    "a layer hidden": _hidden,
    "compiled": _compiled,
    "tied": _tied,
    "frozen": _frozen,
    "weight norm": _normalised,
    "another activation": lambda: _sequential(nn.Linear(784, 10), nn.Tanh()),
    "sizes that do not fit": lambda: _sequential(nn.Linear(784, 20), nn.Linear(30, 10)),
    "no bias": lambda: _sequential(nn.Linear(784, 10, bias=False)),
    "average of all": lambda: _sequential(nn.Linear(784, 10), nn.BatchNorm1d(10, momentum=None)),
}


def _chain(network: nn.Module) -> Chain | None:
    return Chain.of(chain_of(network) or [])


@pytest.mark.parametrize("name", NO_CHAINS)
def test_what_is_no_chain_is_not_taken_for_one(name: str) -> None:
    network = NO_CHAINS[name]()
    found = _chain(network)
    assert found is None or not found.is_all_of(network)


def test_what_was_changed_for_all_networks_is_no_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _chain(AsInTheExam()) is not None
    with monkeypatch.context() as patch:
        patch.setattr(nn.Linear, "forward", lambda layer, x: functional.linear(2 * x, layer.weight, layer.bias))
        assert _chain(AsInTheExam()) is None
    handle = nn.modules.module.register_module_forward_hook(lambda _module, _given, output: 2 * output)
    try:
        assert _chain(AsInTheExam()) is None
    finally:
        handle.remove()


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_s_gradients_are_those_of_autograd(name: str, onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In double precision; in single precision through oneDNN, which has no other."""
    monkeypatch.setattr(chain, "_prefers_onednn", lambda: onednn)
    monkeypatch.setattr(chain, "_MANY_MACS", 1)
    make, number = CHAINS[name]
    torch.manual_seed(0)
    network = make() if onednn else make().double()
    layers = chain_of(network)
    assert layers is not None
    assert len([layer for layer in layers if not isinstance(layer, nn.Flatten)]) == number
    found = Chain.of(layers)
    assert found is not None
    assert found.is_all_of(network) is onednn
    images = torch.randn(7, 1, 28, 28, dtype=torch.float32 if onednn else torch.float64)
    state = deepcopy(network.state_dict())
    torch.manual_seed(1)
    flat = images.flatten(1).requires_grad_()
    expected = network(flat.reshape(images.shape))
    weights = torch.randn_like(expected)
    (expected * weights).sum().backward()
    statistics = deepcopy(network.state_dict())
    network.load_state_dict(state)
    torch.manual_seed(1)
    with torch.no_grad():
        outputs, saved = found.forward(images.flatten(1))
        of_inputs, gradients = found.backward(weights, saved, needs_input=True)
    pairs: list[tuple[Any, Any]] = [(outputs, expected.detach()), (of_inputs, flat.grad)]
    pairs += [(ours, each.grad) for each, ours in zip(found.parameters, gradients, strict=True)]
    pairs += zip(network.state_dict().values(), statistics.values(), strict=True)
    tolerance = 1e-4 if onednn else 1e-12
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def few(sample: Dataset) -> Dataset:
    """Return 300 training images: four batches of 64, and a smaller one."""
    return replace(sample, train_images=sample.train_images[:300], train_labels=sample.train_labels[:300])


class Trained:
    """A training of a network, with its losses and what was told."""

    def __init__(
        self,
        make: Callable[[], nn.Module],
        dataset: Dataset,
        *,
        look: Callable[[int, int], Request] = lambda _epoch, _step: NOTHING,
        resume_from: Checkpoint | None = None,
        **settings: Any,
    ) -> None:
        torch.manual_seed(3)
        self.network = make()
        self.saved: list[Checkpoint] = []
        self.events: list[Event] = list(
            train(
                self.network,
                dataset,
                configuration(**{"epochs": 3} | settings),
                CPU,
                resume_from=resume_from,
                save=lambda checkpoint: self.saved.append(deepcopy(checkpoint)),
                look=look,
            )
        )

    @property
    def losses(self) -> list[float | None]:
        return [loss for event in self.events if isinstance(event, Progress) for loss in event.losses]

    @property
    def told(self) -> list[str]:
        return [str(event.message) for event in self.events if isinstance(event, Notice)]


def _plainly(monkeypatch: pytest.MonkeyPatch, make: Callable[[], nn.Module], few: Dataset, **more: Any) -> Trained:
    with monkeypatch.context() as patch:
        patch.setattr(choose, "chain_of", lambda _network: None)
        patch.setattr(checked.CheckedStep, "_proven", lambda checked, _fast: checked._plain)
        return Trained(make, few, **more)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["RN_1", "RN_1, batch norm", "as in the exam", "a bias before batch norm"])
def test_a_chain_trains_as_the_plain_step_does(
    name: str, precision: str, few: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, _number = CHAINS[name]
    if precision == "bf16" and not chain.has_bf16():
        pytest.skip("this processor has no bf16")
    plain = _plainly(monkeypatch, make, few, precision=precision)
    applied: list[Tensor] = []
    take = chain.ChainStep.__call__

    def noted(step: chain.ChainStep, indices: Tensor) -> Tensor:
        applied.append(indices)
        return take(step, indices)

    monkeypatch.setattr(chain.ChainStep, "__call__", noted)
    ours = Trained(make, few, precision=precision)
    assert len(applied) == COMPARED + 3 * 4  # then the whole batches
    assert not ours.told
    assert ours.losses == pytest.approx(plain.losses, rel=2e-3 if precision == "fp32" else 0.2)
    assert ours.losses[:2] == pytest.approx(plain.losses[:2], rel=1e-4 if precision == "fp32" else 0.02)
    again = Trained(make, few, precision=precision)
    assert again.losses == ours.losses


@pytest.mark.parametrize("fault", ["wrong", "raises"])
@pytest.mark.parametrize("name", ["RN_1", "as in the exam"])
def test_a_chain_that_computes_something_else_here_is_not_used(
    name: str, fault: str, few: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, _number = CHAINS[name]
    plain = _plainly(monkeypatch, make, few)

    def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
        if fault == "raises":
            raise RuntimeError("could not create a primitive")
        return left @ right.t() * 1.01 + (0 if bias is None else bias)

    monkeypatch.setattr(chain, "product", product)
    ours = Trained(make, few)
    assert ours.losses == pytest.approx(plain.losses, rel=1e-3)
    (told,) = ours.told
    assert ("could not create a primitive" if fault == "raises" else "differs from the plain one by") in told


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> RecordedGraphs:
    """Let the CPU record steps, as a GPU does."""
    graphs = RecordedGraphs()
    monkeypatch.setattr(choose, "graphs_on", lambda _device: graphs)
    return graphs


VARIANTS: dict[str, Callable[[], nn.Module]] = {
    "RN_1": lambda: built("RN_1", dropout=0.3, batch_norm=True),
    "RN_2": lambda: built("RN_2", width=0.2, dropout=0.3),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_recorded_step_trains_as_the_plain_one_and_smaller_batches_are_not_replayed(
    name: str, few: Dataset, recorded: RecordedGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = _plainly(monkeypatch, VARIANTS[name], few)
    ours = Trained(VARIANTS[name], few)
    assert ours.losses == plain.losses
    assert not ours.told
    assert recorded.replays == COMPARED + 3 * 4  # then four whole batches in each of three epochs
    assert recorded.is_closed


def test_a_recorded_step_follows_a_changed_learning_rate_and_a_resumption(
    few: Dataset, recorded: RecordedGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = VARIANTS["RN_1"]

    def steered(epoch: int, step: int) -> Request:
        return Request(lr=0.05) if (epoch, step) == (1, 3) else NOTHING

    whole = Trained(make, few, look=steered)
    assert whole.losses == _plainly(monkeypatch, make, few, look=steered).losses

    def stopped(epoch: int, step: int) -> Request:
        return Request(stop=True) if (epoch, step) == (2, 2) else steered(epoch, step)

    first = Trained(make, few, look=stopped)
    rest = Trained(make, few, resume_from=first.saved[-1], lr=0.05)
    assert first.losses + rest.losses == whole.losses
    assert recorded.replays > 20


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (RuntimeError("CUDA error: operation failed due to a previous error during capture"), "previous error"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "out of memory"),
    ],
)
def test_a_recording_that_fails_in_the_middle_is_told_and_nothing_is_lost(
    failure: Exception, told: str, few: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = RecordedGraphs(fails=lambda: failure)
    monkeypatch.setattr(choose, "graphs_on", lambda _device: graphs)
    plain = _plainly(monkeypatch, VARIANTS["RN_1"], few)
    ours = Trained(VARIANTS["RN_1"], few)
    assert ours.losses == plain.losses
    assert told in " ".join(ours.told)
    assert graphs.replays == 0


class Prints(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        print("a batch")
        return self.fc2(self.fc1(x.flatten(1)))  # type: ignore[no-any-return]


class Reads(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        x = self.fc1(x.flatten(1))
        return self.fc2(x if x.sum().item() > 0 else 2 * x)  # type: ignore[no-any-return]


class Draws(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(x.flatten(1)) * float(numpy.random.rand()))  # type: ignore[no-any-return]


class CountsInSecret(AsInTheExam):
    _calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self._calls += 1
        x = self.fc2(self.fc1(x.flatten(1)))
        return x if self._calls <= 60 else 0.1 * x


class Remembers(AsInTheExam):
    def __init__(self) -> None:
        super().__init__()
        self.seen = torch.zeros(())

    def forward(self, x: Tensor) -> Tensor:
        self.seen += 1
        return self.fc2(self.fc1(x.flatten(1)))  # type: ignore[no-any-return]


class Holds(AsInTheExam):
    def __init__(self) -> None:
        super().__init__()
        self.kept = (0, _Late())

    def forward(self, x: Tensor) -> Tensor:
        self.kept[1].append(0)
        return self.fc2(self.fc1(x.flatten(1)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (Residual, ""),
        (Counts, "keeps values of its own"),
        (CountsInSecret, "keeps values of its own"),
        (Remembers, "keeps values of its own"),
        (Holds, "keeps values of its own"),
        (Prints, "prints"),
        (Reads, "not permitted when stream is capturing"),
        (Draws, "random numbers on the CPU"),
    ],
)
def test_a_custom_network_is_recorded_only_if_it_does_nothing_else(
    network: type[nn.Module], told: str, few: Dataset, recorded: RecordedGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = _plainly(monkeypatch, network, few, fused=True, device="auto")
    torch.manual_seed(0)
    ours = Trained(network, few, fused=True, device="auto")
    if told:
        assert told in " ".join(ours.told)
        assert recorded.replays == 0
    else:
        assert not ours.told
        assert recorded.replays == COMPARED + 3 * 4
    if network is not Draws:
        assert ours.losses == plain.losses
    for name in ("calls", "_calls", "seen"):
        assert getattr(ours.network, name, 15) == 15  # those of the comparison do not count


class DecidesLate(AsInTheExam):
    def forward(self, x: Tensor) -> Tensor:
        LATE.append(0)
        x = self.fc1(x.flatten(1))
        return self.fc2(x if LATE.count(0) < 100 else -x)  # type: ignore[no-any-return]


class _Late:
    """A counter outside of the network, of no kind that is looked at."""

    def __init__(self) -> None:
        self.calls = 0

    def append(self, _value: int) -> None:
        self.calls += 1

    def count(self, _value: int) -> int:
        return self.calls


LATE = _Late()


def test_a_custom_network_that_decides_otherwise_later_is_found_later(few: Dataset, recorded: RecordedGraphs) -> None:
    LATE.calls = 80
    ours = Trained(DecidesLate, few, fused=True, device="auto", epochs=30)
    (told,) = ours.told
    assert "after 100 batches" in told
    assert 100 <= recorded.replays < 115


class FusedByTorch:
    """What `FusedStep` does, by torch's operations instead of its kernels: on flat tensors, beside the optimizer."""

    factor = 1.0

    def __init__(self, network: nn.Module, batches: Batches, optimizer: FusedAdam, size: int, precision: str) -> None:
        del size, precision
        self._network, self._batches, self._optimizer = network, batches, optimizer
        self._flat = FlatState(network, optimizer, with_rounded=False)
        self.refresh = self._flat.regather

    def __call__(self, indices: Tensor) -> Tensor:
        images, labels = self._batches.take(indices)
        loss = functional.cross_entropy(self._network(images), labels)
        gradients = [self.factor * each for each in torch.autograd.grad(loss, list(self._network.parameters()))]
        flat = self._flat
        parameters, averages, squares = (
            list(flat.named(each).values()) for each in (flat.parameters, flat.averages, flat.squares)
        )
        with torch.no_grad():
            flat.counts.add_(1)
            group = self._optimizer.param_groups[0]
            fused_adam(group, parameters, gradients, averages, squares, list(flat.counts))
        return loss.detach()


@pytest.fixture
def fused_by_torch(recorded: RecordedGraphs, monkeypatch: pytest.MonkeyPatch) -> RecordedGraphs:
    monkeypatch.setattr(choose, "FusedStep", FusedByTorch)
    return recorded


FUSED: dict[str, Any] = {"fused": True, "device": "auto"}


@pytest.mark.parametrize("name", ["RN_1", pytest.param("RN_2", marks=pytest.mark.alike)])
def test_a_fused_step_is_recorded_beside_the_plain_one_and_follows_what_is_changed(
    name: str, few: Dataset, fused_by_torch: RecordedGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plain one takes each epoch's last batch, which is smaller, on the parameters that the fused one moved."""

    def make() -> nn.Module:
        return built(name)

    def look(epoch: int, step: int) -> Request:
        return Request(lr=0.0003) if (epoch, step) == (2, 2) else NOTHING

    plain = _plainly(monkeypatch, make, few, look=look)
    ours = Trained(make, few, look=look, **FUSED)
    assert not ours.told
    assert ours.losses == pytest.approx(plain.losses, rel=1e-4)
    assert fused_by_torch.replays == 3 * COMPARED + 3 * 4  # the recorded one twice, the fused one once
    first = ours.saved[0]  # of the first epoch's end or, on a machine that takes seconds for it, of a batch before
    rest = Trained(make, few, resume_from=first, look=look, **FUSED)
    assert rest.losses == pytest.approx(ours.losses[5 * (first["epoch"] - 1) + first["step"] :], rel=1e-6)


def test_a_fused_step_that_computes_something_else_is_not_used(
    few: Dataset, fused_by_torch: RecordedGraphs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FusedByTorch, "factor", 1.01)
    plain = _plainly(monkeypatch, CHAINS["RN_1"][0], few)
    ours = Trained(CHAINS["RN_1"][0], few, **FUSED)
    assert ours.losses == pytest.approx(plain.losses, rel=1e-4)
    (told,) = ours.told
    assert "differs from the plain one by" in told
    assert fused_by_torch.replays > 3 * 4  # recorded all the same


def test_fused_steps_on_a_device_that_has_none_are_said_to_be_the_usual_ones(few: Dataset) -> None:
    (told,) = Trained(VARIANTS["RN_1"], few, **FUSED).told
    assert "NVIDIA GPUs" in told
