"""A dashboard ends in one way or another; its runs go on, and the next dashboard finds them."""

from __future__ import annotations

import re
import signal
from contextlib import suppress

import psutil
import pytest

from core.runs.events import Progress, RunEnded
from tests.end_to_end.terminal import Place, Terminal, all_events, wait_for_event, wait_until

pytestmark = pytest.mark.slow

OPTIONS = ("--dataset", "sample", "--threads", "1", "--lang", "en", "--seed", "2")
LEFT_ALTERNATE_SCREEN = b"\x1b[?1049l"
CURSOR_SHOWN = b"\x1b[?25h"
AT_ONCE = 10.0
"""Seconds allowed for what is promised within one second, since this machine is busy with other things."""


def _train_in_dashboard(place: Place, epochs: int = 2, pause: float = 0.02, run_id: str = "slow-0001") -> Terminal:
    terminal = place.terminal(*OPTIONS, "--epochs", str(epochs), "--model", place.slow, PAUSE=str(pause))
    terminal.wait_for("F5 Train")
    terminal.keys("f5")
    wait_for_event(place.run(run_id), Progress)
    terminal.wait_for("batch losses")
    return terminal


def _states(place: Place) -> dict[str, str]:
    return {run_id: entry["state"] for run_id, entry in place.listed().items()}


def _assert_restored(terminal: Terminal) -> None:
    written = bytes(terminal.output)
    assert written.rindex(LEFT_ALTERNATE_SCREEN) > written.rindex(b"\x1b[?1049h")
    assert written.rindex(CURSOR_SHOWN) > written.rindex(b"\x1b[?25l")
    for mouse in (b"1000", b"1003", b"1006", b"2004"):
        assert written.rfind(b"\x1b[?" + mouse + b"l") > written.rfind(b"\x1b[?" + mouse + b"h")
    assert b"Traceback" not in written


@pytest.mark.parametrize("number", [signal.SIGHUP, pytest.param(signal.SIGTERM, marks=pytest.mark.alike)])
def test_signal_ends_the_dashboard_and_not_its_run(number: signal.Signals, place: Place) -> None:
    terminal = _train_in_dashboard(place, epochs=3)
    terminal.signal(number)
    assert terminal.wait_end(AT_ONCE) == 128 + number
    _assert_restored(terminal)
    assert place.run().state() == "running"
    wait_for_event(place.run(), RunEnded, lambda event: event.status == "done")
    place.wait_alone()


def test_closed_terminal_then_come_back(place: Place) -> None:
    """The next dashboard reports what is in progress, opens the newest run and can stop it; then all is as usual."""
    older = place.train("--epochs", "50", pause=0.03)
    wait_for_event(place.run(), Progress)
    terminal = _train_in_dashboard(place, epochs=50, run_id="slow-0002")
    terminal.hang_up()
    terminal.wait_end(AT_ONCE)
    wait_until(lambda: len(place.processes()) == 2, lambda: f"two workers alone: {place.processes()}")
    # The other one is a fork of the tests, which cannot be renamed.
    assert any(re.fullmatch(r"mnist-tui: slow-0002, epoch \d+/50", _title(process)) for process in place.processes())
    assert _states(place) == {"slow-0001": "running", "slow-0002": "running"}

    back = place.terminal()
    back.wait_for("In progress: slow-0001, slow-0002")
    back.wait_for("Progress of slow-0002")
    back.wait_for("2 runs in progress")
    back.keys("f6")
    back.wait_for(lambda text: re.search(r"slow-0002\s+stopped", text))
    assert _states(place) == {"slow-0001": "running", "slow-0002": "stopped"}
    back.signal(signal.SIGKILL)
    back.wait_end()
    wait_until(lambda: [process.pid for process in place.processes()] == [older.pid], "the standby worker's end")

    # A run started without a dashboard can be controlled from another terminal too.
    stopped = place.command("stop", "slow-0001", "--lang", "en")
    assert stopped.code == 0
    assert "will stop" in stopped.err
    assert older.wait() == 143
    assert place.command("stop", "slow-0001").code == 0
    place.wait_alone()


def test_two_dashboards_agree_on_a_headless_run(place: Place) -> None:
    """They agree while the run goes on, and after one of them has stopped it."""
    worker = place.train("--epochs", "50", pause=0.02)
    run = place.run()
    wait_for_event(run, Progress)
    first, second = place.terminal("attach", run.id), place.terminal("attach")
    for terminal in (first, second):
        terminal.wait_for("Epoch 1/50, Loss: ")
    first.keys("f6")
    assert worker.wait() == 143
    first.wait_for("stopped · epoch")

    def agree(text: str) -> bool:
        first.pump(0.01)
        return _right(text) == _right(first.text)

    second.wait_for(agree)
    for terminal in (first, second):
        terminal.keys("f10")  # no run is live, so there is nothing to ask
        assert terminal.wait_end() == 0
        _assert_restored(terminal)


def _right(screen: str) -> list[str]:
    """Return the panels about a run: chart and progress."""
    return [line[34:] for line in screen.splitlines()[1:22]]


def test_follow_from_another_terminal(place: Place) -> None:
    """It follows the run from start to end and returns its exit code; SIGINT ends only the following."""
    worker = place.train("--epochs", "2", "--seed", "9", pause=0.02)
    run = place.run()
    wait_for_event(run, Progress)
    worker.signal(signal.SIGSTOP)  # otherwise it could end before its followers have begun
    impatient = place.start("follow", run.id)
    follower = place.start("follow", "--lang", "en")
    wait_until(lambda: "Run slow-0001" in impatient.err, "the follower's first line")
    impatient.signal(signal.SIGINT)
    assert impatient.wait() == 130
    worker.signal(signal.SIGCONT)
    assert "Traceback" not in impatient.err
    assert worker.wait() == 0
    assert follower.wait() == 0
    assert follower.out == worker.out


@pytest.mark.parametrize(("choice", "state"), [("leave", "running"), ("stop", "stopped"), ("stay", "running")])
def test_quitting_asks(place: Place, choice: str, state: str) -> None:
    """It offers to leave the runs, to stop them, or to stay, and each choice does what it says."""
    place.train("--epochs", "50", pause=0.03)
    wait_for_event(place.run(), Progress)
    terminal = place.terminal("attach")
    terminal.wait_for("running · epoch")
    terminal.keys("f10")
    terminal.wait_for("slow-0001 is in progress")
    terminal.keys(*{"leave": ["enter"], "stop": ["right", "enter"], "stay": ["escape"]}[choice])
    if choice == "stay":
        terminal.wait_for(lambda text: "is in progress." not in text)
        seen = len(all_events(place.run()))
        wait_until(lambda: len(all_events(place.run())) > seen, "the run going on")
        terminal.keys("f10")
        terminal.wait_for("slow-0001 is in progress")
        terminal.keys("enter")
    assert terminal.wait_end() == 0
    _assert_restored(terminal)
    wait_until(lambda: place.run().state() == state, f"the run to be {state}")


def test_stop_before_the_first_batch_is_kept(place: Place) -> None:
    """A run asked to stop while its worker is still loading libraries does stop."""
    terminal = place.terminal(*OPTIONS, "--epochs", "50", "--model", "RN_1")
    terminal.wait_for("Train")
    terminal.keys("f5")
    terminal.wait_for(lambda text: re.search("starting", text))
    terminal.keys("f6")
    terminal.wait_for("stopped", timeout=30)


def test_worker_on_standby_ends_with_a_killed_dashboard(place: Place) -> None:
    """Both a waiting worker and one that is still loading end."""
    waiting = place.terminal(*OPTIONS)
    wait_until(
        lambda: sorted(map(_title, place.processes())) == ["mnist-tui", "mnist-tui: waiting for a run"],
        lambda: f"the names of the two: {place.processes()}",
    )
    loading = place.terminal(*OPTIONS)
    wait_until(lambda: any("--standby" in _title(process) for process in place.processes()), "the second worker")
    loading.signal(signal.SIGKILL)
    waiting.signal(signal.SIGKILL)
    assert loading.wait_end() == waiting.wait_end() == -signal.SIGKILL
    place.wait_alone()


def _title(process: psutil.Process) -> str:
    """Return what the process table shows of a process."""
    with suppress(psutil.Error):
        return " ".join(process.cmdline()).strip()
    return ""
