"""The trial of a custom network before its run: what is tried is what trains."""

from __future__ import annotations

import random
from pathlib import Path

import numpy
import pytest
import torch

from core.data import datasets
from core.messages import Problem
from core.runs.directory import Run
from core.training.load_trained import load_network
from core.training.robustness import accuracy
from core.training.trial import Remarks, try_out
from tests.core.training.own_files import model_in
from tests.core.training.sample_runs import carried_out, configuration

CPU = torch.device("cpu")
TRAIN_SIZE = 4000

CONVOLUTIONS = """
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d({channels}, 16, 3, padding=1)
        self.norm, self.pool, self.fc1 = nn.BatchNorm2d({normed}), nn.MaxPool2d(2), nn.Linear({features}, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        return self.fc1(torch.flatten(self.pool(torch.relu(self.norm(self.conv2(x)))), 1))
"""
NORMED = """
        self.fc1, self.norm, self.fc2 = nn.Linear(784, 32), nn.BatchNorm1d(32), nn.Linear(32, 10)

    def forward(self, x):
        return self.fc2(torch.relu(self.norm(self.fc1(x.flatten(1)))))
"""
IN_PLACE = """
        self.fc1, self.fc2 = nn.Linear(784, 32), nn.Linear(32, 10)

    def forward(self, x):
        x = self.fc1(x.flatten(1)).exp()
        return self.fc2(x.mul_(2))
"""
FP32_ONLY = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        x = self.fc(x.flatten(1))
        assert x.dtype == torch.float32
        return x
"""
EXITS = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        if len(x) == 64:
            raise SystemExit(3)
        return self.fc(x.flatten(1))
"""
UNREADABLE = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        class Unreadable(Exception):
            def __str__(self):
                raise ValueError

        if len(x) == 64:
            raise Unreadable
        return self.fc(x.flatten(1))
"""
COMPILED = """
        self.fc = torch.jit.script(nn.Linear(784, 10))

    def forward(self, x):
        return self.fc(x.flatten(1))
"""
CATCHES = """
        self.fc1, self.fc2 = nn.Linear(3, 10), nn.Linear(784, 10)

    def forward(self, x):
        try:
            x = self.fc1(x.flatten(1))
        except RuntimeError:
            x = self.fc2(x.flatten(1))
        return x.view(len(x), 11)
"""
SPARSE = """
        self.fc, self.sparse = nn.Linear(784, 10), nn.Parameter(torch.eye(784).to_sparse())

    def forward(self, x):
        return self.fc(torch.sparse.mm(self.sparse, x.flatten(1).t()).t())
"""
FEW_TEST_IMAGES = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        assert self.training or len(x) < 10, "too many"
        return self.fc(x.flatten(1))
"""
AT_MOST_64 = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        assert len(x) <= 64, "more than 64"
        return self.fc(x.flatten(1))
"""
EXTRA_STATE = """
        self.fc, self.seen = nn.Linear(784, 10), numpy.zeros(3)

    def get_extra_state(self):
        return self.seen

    def set_extra_state(self, state):
        self.seen = state

    def forward(self, x):
        return self.fc(x.flatten(1))
"""
EXITS_LATE = """
        self.fc, self.steps = nn.Linear(784, 10), 0

    def forward(self, x):
        self.steps += self.training
        if self.steps == 10:
            raise SystemExit(0)
        return self.fc(x.flatten(1))
"""
BAD_BUFFER = """
        self.fc, self.steps = nn.Linear(784, 10), 0
        self.register_buffer("mean", torch.zeros(784))

    def forward(self, x):
        self.steps += self.training
        if self.steps == 10:
            self.mean.fill_(torch.nan)
        return self.fc(x.flatten(1) - (0 if self.training else self.mean))
"""
COMPLEX_DOUBLE = """
        self.weight = nn.Parameter(torch.randn(784, 10, dtype=torch.cdouble) / 28)

    def forward(self, x):
        return (x.flatten(1).to(torch.cdouble) @ self.weight).abs().float()
"""
ARGUMENTS = """

import argparse

parser = argparse.ArgumentParser()
parser.add_argument("--hidden", type=int, default=3)
assert parser.parse_args().hidden == 3
"""
SOFTMAX = """
        self.fc = nn.Linear(784, 10)

    def forward(self, x):
        return self.fc(x.flatten(1)).softmax(1)
"""
OWN_GENERATOR = """
        self.fc, self.generator, self.calls = nn.Linear(784, 10), torch.Generator(), 0

    def forward(self, x):
        if self.training:
            self.calls += 1
            x = x + torch.rand(1, generator=self.generator)
        return self.fc(x.flatten(1))
"""
SEEDS_AND_DRAWS = """
        self.fc, self.noise = nn.Linear(784, 10), float(numpy.random.rand())

    def forward(self, x):
        return self.fc(x.flatten(1) * random.random() + torch.rand(1) + self.noise)
"""


def refused(folder: Path, body: str, **settings: object) -> str:
    config = configuration(model=model_in(folder, body), **settings)
    with pytest.raises(Problem) as caught:
        try_out(config, CPU, TRAIN_SIZE)
    text = str(caught.value)
    assert "\n" not in text
    assert "{" not in text
    return text


def test_sizes_that_do_not_fit_are_explained_with_the_layers_before(tmp_path: Path) -> None:
    said = refused(tmp_path, CONVOLUTIONS.format(channels=8, normed=16, features=64))
    assert "net.py:17: Net fails: fc1 was given 784 = 16·7·7 values, and takes 64" in said
    assert "Write nn.Linear(784, …)." in said
    assert said.endswith("conv1 8×28×28, pool 8×14×14, conv2 16×14×14, norm 16×14×14, pool 16×7×7.")
    said = refused(tmp_path, CONVOLUTIONS.format(channels=4, normed=16, features=784))
    assert "net.py:17: Net fails: conv2 was given 8 channels, and takes 4 Write nn.Conv2d(8, …)." in said
    said = refused(tmp_path, CONVOLUTIONS.format(channels=8, normed=8, features=784))
    assert "norm was given 16 channels, and takes 8 Write nn.BatchNorm2d(16, …)." in said


def test_a_layer_whose_error_the_network_catches_is_not_to_blame(tmp_path: Path) -> None:
    said = refused(tmp_path, CATCHES)
    assert "Net fails on images of 1×28×28: RuntimeError: shape '[2, 11]'" in said
    assert said.endswith("Called before: fc2 10.")


def test_a_network_that_ends_the_program_is_refused(tmp_path: Path) -> None:
    assert "net.py:16: Net fails in a training step on a batch of 64: SystemExit: 3" in refused(tmp_path, EXITS)


def test_an_error_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert refused(tmp_path, UNREADABLE).endswith("fails in a training step on a batch of 64: Unreadable")


def test_a_layer_that_torch_has_compiled_trains(tmp_path: Path) -> None:
    assert try_out(configuration(model=model_in(tmp_path, COMPILED)), CPU, TRAIN_SIZE) == Remarks()


def test_parameters_that_adam_refuses_are_refused_in_its_words(tmp_path: Path) -> None:
    assert "RuntimeError: Adam does not support sparse gradients" in refused(tmp_path, SPARSE)


def test_the_size_of_the_last_batch_is_tried(tmp_path: Path) -> None:
    said = refused(tmp_path, NORMED, batch_size=129)
    assert "net.py:15: Net fails in a training step on a batch of 1: ValueError: " in said
    assert "The last batch of 4000 images has 1: choose another batch size, such as 128." in said
    assert try_out(configuration(model=model_in(tmp_path, NORMED), batch_size=128), CPU, TRAIN_SIZE) == Remarks()


def test_the_gradients_are_tried_too_and_the_line_is_named(tmp_path: Path) -> None:
    assert "net.py:15: Net fails in a training step on a batch of 64: RuntimeError: " in refused(tmp_path, IN_PLACE)


def test_the_precision_is_tried_too(tmp_path: Path) -> None:
    assert try_out(configuration(model=model_in(tmp_path, FP32_ONLY)), CPU, TRAIN_SIZE) == Remarks()
    assert refused(tmp_path, FP32_ONLY, precision="bf16").endswith("It trains with the precision fp32.")


def test_the_test_is_tried_too(tmp_path: Path) -> None:
    assert "net.py:15: Net fails on test images: AssertionError: too many" in refused(tmp_path, FEW_TEST_IMAGES)


def test_a_softmax_at_the_end_is_pointed_out_and_only_that(tmp_path: Path) -> None:
    remarks = try_out(configuration(model=model_in(tmp_path, SOFTMAX)), CPU, TRAIN_SIZE)
    assert "net.py:Net are probabilities" in str(remarks.of_result)
    log_softmax = SOFTMAX.replace(".softmax", ".log_softmax")  # a second one changes nothing
    assert try_out(configuration(model=model_in(tmp_path, log_softmax)), CPU, TRAIN_SIZE) == Remarks()


def test_a_softmax_only_in_the_test_or_only_in_the_training(tmp_path: Path) -> None:
    whole = "self.fc(x.flatten(1)).softmax(1)"
    in_test = SOFTMAX.replace(f"return {whole}", f"return self.fc(x.flatten(1)) if self.training else {whole}")
    assert try_out(configuration(model=model_in(tmp_path, in_test)), CPU, TRAIN_SIZE) == Remarks()
    in_training = in_test.replace("if self.training", "if not self.training")
    assert try_out(configuration(model=model_in(tmp_path, in_training)), CPU, TRAIN_SIZE).of_result is not None


@pytest.mark.parametrize(
    "noise",
    [
        "torch.rand(1, generator=self.generator)",
        "self.calls / 10",
        "0.001 * self.calls",
        "numpy.random.default_rng().random(dtype=numpy.float32)",
    ],
)
def test_what_a_checkpoint_cannot_keep_is_pointed_out(tmp_path: Path, noise: str) -> None:
    body = OWN_GENERATOR.replace("torch.rand(1, generator=self.generator)", noise)
    remarks = try_out(configuration(model=model_in(tmp_path, body)), CPU, TRAIN_SIZE)
    assert "net.py:Net computes with something that is neither a parameter nor a buffer" in str(remarks.of_resuming)


@pytest.mark.parametrize("noise", ["torch.rand(1)", "random.random()", "float(numpy.random.rand())", "0 * self.calls"])
def test_what_a_checkpoint_keeps_is_not_pointed_out(tmp_path: Path, noise: str) -> None:
    body = OWN_GENERATOR.replace("torch.rand(1, generator=self.generator)", noise)
    assert try_out(configuration(model=model_in(tmp_path, body)), CPU, TRAIN_SIZE) == Remarks()


def test_a_network_is_tested_in_batches_as_large_as_it_was_trained_in(tmp_path: Path) -> None:
    run = carried_out(tmp_path / "runs", model=model_in(tmp_path, AT_MOST_64), epochs=1)
    assert run.state() == "done"
    assert len(accuracies_again(run)) == 1
    assert "more than 64" in refused(tmp_path, AT_MOST_64, batch_size=65)


def test_a_state_that_a_checkpoint_cannot_keep_is_refused(tmp_path: Path) -> None:
    assert "(ndarray) cannot be kept in a checkpoint" in refused(tmp_path, EXTRA_STATE)
    kept = EXTRA_STATE.replace("numpy.zeros(3)", "[0.0, 1.0]")
    assert try_out(configuration(model=model_in(tmp_path, kept)), CPU, TRAIN_SIZE) == Remarks()


def test_a_network_that_ends_the_program_in_mid_run_fails(tmp_path: Path) -> None:
    run = carried_out(tmp_path / "runs", model=model_in(tmp_path, EXITS_LATE), epochs=1)
    assert run.state() == "failed"
    assert "SystemExit" in str(run.summary().message)


def test_a_buffer_that_is_no_longer_finite_ends_the_run_as_diverged(tmp_path: Path) -> None:
    assert carried_out(tmp_path / "runs", model=model_in(tmp_path, BAD_BUFFER), epochs=1).state() == "diverged"


def test_complex_numbers_of_double_precision_are_kept(tmp_path: Path) -> None:
    run = carried_out(tmp_path / "runs", model=model_in(tmp_path, COMPLEX_DOUBLE), epochs=1)
    assert run.state() == "done"
    assert accuracies_again(run) == [run.summary().accuracy]


def test_a_file_that_reads_a_command_line_does_not_read_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["mnist-tui", "--hidden", "7", "layers"])
    body = SOFTMAX.replace(".softmax(1)", "") + ARGUMENTS
    model = model_in(tmp_path, body)
    assert try_out(configuration(model=model), CPU, TRAIN_SIZE) == Remarks()


def accuracies_again(run: Run) -> list[float]:
    network = load_network(run)
    data = datasets.load(
        "sample", Path("/nowhere"), notify=lambda _m: None, progress=lambda _m, _s: None, should_stop=lambda: False
    )
    return [accuracy(network, data, None, permute=False, batch_size=64)]


def test_it_leaves_the_generators_alone(tmp_path: Path) -> None:
    config = configuration(model=model_in(tmp_path, SEEDS_AND_DRAWS))

    def drawn(trial: bool) -> tuple[float, ...]:
        random.seed(1)
        numpy.random.seed(1)
        torch.manual_seed(1)
        if trial:
            try_out(config, CPU, TRAIN_SIZE)
        return random.random(), numpy.random.rand(), torch.rand(1).item()

    assert drawn(trial=True) == drawn(trial=False)
