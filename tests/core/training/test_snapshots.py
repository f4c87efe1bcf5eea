"""Snapshots: which moments of a training are kept, how little space and time they take, and what may go wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from core import files
from core.config import MAX_SNAPSHOTS
from core.messages import Message, Problem
from core.networks.build import build_network
from core.networks.state import network_state
from core.randomness import seed_all
from core.runs import control, lease
from core.runs.control import Request
from core.runs.directory import Run
from core.runs.events import Notice
from core.runs.lease import Lost
from core.runs.snapshots import folder, moments, snapshot_path
from core.training import snapshots, weights
from core.training.load_trained import load_network, load_newest
from core.training.snapshots import SnapshotKeeper, planned_steps
from core.worker.carry_out import carry_out
from tests.core.runs.run_files import checkpoints_of, claim, new_run
from tests.core.training.sample_runs import after_batches, batch_losses, carried_out, configuration, events_of
from tests.recorded import started

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let snapshots take any share of the time: these runs take a fraction of a second."""
    monkeypatch.setattr(snapshots, "MAX_SHARE", 1e9)


def positions(run: Run) -> list[tuple[int, int, int]]:
    return [moment[:3] for moment in moments(run)]


def notices(run: Run) -> list[str]:
    return [str(event.message) for event in events_of(run) if isinstance(event, Notice)]


def parameters(network: torch.nn.Module) -> list[Any]:
    return [parameter.tolist() for parameter in network.parameters()]


def go_on(run: Run, should_stop: Callable[[], bool] = lambda: False) -> str:
    return carry_out(run, lambda _event: None, should_stop).status


def test_the_moments_are_dense_at_the_beginning() -> None:
    assert planned_steps(4, 4690) == [0, 8, 68, 567]
    assert planned_steps(6, 7) == [0, 1, 2, 3, 4, 5]
    assert planned_steps(99, 20) == list(range(20))
    assert planned_steps(1, 4690) == [0]
    assert planned_steps(0, 4690) == planned_steps(-1, 4690) == []


@pytest.mark.usefixtures("any_time")
def test_a_run_keeps_the_parameters_that_it_had_and_its_numbers_stay_as_they_are(tmp_path: Path) -> None:
    without = carried_out(tmp_path, width=0.1)
    run = carried_out(tmp_path, width=0.1, snapshots=5)
    assert positions(run) == [(1, 1, 0), (1, 1, 3), (1, 1, 11), (1, 1, 38)]
    assert batch_losses(run) == batch_losses(without)
    assert not folder(without.path).exists()
    assert moments(without) == []
    first, *_others, last = moments(run)
    seed_all(7)
    assert parameters(load_network(run, first)) == parameters(build_network(run.config().architecture))
    assert parameters(load_network(run, last)) not in (
        parameters(load_network(run)),
        parameters(load_network(run, first)),
    )
    stopped = carried_out(tmp_path, after_batches(37), width=0.1)  # whose checkpoint is of the same moment
    network, moment = load_newest(stopped)
    assert moment is not None
    assert moment.position == last.position
    assert parameters(network) == parameters(load_network(run, last))
    assert notices(run) == []


@pytest.mark.usefixtures("any_time")
@pytest.mark.parametrize(("asked", "told"), [(10, True), (MAX_SNAPSHOTS, False), (3, False)])
def test_no_more_are_kept_than_fit(asked: int, told: bool, tmp_path: Path) -> None:
    run = carried_out(tmp_path, epochs=1, snapshots=asked)
    assert len(moments(run)) == min(4, asked - 1)
    assert sum(moment.path.stat().st_size for moment in moments(run)) <= 10_000_000
    assert notices(run) == (
        ["snapshots: 4 of the 9 asked for before the end of the training fit in 10 MB"] if told else []
    )


class _Clock:
    """A clock on which each batch takes a second, and each write of a snapshot as long as is wanted."""

    def __init__(self, write_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        replace = files.replace

        def write(path: Path, content: bytes, *, durable: bool = True) -> None:
            self.now += write_s
            assert not durable
            replace(path, content)

        monkeypatch.setattr(files, "replace", write)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def keep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[list[int], list[Message]]]]:
    """Return a function that takes snapshots of a small network by a clock of its own."""
    config = configuration(width=0.1, epochs=2, snapshots=5)
    run = new_run(tmp_path, **msgspec.structs.asdict(config))
    with lease.hold(run.path) as held:

        def kept(write_s: float, pause_s: float = 0.0) -> tuple[list[int], list[Message]]:
            clock, told = _Clock(write_s, monkeypatch), list[Message]()
            network = build_network(config.architecture)
            begun = started(config, steps_per_epoch=500, epoch=1, step=0)
            keeper = SnapshotKeeper(run, held, network, begun, config, told.append, clock=clock)
            for at in range(1000):
                clock.now += 1.0
                keeper.after_batch(1 + at // 500, 1 + at % 500)
                if at == 9:
                    keeper.after_batch(1, 10)
                    clock.now += pause_s
                    keeper.after_batch(1, 10)
            keeper.finish()
            return [moment.step for moment in moments(run)], told

        yield kept


def test_they_take_at_most_a_hundredth_of_the_time(keep: Callable[..., tuple[list[int], list[Message]]]) -> None:
    assert keep(2.0) == ([0, 6, 32, 178], [])


def test_those_that_would_take_longer_are_left_out(keep: Callable[..., tuple[list[int], list[Message]]]) -> None:
    steps, told = keep(4.0)
    assert steps == [0, 6]
    assert [str(message) for message in told] == [
        "snapshots left out, as they would take more than a hundredth of the time: 2"
    ]


def test_a_pause_is_no_time_of_the_training(keep: Callable[..., tuple[list[int], list[Message]]]) -> None:
    assert keep(4.0, pause_s=1e6)[0] == [0, 6]


def test_a_process_that_was_superseded_writes_none(tmp_path: Path) -> None:
    config = configuration(width=0.1, epochs=2, snapshots=5)
    run = new_run(tmp_path, **msgspec.structs.asdict(config))
    with lease.hold(run.path) as held:
        begun = started(config, steps_per_epoch=500, epoch=1, step=0)
        clock = iter(range(1000)).__next__
        network = build_network(config.architecture)
        keeper = SnapshotKeeper(run, held, network, begun, config, lambda _message: None, clock=clock)
        claim(run, lives=False)
        for step in range(1, 25):
            keeper.after_batch(1, step)
        with pytest.raises(Lost):
            keeper.after_batch(1, 25)
    assert not folder(run.path).exists()


@pytest.mark.usefixtures("any_time")
def test_a_resumed_run_keeps_the_snapshots_of_the_run_never_stopped(tmp_path: Path) -> None:
    whole = carried_out(tmp_path, width=0.1, snapshots=6)
    run = carried_out(tmp_path, after_batches(45), width=0.1, snapshots=6)
    abandoned = snapshot_path(run.path, 1, 1, 60)
    abandoned.write_bytes(moments(run)[0].path.read_bytes())
    assert go_on(run) == "done"
    assert not abandoned.exists()
    assert [(epoch, step) for _attempt, epoch, step in positions(run)] == [(1, 0), (1, 3), (1, 7), (1, 18), (1, 48)]
    assert [attempt for attempt, _epoch, _step in positions(run)] == [1, 1, 1, 1, 2]
    assert [m.path.read_bytes() for m in moments(run)] == [m.path.read_bytes() for m in moments(whole)]
    control.ask(run.path, Request(epochs=9))
    assert go_on(run) == "done"
    assert len(moments(run)) == 5


@pytest.mark.usefixtures("any_time")
def test_a_full_disk_is_said_once_and_the_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = weights.pack

    def fail(state: Any) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "pack", fail)
    monkeypatch.setattr("core.worker.stages.weights.pack", fail)
    run = carried_out(tmp_path, after_batches(60), width=0.1, snapshots=5)
    assert notices(run) == ["a snapshot could not be saved (No space left on device): training continues without it"]
    monkeypatch.setattr(weights, "pack", pack)
    assert go_on(run) == "done"


def test_what_is_no_snapshot_is_ignored(tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(2), width=0.1, snapshots=5)
    place = folder(run.path)
    assert moments(run)[0].position == (1, 0)  # a run that is stopped at once keeps its beginning
    for moment in moments(run):
        moment.path.unlink()
    real = snapshot_path(run.path, 1, 1, 5)
    real.write_bytes(b"")
    (place / "0001-1-6.safetensors").symlink_to(real)
    os.mkfifo(place / "0001-1-7.safetensors")
    for name in ("0001-1-8.safetensors.x", "0001-0-9.safetensors", "1-1-1.safetensors", "9999-1-1.safetensors"):
        (place / name).write_bytes(b"")
    (place / "0001-1-9.safetensors").mkdir()
    assert [moment.path for moment in moments(run)] == [real]
    with pytest.raises(Problem, match="cannot be read"):
        load_network(run, moments(run)[0])
    real.write_bytes(weights.pack({"fc.weight": torch.zeros(3)}))
    with pytest.raises(Problem, match="do not fit"):
        load_network(run, moments(run)[0])
    moment = moments(run)[0]
    real.unlink()
    with pytest.raises(Problem, match="has no snapshot 0001-1-5"):
        load_network(run, moment)
    elsewhere = tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere)
    (elsewhere / real.name).write_bytes(b"")
    assert moments(run) == []


def test_the_newest_parameters_of_a_run_in_progress(tmp_path: Path) -> None:
    run = carried_out(tmp_path, after_batches(19), width=0.1)
    network, moment = load_newest(run)
    assert moment is not None
    assert moment.position == (1, 20)
    later = snapshot_path(run.path, 1, 1, 30)
    folder(run.path).mkdir()
    zeros = {name: torch.zeros_like(value) for name, value in network_state(network).items()}
    later.write_bytes(weights.pack(zeros))
    newer, moment = load_newest(run)
    assert moment is not None
    assert moment.path == later
    assert not any(parameter.any() for parameter in newer.parameters())
    assert go_on(run) == "done"
    trained, moment = load_newest(run)
    assert moment is None
    assert parameters(trained) == parameters(load_network(run))
    for path in (*checkpoints_of(run), *run.result_paths("weights", ".safetensors")[:1], later):
        path.unlink(missing_ok=True)
    with pytest.raises(Problem, match="no trained weights"):
        load_newest(run)
