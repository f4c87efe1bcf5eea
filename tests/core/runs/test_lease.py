"""Who trains a run, and whether that process lives."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from core import files
from core.messages import Problem
from core.runs import lease, resumption
from core.runs.directory import Listing, Run
from core.runs.events import RunEnded
from core.runs.lease import Lost
from core.runs.provenance import Provenance
from tests.core.runs.run_files import ELSEWHERE, PROGRESS, attempts, claim, new_run, write


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let leases last for a moment only."""
    for name, seconds in (("LEASE_S", 0.3), ("RENEWAL_S", 0.05), ("_WATCH_S", 0.1), ("_WRITING_S", 0.05)):
        monkeypatch.setattr(lease, name, seconds)


def age(path: Path, seconds: float = 1000) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_states_of_a_run_as_its_processes_come_and_go(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    assert run.state() == "starting"
    claim(run)
    assert run.state() == "running"
    write(run, RunEnded(status="stopped", time=time.time() - 1000))
    assert run.state() == "stopped"
    claim(run)  # resumed: the clock of the host that wrote the end does not matter
    assert run.state() == "running"
    claim(run, lives=False)
    assert run.state() == "crashed"


def test_a_clock_that_is_ahead_ends_no_run(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    claim(run, lives=False)
    write(run, RunEnded(status="stopped", time=time.time() + 600))
    claim(run)
    assert run.state() == "running"


def test_a_process_of_another_boot_lives_while_it_renews_its_lease(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    path = claim(run, lives=False, **ELSEWHERE)
    assert run.state() == "running"
    age(path)
    (summary,) = Listing(tmp_path).read()
    assert summary.state == "silent"
    assert summary.silent_s == pytest.approx(1000, abs=10)
    os.utime(path)
    assert run.state() == "running"
    assert list(run.path.glob(".*")) == []


def test_a_free_lock_proves_nothing_on_another_boot_nor_a_lock_that_was_never_held(tmp_path: Path) -> None:
    for changes in (ELSEWHERE, {"locked": False}):
        run = new_run(tmp_path)
        claim(run, lives=False, **changes)
        assert run.state() == "running"


def test_a_damaged_lease_does_not_hide_a_lock(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    path = claim(run)
    os.utime(run.path / "config.json", (1.0, 1.0))
    path.write_bytes(path.read_bytes().replace(b'"attempt"', b'"attempu"'))
    assert run.state() == "running"
    with pytest.raises(Problem, match="already"), lease.hold(run.path):
        pass


def test_a_stamp_in_the_future_is_no_sign_of_life(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    age(claim(run, **ELSEWHERE), -3600)
    assert run.state() == "silent"


def test_a_run_that_may_be_dead_elsewhere_may_be_resumed_and_a_start_waits(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    claim(run, **ELSEWHERE)
    assert run.state() == "running"
    resumption.check_resumable(run)
    claim(run)
    with pytest.raises(Problem, match="already"):
        resumption.check_resumable(run)


def test_a_viewer_that_may_not_write_cannot_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    claim(run, **ELSEWHERE)

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "create", refuse)
    (summary,) = Listing(tmp_path).read()
    assert (summary.state, summary.silent_s) == ("silent", None)


def test_only_one_process_trains_a_run(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with lease.hold(run.path), pytest.raises(Problem, match="already"), lease.hold(run.path):
        pass
    assert attempts(run) == 1


def test_of_many_that_start_at_once_one_trains(tmp_path: Path) -> None:
    """While others look: a reader never makes a start fail."""
    run = new_run(tmp_path)
    trained: list[int] = []
    refused: list[Problem] = []
    is_over = threading.Event()
    everyone_tried = threading.Barrier(8)

    def start() -> None:
        try:
            with lease.hold(run.path) as held:
                trained.append(held.attempt)
                everyone_tried.wait(20)
        except Problem as problem:
            refused.append(problem)
            everyone_tried.wait(20)

    def look() -> None:
        while not is_over.is_set():
            run.state()

    readers = [threading.Thread(target=look) for _ in range(2)]
    starts = [threading.Thread(target=start) for _ in range(8)]
    for thread in (*readers, *starts):
        thread.start()
    for thread in starts:
        thread.join()
    is_over.set()
    for thread in readers:
        thread.join()
    assert trained == [1]
    assert len(refused) == 7


@pytest.mark.usefixtures("quick")
def test_a_process_that_cannot_be_asked_is_waited_for_and_then_superseded(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    claim(run, **ELSEWHERE)
    told: list[float] = []
    with lease.hold(run.path, told.append) as held:
        assert held.attempt == 2
        assert run.state() == "running"
    assert told
    assert told == sorted(told, reverse=True)
    assert max(told) <= lease.LEASE_S


@pytest.mark.usefixtures("quick")
def test_a_process_that_renews_its_lease_is_not_superseded_whatever_its_clock(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    path = claim(run, **ELSEWHERE)
    age(path)
    renewals = threading.Timer(0.05, os.utime, [path])
    renewals.start()
    with pytest.raises(Problem, match="already"), lease.hold(run.path):
        pass
    renewals.join()


@pytest.mark.usefixtures("quick")
def test_a_superseded_process_writes_nothing_more(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with lease.hold(run.path) as held:
        held.look()
        claim(run, host="another")
        with pytest.raises(Lost, match="another"):
            held.look()
        assert held.is_lost


def test_an_attempt_of_the_same_number_is_another_process_s_too(tmp_path: Path) -> None:
    """The folder was put back from a backup, for example, and the run resumed."""
    run = new_run(tmp_path)
    with lease.hold(run.path) as held:
        (run.path / "attempt-0001.json").unlink()
        claim(run, host="another")
        with pytest.raises(Lost, match="another"):
            held.look()


@pytest.mark.usefixtures("quick")
def test_a_lease_that_cannot_be_read_proves_no_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    path = claim(run, lives=False)
    os.utime(run.path / "config.json", (1.0, 1.0))
    read_small = files.read_small

    def fail_for_the_lease(file: Path, limit: int = 1 << 16) -> bytes:
        if file == path:
            raise OSError(5, "Input/output error")
        return read_small(file, limit)

    monkeypatch.setattr(files, "read_small", fail_for_the_lease)
    assert run.state() == "running"
    age(path)
    assert run.state() == "silent"
    with lease.hold(run.path) as held:
        assert held.attempt == 2


def test_a_start_is_not_superseded_while_it_asks_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)

    def look() -> Provenance:
        assert list(run.path.glob("attempt-*")) == []
        return Provenance()

    monkeypatch.setattr(lease, "provenance", look)
    with lease.hold(run.path) as held:
        assert held.attempt == 1


def test_a_process_whose_lock_file_halts_in_a_start_is_waited_for(tmp_path: Path) -> None:
    """Another start finds a lease without content: half-written, or of a process killed in that moment."""
    run = new_run(tmp_path)
    (run.path / "attempt-0001.json").touch()
    with lease.hold(run.path) as held:
        assert held.attempt == 2


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_folder_that_is_deleted_ends_the_lease(how: str, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with lease.hold(run.path) as held:
        shutil.rmtree(run.path)
        if how == "replaced":
            run.path.mkdir()
            claim(Run(run.path))
        with pytest.raises(Lost, match="deleted"):
            held.look()
    assert how == "replaced" or not run.path.exists()


@pytest.mark.usefixtures("quick")
def test_the_published_lease_is_the_newest_and_is_put_back(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with lease.hold(run.path):
        published = lease.path(run.path)
        assert published.samefile(run.path / "attempt-0001.json")
        published.unlink()
        deadline = time.monotonic() + 10
        while not published.exists():
            assert time.monotonic() < deadline


@pytest.mark.parametrize("flock", ["no-op", "refused"])
def test_where_locks_do_not_work_the_lease_tells(flock: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        if flock == "refused":
            raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", broken)
    run = new_run(tmp_path)
    with lease.hold(run.path):
        newest = lease.read(run.path)
        assert newest is not None
        assert not newest.locked
        write(run, PROGRESS)
        assert run.state() == "running"


def test_a_run_of_an_older_version_lives_while_its_lock_is_held(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    with (run.path / "lock").open("w") as lock:
        os.utime(run.path / "config.json", (1.0, 1.0))
        assert run.state() == "crashed"
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run.state() == "running"
