"""Where the runs of comparisons in progress are: the command and the panel, from what the process there has written."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.comparing import stored
from core.comparing.stored import PartStanding, SlotStanding, Standing, StoredComparison
from core.messages import Message
from core.runs import lease
from core.runs.directory import Run
from core.runs.events import Progress, SettingsChanged
from tests.core.comparing.finished_runs import SETTINGS
from tests.core.runs.run_files import claim, new_run, write
from tests.json_checks import check_json
from tests.recorded import started
from tests.tui_app.driving import NARROW, WIDE, dashboard, shown, until
from tui_app import cli, i18n

PLAN = stored.make_plan(("RN_1", "RN_2"), 2, SETTINGS, cluster="slurm")
WAITS = Message("Slurm's job {job} waits for its turn ({why})", {"job": "7", "why": "Priority"})


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LANG", "C.UTF-8")
    i18n.use("en")
    yield
    i18n.use("en")


@pytest.fixture
def comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StoredComparison]:
    """Return a comparison in progress, one of whose runs is trained."""
    monkeypatch.setenv("MNIST_TUI_RUNS", str(tmp_path))
    run = new_run(tmp_path, seed=0, dataset="sample")
    claim(run)
    at = {"epoch": 1, "step": 10, "loss": 0.5, "losses": (), "elapsed_s": 1.0}
    write(run, started(run.config()), Progress(**at, images_per_s=1234.4))  # type: ignore[arg-type]
    kept = stored.store(tmp_path, PLAN)
    with lease.hold(kept.path):
        yield kept


def keep(comparison: StoredComparison, *slots: SlotStanding, waits_for: Message | None = None) -> None:
    parts = (PartStanding("rn1-0001", "running"), *[PartStanding("", "waiting")] * 3)
    comparison.keep(Standing(attempt=1, parts=parts, slots=slots, waits_for=waits_for))


def printed(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert cli.run(["slots", *options]) == 0
    return capsys.readouterr().out


def test_each_slot_has_a_row(comparison: StoredComparison, capsys: pytest.CaptureFixture[str]) -> None:
    busy = SlotStanding("gpu-7", "cuda:0", ("rn1-0001",), time.time() - 65)
    keep(comparison, busy, SlotStanding("gpu-8", "cuda:0"), waits_for=WAITS)
    said = printed(capsys)
    assert "Slurm's job 7 waits for its turn (Priority)" in said
    rows = [line.split() for line in said.splitlines() if line.startswith("gpu")]
    assert rows == [
        ["gpu-7", "cuda:0", "rn1-0001", "1,234", "1", "min", "05", "s"],
        ["gpu-8", "cuda:0", "idle", "–", "–"],
    ]
    (found,) = check_json(printed(capsys, "--json"), "slots")
    assert (found["cluster"], found["comparison"], found["configurations"]) == (
        "slurm",
        comparison.id,
        ["RN_1", "RN_2"],
    )
    assert found["waits_for"]["sentence"] == "Slurm's job 7 waits for its turn (Priority)"
    assert found["slots"][0] == {
        "node": "gpu-7",
        "device": "cuda:0",
        "runs": ["rn1-0001"],
        "images_per_s": 1234.4,
        "since": busy.since,
    }
    assert found["slots"][1]["runs"] == []
    run = Run(comparison.runs_dir / "rn1-0001")
    write(run, SettingsChanged(epoch=1, step=9, paused=True))
    assert json.loads(printed(capsys, "--json"))[0]["slots"][0]["images_per_s"] is None


def test_without_a_comparison_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MNIST_TUI_RUNS", str(tmp_path))
    assert printed(capsys).startswith("No comparison is in progress in")
    assert json.loads(printed(capsys, "--json")) == []


def test_a_comparison_whose_plan_is_damaged_hides_no_other(
    comparison: StoredComparison, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(comparison, SlotStanding("gpu-7", "cuda:0", ("rn1-0001",), time.time()))
    damaged = StoredComparison(comparison.path.with_name("f" * 32))
    shutil.copytree(comparison.path, damaged.path)
    with lease.hold(damaged.path):
        keep(damaged, SlotStanding("gpu-8", "cuda:0"))
        assert [found["comparison"] for found in json.loads(printed(capsys, "--json"))] == [comparison.id]


def test_what_makes_no_sense_is_shown_safely(comparison: StoredComparison, capsys: pytest.CaptureFixture[str]) -> None:
    keep(
        comparison,
        SlotStanding("\x1b[31mred\n", "cpu", ("../../x", "rn1-0001"), 1e300),
        SlotStanding("n", "cpu", (), -1.0),
    )
    said = printed(capsys)
    assert "\x1b" not in said
    assert "1,234" in said
    (found,) = json.loads(printed(capsys, "--json"))
    assert [slot["since"] for slot in found["slots"]] == [None, None]
    assert found["slots"][0]["runs"] == ["rn1-0001"]


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_the_panel_shows_them(size: tuple[int, int], comparison: StoredComparison, tmp_path: Path) -> None:
    keep(comparison, SlotStanding("gpu-7", "cuda:0", ("rn1-0001",), time.time() - 5), waits_for=WAITS)
    async with dashboard(tmp_path, size) as (app, pilot):
        await pilot.press("shift+f5")
        await until(pilot, lambda: "gpu-7" in shown(app))
        assert "1,234" in shown(app)
        assert "waits for its turn" in " ".join(shown(app).split())
        assert "waiting" in shown(app)
        keep(comparison)
        await until(pilot, lambda: "gpu-7" not in shown(app))
