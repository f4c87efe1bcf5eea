"""A failure in a run is reported in one line, and nothing else is lost because of it."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.runs.directory import Run
from core.runs.events import CheckpointSaved, EpochEnded, Notice, Progress, RunEnded
from tests.core.runs.run_files import checkpoints_of
from tests.end_to_end.terminal import Place, all_events, batch_losses, predictions, wait_for_event, wait_until

pytestmark = pytest.mark.slow

RAISING_NETWORK = """
import torch
from torch import nn


class Raising(nn.Module):
    def __init__(self):
        super().__init__()
        self.out = nn.Linear(784, 10)
        self.calls = 0

    def forward(self, x):
        self.calls += self.training and len(x) > 2
        if self.calls > 70:
            raise ValueError("the cat sat\\n on the \\x1b[31mkeyboard")
        return self.out(x.flatten(1))
"""


def _ended(run: Run) -> RunEnded:
    event = all_events(run)[-1]
    assert isinstance(event, RunEnded)
    return event


def test_divergence_names_the_batch(place: Place) -> None:
    """The last good checkpoint is kept, and a dashboard draws what there is."""
    good = place.train("--epochs", "1", "--seed", "1", "--batch-size", "400", model="RN_1")
    assert good.wait() == 0
    run = place.train("--epochs", "3", "--seed", "1", "--lr", "1e30", model="RN_1")
    assert run.wait() == 3
    directory = place.run("rn1-0002")
    last = [event for event in all_events(directory) if isinstance(event, Progress)][-1]
    assert last.losses[-1] is None
    assert f"epoch {last.epoch}, batch {last.step}" in run.err
    assert "lower learning rate" in run.err
    assert run.out == ""
    assert place.listed()["rn1-0002"]["state"] == "diverged"
    again = place.fork("resume", "rn1-0002", "--no-ui", "--lang", "en")
    assert again.wait() == 3
    assert "no longer finite" in again.err

    terminal = place.terminal("attach", "rn1-0002")
    terminal.wait_for("diverged · epoch")
    terminal.wait_for("no longer finite")
    terminal.keys("f10")
    assert terminal.wait_end() == 0


def test_divergence_keeps_the_last_finite_checkpoint(place: Place) -> None:
    """A network that explodes in its second epoch leaves the checkpoint of the first, which is sound."""
    network = place.folder / "late.py"
    network.write_text(RAISING_NETWORK.replace('raise ValueError("', 'return self.out(x.flatten(1)) * float("inf") #'))
    run = place.train("--epochs", "3", "--seed", "1", model=f"{network}:Raising")
    assert run.wait() == 3
    directory = place.run()
    saved = [event for event in all_events(directory) if isinstance(event, CheckpointSaved)]
    assert [(event.epoch, event.step) for event in saved] == [(1, 63)]
    import torch

    state = torch.load(checkpoints_of(directory)[-1], weights_only=True)["state"]
    assert all(bool(value.isfinite().all()) for value in state["network"].values())


def test_network_that_raises_in_the_middle(place: Place) -> None:
    """The user gets one line and the log the traceback; once the network is fixed, the run can be resumed."""
    network = place.folder / "raising.py"
    network.write_text(RAISING_NETWORK)
    run = place.train("--epochs", "2", "--seed", "1", model=f"{network}:Raising")
    assert run.wait() == 1
    directory = place.run()
    ended = _ended(directory)
    assert ended.status == "failed"
    (said,) = (line for line in run.err.splitlines() if "the cat sat" in line)
    assert "ValueError" in said
    assert "Traceback" not in run.err
    assert "\x1b" not in run.err
    log = directory.log_path.read_text()
    assert "Traceback" in log
    assert "raising.py" in log
    network.write_text(RAISING_NETWORK.replace("> 70", "> 10_000"))
    assert place.fork("resume", directory.id, "--no-ui").wait() == 1
    assert place.fork("resume", directory.id, "--no-ui", "--changed").wait() == 0
    kept = directory.path / "source"
    assert (kept / "raising.py").read_text() == RAISING_NETWORK
    assert (kept / "changed-1" / "raising.py").read_text() == network.read_text()


def _write_mnist(data_dir: Path) -> None:
    """Write files of the right form and size whose images are blank."""
    raw = data_dir / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        images = b"\0\0\x08\x03" + count.to_bytes(4, "big") + (28).to_bytes(4, "big") * 2 + bytes(count * 784)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(images)
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + count.to_bytes(4, "big") + bytes(count))


def test_other_data_in_the_place_of_mnist_are_named(place: Place) -> None:
    _write_mnist(place.data_dir)
    run = place.fork("--no-ui", "--dataset", "mnist", "--epochs", "1", "--lang", "en")
    assert run.wait() == 1
    assert run.out == ""
    assert "train-images-idx3-ubyte is not MNIST's train-images-idx3-ubyte: its MD5 checksum is " in run.err
    assert "Traceback" not in run.err


@contextmanager
def _small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system of its own; skip the test where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("only root can mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(folder: Path) -> Path:
    """Fill the file system to the last byte."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for block in (1 << 16, 4096, 1):
            try:
                while file.write(bytes(block)):
                    pass
            except OSError:
                continue
    return ballast


def test_disk_full_for_a_while(place: Place) -> None:
    """The problem is reported once and training goes on; once there is room again, nothing is missing."""
    with _small_disk(place.folder / "disk", "2m") as disk:
        place.runs_dir = disk / "runs"
        worker = place.train("--epochs", "8", "--seed", "3", pause=0.01)
        run = place.run()
        wait_for_event(run, EpochEnded)
        ballast = _fill(disk)
        word = "cannot write to the run directory"  # there may be room for some more events in the last block
        wait_until(lambda: word in worker.err, lambda: f"a word of the full disk: {worker.err}")
        wait_until(lambda: worker.out.count("\n") >= 4, lambda: f"the training going on: {worker.out}")
        reader = run.reader()
        assert reader.read_new()  # what has been written can be read
        assert reader.skipped == 0
        ballast.unlink()
        assert worker.wait() == 0
        assert worker.err.count(word) == 1
        assert worker.err.count("the checkpoint could not be saved") <= 1
        assert len(batch_losses(run)) == 8 * 63
        assert run.state() == "done"
        assert len(predictions(run)["label"]) == 1000


def test_disk_full_from_the_start(place: Place) -> None:
    """There is one line, and nothing half-made is left."""
    with _small_disk(place.folder / "disk", "100k") as disk:
        place.runs_dir = disk / "runs"
        place.runs_dir.mkdir()
        ballast = _fill(disk)
        run = place.train("--epochs", "1")
        assert run.wait() == 1
        assert run.out == ""
        assert "No space left" in run.err.splitlines()[-1]
        assert len(run.err.splitlines()) == 1
        ballast.unlink()
        assert list(place.runs_dir.glob("*-*")) == []


def test_file_size_limit(place: Place) -> None:
    """A limit acts like a full disk where none can be mounted: a checkpoint is too large, training goes on."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    if hard != resource.RLIM_INFINITY or shutil.which("prlimit") is None:
        pytest.skip("needs prlimit, and no limit yet")
    limited = ("prlimit", f"--fsize={1 << 20}", "--")
    options = ("--no-ui", "--dataset", "sample", "--threads", "1", "--lang", "en", "--epochs", "2", "--model", "RN_1")
    run = place.start(*options, prefix=limited)
    assert run.wait() == 1  # nor are there weights: it is still to be resumed
    assert run.err.count("the checkpoint could not be saved") == 1
    assert "could not be saved" in run.err.splitlines()[-2]
    assert run.out.splitlines()[-1].startswith("Result: ")
    directory = place.run()
    assert checkpoints_of(directory) == []
    assert directory.state() == "failed"
    assert [path.name for path in directory.path.glob(".*")] == []


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o755)


def _obeying_modes() -> tuple[str, ...]:
    """Return a command prefix that makes root obey file modes too; skip the test if there is none."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere here")
    return (
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
        "--",
    )


def test_read_only_folder_of_runs(place: Place) -> None:
    prefix = _obeying_modes()
    place.runs_dir.mkdir()
    with _read_only(place.runs_dir):
        run = place.start("--no-ui", "--dataset", "sample", "--lang", "en", "--model", place.slow, prefix=prefix)
        assert run.wait() == 1
    assert len(run.err.splitlines()) == 1
    assert str(place.runs_dir) in run.err
    assert "--runs-dir" in run.err


def test_run_folder_that_becomes_read_only(place: Place) -> None:
    """It is reported once, and training goes on to its result. Resuming a stopped run is refused with a reason."""
    prefix = _obeying_modes()
    options = (
        "--no-ui",
        "--dataset",
        "sample",
        "--threads",
        "1",
        "--lang",
        "en",
        "--epochs",
        "3",
        "--model",
        place.slow,
    )
    worker = place.start(*options, prefix=prefix, PAUSE="0.01")
    run = place.run()
    wait_for_event(run, Progress)
    with _read_only(run.path):
        assert worker.wait() == 1
        assert worker.err.count("the checkpoint could not be saved") == 1
        assert worker.out.splitlines()[-1].startswith("Result: ")
        assert run.state() == "failed"
        assert [event for event in all_events(run) if isinstance(event, Notice)]
        lines = run.events_path.read_bytes().splitlines(keepends=True)
        run.events_path.write_bytes(b"".join(lines[:-1]))
        refused = place.start("resume", run.id, "--no-ui", "--lang", "en", prefix=prefix)
        assert refused.wait() == 1
    assert "ermission denied" in refused.err
    assert len(refused.err.splitlines()) == 1
