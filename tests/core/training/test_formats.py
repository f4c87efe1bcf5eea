"""Runs as each released version wrote them, in `tests/core/runs/formats`: they are read and resumed for ever."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.runs import predictions, resumption
from core.runs.directory import Listing, Run
from core.runs.events import EpochEnded, RunStarted
from core.training.load_trained import load_network
from core.worker.carry_out import carry_out
from tests.core.training.sample_runs import batch_losses, events_of

FORMATS = Path(__file__).parents[1] / "runs" / "formats"

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("version", sorted(path.name for path in FORMATS.iterdir()))
def test_a_run_of_each_format_is_listed_read_and_resumed(version: str, tmp_path: Path) -> None:
    shutil.copytree(FORMATS / version, tmp_path, dirs_exist_ok=True)
    stopped, done = (Run(tmp_path / name) for name in ("rn1-0001", "rn1-0002"))
    summaries = Listing(tmp_path).read()
    assert [summary.state for summary in summaries] == ["stopped", "done"]
    assert summaries[1].accuracy == predictions.read(done).right.mean()
    assert len(load_network(done).state_dict()) == 8
    resumption.check_resumable(stopped)
    assert carry_out(stopped, lambda _event: None, lambda: False).status == "done"
    starts = [(event.epoch, event.step) for event in events_of(stopped) if isinstance(event, RunStarted)]
    assert starts[-1] == (2, 18)
    assert batch_losses(stopped).keys() == batch_losses(done).keys()
    losses = [[event.loss for event in events_of(run) if isinstance(event, EpochEnded)] for run in (stopped, done)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
