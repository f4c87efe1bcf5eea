"""Comparisons: which existing runs are reused, and which are started."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core import machine
from core.comparing import comparison, engine, statistics
from core.comparing.comparison import Comparison
from core.comparing.engine import Slot, ThisMachine
from core.comparing.parts import Part, at_once, check_seeds, plan
from core.machine import DeviceInfo
from core.messages import InvalidSetting, Message, Problem
from core.runs import control, directory, sameness
from core.runs.directory import Run
from core.runs.events import Progress, RunEnded, SettingsChanged, encode
from core.training import devices, settle
from tests.core.comparing.finished_runs import SETTINGS, config_of, finished, record, write
from tests.core.comparing.stand_in_worker import Job, StandInWorker
from tests.core.runs import run_files
from tests.core.runs.run_files import claim, release
from tests.core.training.sample_runs import carried_out
from tests.recorded import started


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Return the list of jobs that workers were handed."""
    monkeypatch.setattr(StandInWorker, "jobs", [], raising=False)
    monkeypatch.setattr(engine, "WarmWorker", StandInWorker)
    return StandInWorker.jobs


# The plan


def test_the_same_command_always_means_the_same_runs() -> None:
    configs = [part.config for part in plan(("RN_1", "RN_2"), 2, SETTINGS)]
    assert [(config.model, config.seed) for config in configs] == [("RN_1", 0), ("RN_2", 0), ("RN_1", 1), ("RN_2", 1)]
    assert [part.config for part in plan(("RN_1", "RN_2"), 2, SETTINGS)] == configs
    assert [part.config for part in plan(("RN_1", "RN_2"), 3, SETTINGS)][:4] == configs


@pytest.mark.parametrize("text", ["", "0", "-1", "1001", "five", "2.5", "²", "9" * 30])
def test_a_number_of_seeds_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidSetting, match="number of seeds"):
        check_seeds(text)


def test_two_runs_at_once_on_two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads, together in ((1, 1, 1), (2, 1, 2), (8, 1, 8), (16, 2, 8), (128, 4, 32)):
        monkeypatch.setattr(machine, "usable_cores", lambda cores=cores: cores)
        assert settle.threads_per_run("cpu") == threads
        assert at_once("cpu", threads) == together
    assert at_once("cuda:0", 0) == 1


# Existing runs


def test_finished_runs_are_not_trained_again_and_others_are_made(tmp_path: Path, launched: list[Job]) -> None:
    old = finished(tmp_path, config_of("RN_1", 0, data_dir="/elsewhere"), range(20))
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",) * 2))
    assert [part.state for part in made.parts] == ["done", "waiting"]
    assert made.parts[0].followed is not None
    assert made.parts[0].followed.run.id == old.id
    assert made.advance()
    (new,) = launched
    assert new.run.config() == config_of("RN_2", 0)


def test_what_auto_meant_counts_and_not_the_word(tmp_path: Path, launched: list[Job]) -> None:
    finished(tmp_path, config_of("RN_1", 0, dataset="auto", device="auto", threads=0), range(20), threads=1)
    finished(tmp_path, config_of("RN_2", 0, dataset="auto"), range(20), dataset="mnist")
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",)))
    assert [part.state for part in made.parts] == ["done", "waiting"]


def test_the_start_that_counts_is_the_newest(tmp_path: Path) -> None:
    """A run resumed on another device counts as a run on that device, as in a comparison's answer and the chart."""
    config = config_of("RN_1", 0, device="auto")
    run = finished(tmp_path, config, range(20), device="cuda:0", threads=1)
    assert Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",))).count("done") == 0
    before = run.events_path.read_bytes()
    run.events_path.write_bytes(encode(started(config, device="cuda:0", threads=1)))
    write(run, started(config, device="cpu", threads=1))
    run.events_path.write_bytes(run.events_path.read_bytes() + before.partition(b"\n")[2])
    assert Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",))).count("done") == 1


@pytest.mark.parametrize(
    "change", [{"epochs": 3}, {"lr": 0.01}, {"batch_size": 32}, {"precision": "bf16"}, {"threads": 2}, {"width": 0.5}]
)
def test_a_run_with_other_settings_is_not_taken(change: dict[str, Any], tmp_path: Path) -> None:
    finished(tmp_path, config_of("RN_1", 0, **change), range(20))
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",)))
    assert made.count("waiting") == 2


def test_a_network_that_was_edited_since_is_trained_again(tmp_path: Path) -> None:
    network = tmp_path / "net.py"
    network.write_text("")
    config = config_of(f"{network}:Net", 0)
    finished(tmp_path / "runs", config, range(20))
    texts = (config.model, "RN_1")
    os.utime(network, (1.0, 1.0))
    assert Comparison(tmp_path / "runs", plan(texts, 1, SETTINGS), ThisMachine(("cpu",))).parts[0].state == "done"
    os.utime(network, (time.time() + 60, time.time() + 60))
    assert Comparison(tmp_path / "runs", plan(texts, 1, SETTINGS), ThisMachine(("cpu",))).parts[0].state == "waiting"


@pytest.mark.slow
def test_every_file_that_a_network_loaded_counts(tmp_path: Path) -> None:
    """Those it imports in the midst of its training do too, whatever their dates say; an unused neighbour does not."""
    network, runs = tmp_path / "net.py", tmp_path / "runs"
    network.write_text(
        "import helper\nfrom torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
        "    def forward(self, x):\n        if len(x) == 4000:\n            import late\n"
        "        return super().forward(x)\n"
    )
    for name in ("helper", "late", "unused"):
        (tmp_path / f"{name}.py").write_text("N = 1\n")
    run = carried_out(runs, model=f"{network}:Net", batch_size=4000, epochs=1)
    start = record(run).record.started
    assert start is not None

    def state() -> str:
        return Comparison(runs, [Part("Net", sameness.effective_config(start))], ThisMachine(("cpu",))).parts[0].state

    assert state() == "done"
    for name, expected in (("net", "waiting"), ("helper", "waiting"), ("late", "waiting"), ("unused", "done")):
        file = tmp_path / f"{name}.py"
        content, dates = file.read_bytes(), file.stat()
        file.write_bytes(content + b"#")
        os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))
        assert state() == expected
        file.write_bytes(content)
        os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))
    recorded = run.path / "source.json"
    for damaged in (b"", b"[" * 100_000, b"{}", b'{"net.py": "\\u001b"}', b'{"net.py": 1}'):
        recorded.write_bytes(damaged)
        assert state() == "waiting"
    for hostile in ("/dev/zero", "..", "no\\u0000name", "net.py"):
        recorded.write_text(f'{{"{hostile}": "{"0" * 64}"}}')
        assert state() == "waiting"
    recorded.unlink()  # as in a run of an older version, which is judged by the date of its file
    assert state() == "done"


def test_stopped_and_crashed_runs_go_on(tmp_path: Path, launched: list[Job]) -> None:
    stopped, crashed = (directory.create(tmp_path, config_of(model, 0)) for model in ("RN_1", "RN_2"))
    write(stopped, started(stopped.config()), RunEnded(status="stopped"))
    stopped.request_stop()
    write(crashed, started(crashed.config()))
    os.utime(crashed.path / "config.json", (1.0, 1.0))
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",) * 2))
    made.advance()
    assert [process.run.id for process in launched] == [stopped.id, crashed.id]
    assert not stopped.stop_requested()
    assert made.count("running") == 2


def trained_by_another_program(folder: Path) -> Run:
    """Make a run of RN_1 with seed 0 that is in progress, and return it."""
    run = directory.create(folder, config_of("RN_1", 0))
    claim(run)
    write(run, started(run.config()))
    return run


def test_a_run_in_progress_is_waited_for_and_taken_over_when_its_process_dies(
    tmp_path: Path, launched: list[Job]
) -> None:
    run = trained_by_another_program(tmp_path)
    made = Comparison(tmp_path, [Part("RN_1", run.config())], ThisMachine(("cpu",)))
    assert made.advance()
    assert not launched
    claim(run, lives=False)
    assert made.advance()
    assert [process.run.id for process in launched] == [run.id]


def test_a_run_that_another_program_went_on_with_before_there_was_room_is_not_started_again(
    tmp_path: Path, launched: list[Job]
) -> None:
    parts = [Part(model, config_of(model, 0)) for model in ("RN_1", "RN_2")]
    other = directory.create(tmp_path, parts[1].config)
    run_files.write(other, started(other.config()), RunEnded(status="stopped"))
    made = Comparison(tmp_path, parts, ThisMachine(("cpu",)))
    assert made.advance()
    assert [process.run.id for process in launched] == ["rn1-0002"]
    claim(other)
    launched[0].done()
    write(launched[0].run, started(parts[0].config), RunEnded(status="done"))
    assert made.advance()
    assert [part.state for part in made.parts] == ["done", "running"]
    run_files.write(other, RunEnded(status="done"))
    assert not made.advance()
    assert [part.state for part in made.parts] == ["done", "done"]
    assert len(launched) == 1


@pytest.mark.parametrize("ended", ["done", "diverged"])
def test_a_run_that_is_steered_meanwhile_does_not_count(ended: Any, tmp_path: Path, launched: list[Job]) -> None:
    parts = [Part(model, config_of(model, 0)) for model in ("RN_1", "RN_2")]
    waiting = directory.create(tmp_path, parts[1].config)
    run_files.write(waiting, started(waiting.config()), RunEnded(status="stopped"))
    made = Comparison(tmp_path, parts, ThisMachine(("cpu",)))
    assert made.advance()
    steered = SettingsChanged(epoch=1, step=5, lr=0.01)
    write(launched[0].run, started(parts[0].config), steered, RunEnded(status=ended))
    run_files.write(waiting, steered, RunEnded(status=ended))
    launched[0].done()
    assert made.advance()
    assert made.parts[0].state == "left_out"
    assert str(made.parts[0].why) == "run rn1-0002 was changed while it trained"
    assert [process.run.id for process in launched] == ["rn1-0002", "rn2-0003"]


def test_no_more_at_once_than_there_is_room_for(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 2, SETTINGS), ThisMachine(("cpu",) * 2))
    assert made.advance()
    assert made.advance()
    assert len(launched) == 2
    launched[0].done()
    write(launched[0].run, started(SETTINGS), RunEnded(status="done"))
    assert made.advance()
    assert [part.state for part in made.parts] == ["done", "running", "running", "waiting"]


def test_progress_over_the_whole(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",) * 2))
    made.advance()
    assert (made.share, made.seconds_left()) == (0, None)
    for process, elapsed in zip(launched, (1.0, 3.0), strict=True):
        progress = Progress(epoch=1, step=63, loss=0.5, losses=(), images_per_s=1.0, elapsed_s=elapsed)
        write(process.run, started(process.run.config()), progress)
    made.advance()
    assert made.share == pytest.approx(0.5)
    assert made.seconds_left() == pytest.approx(3.0)


def test_time_is_that_of_the_configuration_and_not_of_its_network(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, plan(("RN_1", "RN_1+width=2"), 2, SETTINGS), ThisMachine(("cpu",) * 2))
    made.advance()
    for process, elapsed in zip(launched, (1.0, 9.0), strict=True):
        progress = Progress(epoch=1, step=63, loss=0.5, losses=(), images_per_s=1.0, elapsed_s=elapsed)
        write(process.run, started(process.run.config()), progress)
    made.advance()
    # Halfway through 2 s and 18 s, and as much again to come.
    assert made.share == pytest.approx(0.25)
    assert made.seconds_left() == pytest.approx(18.0)
    launched[0].done()
    write(launched[0].run, RunEnded(status="diverged"))
    made.advance()
    assert made.share == pytest.approx((2 + 9) / 40)


def test_the_names_of_all_stay_where_a_configuration_has_no_result(tmp_path: Path) -> None:
    finished(tmp_path, config_of("RN_2", 0, dropout=0.3), range(20))
    for model in ("RN_1", "RN_2"):
        ended = directory.create(tmp_path, config_of(model, 0))
        write(ended, started(ended.config()), RunEnded(status="diverged", message=Message("too fast")))
    made = Comparison(tmp_path, plan(("RN_2", "RN_2+dropout=0.3", "RN_1"), 1, SETTINGS), ThisMachine(("cpu",)))
    results = statistics.summarise(made.finished, made.left_out, made.names)
    assert [network.name for network in results.networks] == ["RN_2+dropout=0.3"]
    assert [(part.name, part.config.model) for part in results.left_out] == [("RN_2", "RN_2"), ("RN_1", "RN_1")]


def test_a_stop_reaches_every_run_in_progress(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 2, SETTINGS), ThisMachine(("cpu",) * 2))
    made.advance()
    made.stop()
    assert all(process.run.stop_requested() for process in launched)
    for process in launched:
        process.done()
        write(process.run, started(SETTINGS), RunEnded(status="stopped"))
    assert not made.advance()
    assert [part.state for part in made.parts] == ["stopped", "stopped", "waiting", "waiting"]


@pytest.mark.parametrize("status", ["failed", "diverged"])
def test_a_run_that_fails_is_left_out_with_the_reason(status: Any, tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)))
    made.advance()
    launched[0].done()
    write(launched[0].run, RunEnded(status=status, message=Message("no more room")))
    assert not made.advance()
    (part,) = made.parts
    assert (part.state, part.status, str(part.why)) == ("left_out", status, "no more room")


def test_a_worker_that_dies_is_left_out_with_its_last_words(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)))
    made.advance()
    launched[0].die()
    launched[0].run.log_path.write_text("first\nSegmentation fault\n")
    assert not made.advance()
    assert "Segmentation fault" in str(made.parts[0].why)


def test_a_run_that_another_program_was_faster_to_take_is_waited_for(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)))
    made.advance()
    run = launched[0].run
    claim(run)
    launched[0].done()  # ours was refused
    assert made.advance()
    write(run, started(SETTINGS), RunEnded(status="done"))
    assert not made.advance()
    assert made.parts[0].state == "done"


def test_what_another_comparison_has_begun_meanwhile_is_not_trained_twice(tmp_path: Path, launched: list[Job]) -> None:
    def begun(slots: int) -> Comparison:
        return Comparison(tmp_path, plan(("RN_1", "RN_2"), 3, SETTINGS), ThisMachine(("cpu",) * slots))

    first, second = begun(2), begun(3)  # neither has found a run
    assert first.advance()
    assert second.advance()
    assert second.advance()
    assert [part.state for part in second.parts] == ["running"] * 3 + ["waiting"] * 3
    launched[0].done()
    write(launched[0].run, started(SETTINGS), RunEnded(status="done"))
    for _look in range(2):
        assert first.advance()
        assert second.advance()
    seeds = [("RN_1", 0), ("RN_2", 0), ("RN_1", 1), ("RN_2", 1)]
    assert [seed for job in launched for seed in job.seeds] == seeds
    assert [part.state for part in second.parts] == ["done"] + ["running"] * 3 + ["waiting"] * 2


def two_of_one_run(folder: Path) -> list[Comparison]:
    """Return two comparisons that need the same run, which neither has found."""
    parts = [[Part("RN_1", config_of("RN_1", 0))] for _which in range(2)]
    return [Comparison(folder, each, ThisMachine(("cpu",)), key=key) for each, key in zip(parts, "ab", strict=True)]


def test_a_stop_reaches_what_was_begun_here_and_no_run_of_others(tmp_path: Path, launched: list[Job]) -> None:
    first, second = two_of_one_run(tmp_path)
    first.advance()
    (job,) = launched
    claim(job.run, comparison="a")
    assert second.advance()
    second.stop()
    assert not second.advance()
    assert not job.run.stop_requested()
    again = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)), key="a")
    assert again.advance()
    again.stop()
    assert job.run.stop_requested()
    job.run.withdraw_requests()
    claim(job.run, comparison="b")  # the other one goes on with it
    again = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)), key="a")
    again.stop()
    assert not job.run.stop_requested()


def test_a_run_that_another_comparison_was_to_stop_goes_on_here(tmp_path: Path, launched: list[Job]) -> None:
    first, second = two_of_one_run(tmp_path)
    first.advance()
    run = launched[0].run
    held = claim(run, comparison="a")
    assert second.advance()
    first.stop()
    write(run, started(run.config()), RunEnded(status="stopped"))
    run.withdraw_requests()
    release(held)
    launched[0].done()
    assert not first.advance()
    assert [part.state for part in first.parts] == ["stopped"]
    assert second.advance()
    assert [job.run.id for job in launched] == [run.id, run.id]
    assert not run.stop_requested()


def test_a_run_that_was_left_out_counts_if_another_comparison_finishes_it(tmp_path: Path, launched: list[Job]) -> None:
    first = Comparison(tmp_path, plan(("RN_1", "RN_2"), 1, SETTINGS), ThisMachine(("cpu",) * 2))
    assert first.advance()
    launched[0].die()
    assert first.advance()
    assert [part.state for part in first.parts] == ["left_out", "running"]
    run = launched[0].run
    claim(run)
    launched[1].done()
    write(launched[1].run, started(SETTINGS), RunEnded(status="done"))
    assert first.advance()
    assert [part.state for part in first.parts] == ["left_out", "done"]  # so far
    run_files.write(run, started(run.config()), RunEnded(status="done"))
    assert not first.advance()
    assert [(part.state, part.why) for part in first.parts] == [("done", None)] * 2


def test_a_run_that_always_crashes_is_tried_once_by_each(tmp_path: Path, launched: list[Job]) -> None:
    first, second = two_of_one_run(tmp_path)
    first.advance()
    claim(launched[0].run)
    assert second.advance()
    launched[0].die()
    for _look in range(5):
        first.advance()
        second.advance()
        if launched[-1].is_on:
            launched[-1].die()
    assert len(launched) == 2
    assert not first.advance()
    assert not second.advance()


@pytest.mark.parametrize("has_started", [True, False])
def test_a_run_of_others_goes_on_here_only_on_a_device_that_was_asked_for(
    has_started: bool, tmp_path: Path, launched: list[Job]
) -> None:
    first, second = (Comparison(tmp_path, on_gpus(0), ThisMachine((gpu,))) for gpu in reversed(GPUS))
    first.advance()
    run = launched[0].run
    held = claim(run, comparison="a")
    assert second.advance()
    if has_started:
        write(run, started(run.config(), device="cuda:1"), RunEnded(status="stopped"))
    release(held)
    assert second.advance()
    assert second.advance()
    assert devices_of(launched) == [(0, "cuda:1"), (0, "cuda:0")]


def test_what_takes_the_place_of_a_run_that_is_gone_is_trained_once(tmp_path: Path, launched: list[Job]) -> None:
    parts = [Part("RN_1", config_of("RN_1", 0))]
    old = directory.create(tmp_path, parts[0].config)
    run_files.write(old, started(old.config()), RunEnded(status="stopped"))
    first = Comparison(tmp_path, parts, ThisMachine(("cpu",)))
    second = Comparison(tmp_path, plan(("RN_2", "RN_1"), 1, SETTINGS), ThisMachine(("cpu",)))
    shutil.rmtree(old.path)
    assert first.advance()
    assert second.advance()
    launched[1].done()
    write(launched[1].run, started(launched[1].run.config()), RunEnded(status="done"))
    assert second.advance()
    assert [job.run.id for job in launched] == ["rn1-0002", "rn2-0003"]


@pytest.mark.parametrize("comparison", ["b", ""])
def test_a_stop_while_another_program_is_faster_is_not_for_its_run(
    comparison: str, tmp_path: Path, launched: list[Job]
) -> None:
    stopped = directory.create(tmp_path, config_of("RN_1", 0))
    write(stopped, started(stopped.config()), RunEnded(status="stopped"))
    release(claim(stopped))
    made, _other = two_of_one_run(tmp_path)
    assert made.advance()
    assert launched[0].run.id == stopped.id
    made.stop()
    assert not stopped.stop_requested()  # it is not known yet whose process takes it
    claim(stopped, comparison=comparison)
    assert not made.advance()
    assert not stopped.stop_requested()


def test_a_stop_reaches_a_run_that_a_killed_process_had_just_begun(tmp_path: Path) -> None:
    orphan = directory.create(tmp_path, config_of("RN_1", 0))  # no process has taken it yet
    made, _other = two_of_one_run(tmp_path)
    made.stop()
    assert made.advance()
    claim(orphan, comparison="a")
    assert made.advance()
    assert orphan.stop_requested()


def test_a_run_that_died_on_another_machine_is_given_up_once_its_lease_has_run_out(
    tmp_path: Path, launched: list[Job]
) -> None:
    """Until then, nobody here can tell; the times that it goes on are counted."""
    made, _other = two_of_one_run(tmp_path)
    for attempt in range(1, comparison.MAX_RETRIES + 2):
        assert made.advance()
        assert len(launched) == attempt
        held = claim(launched[-1].run, lives=False, comparison="a", **run_files.ELSEWHERE)
        launched[-1].worker.is_lost = True
        launched[-1].done()
        assert made.advance()
        assert len(launched) == attempt
        os.utime(held, (time.time() - 60,) * 2)
    assert not made.advance()
    assert [part.status for part in made.parts] == ["failed"]


def test_a_run_that_was_deleted_while_it_waited_for_a_slot_is_begun_anew(tmp_path: Path, launched: list[Job]) -> None:
    place = Elsewhere(1)
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], place)
    place.is_gone = True
    assert made.advance()
    shutil.rmtree(tmp_path / "rn1-0001")
    place.is_gone = False
    assert made.advance()
    assert [job.run.id for job in launched] == ["rn1-0002"]


def test_a_run_that_is_found_at_the_last_moment_goes_on_where_it_was(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, on_gpus(0), ThisMachine(GPUS))
    found = directory.create(tmp_path, config_of("RN_1", 0, device="cuda:1", threads=0))
    run_files.write(found, started(found.config(), device="cuda:1"), RunEnded(status="stopped"))
    while not launched:
        assert made.advance()
    assert [slot.device for slot, parts in made.occupied() if parts] == ["cuda:1"]
    assert launched[0].run.id == found.id


def test_a_run_whose_folder_was_removed_is_begun_anew_or_said_to_be_deleted(
    tmp_path: Path, launched: list[Job]
) -> None:
    first, second = two_of_one_run(tmp_path)
    first.advance()
    claim(launched[0].run)
    assert second.advance()
    shutil.rmtree(launched[0].run.path)
    launched[0].done()
    assert not first.advance()
    assert str(first.parts[0].why) == "the folder of run rn1-0001 was deleted"
    assert second.advance()
    assert [job.run.id for job in launched] == ["rn1-0001", "rn1-0002"]


# Devices


GPUS = ("cuda:0", "cuda:1")


def on_gpus(*seeds: int, **other: Any) -> list[Part]:
    return [Part("RN_1", config_of("RN_1", seed, device="cuda", threads=0, **other)) for seed in seeds]


def devices_of(jobs: list[Job]) -> list[tuple[int, str]]:
    return [(job.run.config().seed, job.run.config().device) for job in jobs]


def test_every_device_has_a_run_and_a_worker_stays_on_its_device(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, on_gpus(*range(6)), ThisMachine(GPUS * 2))
    made.advance()
    assert devices_of(launched) == [(0, "cuda:0"), (1, "cuda:1"), (2, "cuda:0"), (3, "cuda:1")]
    for number in (3, 0):
        write(launched[number].run, started(launched[number].run.config(), device=""), RunEnded(status="done"))
        launched[number].done()
        made.advance()
    assert devices_of(launched[4:]) == [(4, "cuda:1"), (5, "cuda:0")]
    assert [job.worker for job in launched[4:]] == [launched[3].worker, launched[0].worker]


def test_a_run_counts_whichever_gpu_it_was_on_and_goes_on_where_it_was(tmp_path: Path, launched: list[Job]) -> None:
    finished(tmp_path, config_of("RN_1", 0, device="cuda:5", threads=0), range(20), device="cuda:5", threads=8)
    for seed, device in ((1, "cuda:1"), (2, "cuda:1"), (3, "cuda:5")):
        run = directory.create(tmp_path, config_of("RN_1", seed, device=device, threads=0))
        write(run, started(run.config(), device=device), RunEnded(status="stopped"))
    made = Comparison(tmp_path, on_gpus(*range(5)), ThisMachine(GPUS))
    assert [part.state for part in made.parts] == ["done", *["waiting"] * 4]
    made.advance()
    # That of seed 2 waits for its GPU; that of seed 3 was on one that was not asked for, and is trained anew.
    assert devices_of(launched) == [(1, "cuda:1"), (3, "cuda:0")]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [((), GPUS), (("all",), GPUS), (("cuda:1",), ("cuda:1",)), (("cuda", "cuda:0"), ("cuda:0",)), (("cpu",), ("cpu",))],
)
def test_the_devices_of_a_comparison(wanted: Any, found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_gpus", lambda: [DeviceInfo(name, "H100") for name in GPUS])
    monkeypatch.setattr(devices, "_num_gpus", lambda: 2)
    assert devices.of_comparison("auto", wanted) == list(found)
    assert devices.of_comparison("cuda:1", ()) == ["cuda:1"]
    with pytest.raises(Problem, match="there is no device cuda:2 here; available: cuda:0, cuda:1, cpu"):
        devices.of_comparison("auto", ("cuda:0", "cuda:2"))
    with pytest.raises(InvalidSetting, match="of one kind"):
        devices.of_comparison("auto", ("cuda:0", "cpu"))


def test_a_run_that_loses_its_slot_goes_on_in_another_and_not_for_ever(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)))
    for attempt in range(comparison.MAX_RETRIES):
        assert made.advance()
        assert len(launched) == attempt + 1
        launched[-1].lose_slot()
    assert made.advance()
    assert len({job.run.id for job in launched}) == 1
    launched[-1].lose_slot()
    assert not made.advance()
    assert [part.status for part in made.parts] == ["failed"]


def test_a_run_that_is_stopped_with_its_slot_goes_on(tmp_path: Path, launched: list[Job]) -> None:
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)))
    made.advance()
    (job,) = launched
    job.worker.is_lost = True
    write(job.run, started(config=job.run.config()), RunEnded(status="stopped"))
    job.lose_slot()
    assert made.advance()
    assert len(launched) == 2


@pytest.mark.parametrize("stops", [False, True])
def test_a_paused_run_that_loses_its_slot_is_paused_in_the_next_one(
    stops: bool, tmp_path: Path, launched: list[Job]
) -> None:
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], ThisMachine(("cpu",)))
    made.advance()
    run = launched[0].run
    write(run, started(run.config()), SettingsChanged(epoch=1, step=5, paused=True))
    assert made.advance()
    if stops:  # as it does in a job whose time is up
        write(run, RunEnded(status="stopped"))
        assert made.advance()
        launched[0].worker.is_lost = True
        launched[0].done()
    else:
        launched[0].lose_slot()
    assert made.advance()
    assert len(launched) == 2
    assert [request.paused for _path, request in control.pending(run.path)] == [True]


class Elsewhere(ThisMachine):
    """Slots that may be gone when a run is to start there; what is wanted is written down."""

    def __init__(self, number: int, node: str = "") -> None:
        super().__init__(("cpu",) * number)
        self.slots = [Slot("cpu", node)] * number
        self.wanted: list[int] = []
        self.is_gone = False

    def want(self, jobs: int) -> None:
        self.wanted.append(jobs)

    def start(self, runs: Sequence[Run], slot: Slot) -> Any:
        return None if self.is_gone else super().start(runs, slot)


def test_a_run_whose_slot_was_gone_starts_in_the_next_one_at_once(tmp_path: Path, launched: list[Job]) -> None:
    place = Elsewhere(1)
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], place)
    place.is_gone = True
    for _look in range(3):
        assert made.advance()
        assert (made.count("waiting"), made.count("running")) == (1, 0)
    place.is_gone = False
    made.advance()
    assert made.count("running") == 1
    assert [job.run.id for job in launched] == ["rn1-0001"]


def test_as_many_slots_are_wanted_as_there_are_groups(tmp_path: Path, launched: list[Job]) -> None:
    place = Elsewhere(4)
    made = Comparison(tmp_path, plan(("RN_1", "RN_2"), 10, SETTINGS), place, together=100)
    made.advance()
    assert place.wanted == [4] == [len(launched)]
    own = tmp_path / "net.py"
    own.write_text("")
    alone = Comparison(tmp_path, [Part("Net", config_of(f"{own}:Net", seed)) for seed in range(6)], place, together=9)
    alone.advance()
    assert place.wanted == [4, 6]


def test_the_slot_of_a_group_that_still_sends_is_not_free(tmp_path: Path, launched: list[Job]) -> None:
    parts = [Part("RN_1", config_of("RN_1", seed)) for seed in range(4)]
    made = Comparison(tmp_path, parts, ThisMachine(("cpu",)), together=2)
    made.advance()
    (group,) = launched
    for run in group.runs:
        write(run, started(run.config()), RunEnded(status="done"))
        claim(run, lives=False)
    made.advance()
    assert (made.count("done"), len(launched)) == (2, 1)
    assert [parts for _slot, parts in made.occupied()] == [[]]
    group.done()
    made.advance()
    assert len(launched) == 2


def test_a_run_that_another_program_trains_takes_no_slot_of_another_machine(
    tmp_path: Path, launched: list[Job]
) -> None:
    trained_by_another_program(tmp_path)
    parts = [Part("RN_1", config_of("RN_1", seed)) for seed in range(2)]
    made = Comparison(tmp_path, parts, Elsewhere(1, "gpu-7"))
    made.advance()
    assert made.count("running") == 2
    assert len(launched) == 1


def test_a_run_that_another_program_has_finished_before_a_slot_came_is_not_trained_again(
    tmp_path: Path, launched: list[Job]
) -> None:
    place = Elsewhere(1)
    place.is_gone = True
    made = Comparison(tmp_path, [Part("RN_1", config_of("RN_1", 0))], place)
    made.advance()
    (part,) = made.parts
    assert part.followed is not None
    run = part.followed.run
    claim(run, lives=False)
    write(run, started(run.config()), RunEnded(status="done"))
    place.is_gone = False
    made.advance()
    assert (part.state, len(launched)) == ("done", 0)
