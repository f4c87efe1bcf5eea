"""Long runs and many runs: neither makes the dashboard's memory or start-up grow."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from core.config import RunConfig
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import EpochEnded, Evaluated, Progress, RunEnded, encode
from tests.end_to_end.terminal import Place, Terminal
from tests.recorded import started

pytestmark = pytest.mark.slow

STEPS = 63
MIB = 1 << 20


def _write(runs_dir: Path, run_id: str, epochs: int, dataset: str = "auto") -> Run:
    """Write a run on the sample as its worker would have."""
    run = Run(runs_dir / run_id)
    run.path.mkdir(parents=True)
    config = RunConfig(epochs=epochs, seed=1, dataset=dataset, data_dir="/nowhere")
    (run.path / "config.json").write_bytes(msgspec.json.encode(config))
    with run.events_path.open("wb") as file:
        file.write(encode(started(config, steps_per_epoch=STEPS)))
        for epoch in range(1, epochs + 1):
            losses = tuple(2.3 / epoch + 0.001 * step for step in range(STEPS))
            loss = sum(losses) / STEPS
            progress = Progress(
                epoch=epoch, step=STEPS, loss=loss, losses=losses, images_per_s=9000.0, elapsed_s=0.1 * epoch
            )
            file.write(encode(progress) + encode(EpochEnded(epoch=epoch, loss=loss, seconds=0.1)))
        confusion = tuple(tuple(97 if row == column else 0 for column in range(10)) for row in range(10))
        file.write(encode(Evaluated(correct=970, total=1000, accuracy=0.97, test_loss=0.1, confusion=confusion)))
        file.write(encode(RunEnded(status="done")))
    return run


def _opened(place: Place, run_id: str, epochs: str) -> tuple[Terminal, float, float]:
    """Open a dashboard on a run; return it, the seconds until the run is all there, and its memory then, in MiB."""
    began = time.monotonic()
    terminal = place.terminal("attach", run_id, "--lang", "en")
    terminal.wait_for(lambda text: f"done · epoch {epochs}/{epochs}" in text and "Result: 97.00%" in text)
    seconds = time.monotonic() - began
    return terminal, seconds, psutil.Process(terminal.pid).memory_info().rss / MIB


def test_run_of_ten_thousand_epochs(place: Place) -> None:
    """It opens in bearable time and with no more memory than a short run; the shape of its loss is kept."""
    _write(place.runs_dir, "rn1-0001", 20)
    long = _write(place.runs_dir, "rn1-0002", 10_000)
    assert long.events_path.stat().st_size > 8 * MIB
    short_terminal, short_s, short_mib = _opened(place, "rn1-0001", "20")
    terminal, seconds, mib = _opened(place, "rn1-0002", "10,000")
    assert seconds < short_s + 20
    assert mib < short_mib + 80
    assert mib < 300
    for epoch in (9_999, 10_000):
        assert f"Epoch {epoch}/10000, Loss: " in terminal.text
    terminal.wait_for(lambda text: len(set(re.findall("[\u2801-\u28ff]", text))) > 3)
    terminal.keys("f8")
    terminal.keys("f10")
    assert terminal.wait_end() == 0
    short_terminal.keys("f10")
    assert short_terminal.wait_end() == 0


def test_result_of_a_long_run_on_the_sample_is_labelled(tmp_path: Path) -> None:
    """The start of its events, which names the data, is far from the end."""
    _write(tmp_path, "rn1-0001", 500)
    (summary,) = directory.Listing(tmp_path).read()
    assert summary.accuracy == 0.97
    assert summary.dataset == "sample"


def test_thousand_runs_are_listed_at_once(place: Place) -> None:
    """Listing again costs next to nothing. Processor time is measured, since other programs may be busy."""
    first = _write(place.runs_dir, "rn1-0001", 3)
    for number in range(2, 1001):
        shutil.copytree(first.path, place.runs_dir / f"rn1-{number:04d}")
    listing = directory.Listing(place.runs_dir)
    began = time.process_time()
    assert len(listing.read()) == 1000
    first_s = time.process_time() - began
    assert first_s < 5
    began = time.process_time()
    assert {summary.state for summary in listing.read()} == {"done"}
    assert time.process_time() - began < 2
    listed = place.command("runs")
    assert listed.code == 0
    assert listed.out.count("done") == 1000
    terminal = place.terminal("attach", "rn1-0500", "--lang", "en")
    terminal.wait_for("1,000 runs")
    terminal.wait_for("rn1-1000")
    terminal.wait_for("Result of rn1-0500")
    terminal.keys("f10")
    assert terminal.wait_end() == 0
