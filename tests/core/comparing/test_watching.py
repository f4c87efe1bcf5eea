"""Comparisons that one process carries out and others watch; the process is a thread here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.comparing import driver, stored, watching
from core.comparing.stored import PartStanding, Plan, Standing, StoredComparison, make_plan
from core.comparing.watching import WatchedComparison
from core.messages import Problem
from core.runs import directory, lease
from tests.core.comparing.finished_runs import SETTINGS
from tests.tui_app.fake_worker import HeldProcess, compare_without_processes

PLAN = make_plan(("RN_1", "RN_2"), 2, SETTINGS)


def to_end(*watched: WatchedComparison) -> list[str]:
    """Look until every watched comparison has ended; return their outcomes."""
    deadline = time.monotonic() + 30
    while sum(each.look() for each in watched):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [each.outcome for each in watched]


def until_running(watched: WatchedComparison) -> None:
    deadline = time.monotonic() + 30
    while not watched.count("running"):
        assert watched.look()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_asks_for_the_same_watches_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either can stop it, as can one who only came by; asked for again, it goes on to its end."""
    compare_without_processes(monkeypatch, HeldProcess)
    first = watching.begin(tmp_path, PLAN)
    until_running(first)
    others = {"seed": 7, "model": "RN_2", "snapshots": 5, "health": True}  # of a form, in which they mean another run
    second = watching.begin(tmp_path, make_plan(("RN_1", "RN_2"), 2, msgspec.structs.replace(SETTINGS, **others)))
    found = watching.newest(tmp_path)
    assert found is not None
    plan, third = found
    assert plan == PLAN
    until_running(second)
    stored.store(tmp_path, PLAN).keep(Standing(attempt=1, parts=(PartStanding("../elsewhere-0001", "done"),)))
    assert third.look()
    assert third.finished == []
    third.stop()
    assert to_end(first, second, third) == ["stopped"] * 3
    assert first.names == second.names == third.names
    assert watching.newest(tmp_path) is None
    assert stored.store(tmp_path, PLAN).attempt == 1

    compare_without_processes(monkeypatch)
    again = watching.begin(tmp_path, PLAN)
    assert to_end(again) == ["done"]
    assert [part.state for part in again.parts] == ["done"] * 4
    assert len(directory.Listing(tmp_path).read()) == 4
    assert to_end(watching.begin(tmp_path, PLAN)) == ["done"]
    found = watching.newest(tmp_path)
    assert found is not None
    assert to_end(found[1]) == ["done"]
    assert len(found[1].finished) == 4


def test_one_that_is_asked_for_while_it_stops_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_without_processes(monkeypatch, HeldProcess)
    first = watching.begin(tmp_path, PLAN)
    until_running(first)
    first.stop()
    second = watching.begin(tmp_path, PLAN)
    compare_without_processes(monkeypatch)
    assert to_end(first, second) == ["stopped", "done"]


@pytest.mark.parametrize(
    "written", [b"", b"[" * 100_000, b'{"attempt": 99, "outcome": "done", "parts": [["..", "done"]]}']
)
def test_what_is_damaged_is_not_believed(written: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_without_processes(monkeypatch)
    kept = stored.store(tmp_path, PLAN)
    (kept.path / "standing-0001.json").write_bytes(written)
    assert watching.newest(tmp_path) is None
    made = watching.begin(tmp_path, PLAN)
    assert to_end(made) == ["done"]
    assert len(made.finished) == 4


def test_a_process_that_was_superseded_hides_nothing_of_the_newer_one(tmp_path: Path) -> None:
    """It may have been halted between its last look at the lease and the replacement of its file."""
    kept = stored.store(tmp_path, PLAN)
    for attempt in (1, 2):
        with lease.hold(kept.path) as held:
            assert held.attempt == attempt
    kept.keep(Standing(attempt=2, outcome="done"))
    kept.keep(Standing(attempt=1, outcome="stopped"))
    assert kept.standing().outcome == "done"


def test_another_plan_cannot_be_slipped_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compare_without_processes(monkeypatch)
    made = watching.begin(tmp_path, PLAN)
    (folder,) = (tmp_path / ".comparisons").iterdir()
    other: Any = msgspec.structs.replace(PLAN, configurations=("/elsewhere/net.py:Net", "RN_2"))
    (folder / "plan.json").write_bytes(msgspec.json.encode(other, order="deterministic"))
    with pytest.raises(Problem, match="cannot read"):
        to_end(made)
    assert directory.Listing(tmp_path).read() == []


def test_a_process_that_dies_is_told_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dead:
        def __init__(self, comparison: StoredComparison) -> None:
            comparison.log_path.write_text("first\nKilled\n")

        def poll(self) -> int:
            return -9

    monkeypatch.setattr(driver, "launch", Dead)
    made = watching.begin(tmp_path, PLAN)
    assert made.look()
    with pytest.raises(Problem, match="ended") as caught:
        made.look()
    assert "Killed" in str(caught.value)


def test_a_plan_is_known_by_all_that_it_says() -> None:
    plans: list[Plan] = [
        PLAN,
        make_plan(("RN_1", "RN_2"), 3, SETTINGS),
        make_plan(("RN_2", "RN_1"), 2, SETTINGS),
        make_plan(("RN_1", "RN_2"), 2, SETTINGS, margin=0.01),
        make_plan(("RN_1", "RN_2"), 2, msgspec.structs.replace(SETTINGS, epochs=3)),
    ]
    assert len({msgspec.json.encode(plan) for plan in plans}) == len(plans)
    assert make_plan(("RN_1 + lr = 0.010", "RN_2"), 2, SETTINGS) == make_plan(("RN_1+lr=1e-2", "RN_2"), 2, SETTINGS)
