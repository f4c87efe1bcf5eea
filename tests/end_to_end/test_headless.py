"""`mnist-tui --no-ui`: the exam's lines, JSON, signals, exit codes, and closed or broken streams."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess

import pytest

from core.runs.events import EpochEnded, Evaluated, Progress, RunEnded
from tests.end_to_end.terminal import (
    COMMAND,
    Place,
    all_events,
    batch_losses,
    predictions,
    wait_for_event,
    wait_until,
)
from tests.json_checks import check_lines

pytestmark = pytest.mark.slow

TRAIN = ("--no-ui", "--dataset", "sample", "--threads", "1", "--epochs", "1", "--seed", "3")
TRACEBACK = "Traceback"


def _shell(place: Place, line: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line],
        env=place.environment(**env),
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        cwd=place.folder,
    )


def _accuracy(place: Place) -> float:
    (result,) = (event for event in all_events(place.run()) if isinstance(event, Evaluated))
    return result.accuracy


def test_french_lines_are_the_exams(place: Place) -> None:
    run = place.fork(*TRAIN, "--epochs", "2", "--model", "RN_1", "--lang", "fr")
    assert run.wait() == 0
    first, second, last = run.out.splitlines()
    assert re.fullmatch(r"Époque 1/2, Perte: \d\.\d{4}", first)
    assert re.fullmatch(r"Époque 2/2, Perte: \d\.\d{4}", second)
    assert last == f"Résultat: {100 * _accuracy(place):.2f}%"
    assert "\x1b" not in run.err


def test_english_lines_in_a_real_process(place: Place) -> None:
    """It is started as a shell would, in the locale's language, and says that the data is the sample."""
    run = place.command(*TRAIN, "--model", "RN_1")
    assert run.code == 0
    first, last = run.out.splitlines()
    assert re.fullmatch(r"Epoch 1/1, Loss: \d\.\d{4}", first)
    assert last == f"Result: {100 * _accuracy(place):.2f}%"
    assert "SAMPLE" in run.err
    assert "\x1b" not in run.out + run.err


def test_json_is_the_event_file(place: Place) -> None:
    run = place.train("--epochs", "1", "--json")
    assert run.wait() == 0
    assert run.out == place.run().events_path.read_text("utf-8")
    assert [line["type"] for line in check_lines(run.out)][-2:] == ["evaluated", "run_ended"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_by_a_signal_and_resumed(place: Place, number: signal.Signals, code: int) -> None:
    """The run stops within the epoch, saves, and resumes to the same numbers as a run never interrupted."""
    options = ("--epochs", "2", "--seed", "11")
    whole = place.train(*options)
    assert whole.wait() == 0
    reference = place.run()

    stopped = place.train(*options, pause=0.02)
    run = place.run("slow-0002")
    wait_for_event(run, Progress, lambda event: event.step > 3)
    stopped.signal(number)
    assert stopped.wait(10) == code
    assert "resume slow-0002" in stopped.err
    *_, saved, ended = [json.loads(line) for line in run.events_path.read_text().splitlines()]
    assert saved["type"] == "checkpoint_saved"
    assert 0 < saved["step"] < 63
    assert ended["status"] == "stopped"

    resumed = place.fork("resume", run.id, "--no-ui", "--lang", "en")
    assert resumed.wait() == 0
    assert batch_losses(run) == batch_losses(reference)
    assert predictions(run) == predictions(reference)
    assert resumed.out == whole.out


def test_second_sigint_ends_at_once(place: Place) -> None:
    pausing = place.folder / "pausing"
    run = place.train("--epochs", "2", pause=30.0, PAUSING=str(pausing))  # the third batch takes longer than the test
    wait_until(pausing.exists, "the third batch")
    run.signal(signal.SIGINT)
    with pytest.raises(AssertionError):
        run.wait(0.5)
    run.signal(signal.SIGINT)
    assert run.wait(5) == 130


def test_hang_up_does_not_stop_it(place: Place) -> None:
    run = place.train("--epochs", "1", pause=0.01)
    wait_for_event(place.run(), Progress)
    run.signal(signal.SIGHUP)
    assert run.wait() == 0
    assert place.run().state() == "done"


def test_terminal_that_hangs_up_does_not_stop_it(place: Place) -> None:
    """Errors from writing to a terminal that is gone do not stop it either."""
    terminal = place.terminal(*TRAIN, "--model", place.slow, PAUSE="0.02")
    wait_for_event(place.run(), Progress)
    terminal.wait_for("images/s")  # stderr is a terminal, so there is a progress bar
    terminal.hang_up()
    assert terminal.wait_end() == 0
    assert place.run().state() == "done"
    assert place.run().result_paths("predictions", ".npz")[0].exists()


def test_reader_that_leaves_early_does_not_lose_the_run(place: Place) -> None:
    line = f"{shlex.join(COMMAND)} {shlex.join(TRAIN)} --epochs 3 --model RN_1 --json | head -1"
    ended = _shell(place, line)
    assert json.loads(ended.stdout)["type"]
    assert TRACEBACK not in ended.stderr
    assert "Broken" not in ended.stderr
    wait_for_event(place.run(), RunEnded, lambda event: event.status == "done")


def test_a_follower_ends_with_its_reader(place: Place) -> None:
    run = place.train("--epochs", "99", pause=0.02)
    wait_for_event(place.run(), EpochEnded)
    ended = _shell(place, f"{{ {shlex.join(COMMAND)} follow --lang en; echo $? >&2; }} | head -1")
    assert ended.stderr.splitlines()[-1] == "0"
    assert ended.stdout.startswith("Epoch 1/99, Loss: ")
    assert TRACEBACK not in ended.stderr
    assert run.poll() is None
    run.kill()


def test_without_a_terminal_it_says_so(place: Place) -> None:
    """Without a single open stream it still trains."""
    run = place.fork(*TRAIN[1:], "--model", place.slow, "--lang", "en")
    assert run.wait() == 0
    assert run.err.startswith("No terminal")
    assert run.out.splitlines()[-1].startswith("Result: ")
    command = shlex.join([*COMMAND, *TRAIN[1:], "--model", place.slow])
    closed = _shell(place, f"exec 0<&- 1>&- 2>&-; exec {command}")
    assert closed.returncode == 0
    assert place.run("slow-0002").state() == "done"


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-"])
def test_closed_stream(place: Place, closed: str) -> None:
    ended = _shell(place, f"{shlex.join(COMMAND)} runs {closed}")
    assert ended.returncode == 0
    assert TRACEBACK not in ended.stdout + ended.stderr


def test_full_stdout_is_no_reason_to_stop(place: Place) -> None:
    ended = _shell(place, f"{shlex.join(COMMAND)} {shlex.join(TRAIN)} --model {place.slow} > /dev/full")
    assert ended.returncode == 1
    assert "the output could not be written: No space left on device" in ended.stderr
    assert TRACEBACK not in ended.stderr
    assert place.run().state() == "done"


def test_dumb_terminal_gets_text(place: Place) -> None:
    terminal = place.terminal(*TRAIN[1:], "--model", place.slow, TERM="dumb")
    assert terminal.wait_end() == 0
    assert "cannot show the dashboard" in terminal.text
    assert "Result: " in terminal.text
    assert b"\x1b" not in terminal.output


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--epochs", "0"), 2, "epochs"),
        (("--epochs", "1e9"), 2, "epochs"),
        (("--lr", "abc"), 2, "learning rate"),
        (("--lr", "-1"), 2, "learning rate"),
        (("--model", "RN_3"), 2, "RN_3"),
        (("--model", "/nowhere/net.py:Net"), 2, "/nowhere/net.py"),
        (("--device", "tpu"), 2, "tpu"),
        (("--dataset", "cifar"), 2, "cifar"),
        (("--seed", "-1"), 2, "seed"),
        (("--precision", "fp8"), 2, "fp8"),
        (("--lang", "de"), 2, "fr"),
        (("--colour",), 2, "--colour"),
        (("--epochs",), 2, "--epochs"),
        (("trian",), 2, "trian"),
        (("wait",), 2, "the id of a run"),
        (("attach", "rn1-0099"), 1, "rn1-0099"),
        (("follow", "../../etc"), 1, "../../etc"),
        (("resume", "\x1b[31mred"), 1, "red"),
        (("--device", "cuda:77"), 1, "cuda:77"),
    ],
)
def test_bad_usage_gets_one_line(place: Place, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended = place.fork("--no-ui", *arguments) if arguments[0].startswith("--") else place.fork(*arguments)
    assert ended.wait() == code
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err
    assert "\x1b" not in ended.err
    assert TRACEBACK not in ended.err
    assert not place.runs_dir.exists()


@pytest.mark.parametrize("command", [("runs",), ("runs", "--json"), ("follow",), ("layers", "RN_1")])
def test_any_command_into_a_pipe_that_closes(place: Place, command: tuple[str, ...]) -> None:
    run = place.train("--epochs", "1")
    assert run.wait() == 0
    ended = _shell(place, f"{shlex.join(COMMAND)} {shlex.join(command)} | true")
    assert TRACEBACK not in ended.stderr
    assert "Exception ignored" not in ended.stderr
    assert "Broken" not in ended.stderr


def test_doctor_finds_this_machine_fit_to_train(place: Place) -> None:
    asked = place.fork("doctor", "--json")
    assert asked.wait() == 0
    found = json.loads(asked.out)
    assert found["devices"]["available"][-1]["id"] == "cpu"
    assert found["versions"]["torch"]
    assert 1 <= found["cores"]["usable"] <= found["cores"]["machine"]
    assert found["runs_folder"]["path"] == str(place.runs_dir)
    assert {each["level"] for each in found["findings"]} <= {"ok", "warning"}
    assert not place.runs_dir.exists()
