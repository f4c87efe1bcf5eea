"""The exam's program executed step by step: it is the real one, and what it shows is what it did."""

from __future__ import annotations

import math
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torchvision import datasets

from core.catalogue import DATA_SETS
from core.config import Architecture
from core.data import raw_files
from core.data.raw_files import Found
from core.exam import stepper
from core.exam.program import CHANGES, line_of, program, with_remedies
from core.exam.program_data import ProgramData, ProgramFolders
from core.exam.stepper import Stepper
from core.exam.steps import BatchSeen, GradientSeen, LossSeen, Made, Outcome, ProgramStop, StepAction, StepSeen
from core.exam.trials import outcome
from core.messages import Problem
from core.networks.build import build_network

Open = Callable[[str], Stepper]
SOURCE = program()


@pytest.fixture
def opened(folders: ProgramFolders) -> Iterator[Open]:
    """Return a function that takes a program on the sample to its first line."""
    open_ones: list[Stepper] = []

    def begin(model: str = "RN_1") -> Stepper:
        open_ones.append(Stepper(model, folders.sample(), 1))
        return open_ones[-1]

    yield begin
    for each in open_ones:
        each.leave()


def go(program_: Stepper, *actions: StepAction, is_wanted: Callable[[], bool] = lambda: False) -> ProgramStop:
    for action in actions:
        program_.go(action, is_wanted, lambda *_where: None)
    return program_.stop


def at(stop: ProgramStop, start: str, stage: int = 2) -> Made:
    """Return what the line that begins so has made."""
    line = line_of(SOURCE, start, stage)
    return next(made for made in stop.made if made.line == line)


def seen(stop: ProgramStop, start: str, stage: int = 2) -> Any:
    return at(stop, start, stage).seen


def executed_plainly(source: str, folders: ProgramFolders) -> list[str]:
    """Execute a program without a tracer, and return what it prints."""
    lines: list[str] = []
    text = source.replace("./data", str(folders.sample().root)).replace("download=True", "download=False")
    torch.manual_seed(0)
    exec(compile(text, "plain", "exec"), {"print": lines.append, "__name__": "plain"})
    return lines


def test_traced_or_not_the_program_prints_the_same(folders: ProgramFolders, opened: Open) -> None:
    """At its end one sees its last test batch, whose images come in the order of the file."""
    stop = go(opened("RN_1"), "batch", "batch", "line", "line", "epoch", "end")
    assert list(stop.printed) == executed_plainly(program("RN_1"), folders)
    assert len(stop.printed) == 6
    assert stop.is_over
    assert stop.fault is None
    assert seen(stop, "for images", 3).places == tuple(range(960, 968))
    right, total = (at(stop, start, 3).names[0].values[0] for start in ("correct +=", "total +="))
    assert stop.printed[-1] == f"Résultat: {100 * right / total:.2f}%"


def test_lines_are_executed_one_after_another(opened: Open) -> None:
    program_ = opened("RN_1")
    assert program_.stop.line == 1
    go(program_, "batch")
    order = [program_.stop.line]
    for _step in range(9):
        order.append(go(program_, "line").line)
    names = [SOURCE.split("\n")[line - 1].split("(")[0].strip() for line in order]
    assert names == [
        "for images, labels in train_loader:",
        "images, labels = images.to",
        "optimizer.zero_grad",
        "outputs = model",
        "loss = criterion",
        "loss.backward",
        "optimizer.step",
        "running_loss += loss.item",
        "for images, labels in train_loader:",
        "images, labels = images.to",
    ]
    assert (program_.stop.epoch, program_.stop.batch, program_.stop.num_batches) == (1, 2, 63)


def test_the_batch_is_found_again_in_the_file(folders: ProgramFolders, opened: Open) -> None:
    stop = go(opened("RN_1"), "batch", "batch")
    batch = seen(stop, "for images")
    assert isinstance(batch, BatchSeen)
    file = datasets.MNIST(str(folders.sample().root), train=True)
    assert batch.places != tuple(sorted(batch.places))
    for pixels, label, place in zip(batch.pixels, batch.labels, batch.places, strict=True):
        assert np.array_equal(np.frombuffer(pixels, np.uint8).reshape(28, 28), file.data[place].numpy())
        assert label == file.targets[place]
    assert batch.low == pytest.approx((0 - 0.1307) / 0.3081)
    assert batch.high == pytest.approx((1 - 0.1307) / 0.3081)


def test_a_batch_shows_its_loss_its_gradient_and_its_step(opened: Open) -> None:
    stop = go(opened("RN_1"), "batch", "batch", "batch")
    loss, backward, step = (seen(stop, start) for start in ("loss =", "loss.backward", "optimizer.step"))
    assert isinstance(loss, LossSeen)
    assert isinstance(backward, GradientSeen)
    assert isinstance(step, StepSeen)
    logits = torch.tensor([loss.logits], dtype=torch.float64)
    assert loss.first == pytest.approx(functional.cross_entropy(logits, torch.tensor([loss.label])).item())
    assert loss.first == pytest.approx(-math.log(loss.probabilities[loss.label]))
    assert stop.mean == pytest.approx(at(stop, "running_loss +=").names[0].values[0] / 2)
    assert backward.norm == pytest.approx(math.hypot(*(norm for _name, norm in backward.parts)), rel=1e-5)
    assert seen(stop, "optimizer.zero_grad") == GradientSeen(None, norm_of_first_batch(opened))
    change = -step.lr * step.m_hat / (math.sqrt(step.v_hat) + 1e-8)
    assert step.after - step.before == pytest.approx(change, rel=1e-3)
    assert (step.number, step.size) == (2, 567_434)
    assert step.m == pytest.approx(step.m_hat * (1 - 0.9**2))


def norm_of_first_batch(opened: Open) -> float:
    norm: float = seen(go(opened("RN_1"), "batch", "batch"), "loss.backward").norm
    return norm


def test_another_request_stops_it_after_a_batch_of_which_all_is_seen(opened: Open) -> None:
    program_ = opened("RN_1")
    stop = go(program_, "batch", "end", is_wanted=lambda: True)
    assert SOURCE.split("\n")[stop.line - 1].strip().startswith("for images")
    assert not stop.is_over
    fresh = [made for made in stop.made if (made.epoch, made.batch) == (stop.epoch, stop.batch)]
    assert len(fresh) == 8
    assert go(program_, "line").last_line == stop.line


def test_nothing_of_it_is_left_behind(folders: ProgramFolders) -> None:
    torch.manual_seed(7)
    state, threads = torch.get_rng_state(), threading.active_count()
    program_ = Stepper("RN_1", folders.sample(), 1)
    go(program_, "batch", "batch")
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(3)  # what others draw between two steps does not change the program
    go(program_, "batch")
    undisturbed = Stepper("RN_1", folders.sample(), 1)
    assert go(undisturbed, "batch", "batch", "batch").mean == program_.stop.mean
    for each in (program_, undisturbed):
        each.leave()
    assert threading.active_count() == threads


def test_a_changed_program_leaves_nothing_behind_and_inherits_nothing(folders: ProgramFolders) -> None:
    def tracer(*_event: object) -> None: ...

    def executed() -> Outcome:
        return outcome(program(), folders.sample().root, lambda: False, lambda _share: None, epochs=0)

    usual = executed()
    before, state = sys.gettrace(), torch.get_rng_state()
    try:
        torch.set_default_dtype(torch.float64)
        sys.settrace(tracer)
        with torch.inference_mode(), torch.device("meta"):
            changed = executed()
            assert torch.get_default_device().type == "meta"
        assert sys.gettrace() is tracer
        assert torch.get_default_dtype() is torch.float64
    finally:
        sys.settrace(before)
        torch.set_default_dtype(torch.float32)
    assert changed == usual
    assert torch.equal(torch.get_rng_state(), state)


def test_what_another_network_changed_in_torch_is_not_inherited(folders: ProgramFolders) -> None:
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    try:
        program_ = Stepper("RN_1", folders.sample(), 1)
        stop = go(program_, "batch", "batch")
        assert torch.get_default_dtype() is torch.float64
        assert at(stop, "outputs =").names[0].dtype == "float32"
        program_.leave()
        assert torch.get_default_dtype() is torch.float64
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("method", ["_finish", "_stopped"])
def test_an_error_of_the_look_is_not_the_program_s(opened: Open, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    program_ = opened("RN_1")

    def fail(*_given: object) -> None:
        raise LookupError("lost")

    monkeypatch.setattr(program_, method, fail)
    stop = go(program_, "batch")
    assert stop.is_over
    assert "program itself has not failed" in str(stop.fault)


def test_a_thread_that_is_gone_is_not_waited_for(folders: ProgramFolders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stepper, "_run", lambda _self: None)
    with pytest.raises(Problem, match="ended unexpectedly"):
        Stepper("RN_1", folders.sample(), 1)


def test_a_statement_that_does_not_end_is_told(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    program_ = opened("RN_1")
    with monkeypatch.context() as patched:
        patched.setattr(stepper, "_LEAVE_S", 0)
        patched.setattr(program_, "_commands", queue.SimpleQueue())  # it never learns that it is to end
        with pytest.raises(Problem, match="does not end"):
            program_.leave()


def test_an_exception_of_the_program_is_told(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepper, "program", lambda model: program(model).replace("lr=0.001", "lr=rate"))
    stop = go(opened("RN_1"), "end")
    assert stop.is_over
    assert str(stop.fault) == "NameError: name 'rate' is not defined"
    assert SOURCE.split("\n")[stop.last_line - 1].startswith("optimizer = ")


# Changed programs


@pytest.mark.parametrize("model", ["RN_1", "RN_2"])
def test_the_remedies_are_those_of_a_run_with_them(model: str) -> None:
    names: dict[str, Any] = {}
    exec(with_remedies(program(model)).split("import torch.optim")[0], names)
    wanted = build_network(Architecture(model=model, dropout=0.5, batch_norm=True))
    found = {name: each.shape for name, each in names[model]().state_dict().items()}
    assert found == {name: each.shape for name, each in wanted.state_dict().items()}
    layers = [type(layer).__name__ for layer in wanted.children()]
    assert layers == [type(layer).__name__ for layer in names[model]().children()]


def test_each_mistake_shows(folders: ProgramFolders) -> None:
    @cache
    def come_of(source: str, is_sorted: bool) -> Outcome:
        root = folders.sample(is_sorted=is_sorted).root
        return outcome(source, root, lambda: False, lambda _share: None, epochs=1)

    found = {each.name: [come_of(source, each.is_sorted) for source in each.sources("RN_1")] for each in CHANGES}
    for original, changed in found.values():
        assert original.total == changed.total == 1000
        assert changed.correct < original.correct
    rate, size, gradients, test, order = found.values()
    assert rate[1].losses[-1] > 2 > rate[0].losses[-1]
    assert (size[0].batches_per_epoch, size[1].batches_per_epoch) == (63, 8)
    assert max(gradients[1].losses[10:]) > 2 * max(gradients[0].losses[10:])
    assert test[0].losses == test[1].losses
    assert order[1].correct < 300


def test_sorted_images_come_digit_by_digit(folders: ProgramFolders) -> None:
    as_sorted, mixed = (
        datasets.MNIST(str(folders.sample(is_sorted=each).root), train=True).targets.tolist() for each in (True, False)
    )
    assert as_sorted == sorted(mixed) != mixed


def test_archives_are_unpacked_for_it(
    folders: ProgramFolders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sample_files: Found
) -> None:
    monkeypatch.setattr(raw_files, "read", lambda _entry, _folder: sample_files)
    data = folders.of(tmp_path)
    assert (data.name, data.root == tmp_path) == ("mnist", False)
    read, known = (datasets.MNIST(str(root), train=False) for root in (data.root, folders.sample().root))
    assert torch.equal(read.data, known.data)
    for file in sample_files.values:  # as a download leaves them
        path = tmp_path / "MNIST" / "raw" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert folders.of(tmp_path) == ProgramData(tmp_path, "mnist")


@pytest.fixture
def sample_files(folders: ProgramFolders) -> Found:
    """Return the sample's images and labels as if they were those of MNIST in a folder."""
    values: list[Any] = []
    for is_training in (True, False):
        file = datasets.MNIST(str(folders.sample().root), train=is_training)
        values += [file.data.numpy(), file.targets.numpy()]
    return Found(dict(zip((file.name for file in DATA_SETS["mnist"].files), values, strict=True)), {}, [], {})


def test_a_changed_program_makes_way(folders: ProgramFolders) -> None:
    with pytest.raises(Problem, match="stopped before its end"):
        outcome(program(), folders.sample().root, lambda: True, lambda _share: None)
