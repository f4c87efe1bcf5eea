"""Inject faults at random moments in real runs, and check that they come back with nothing lost.

`python -m tests.end_to_end.torture --rounds 50`
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from core.runs import lease
from core.runs.directory import Run
from core.runs.events import Progress, RunStarted, decode
from tests.core.runs.run_files import checkpoints_of
from tests.end_to_end.forks import ForkServer
from tests.end_to_end.namespaces import CONTAINER, age, another_host, has_namespaces
from tests.end_to_end.terminal import (
    Background,
    Place,
    all_events,
    batch_losses,
    predictions,
    wait_for_event,
    wait_until,
)

EPOCHS, STEPS = 3, 40
OPTIONS = ("--epochs", str(EPOCHS), "--batch-size", "100")
PAUSE_S = 0.004
BALLAST = str(2_000_000)
"""Number of extra parameters, large enough for a save to take some time."""
MOST_RESUMPTIONS = 6


class Round:
    """A run and the faults injected into it."""

    def __init__(self, place: Place, moments: random.Random, seed: int) -> None:
        self.place = place
        self.moments = moments
        others = set(place.runs_dir.glob("*-*"))
        self.worker = place.train(*OPTIONS, "--seed", str(seed), pause=PAUSE_S, BALLAST=BALLAST)
        (path,) = wait_until(lambda: set(place.runs_dir.glob("slow-*")) - others, "a new run")
        self.run = Run(path)
        self.injected: list[str] = []
        self.is_aged = False
        """True while the lease of a halted process has been made old: it is then silent elsewhere."""

    def disturb(self) -> None:
        """Inject a fault after some more batches. Return once the worker has ended, if the fault ends it."""
        if not self._wait_for_batch(self.moments.randrange(1, 70)):
            return
        fault = self.moments.choice(FAULTS)
        self.injected.append(fault.__name__.removeprefix("_"))
        fault(self)

    def finish(self) -> None:
        """Resume the run until it is done. Raises `AssertionError` if it never is."""
        for _ in range(MOST_RESUMPTIONS):
            code = self.worker.wait(120)
            if code == 0:
                return
            state = self.run.state()
            is_full = state == "failed" and "No space left" in self.worker.err  # which says to resume it
            assert is_full or state in ("crashed", "stopped", "silent"), (
                f"{state} after exit code {code}: {self.worker.err[-300:]}"
            )
            self.resume()
        raise AssertionError("it never ended")

    def resume(self) -> None:
        if self.worker.poll() == 0:
            return  # the fault came too late
        known = _newest_start(self.run)
        self.worker = self.place.fork(
            "resume", self.run.id, "--no-ui", "--lang", "en", PAUSE=str(PAUSE_S), BALLAST=BALLAST
        )
        wait_until(lambda: self.worker.poll() is not None or _newest_start(self.run) != known, "the resumption")

    def _wait_for_batch(self, batches: int) -> bool:
        """Wait for so many batches, and return whether the worker still runs."""
        start = wait_until(
            lambda: _newest_start(self.run) or self.worker.poll() is not None, lambda: f"a start: {self.worker.err}"
        )
        if not isinstance(start, RunStarted):
            return False
        seen = len(all_events(self.run))
        goal = (start.epoch - 1) * STEPS + start.step + batches

        def is_there() -> bool:
            return any(
                isinstance(event, Progress) and (event.epoch - 1) * STEPS + event.step >= goal
                for event in all_events(self.run)[max(0, seen - 1) :]
            )

        wait_until(lambda: is_there() or self.worker.poll() is not None, "a batch")
        return self.worker.poll() is None


def _newest_start(run: Run) -> RunStarted | None:
    starts = [event for event in all_events(run) if isinstance(event, RunStarted)] if run.events_path.exists() else []
    return starts[-1] if starts else None


def _killed(this: Round) -> None:
    this.worker.kill()
    this.resume()


def _killed_in_a_save(this: Round) -> None:
    wait_until(lambda: this.worker.poll() is not None or list(this.run.path.glob(".checkpoint*")), "a save")
    this.worker.kill()
    this.resume()


def _killed_and_its_last_event_torn(this: Round) -> None:
    this.worker.kill()
    size = this.run.events_path.stat().st_size
    os.truncate(this.run.events_path, size - this.moments.randrange(1, 20))
    this.resume()


def _killed_twice(this: Round) -> None:
    this.worker.kill()
    this.resume()
    this.worker.kill()
    this.resume()


def _stopped_by_sigint(this: Round) -> None:
    _end_with(this, signal.SIGINT)


def _stopped_by_sigterm(this: Round) -> None:
    _end_with(this, signal.SIGTERM)


def _end_with(this: Round, number: signal.Signals) -> None:
    this.worker.signal(number)
    this.worker.wait()
    this.resume()


def _stopped_from_another_terminal(this: Round) -> None:
    this.place.command("stop", this.run.id)
    this.worker.wait()
    this.resume()


def _hung_up(this: Round) -> None:
    this.worker.signal(signal.SIGHUP)


def _watched_by_a_dashboard_that_loses_its_terminal(this: Round) -> None:
    terminal = this.place.terminal("attach", this.run.id)
    terminal.wait_for("Progress of")
    terminal.hang_up()
    terminal.wait_end()


def _disk_full_for_a_while(this: Round) -> None:
    if not os.path.ismount(this.place.runs_dir):
        this.injected[-1] += "_(no_disk_to_fill_here)"
        return
    ballast = this.place.runs_dir / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for block in (1 << 16, 4096, 1):
            try:
                while file.write(bytes(block)):
                    pass
            except OSError:
                continue
    try:
        wait_until(lambda: this.worker.poll() is not None or "No space left" in this.worker.err, "a word of it")
        if this.moments.random() < 0.5:
            this.worker.kill()
    finally:
        ballast.unlink()
    if this.worker.poll() is not None:
        this.resume()


def _resumed_while_it_runs(this: Round) -> None:
    refused = this.place.fork("resume", this.run.id, "--no-ui", "--lang", "en")
    code = refused.wait()
    assert code == 1 or this.run.state() == "done", f"a second resumption gave {code}"


def _warned_by_a_batch_system(this: Round) -> None:
    _end_with(this, this.moments.choice([signal.SIGUSR1, signal.SIGUSR2]))


def _looked_at_from_a_container(this: Round) -> None:
    if not has_namespaces():
        this.injected[-1] += "_(no_namespaces_here)"
        return
    listed = this.place.start("runs", "--json", prefix=CONTAINER)
    assert listed.wait() == 0
    state = next(each["state"] for each in json.loads(listed.out) if each["id"] == this.run.id)
    assert state == "running" or this.worker.poll() is not None, f"called {state} while it runs"


def _halted_and_superseded_from_another_host(this: Round) -> None:
    if not has_namespaces():
        this.injected[-1] += "_(no_namespaces_here)"
        return
    halted, known = this.worker, _newest_start(this.run)
    halted.signal(signal.SIGSTOP)
    this.is_aged = True
    age(this.run)
    this.worker = this.place.start(
        *("resume", this.run.id, "--no-ui", "--lang", "en"),
        prefix=another_host(this.place, len(this.injected)),  # never that of the process that halts
        PAUSE=str(PAUSE_S),
        BALLAST=BALLAST,
    )
    wait_until(lambda: this.worker.poll() is not None or _newest_start(this.run) != known, "the other process")
    this.is_aged = False
    halted.signal(signal.SIGCONT)
    code = halted.wait()
    assert code == 1 or this.run.state() == "done", f"the process that was superseded gave {code}"


def _killed_and_its_newest_checkpoint_damaged(this: Round) -> None:
    this.worker.kill()
    saved = checkpoints_of(this.run)
    if len(saved) > 1:
        flip_a_bit(saved[-1], this.moments)
    this.resume()


FAULTS: tuple[Callable[[Round], None], ...] = (
    _killed,
    _killed_in_a_save,
    _killed_and_its_last_event_torn,
    _killed_twice,
    _stopped_by_sigint,
    _stopped_by_sigterm,
    _stopped_from_another_terminal,
    _hung_up,
    _watched_by_a_dashboard_that_loses_its_terminal,
    _disk_full_for_a_while,
    _resumed_while_it_runs,
    _warned_by_a_batch_system,
    _looked_at_from_a_container,
    _halted_and_superseded_from_another_host,
    _killed_and_its_newest_checkpoint_damaged,
)


def lost(run: Run, reference: dict[str, Any]) -> list[str]:
    """Describe what a run lacks compared with the reference, and what differs."""
    found = []
    losses = batch_losses(run)
    missing = len(reference["losses"].keys() - losses.keys())
    other = sum(losses[batch] != loss for batch, loss in reference["losses"].items() if batch in losses)
    if missing:
        found.append(f"the losses of {missing} batches are missing")
    if other:
        found.append(f"the losses of {other} batches differ")
    if predictions(run) != reference["predictions"]:
        found.append("the predictions differ")
    written = [decode(line) for line in run.events_path.read_bytes().splitlines()]
    attempts = [event.attempt for event in written if event is not None]
    if attempts != sorted(attempts):
        found.append("two processes have written at once")
    return found


def flipped_bits(number: int, place: Place, moments: random.Random, reference: dict[str, Any]) -> list[str]:
    """Resume from so many checkpoints, each with one flipped bit; return what was lost."""
    others = set(place.runs_dir.glob("slow-*"))
    stopped = place.train(*OPTIONS, "--seed", "1", pause=10 * PAUSE_S)
    (path,) = wait_until(lambda: set(place.runs_dir.glob("slow-*")) - others, "a new run")
    run = Run(path)
    wait_for_event(run, Progress, lambda event: event.epoch == 2)
    stopped.signal(signal.SIGTERM)
    stopped.wait()
    lost_in_all = []
    for position in range(number):
        copy = Run(shutil.copytree(run.path, run.path.with_name(f"slow-{9000 + position}")))
        flip_a_bit(checkpoints_of(copy)[-1], moments)
        resumed = place.fork("resume", copy.id, "--no-ui", "--lang", "en")
        code = resumed.wait()
        problems = lost(copy, reference) if code == 0 else [f"exit code {code}: {resumed.err[-300:]}"]
        if "is damaged" not in resumed.err:
            problems.append("the damage was not noticed")
        lost_in_all += [f"flipped bit {position}: {problem}" for problem in problems]
        shutil.rmtree(copy.path)
    print(f"flipped bits in {number} checkpoints; lost: {len(lost_in_all)}", flush=True)
    shutil.rmtree(run.path)
    return lost_in_all


def flip_a_bit(path: Path, moments: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[moments.randrange(len(content))] ^= 1 << moments.randrange(8)
    path.write_bytes(content)


class Observer:
    """A reader that looks at a run all the time, and remembers when it called a living process dead."""

    def __init__(self, this: Round) -> None:
        self._round = this
        self._is_over = threading.Event()
        self.wrong: list[str] = []
        self._thread = threading.Thread(target=self._look)
        self._thread.start()

    def _look(self) -> None:
        while not self._is_over.wait(0.02):
            worker, newest = self._round.worker, lease.read(self._round.run.path)
            state = self._round.run.state()
            still = lease.read(self._round.run.path)
            is_its = newest is not None and newest == still and newest.pid == worker.pid
            is_wrong = state == "crashed" or (state == "silent" and not self._round.is_aged)
            if is_wrong and is_its and not _ends(worker.pid):
                self.wrong.append(f"a living run was called {state}")

    def end(self) -> list[str]:
        self._is_over.set()
        self._thread.join()
        return sorted(set(self.wrong))


def _mount(folder: Path) -> bool:
    """Mount a small disk for the runs, if this machine allows it."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(folder)]
    return (
        os.geteuid() == 0 and shutil.which("mount") is not None and subprocess.run(command, check=False).returncode == 0
    )


def torture(rounds: int, seed: int, folder: Path, forks: ForkServer, flips: int = 20) -> list[str]:
    """Run the rounds; return what was lost, one line for each loss."""
    place = Place(folder, lambda: forks)
    is_disk = _mount(place.runs_dir)
    try:
        moments = random.Random(seed)
        place.train(*OPTIONS, "--seed", "1", BALLAST=BALLAST).wait()
        reference: dict[str, Any] = {"losses": batch_losses(place.run()), "predictions": predictions(place.run())}
        assert len(reference["losses"]) == EPOCHS * STEPS
        counts: Counter[str] = Counter()
        came_back, batches, losses = 0, 0, flipped_bits(flips, place, moments, reference)
        for number in range(1, rounds + 1):
            this = Round(place, moments, 1)
            observer = Observer(this)
            problems = []
            try:
                for _ in range(moments.randrange(1, 4)):
                    this.disturb()
                this.finish()
                came_back += 1
                batches += len(reference["losses"])
                problems = lost(this.run, reference)
            except (AssertionError, OSError) as error:
                problems = [str(error)]
            problems += observer.end()
            counts.update(this.injected)
            outcome = "; ".join(problems) or "nothing lost"
            print(f"round {number:3}: {', '.join(this.injected).replace('_', ' ') or 'nothing'}: {outcome}", flush=True)
            losses += [f"round {number}: {problem}" for problem in problems]
            _end(this.worker)
            if not problems:
                shutil.rmtree(this.run.path)
        print(f"\n{rounds} rounds, {sum(counts.values())} faults, seed {seed}")
        for name, count in sorted(counts.items()):
            print(f"  {count:4}  {name.replace('_', ' ')}")
        print(f"runs that came back: {came_back} of {rounds}; batches compared: {batches}; lost: {len(losses)}")
        return losses
    finally:
        place.end_all()
        if is_disk:
            subprocess.run(["umount", "--lazy", str(place.runs_dir)], check=False)


def _ends(pid: int) -> bool:
    """Tell if a process ends within a second: its lock is free a moment before it is gone."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.Error:
            return True
    return False


def _end(worker: Background) -> None:
    if worker.poll() is None:
        worker.kill()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.torture", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="runs to disturb (default: 50)")
    parser.add_argument("--seed", type=int, default=None, help="of moments and faults (default: drawn, and printed)")
    parser.add_argument("--keep", action="store_true", help="keep the folder with the runs that lost something")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if given.seed is None else given.seed
    folder = Path(tempfile.mkdtemp(prefix="mnist-tui-torture-"))
    forks = ForkServer()
    try:
        losses = torture(given.rounds, seed, folder, forks)
    finally:
        forks.close()
        if given.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if losses else 0


if __name__ == "__main__":
    sys.exit(main())
