"""Runs trained at once: each step is that of the run alone up to rounding, and no run disturbs another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from core.config import Architecture
from core.data.datasets import Dataset
from core.networks.build import build_network
from core.randomness import seed_all
from core.runs.control import NOTHING, Request
from core.runs.events import CheckpointSaved, EpochEnded, Event, Progress, RunEnded, SettingsChanged, Validated
from core.training import together
from core.training.loop import Checkpoint, train
from core.training.member import Member
from core.training.stacked import Stack
from core.training.together import train_together
from tests.core.training.sample_runs import configuration

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"model": "RN_2"},
    {"model": "RN_2", "dropout": 0.2, "batch_norm": True, "width": 0.25},
)
PARTS: tuple[dict[str, Any], ...] = ({"dropout": 0.3}, {"batch_norm": True})
ROUNDING_ALONE = 5e-2
"""Rounding in what Adam keeps of RN_2 with batch normalisation where it is trained alone: torch's kernel for the layout
that it has there adds 50,000 numbers one by one. From those in double, its gradients differ by 2e-3, ours by 1e-6.
"""
STOP = Request(stop=True)


@pytest.fixture(scope="module")
def few(sample: Dataset) -> Dataset:
    """Return the sample with 150 training images: three batches, the last of them smaller."""
    return replace(
        sample,
        train_images=sample.train_images[:150],
        train_labels=sample.train_labels[:150],
        validation_images=sample.train_images[200:300],
        validation_labels=sample.train_labels[200:300],
    )


@pytest.fixture(autouse=True)
def _told_at_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PROGRESS_INTERVAL_S", 0.0)
    monkeypatch.setattr(together, "MAX_TELLING_SHARE", float("inf"))
    monkeypatch.setattr(together, "HOLD_LOOK_S", 0.0)


class Runs:
    """Runs that are trained at once, their states after every batch, and their events."""

    def __init__(self, few: Dataset, seeds: Iterable[int], **settings: Any) -> None:
        self._few, self._settings = few, settings
        self.members: dict[int, Member] = {}
        self.states: dict[int, dict[tuple[int, int], Checkpoint]] = {}
        self.networks: dict[int, nn.Module] = {}
        self.events: dict[int, list[Event | None]] = {}
        self.saved: dict[int, list[Checkpoint]] = {}
        self.answers: dict[int, Callable[[int, int], Request]] = {}
        for seed in seeds:
            self.add(seed)

    def add(self, seed: int, resume_from: Checkpoint | None = None, **settings: Any) -> None:
        config = configuration(**{"seed": seed, **self._settings, **settings})
        seed_all(seed)
        states: dict[tuple[int, int], Checkpoint] = self.states.setdefault(seed, {})
        saved: list[Checkpoint] = self.saved.setdefault(seed, [])

        def look(epoch: int, step: int) -> Request:
            def keep(state: Checkpoint) -> None:
                states[epoch, step] = state

            list(self.members[seed].checkpoint(epoch, step, keep))
            answer = self.answers.get(seed)
            return NOTHING if answer is None else answer(epoch, step)

        network = self.networks[seed] = build_network(config.architecture)
        self.members[seed] = Member(
            network, self._few, config, CPU, resume_from=resume_from, save=saved.append, look=look
        )
        self.events[seed] = []

    def train(self) -> Runs:
        seeds = {member: seed for seed, member in self.members.items()}
        for member, event in train_together(list(self.members.values())):
            self.events[seeds[member]].append(event)
        return self

    def losses(self, seed: int) -> list[float | None]:
        return [loss for event in self.events[seed] if isinstance(event, Progress) for loss in event.losses]

    def alone(self, seed: int, resume_from: Checkpoint, **settings: Any) -> tuple[Checkpoint, list[Event]]:
        """Take one step in a run alone that goes on from a state; return its state then, and its events."""
        config = configuration(**{"seed": seed, **self._settings, **settings})
        saved: list[Checkpoint] = []
        events = list(
            train(
                build_network(config.architecture),
                self._few,
                config,
                CPU,
                resume_from=resume_from,
                save=saved.append,
                look=lambda _epoch, _step: STOP,
            )
        )
        return saved[-1], events


def tensors(state: Checkpoint) -> dict[str, Tensor]:
    """Return what a step changes, by name, with the averages of Adam."""
    names = list(state["network"])
    averages = {
        f"{index}.{name}": value for index, each in state["optimizer"]["state"].items() for name, value in each.items()
    }
    return {name: state["network"][name] for name in names} | averages


def distance(one: Tensor, other: Tensor, scale: Tensor | None = None) -> float:
    """Return the distance of two tensors, relative to the length of the second or of a `scale`."""
    length = (other if scale is None else scale).double().norm()
    return float((one.double() - other.double()).norm() / length.clamp_min(1e-30))


def without_effect(network: nn.Module) -> set[str]:
    """Return the biases that batch normalisation takes away again: what they learn is rounding."""
    layers = list(network.named_children())
    found = set()
    for (name, _layer), (_next, following) in pairwise(layers):
        if isinstance(following, nn.BatchNorm1d | nn.BatchNorm2d):
            found.add(f"{name}.bias")
    parameters = [name for name, _parameter in network.named_parameters()]
    numbers = {f"{parameters.index(name)}.{average}" for name in found for average in ("exp_avg", "exp_avg_sq")}
    return found | numbers


def _forget_rounding(network: nn.Module, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Pass over parameters whose gradient is nothing but rounding, which Adam makes as large as any other.

    Batch normalisation takes away what a pixel adds that is the same in the whole batch.
    """
    for index, (name, _parameter) in enumerate(network.named_parameters()):
        average = expected[f"{index}.exp_avg"].abs()
        is_rounding = average < 1e-3 * average.max()
        found[name] = torch.where(is_rounding, expected[name], found[name])


@pytest.mark.parametrize(
    "variant", [*VARIANTS, *(pytest.param(each, marks=pytest.mark.alike) for each in PARTS)], ids=str
)
def test_each_step_is_that_of_the_run_alone_from_the_same_state(variant: dict[str, Any], few: Dataset) -> None:
    runs = Runs(few, (3, 4, 5), epochs=2, **variant).train()
    network = build_network(configuration(**variant).architecture)
    left_out = without_effect(network)
    tolerance = ROUNDING_ALONE if variant.get("batch_norm") and variant.get("model") == "RN_2" else 1e-5
    for seed, states in runs.states.items():
        at = list(states)
        assert at == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
        for before, after in pairwise(at):
            state, events = runs.alone(seed, states[before])
            (progress,) = [event for event in events if isinstance(event, Progress)]
            assert (state["epoch"], state["step"]) == after
            number = [*at].index(after)
            assert progress.losses[-1] == pytest.approx(runs.losses(seed)[number], rel=tolerance)
            expected, found = tensors(state), tensors(states[after])
            assert found.keys() == expected.keys()
            assert torch.equal(state["rng_state"], states[after]["rng_state"])
            assert torch.equal(state["order_state"], states[after]["order_state"])
            if variant.get("batch_norm"):
                _forget_rounding(network, found, expected)
            for name in found.keys() - left_out:
                scale = expected[name.replace("running_mean", "running_var")].sqrt() if "mean" in name else None
                assert distance(found[name], expected[name], scale) < tolerance, (seed, after, name)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_in_double_the_steps_agree_to_ten_digits(variant: dict[str, Any], few: Dataset) -> None:
    """Against torch's own layers, loss and Adam, with other learning rates for the networks."""
    architecture = Architecture(**variant)
    networks: list[nn.Module] = []
    alone: list[nn.Module] = []
    optimizers: list[torch.optim.Adam] = []
    adams: list[torch.optim.Adam] = []
    generators: list[torch.Generator] = []
    for seed, lr in enumerate((1e-3, 1e-2, 1e-3)):
        for found, made in ((networks, optimizers), (alone, adams)):
            seed_all(seed)
            found.append(build_network(architecture).double())
            made.append(torch.optim.Adam(found[-1].parameters(), lr=lr))
        generators.append(torch.Generator())
        generators[-1].set_state(torch.get_rng_state())
    own = [generator.get_state() for generator in generators]
    stack = Stack(networks, optimizers, generators)
    images = (few.train_images.double() / 255).view(3, 50, 28, 28)
    labels = few.train_labels.view(3, 50)
    left_out = without_effect(networks[0])
    for step in range(3):
        losses = stack.step(images.roll(step, 1), labels.roll(step, 1), nullcontext())
        for index, network in enumerate(alone):
            torch.set_rng_state(own[index])
            adams[index].zero_grad()
            loss = nn.functional.cross_entropy(
                network(images[index].roll(step, 0).unsqueeze(1)), labels[index].roll(step, 0)
            )
            loss.backward()
            adams[index].step()
            own[index] = torch.get_rng_state()
            assert float(losses[index]) == pytest.approx(float(loss.detach()), rel=1e-10)
            state = networks[index].state_dict()
            for name, expected in network.state_dict().items():
                if name in left_out:
                    with torch.no_grad():
                        expected.copy_(state[name])  # so that it is the same state again
                assert distance(state[name], expected) < 1e-10, (step, index, name)


def test_events_are_those_of_a_run_alone(few: Dataset) -> None:
    runs = Runs(few, (3, 4), epochs=2, validate=True, patience=1).train()
    config = configuration(seed=3, epochs=2, validate=True, patience=1)
    seed_all(3)
    alone = list(train(build_network(config.architecture), few, config, CPU, save=lambda _state: None))
    kinds = [type(event) for event in runs.events[3] if event is not None and not isinstance(event, Progress)]
    assert kinds == [type(event) for event in alone if not isinstance(event, Progress)]
    assert runs.events[3][-1] is None
    losses = [loss for event in alone if isinstance(event, Progress) for loss in event.losses]
    assert runs.losses(3) == pytest.approx(losses, rel=1e-4)
    for kind in (EpochEnded, Validated):
        ours, theirs = ([each for each in found if isinstance(each, kind)] for found in (runs.events[3], alone))
        assert [each.loss for each in ours] == pytest.approx([each.loss for each in theirs], rel=1e-3)
    assert [state["step"] for state in runs.saved[4]] == [3, 3]


def test_a_run_that_diverges_takes_no_other_with_it(few: Dataset) -> None:
    """The others are to the last bit what they are beside a run that does not diverge."""
    with_sound, with_poisoned = (Runs(few, (1, 2, 3, 4), epochs=2) for _ in range(2))
    with_sound.train()
    with torch.no_grad():
        next(with_poisoned.networks[2].parameters())[0, 0] = torch.nan
    with_poisoned.train()
    *_, ended = with_poisoned.events[2]
    assert isinstance(ended, RunEnded)
    assert ended.status == "diverged"
    assert with_poisoned.losses(2) == [None]
    for seed in (1, 3, 4):
        assert with_poisoned.losses(seed) == with_sound.losses(seed)
        assert None not in with_poisoned.losses(seed)
        ours, theirs = with_poisoned.states[seed][2, 3], with_sound.states[seed][2, 3]
        assert all(torch.equal(value, tensors(theirs)[name]) for name, value in tensors(ours).items())


def test_runs_of_different_progress_meet(few: Dataset) -> None:
    """One whose checkpoint is older catches up; then all go on together, each as it would have."""
    whole = Runs(few, (1, 2, 3), epochs=2).train()
    met = Runs(few, (), epochs=2)
    met.add(1, whole.states[1][1, 2])
    met.add(2)
    met.add(3, whole.states[3][2, 1])
    met.train()
    first = next(event for event in met.events[1] if isinstance(event, Progress))
    assert (first.epoch, first.step) == (1, 3)
    for seed in (1, 2, 3):
        assert list(met.states[seed])[-1] == (2, 3)
        assert met.events[seed][-1] is None
        expected = whole.losses(seed)[-len(met.losses(seed)) :]
        assert met.losses(seed) == pytest.approx(expected, rel=1e-5)


def test_one_is_stopped_and_another_paused_and_changed_while_the_others_go_on(few: Dataset) -> None:
    runs = Runs(few, (1, 2, 3), epochs=2)
    looks = iter(range(100))
    runs.answers[1] = lambda epoch, step: STOP if (epoch, step) == (1, 2) else NOTHING
    runs.answers[2] = lambda epoch, step: (
        Request(paused=True)
        if (epoch, step) == (1, 2) and next(looks) < 3
        else Request(lr=0.01)
        if (epoch, step) == (2, 1)
        else NOTHING
    )
    runs.train()
    stopped = [event for event in runs.events[1] if event is not None][-2:]
    assert stopped[0] == CheckpointSaved(epoch=1, step=2, time=stopped[0].time)
    assert isinstance(stopped[1], RunEnded)
    assert stopped[1].status == "stopped"
    changes = [event for event in runs.events[2] if isinstance(event, SettingsChanged)]
    assert [(change.epoch, change.step, change.paused, change.lr) for change in changes] == [
        (1, 2, True, None),
        (1, 2, False, None),
        (2, 1, None, 0.01),
    ]
    for seed in (2, 3):
        assert list(runs.states[seed]) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
        assert runs.events[seed][-1] is None
    state, _events = runs.alone(2, runs.states[2][2, 1], lr=0.01)
    assert distance(tensors(runs.states[2][2, 2])["fc1.weight"], tensors(state)["fc1.weight"]) < 1e-5


def test_a_checkpoint_holds_nothing_of_the_other_runs(few: Dataset) -> None:
    runs = Runs(few, (1, 2, 3), epochs=1, validate=True, patience=1).train()
    assert runs.saved[2][-1]["best"] is not None
    for value in tensors(runs.saved[2][-1]).values():
        assert value.untyped_storage().nbytes() == value.nbytes
