"""A comparison whose seeds are trained at once: which runs share a process, and what if that ends early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from core import machine
from core.comparing import engine
from core.comparing.comparison import Comparison
from core.comparing.engine import ThisMachine
from core.comparing.parts import MOST_TOGETHER, Part, plan
from core.comparing.stored import make_plan
from core.runs import directory, lease
from core.runs.events import EventWriter, RunEnded
from tests.core.comparing.finished_runs import SETTINGS, config_of, finished, write
from tests.core.comparing.stand_in_worker import Job, StandInWorker
from tests.core.runs.run_files import claim
from tests.recorded import started


def end(job: Job, status: str = "done") -> None:
    """Let every run of a job end, and the job with them."""
    for run in job.runs:
        claim(run, lives=False)
        writer = EventWriter(run.events_path, run.attempt)
        for event in (started(run.config()), RunEnded(status=status)):  # type: ignore[arg-type]
            writer.write(event)
        writer.close()
    job.done()


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Return the list of jobs that workers were handed."""
    monkeypatch.setattr(StandInWorker, "jobs", [], raising=False)
    monkeypatch.setattr(engine, "WarmWorker", StandInWorker)
    return StandInWorker.jobs


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Comparison]:
    def make(*texts: str, seeds: int, at_once: int = 1) -> Comparison:
        if len(texts) > 1:
            return Comparison(tmp_path, plan(texts, seeds, SETTINGS), ThisMachine(("cpu",) * at_once), MOST_TOGETHER)
        parts = [Part(texts[0], config_of(texts[0], seed)) for seed in range(seeds)]
        return Comparison(tmp_path, parts, ThisMachine(("cpu",) * at_once), MOST_TOGETHER)

    return make


def test_the_seeds_of_a_configuration_share_a_process(made: Callable[..., Comparison], groups: list[Job]) -> None:
    compared = made("RN_1", "RN_2+dropout=0.3", seeds=3)
    assert compared.advance()
    assert [group.seeds for group in groups] == [[("RN_1", 0), ("RN_1", 1), ("RN_1", 2)]]
    assert compared.count("running") == 3
    end(groups[0])
    compared.advance()
    compared.advance()
    assert [group.seeds for group in groups[1:]] == [[("RN_2", 0), ("RN_2", 1), ("RN_2", 2)]]
    end(groups[1], "diverged")
    assert not compared.advance()
    assert (compared.count("done"), compared.count("left_out")) == (3, 3)


def test_a_process_counts_once_however_many_runs_it_trains(made: Callable[..., Comparison], groups: list[Job]) -> None:
    made("RN_1", "RN_2", "RN_1+width=2", seeds=4, at_once=2).advance()
    assert [len(group.runs) for group in groups] == [4, 4]


def test_a_run_that_has_ended_does_not_wait_for_the_others(made: Callable[..., Comparison], groups: list[Job]) -> None:
    compared = made("RN_1", seeds=2)
    compared.advance()
    write(groups[0].runs[1], started(config_of("RN_1", 1)), RunEnded(status="diverged"))
    assert compared.advance()
    assert [part.state for part in compared.parts] == ["running", "left_out"]
    assert len(groups) == 1


def test_finished_runs_are_left_in_peace_and_those_on_the_way_go_on(
    tmp_path: Path, made: Callable[..., Comparison], groups: list[Job]
) -> None:
    finished(tmp_path, config_of("RN_1", 1), range(20))
    stopped = directory.create(tmp_path, config_of("RN_1", 2))
    write(stopped, started(stopped.config()), RunEnded(status="stopped"))
    compared = made("RN_1", seeds=4)
    compared.advance()
    assert [group.seeds for group in groups] == [[("RN_1", 0), ("RN_1", 2), ("RN_1", 3)]]
    assert stopped.id in [run.id for run in groups[0].runs]


def test_a_group_whose_slot_goes_is_trained_in_another(made: Callable[..., Comparison], groups: list[Job]) -> None:
    compared = made("RN_1", seeds=2)
    compared.advance()
    for run in groups[0].runs:
        claim(run)
        write(run, started(run.config()), RunEnded(status="stopped"))
    assert compared.advance()  # its job may live for some seconds more
    assert compared.count("running") == 2
    groups[0].worker.is_lost = True
    groups[0].done()
    assert compared.advance()
    assert [group.seeds for group in groups] == [[("RN_1", 0), ("RN_1", 1)]] * 2


def test_a_group_that_ends_early_goes_on_in_halves(made: Callable[..., Comparison], groups: list[Job]) -> None:
    """So does one that ran out of memory; a run that ends a process all by itself is left out."""
    compared = made("RN_1", seeds=5)
    compared.advance()
    groups[0].die()
    compared.advance()
    assert [seed for _model, seed in groups[1].seeds] == [0, 1]
    end(groups[1])
    while compared.advance():
        latest = groups[-1]
        if latest.is_on and ("RN_1", 3) in latest.seeds:
            latest.die()
        elif latest.is_on:
            end(latest)
    assert [[seed for _model, seed in group.seeds] for group in groups[2:]] == [[2, 3], [2], [3], [4]]
    assert [part.state for part in compared.parts] == ["done", "done", "done", "left_out", "done"]
    assert "was killed" in str(compared.parts[3].why)


def test_on_a_cluster_a_group_whose_process_died_is_halved_and_one_whose_node_is_gone_is_not(
    made: Callable[..., Comparison], groups: list[Job]
) -> None:
    compared = made("RN_1", seeds=4)
    compared.advance()
    groups[0].lose_slot()
    compared.advance()
    assert len(groups[1].runs) == 4
    groups[1].die_on_cluster()
    compared.advance()
    assert len(groups[2].runs) == 2
    assert {part.losses_of_slot for part in compared.parts} == {0}


def test_a_run_whose_last_process_may_live_is_no_reason_for_others_to_wait(
    tmp_path: Path, made: Callable[..., Comparison], groups: list[Job]
) -> None:
    doubtful = directory.create(tmp_path, config_of("RN_1", 1))
    claim(doubtful, lives=False, boot_id="another", host="elsewhere")
    write(doubtful, started(doubtful.config()), RunEnded(status="stopped"))
    assert not lease.is_certain(doubtful.path)
    made("RN_1", seeds=3, at_once=2).advance()
    assert [[seed for _model, seed in group.seeds] for group in groups] == [[0, 2], [1]]


def test_networks_of_ones_own_are_trained_one_by_one(
    tmp_path: Path, made: Callable[..., Comparison], groups: list[Job]
) -> None:
    own = tmp_path / "own.py"
    own.write_text("")
    made(f"{own}:Net", "RN_1", seeds=2, at_once=2).advance()
    assert [len(group.runs) for group in groups] == [1, 2]


def test_no_slot_is_left_without_seeds(made: Callable[..., Comparison], groups: list[Job]) -> None:
    made("RN_1", seeds=7, at_once=3).advance()
    assert [len(group.runs) for group in groups] == [3, 3, 1]


def test_the_plan_says_it_and_other_plans_keep_their_keys() -> None:
    usual, together = (make_plan(("RN_1", "RN_2"), 300, SETTINGS, together=each) for each in (False, True))
    assert b"together" not in msgspec.json.encode(usual)
    assert msgspec.json.decode(msgspec.json.encode(together), type=type(together)) == together
    assert (usual.most_together, together.most_together) == (1, MOST_TOGETHER)


def test_the_devices_are_those_of_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "usable_cores", lambda: 4)
    cpu = msgspec.structs.replace(SETTINGS, device="cpu", threads=2)
    gpus = msgspec.structs.replace(SETTINGS, device="cuda", threads=0)
    usual = make_plan(("RN_1", "RN_2"), 3, cpu)
    assert usual == make_plan(("RN_1", "RN_2"), 3, cpu, devices=("cpu",))
    assert usual.slots == ("cpu", "cpu")
    assert make_plan(("RN_1", "RN_2"), 3, cpu, per_device=3).slots == ("cpu",) * 3
    both = make_plan(("RN_1", "RN_2"), 3, gpus, devices=("cuda:0", "cuda:3"), per_device=2)
    assert both.slots == ("cuda:0", "cuda:3", "cuda:0", "cuda:3")
    assert msgspec.json.decode(msgspec.json.encode(both), type=type(both)) == both
