"""The same seed gives the same run, stopped and resumed or not, whatever a custom network computes with."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.config import RunConfig, check_new
from core.messages import InvalidSetting
from core.runs import directory
from core.runs.directory import FollowedRun, Run
from core.training.load_trained import DatasetCache, load_network
from core.training.robustness import accuracy
from core.worker import threads
from core.worker.carry_out import carry_out
from tests.core.runs.run_files import checkpoints_of
from tests.core.training.own_files import model_in
from tests.core.training.sample_runs import after_batches, batch_losses, carried_out, configuration

pytestmark = pytest.mark.usefixtures("one_thread")

DRAWN_WITH_NUMPY = """
        self.fc = nn.Linear(784, 10)
        with torch.no_grad():
            self.fc.weight.copy_(torch.from_numpy(numpy.random.randn(10, 784) / 28) * random.random())

    def forward(self, x):
        return self.fc(x.flatten(1))
"""
NOISY = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        if self.training:
            x = x * random.uniform(0.9, 1.1) + float(numpy.random.normal(0, 0.1)) + 0.1 * torch.rand_like(x)
        return self.fc(x.flatten(1))
"""
BUFFERS = """
        self.fc = nn.Linear(784, 10)
        self.register_buffer("mean", torch.zeros(784), persistent=False)
        self.register_buffer("late", None, persistent=False)

    def forward(self, x):
        x = x.flatten(1)
        if self.training:
            self.mean.lerp_(x.mean(0), 0.1)
            self.late = x.std() if self.late is None else 0.9 * self.late + 0.1 * x.std()
        return self.fc((x - self.mean) / (1 if self.late is None else self.late))
"""
SHARED_BUFFERS = """
        self.fc, self.one, self.other = nn.Linear(784, 10), nn.Identity(), nn.Identity()
        mean = torch.zeros(784)
        self.one.register_buffer("mean", mean, persistent=False)
        self.other.register_buffer("mean", mean, persistent=False)
        self.register_buffer("scale", torch.full((1,), 0.5).expand(784))
        self.register_buffer("reorder", torch.eye(784).flip(0).to_sparse())

    def forward(self, x):
        x = x.flatten(1) @ self.reorder
        if self.training:
            self.one.mean.lerp_(x.mean(0), 0.1)
        return self.fc((x - self.other.mean) * self.scale)
"""
SIZED_IN_TRAINING = """
        self.fc = nn.Linear(784, 10)
        self.register_buffer("mean", torch.zeros(0))

    def forward(self, x):
        x = x.flatten(1)
        if self.training and not len(self.mean):
            self.mean = x.mean(0).detach()
        return self.fc(x - self.mean) if len(self.mean) else self.fc(x)
"""
LEFT_ALONE = """
        self.fc1, self.fc2, self.unused = nn.Linear(784, 20), nn.Linear(20, 10), nn.Linear(3, 3)
        self.fc1.requires_grad_(False)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))
"""
EVERY_SECOND_COLUMN = """
        self.weight = nn.Parameter((torch.randn(784, 20) / 28)[:, ::2])

    def forward(self, x):
        return x.flatten(1) @ self.weight
"""


def test_the_same_seed_draws_the_same_whichever_generator_it_comes_from(tmp_path: Path) -> None:
    model = model_in(tmp_path, DRAWN_WITH_NUMPY)
    first, again, other = (batch_losses(carried_out(tmp_path, model=model, epochs=1, seed=s)) for s in (3, 3, 4))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    "body",
    [NOISY, BUFFERS, SHARED_BUFFERS, LEFT_ALONE, SIZED_IN_TRAINING],
    ids=["noise", "buffers", "shared buffers", "frozen and unused parameters", "a buffer sized in training"],
)
def test_a_resumed_run_is_the_run_never_stopped(body: str, tmp_path: Path) -> None:
    model = model_in(tmp_path, body)
    whole = carried_out(tmp_path, model=model)
    resumed = carried_out(tmp_path, after_batches(80), model=model)
    assert resumed.state() == "stopped"
    carry_out(resumed, lambda _event: None, lambda: False)
    assert batch_losses(resumed) == batch_losses(whole)
    assert [_result(run) for run in (resumed, whole)] == [accuracy_again(run) for run in (resumed, whole)]


def test_a_checkpoint_does_not_decide_how_adam_is_computed(tmp_path: Path) -> None:
    """Older versions took the fused kernel for parameters that it writes to in the wrong places."""
    model = model_in(tmp_path, EVERY_SECOND_COLUMN)
    whole = carried_out(tmp_path, model=model)
    resumed = carried_out(tmp_path, after_batches(80), model=model)
    checkpoints = checkpoints_of(resumed)
    content = torch.load(checkpoints[-1])
    for path in checkpoints:
        path.unlink()
    content["state"]["optimizer"]["param_groups"][0]["fused"] = True
    torch.save(content, resumed.path / "checkpoint.pt")
    carry_out(resumed, lambda _event: None, lambda: False)
    assert batch_losses(resumed) == batch_losses(whole)


def _result(run: Run) -> float | None:
    return run.summary().accuracy


def accuracy_again(run: Run) -> float:
    """Return the accuracy of the network as it is loaded from the run."""
    cache = DatasetCache(lambda _message: None, lambda _message, _share: None, lambda: False)
    return accuracy(load_network(run), cache.of(run), None, permute=False)


def test_a_seed_too_great_is_refused_but_an_old_run_with_one_goes_on(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="4294967295"):
        directory.create(tmp_path, configuration(seed=2**32))
    old = directory.create(tmp_path, configuration(seed=5))
    path = old.path / "config.json"
    path.write_text(path.read_text().replace('"seed": 5', f'"seed": {2**40 + 5}'))
    carry_out(old, lambda _event: None, after_batches(70))
    assert carry_out(old, lambda _event: None, lambda: False).status == "done"
    # torch takes a seed's last 32 bits
    assert batch_losses(old) == batch_losses(carried_out(tmp_path, seed=5))


def test_exact_is_refused_in_another_precision() -> None:
    with pytest.raises(InvalidSetting, match="bf16"):
        check_new(RunConfig(exact=True, precision="bf16"))


def test_exact_takes_the_threads_of_the_exam_s_program_and_other_runs_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_TORCH_DEFAULT", 16)
    monkeypatch.setattr("core.training.devices.usable_cores", lambda: 16)
    exact = directory.create(tmp_path, configuration(threads=0, exact=True))
    assert threads.for_run(exact, exact.config(), 0) == 16
    other = directory.create(tmp_path, configuration(threads=0))
    assert threads.for_run(other, other.config(), 0) == 4


BREAKS = """
        self.fc, self.calls = nn.Linear(784, 10), 0

    def forward(self, x):
        x = self.fc(x.flatten(1))
        if self.training:
            self.calls += 1
            if self.calls == 63:  # the last batch
                x = x + torch.sqrt(torch.zeros_like(x) * self.fc.bias)
        return x
"""
UNUSED = """
        self.fc, self.unused = nn.Linear(784, 10), nn.Parameter(torch.full((3,), float("nan")))

    def forward(self, x):
        return self.fc(x.flatten(1))
"""


def test_parameters_that_are_not_finite_at_the_end_are_a_divergence(tmp_path: Path) -> None:
    followed = FollowedRun(carried_out(tmp_path, model=model_in(tmp_path, BREAKS), epochs=1))
    followed.read()
    assert followed.record.ended is not None
    assert followed.record.ended.status == "diverged"
    assert "epoch 1, batch 63" in str(followed.record.ended.message)
    assert followed.record.evaluated is None
    unused = carried_out(tmp_path, model=model_in(tmp_path / "unused", UNUSED), epochs=1)
    assert unused.state() == "done"


def test_a_run_that_has_learned_nothing_says_so_and_what_to_try(tmp_path: Path) -> None:
    def end(**settings: object) -> str:
        config = configuration(**{"epochs": 1, **settings})
        ended = carry_out(directory.create(tmp_path, config), lambda _: None, lambda: False)
        assert ended.status == "done"
        return f"{ended.message} {ended.advice}"

    assert "learned nothing" in end(lr=10)
    assert "Try a lower learning rate." in end(lr=10)
    assert "Try a lower learning rate." in end(lr=10, epochs=3)  # by then it guesses
    assert "Try a higher learning rate, or more epochs." in end(lr=1e-9)
    assert end() == "None None"
