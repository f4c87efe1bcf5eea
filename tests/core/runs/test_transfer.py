"""Run directories that are trained elsewhere: whatever is cut off, what has come can be gone on with."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import RunConfig
from core.messages import Problem
from core.runs import control, directory, lease, transfer
from core.runs.directory import Run
from core.runs.events import CheckpointSaved, EpochEnded, Event, EventWriter, Progress, RunEnded
from core.runs.transfer import PIECE_BYTES, Arrivals, Outbox, Piece
from tests.recorded import started

CONFIG = RunConfig(seed=1, dataset="sample", device="cpu", threads=1, epochs=3)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return directory.create(tmp_path / "runs", CONFIG)


def copy_of(run: Run, folder: Path) -> Run:
    attempts = lease.newest_attempt(run.path)
    return transfer.receive_run(folder / run.id, transfer.to_send(run), attempts)


def append(run: Run, *events: Event) -> None:
    writer = EventWriter(run.events_path, 1)
    for event in events:
        assert writer.write(event) is None
    writer.close()


def everything(outbox: Outbox) -> list[Piece]:
    found = []
    while taken := outbox.take():
        found += taken
    return found


def files_of(run: Run) -> dict[str, bytes]:
    return {
        str(path.relative_to(run.path)): path.read_bytes()
        for path in sorted(run.path.rglob("*"))
        if path.is_file() and not path.name.startswith("attempt") and path.name not in ("lease.json", "config.json")
    }


def _progress(epoch: int) -> Progress:
    return Progress(epoch=epoch, step=63, loss=0.5, losses=(0.5,), images_per_s=1e4, elapsed_s=float(epoch))


def train_a_little(copy: Run, epoch: int) -> None:
    """Write what an epoch leaves: events, a checkpoint larger than a message, snapshots, source."""
    append(copy, *([started(CONFIG)] if epoch == 1 else []), _progress(epoch))
    append(copy, EpochEnded(epoch=epoch, loss=0.5, seconds=1.0))
    (copy.path / f"checkpoint-0001-{epoch}-63.pt").write_bytes(bytes([epoch]) * (2 * PIECE_BYTES + 7))
    append(copy, CheckpointSaved(epoch=epoch, step=63))
    (copy.path / "snapshots").mkdir(exist_ok=True)
    (copy.path / "snapshots" / f"0001-{epoch}-0.safetensors").write_bytes(b"moment")
    (copy.path / "source" / "package").mkdir(parents=True, exist_ok=True)
    (copy.path / "source" / "package" / "__init__.py").write_bytes(b"")
    with copy.log_path.open("a") as log:
        log.write(f"epoch {epoch}\n")


def test_what_was_written_there_is_here_afterwards(run: Run, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "there")
    outbox, arrivals = Outbox(copy), Arrivals(run)
    for epoch in (1, 2):
        train_a_little(copy, epoch)
        arrivals.put(everything(outbox))
        assert files_of(run) == files_of(copy)
    (copy.path / "weights-0001.safetensors").write_bytes(b"")
    append(copy, RunEnded(status="done"))
    arrivals.put(everything(outbox))
    assert files_of(run) == files_of(copy)
    assert everything(outbox) == []


@given(cut=st.integers(0, 40))
@settings(max_examples=25, deadline=None)
def test_no_checkpoint_comes_before_the_events_that_precede_it(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    run = directory.create(folder / "runs", CONFIG)
    copy = copy_of(run, folder / "there")
    outbox, arrivals, left = Outbox(copy), Arrivals(run), cut
    for epoch in (1, 2, 3):
        train_a_little(copy, epoch)
        while left > 0 and (taken := outbox.take(1)):
            arrivals.put(taken)
            left -= 1
    arrivals.close()
    told = run.events_path.read_bytes() if run.events_path.exists() else b""
    for path in run.path.glob("checkpoint-*"):
        epoch = int(path.name.split("-")[2])
        assert path.read_bytes() == bytes([epoch]) * (2 * PIECE_BYTES + 7)
        assert told.count(b'"epoch_ended"') >= epoch
    assert not [path for path in run.path.iterdir() if path.name.startswith(".")]


def test_only_the_newest_checkpoints_stay(run: Run, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "there")
    outbox, arrivals = Outbox(copy), Arrivals(run)
    for epoch in range(1, 5):
        train_a_little(copy, epoch)
        arrivals.put(everything(outbox))
    names = sorted(path.name for path in run.path.glob("checkpoint-*"))
    assert names == ["checkpoint-0001-3-63.pt", "checkpoint-0001-4-63.pt"]


def test_a_copy_of_a_run_that_was_tried_goes_on_with_the_same_attempt(run: Run, tmp_path: Path) -> None:
    for _attempt in range(2):
        with lease.hold(run.path):
            train_a_little(run, 1)
    copy = copy_of(run, tmp_path / "there")
    assert files_of(copy) == {name: content for name, content in files_of(run).items() if name != "log.txt"}
    with lease.hold(run.path, node="gpu-7") as here, lease.hold(copy.path) as there:
        assert (here.attempt, there.attempt) == (3, 3)
        assert run.summary().host == "gpu-7"


def test_what_is_asked_of_a_run_is_passed_on(run: Run, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "there")
    control.ask(run.path, control.Request(paused=True))
    run.request_stop()
    transfer.pass_on(copy, transfer.requests(run))
    assert [request.paused for _path, request in control.pending(copy.path)] == [True]
    assert copy.stop_requested()
    assert control.pending(run.path) == []


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "/etc/x",
        "a/b",
        "source/../../x",
        "source/./x",
        ".hidden",
        "",
        "config.json",
        "attempt-0009.json",
        "lease.json",
        "stop",
        "control-1.json",
        "a\nb",
        "x" * 300,
        "source/" * 12 + "x",
    ],
)
def test_a_name_that_no_file_of_a_run_has_is_refused(name: str, run: Run, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(Problem, match="cannot have"):
        Arrivals(run).put([Piece(name, 0, b"x")])
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_pieces_that_do_not_fit_are_refused(run: Run) -> None:
    first = Piece("weights-0001.safetensors", 0, b"x", False)
    for offset in (2, -1, 1 << 60):
        with pytest.raises(Problem, match="cannot have"):
            Arrivals(run).put([first, Piece(first.name, offset, b"x")])


def test_a_link_is_neither_sent_nor_followed(run: Run, tmp_path: Path) -> None:
    copy = copy_of(run, tmp_path / "there")
    outbox = Outbox(copy)
    (tmp_path / "secret").write_text("secret")
    (copy.path / "weights-0001.safetensors").symlink_to(tmp_path / "secret")
    assert everything(outbox) == []
    (run.path / "events.jsonl").symlink_to(tmp_path / "secret")
    with pytest.raises(Problem, match="cannot write"):
        Arrivals(run).put([Piece("events.jsonl", 0, b"x")])
    assert (tmp_path / "secret").read_text() == "secret"
