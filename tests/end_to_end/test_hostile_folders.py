"""Damaged or malicious run directories: displayed harmlessly or reported as unreadable, and never executed.

Most are tested in this process, a few with the real command.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import random
import re
import shutil
import sys
import tempfile
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from textual.app import App
from textual.pilot import Pilot

from core.config import RunConfig
from core.messages import Message, Problem
from core.runs import directory
from core.runs.directory import Run
from core.runs.events import (
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    Notice,
    Progress,
    RunEnded,
    RunStarted,
    encode,
)
from core.worker.protocol import Answer, Question
from tests.core.runs.run_files import checkpoints_of
from tests.end_to_end.terminal import Place, all_events, wait_for_event
from tui_app import cli
from tui_app.console import listing_commands, training_command
from tui_app.console.printer import Printer
from tui_app.dashboard.app import MnistTui
from tui_app.dashboard.screens.dashboard_screen import Dashboard
from tui_app.dashboard.widgets.runs_panel import RunsPanel

EVIL = "\x1b[31m\x1b]0;owned\x07\x1b[2J\r\n\u202e\u2028\x9b5nevil"
ROUNDS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def _started(**changed: Any) -> RunStarted:
    known: dict[str, Any] = {
        "config": RunConfig(model="RN_1", epochs=3, seed=1, dataset="sample", data_dir="/nowhere"),
        "device": "cpu",
        "device_name": "a processor",
        "torch_version": "2",
        "threads": 1,
        "dataset": "sample",
        "dataset_title": "a sample",
        "class_names": tuple("0123456789"),
        "train_size": 4000,
        "test_size": 1000,
        "parameters": 567_434,
        "steps_per_epoch": 63,
        "time": 1.7e9,
    }
    return RunStarted(**{**known, **changed})


def _progress(**changed: Any) -> Progress:
    known: dict[str, Any] = {"epoch": 1, "step": 3, "loss": 1.5, "losses": (2.0, 1.5, 1.0)}
    return Progress(**{**known, "images_per_s": 100.0, "elapsed_s": 2.0, "time": 1.7e9, **changed})


def _evaluated(**changed: Any) -> Evaluated:
    confusion = tuple(tuple(90 if row == column else 1 for column in range(10)) for row in range(10))
    known: dict[str, Any] = {"correct": 900, "total": 1000, "accuracy": 0.9, "test_loss": 0.3, "confusion": confusion}
    return Evaluated(**{**known, "time": 1.7e9, **changed})


SOUND: tuple[Event, ...] = (
    _started(),
    _progress(),
    EpochEnded(epoch=1, loss=1.5, seconds=1.0, time=1.7e9),
    CheckpointSaved(epoch=1, step=63, time=1.7e9),
    Notice(message=Message("a {thing}", {"thing": "notice"}), fraction=0.5, time=1.7e9),
    _evaluated(),
    RunEnded(status="failed", message=Message("it {how}", {"how": "broke"}), advice=Message("mend it"), time=1.7e9),
)
"""Sound events, one of each kind."""


def _make(folder: Path, content: bytes, run_id: str = "rn1-0001", **files: bytes) -> Run:
    run = Run(folder / run_id)
    run.path.mkdir(parents=True)
    (run.path / "config.json").write_text(
        '{"model":"RN_1","epochs":3,"seed":1,"dataset":"sample","batch_size":4000,"threads":1}'
    )
    run.events_path.write_bytes(content)
    for name, written in files.items():
        (run.path / name.replace("__", ".")).write_bytes(written)
    os.utime(run.path / "config.json", (1.7e9, 1.7e9))  # a new run without a worker would be waited for
    return run


@contextlib.contextmanager
def _fresh_folder() -> Iterator[Path]:
    """Yield a fresh folder: hypothesis calls a test many times, and all calls would share a fixture's folder."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _call(*arguments: str) -> tuple[int, str, str]:
    """Run the command in this process. Its streams pose as terminals, where control characters would do harm."""
    out, err = _Teletype(), _Teletype()
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        code = cli.run(["--lang", "en", *arguments]) if not arguments else cli.run([*arguments, "--lang", "en"])
    finally:
        sys.stdout, sys.stderr = kept
    return code, out.text, err.text


class _Teletype(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", errors="surrogateescape", write_through=True)

    @property
    def text(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode("utf-8", errors="surrogateescape")


def _assert_harmless(text: str) -> None:
    bad = [char for char in text if char != "\n" and unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert not bad, (bad, text)


def _call_quickly(folder: Path, command: str, run_id: str, json: bool) -> tuple[int, str, str]:
    """Run what the command does after parsing its arguments. Unexpected exceptions propagate."""
    out, err = _Teletype(), _Teletype()
    kept = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        code = 0
        if command == "runs":
            listing_commands.print_runs(folder, json=json)
        else:
            code = training_command.follow(directory.find(folder, run_id), json=json)
    except Problem as problem:
        code = cli.fail(problem, 1, as_json=False)
    finally:
        sys.stdout, sys.stderr = kept
    return code, out.text, err.text


def _assert_lists_and_follows(folder: Path, run_id: str = "rn1-0001") -> None:
    """Check that the run, whatever is in it, can be listed and followed to its end, or is refused in one line."""
    for arguments in (("runs", False), ("runs", True), ("follow", False), ("follow", True)):
        code, out, err = _call_quickly(folder, arguments[0], run_id, arguments[1])
        assert code in (0, 1, 3, 130), (arguments, code, err)
        _assert_harmless(err)
        _assert_harmless(out)
        if arguments == ("runs", True):
            assert [entry["id"] for entry in json.loads(out)] == [run_id]


class _IdleWorker:
    """A stand-in for the process that waits for runs: nothing is trained here."""

    is_alive = True

    def ask(self, question: Question) -> None:
        pass

    def give_way(self) -> None:
        raise AssertionError("nothing is to be looked into")

    def hand_over(self, run: Run) -> None:
        raise AssertionError("nothing is to be trained")

    def close(self) -> None:
        pass

    def abandon(self) -> None:
        pass

    async def answers(self) -> AsyncIterator[Answer]:
        for answer in list[Answer]():
            yield answer


async def _assert_dashboard_stands(folder: Path, *run_ids: str) -> str:
    """Open the dashboard on each run in turn, press its keys and resize it. Return all that the screen showed."""
    app = MnistTui(folder, {"dataset": "sample"}, run_ids[0], launch=_IdleWorker)
    said = []
    async with app.run_test(size=(120, 40)) as pilot:
        assert isinstance(app.screen, Dashboard)
        for run_id in run_ids:
            app.screen.post_message(RunsPanel.Picked(run_id))
            await _settle(app, pilot, run_id)
            said.append(_screen(app))
        await pilot.press("f8", "f4", "escape")
        await pilot.resize_terminal(80, 24)
        for _ in range(6):
            await pilot.press("f2")
            said.append(_screen(app))
        assert app.is_running
    assert app.return_code in (0, None)
    text = "\n".join(said)
    _assert_harmless(text)
    return text


async def _settle(app: App[Any], pilot: Pilot[Any], run_id: str) -> None:
    """Wait until the run has been read to its end."""
    for _ in range(500):
        rows = [row[34:] for row in _screen(app).splitlines()]
        title = next((i for i, row in enumerate(rows) if f"Progress of {run_id}" in row), None)
        if title is not None and re.search("crashed|done|failed|stopped|diverged|unreadable", rows[title + 1]):
            await pilot.pause()
            return
        await pilot.pause(0.01)
    raise AssertionError(f"{run_id} was not read:\n{_screen(app)}")


def _screen(app: App[Any]) -> str:
    """Return what a terminal would show, without the styles."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip if not segment.control) for strip in strips)


# Random bytes


@ROUNDS
@given(content=st.binary(max_size=2000), config=st.binary(max_size=300), worker=st.binary(max_size=200))
def test_random_bytes(content: bytes, config: bytes, worker: bytes) -> None:
    with _fresh_folder() as folder:
        _make(folder, content, config__json=config, worker__json=worker)
        _assert_lists_and_follows(folder)


@ROUNDS
@given(data=st.data())
def test_sound_files_with_bytes_changed(data: st.DataObject) -> None:
    """Files cut short anywhere, with a byte replaced or a stretch doubled: what can still be read is shown."""
    content = bytearray(b"".join(map(encode, SOUND)))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(("cut", "replace", "double", "null"))):
            case "cut":
                del content[place : place + data.draw(st.integers(1, 50))]
            case "replace":
                content[place] = data.draw(st.integers(0, 255))
            case "double":
                content[place:place] = content[place : place + 30]
            case "null":
                content[place:place] = bytes(data.draw(st.integers(1, 100)))
        if not content:
            break
    with _fresh_folder() as folder:
        _make(folder, bytes(content))
        _assert_lists_and_follows(folder)


_INTEGERS = st.one_of(
    st.integers(-3, 3), st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**30, 10**400, -(10**400)])
)
_FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, -1.0, 1e308, -1e308, 5e-324, 1e-300, -0.0]),
)
_TEXTS = st.one_of(st.text(max_size=20), st.just(EVIL), st.just("{"), st.just("{seed}{}"), st.just("[red]x[/"))


@st.composite
def _strange_events(draw: st.DrawFn) -> bytes:
    """Generate well-formed events with values that no run has."""

    def strange(value: Any) -> Any:
        match value:
            case bool() | None:
                return draw(st.sampled_from([True, False, None]))
            case int():
                return draw(_INTEGERS)
            case float():
                return draw(st.one_of(_FLOATS, _INTEGERS))
            case str():
                return draw(_TEXTS)
            case list():
                return [strange(value[0] if value else 1) for _ in range(draw(st.integers(0, 12)))]
            case dict():
                return value
        return value

    lines = []
    for event in draw(st.lists(st.sampled_from(SOUND), min_size=1, max_size=8)):
        content = json.loads(encode(event))
        for holder in (content, content.get("config", {}), content.get("message") or {}):
            for name in list(holder):
                if name not in ("type", "status") and not isinstance(holder[name], dict) and draw(st.booleans()):
                    holder[name] = strange(holder[name])
        lines.append(json.dumps(content).encode())
    return b"\n".join(lines) + b"\n"


@settings(ROUNDS, max_examples=150)
@given(content=_strange_events())
def test_strange_values(content: bytes) -> None:
    """Sizes of zero, negative epochs, integers beyond any float, ragged matrices, and names that control a terminal."""
    with _fresh_folder() as folder:
        run = _make(folder, bytes(content))
        _assert_lists_and_follows(folder)
        _replay_in_a_progress_bar(run)


def _replay_in_a_progress_bar(run: Run) -> None:
    """Replay events in a progress bar, as `follow` does in a terminal."""
    out, err = io.StringIO(), io.StringIO()
    err.isatty = lambda: True  # type: ignore[method-assign]
    kept = os.environ.get("TERM")
    os.environ["TERM"] = "xterm"
    try:
        printer = Printer(run.id, out, err, json=False)
        for event in all_events(run):
            printer._status._next_drawing = 0.0
            printer.show(event)
    finally:
        os.environ["TERM"] = kept or ""
        if kept is None:
            del os.environ["TERM"]
    _assert_harmless(out.getvalue())
    _assert_harmless(err.getvalue().replace("\r\x1b[2K", ""))


STRANGE: dict[str, tuple[Event, ...]] = {
    "no steps": (_started(steps_per_epoch=0), _progress(), *SOUND[2:]),
    "negative steps": (_started(steps_per_epoch=-5), _progress(), *SOUND[2:]),
    "huge steps": (_started(steps_per_epoch=10**18), _progress(epoch=10**9, step=10**17), *SOUND[2:]),
    "integers beyond floats": (
        _started(steps_per_epoch=10**400, train_size=10**400),
        _progress(epoch=10**400, step=10**399),
        EpochEnded(epoch=10**400, loss=1.0, seconds=1.0, time=1.7e9),
        _evaluated(correct=10**400, total=10**401),
        RunEnded(status="done", message=Message("{n}", {"n": 10**400}), time=1.7e9),
    ),
    "going backwards": (_started(), _progress(epoch=3), _progress(epoch=-2, step=-1), _started(epoch=-5, step=-7)),
    "no images": (_started(train_size=0, test_size=0), _evaluated(total=0, correct=0), _evaluated(total=-4)),
    "slower than time": (_started(), _progress(images_per_s=5e-324, elapsed_s=1e308), _progress(images_per_s=-1.0)),
    "losses at the edge": (_started(), _progress(loss=1e308, losses=(1e308, -1e308, 5e-324, None))),
    "more right than there are": (_started(), _evaluated(correct=5000), _evaluated(accuracy=1e300, test_loss=-1.0)),
    "ragged matrix": (_started(), _evaluated(confusion=((1,), (), (1, 2, 3, 4, 10**20)))),
    "endless matrix": (_started(), _evaluated(confusion=((),) * 100_000)),
    "wide matrix": (_started(), _evaluated(confusion=(tuple(range(100_000)),))),
    "many classes": (_started(class_names=(EVIL,) * 1000), _evaluated()),
    "result before the start": (_evaluated(), RunEnded(status="done", time=1.7e9)),
    "escape sequences": (
        _started(device=EVIL, device_name=EVIL, dataset=EVIL, dataset_title=EVIL, class_names=(EVIL,) * 10),
        _progress(),
        _evaluated(),
        Notice(message=Message(EVIL + "{x}", {"x": EVIL, EVIL: EVIL}), time=1.7e9),
        RunEnded(status="failed", message=Message("{x}", {"x": EVIL}), advice=Message(EVIL), time=1.7e9),
    ),
}


@pytest.mark.parametrize("name", STRANGE)
def test_strange_run(tmp_path: Path, name: str) -> None:
    run = _make(tmp_path, b"".join(map(encode, STRANGE[name])), log__txt=(EVIL * 3).encode())
    _replay_in_a_progress_bar(run)
    _assert_lists_and_follows(tmp_path)


@pytest.mark.slow
async def test_dashboard_on_strange_runs(tmp_path: Path) -> None:
    for number, name in enumerate(STRANGE):
        _make(tmp_path, b"".join(map(encode, STRANGE[name])), f"rn1-{number:04d}", log__txt=(EVIL * 3).encode())
    await _assert_dashboard_stands(tmp_path, *(f"rn1-{number:04d}" for number in range(len(STRANGE))))


@pytest.mark.slow
@pytest.mark.alike
@settings(ROUNDS, max_examples=1, phases=(Phase.explicit, Phase.generate))
@given(contents=st.lists(_strange_events(), min_size=15, max_size=15))
async def test_dashboard_on_random_values(contents: list[bytes]) -> None:
    with _fresh_folder() as folder:
        for number, content in enumerate(contents):
            _make(folder, content, f"rn1-{number:04d}")
        await _assert_dashboard_stands(folder, *(f"rn1-{number:04d}" for number in range(len(contents))))


# Files of the wrong type


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def _endless_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


KINDS: dict[str, Callable[[Path], object]] = {
    "missing": lambda _path: None,
    "folder": Path.mkdir,
    "fifo": _fifo,
    "link out": _link_out,
    "link to itself": _link_to_itself,
    "endless device": _endless_device,
    "deep nesting": lambda path: path.write_text("[" * 50_000 + "]" * 50_000),
    "deep object": lambda path: path.write_text('{"message":' * 20_000),
    "huge line": lambda path: path.write_bytes(b'{"type":"' + b"x" * (9 << 20)),
    "many empty lines": lambda path: path.write_bytes(b"\n" * (5 << 20)),
    "unknown events": lambda path: path.write_text('{"type":"flight","time":1}\n{"type":7}\n[]\n1e999\nNaN\n' * 50),
    "utf-16": lambda path: path.write_bytes('{"type":"notice"}\n'.encode("utf-16")),
}


@pytest.mark.slow
async def test_files_of_the_wrong_kind(tmp_path: Path) -> None:
    """Such runs are listed, followed and shown; the target of a link is never read."""
    ids: list[str] = []
    for file in ("config.json", "events.jsonl", "attempt-0001.json", "log.txt"):
        for kind, put in KINDS.items():
            folder = tmp_path / str(len(ids))
            run = _make(folder, b"".join(map(encode, SOUND[:3])), f"rn1-{len(ids):04d}")
            (run.path / file).unlink(missing_ok=True)
            put(run.path / file)
            _assert_lists_and_follows(folder, run.id)
            if file == "config.json":
                assert run.state() == "unreadable", kind
            ids.append(run.id)
            if file in ("config.json", "events.jsonl"):  # what the panels show
                run.path.rename(tmp_path / run.id)
    shown = [run_id for run_id in ids if (tmp_path / run_id).exists()]
    assert len(shown) == 2 * len(KINDS)
    said = await _assert_dashboard_stands(tmp_path, *shown)
    assert "root:" not in said


@pytest.mark.parametrize("date", [-(10**11), 10**13, 2**62 // 10**9])
def test_dates_of_no_calendar(tmp_path: Path, date: int) -> None:
    run = _make(tmp_path, b"".join(map(encode, SOUND)))
    try:
        os.utime(run.path / "config.json", (date, date))
    except (OSError, OverflowError):
        pytest.skip("no such date in this file system")
    _assert_lists_and_follows(tmp_path)


def test_run_that_is_a_link_out_of_the_folder(tmp_path: Path) -> None:
    """Such a run is not opened, resumed or stopped: its name may say nothing about where it leads."""
    elsewhere = _make(tmp_path / "elsewhere", b"")
    folder = tmp_path / "runs"
    folder.mkdir()
    (folder / "rn1-0001").symlink_to(elsewhere.path)
    for command in ("follow", "stop", "resume", "attach"):
        code, _out, err = _call(command, "rn1-0001", "--runs-dir", str(folder))
        assert code == 1
        assert "there is no run" in err
    assert not (elsewhere.path / "stop").exists()
    assert _call("runs", "--runs-dir", str(folder))[0] == 0


@pytest.mark.parametrize("run_id", ["../secret-0001", "..", "/etc", "rn1-0001/../../x", "", "rn1-0001\n", "a" * 5000])
def test_ids_that_lead_elsewhere(tmp_path: Path, run_id: str) -> None:
    _make(tmp_path, b"", "secret-0001")
    (tmp_path / "runs").mkdir()
    for command in ("follow", "stop", "resume"):
        code, out, err = _call(command, run_id, "--runs-dir", str(tmp_path / "runs"))
        assert code in (1, 2)
        assert out == ""
        assert len(err.splitlines()) == 1
        _assert_harmless(err)
    assert not (tmp_path / "secret-0001" / "stop").exists()


def test_stop_through_a_link_makes_no_file(tmp_path: Path) -> None:
    run = _make(tmp_path, encode(SOUND[0]))
    target = tmp_path / "made"
    (run.path / "stop").symlink_to(target)
    with contextlib.suppress(Exception):
        run.request_stop()
    assert not target.exists()


# Execution


class _Evil:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self._path}",)


EVIL_NETWORK = "import pathlib\npathlib.Path({path!r}).touch()\nfrom torch import nn\nclass Net(nn.Linear):\n    pass\n"


@pytest.mark.slow
def test_malicious_checkpoint_is_not_executed(place: Place) -> None:
    """Both a bare pickle and one inside a torch file are refused by the real command, in one line."""
    import torch

    stopped = place.train("--epochs", "3", "--seed", "1", "--batch-size", "4000")
    assert stopped.wait() == 0
    run = place.run()
    lines = run.events_path.read_bytes().splitlines(keepends=True)
    run.events_path.write_bytes(b"".join(lines[:-1]))
    for file in checkpoints_of(run):
        file.unlink()
    checkpoint = run.path / "checkpoint.pt"
    proof = place.folder / "executed"
    planted: dict[str, Callable[[], object]] = {
        "plain": lambda: checkpoint.write_bytes(pickle.dumps(_Evil(proof))),
        "torch": lambda: torch.save({"state": _Evil(proof)}, checkpoint),
        "garbage": lambda: checkpoint.write_bytes(random.Random(0).randbytes(10_000)),
    }
    for name, write in planted.items():
        write()
        resumed = place.fork("resume", run.id, "--no-ui", "--lang", "en")
        assert resumed.wait() == 1, name
        assert "checkpoint" in resumed.err, name
        assert "is damaged" in resumed.err, name
        assert "Traceback" not in resumed.err
        assert resumed.out == ""
        assert not proof.exists()


@pytest.mark.slow
def test_showing_a_run_executes_nothing_of_it(place: Place) -> None:
    """A run's events may name any Python file as its network; looking at the run must not import that file."""
    proof = place.folder / "executed"
    evil = place.folder / "evil.py"
    evil.write_text(EVIL_NETWORK.format(path=str(proof)))
    config = RunConfig(model=f"{evil}:Net", epochs=3, seed=1, dataset="sample", data_dir="/nowhere")
    run = _make(place.runs_dir, encode(_started(config=config)), "net-0001")
    terminal = place.terminal("attach", run.id)
    terminal.wait_for("crashed")
    terminal.wait_for("the layer table was not kept with the run")
    assert len(place.processes()) == 1  # there is no worker that could
    terminal.keys("right", "enter")  # another network in the form, for which one is started
    terminal.wait_for("421,642")
    terminal.wait_for(lambda text: "the best device here" not in text)
    assert not proof.exists()


@pytest.mark.slow
def test_links_in_a_run_directory_are_not_written_through(place: Place) -> None:
    """Resuming a run that came from elsewhere overwrites none of the user's files."""
    for name in (
        "log.txt",
        "events.jsonl",
        "attempt-0001.json",
        "lease.json",
        "checkpoint.pt",
        "source",
        "predictions-0002.npz",
    ):
        run = _make(place.runs_dir, b"".join(map(encode, SOUND[:2])), f"rn1-{len(name):04d}")
        precious = place.folder / f"precious-{name}"
        precious.write_text("precious")
        (run.path / name).unlink(missing_ok=True)
        (run.path / name).symlink_to(precious)
        resumed = place.fork("resume", run.id, "--no-ui", "--lang", "en", MNIST_TUI_DATA=str(place.data_dir))
        resumed.wait()
        assert precious.read_text() == "precious", name
        shutil.rmtree(run.path)


@pytest.mark.slow
def test_real_command_on_a_hostile_folder(place: Place) -> None:
    """Everything at once in a real terminal: nothing in the folder controls it."""
    place.runs_dir.mkdir()
    for number, name in enumerate(STRANGE, 1):
        _make(place.runs_dir, b"".join(map(encode, STRANGE[name])), f"rn1-{number:04d}", log__txt=EVIL.encode())
    for number, kind in enumerate(KINDS, 50):
        run = _make(place.runs_dir, b"", f"net-{number:04d}", config__json=b"")
        (run.path / "config.json").unlink()
        KINDS[kind](run.path / "config.json")
    (place.runs_dir / "evil\x1b[31m-0001").mkdir()
    (place.runs_dir / "file-0001").write_text("not a folder")
    listed = place.terminal("runs", "--lang", "en", columns=100, rows=60)
    assert listed.wait_end() == 0
    assert b"\x1b]0;" not in listed.output
    assert "unreadable" in listed.text
    terminal = place.terminal("attach", "rn1-0015", "--lang", "en")
    terminal.wait_for("failed · epoch")
    terminal.keys("f4")
    terminal.wait_for("Esc closes")
    assert b"\x1b]0;" not in terminal.output
    assert b"\x9b5n" not in terminal.output
    assert b"\xc2\x9b" not in terminal.output
    terminal.keys("escape", "f10")
    assert terminal.wait_end() == 0


@pytest.mark.slow
def test_damage_under_a_dashboard(place: Place) -> None:
    """A folder disappears while a run in it is watched, and comes back."""
    place.train("--epochs", "20", "--seed", "1", pause=0.02)
    run = place.run()
    wait_for_event(run, Progress)
    terminal = place.terminal("attach")
    terminal.wait_for("running · epoch")
    moved = run.path.with_name("elsewhere")
    run.path.rename(moved)
    terminal.wait_for(lambda text: "unreadable" in text or "0 runs" in text)
    moved.rename(run.path)
    terminal.wait_for(lambda text: "1 run" in text)
    terminal.keys("f1")
    terminal.wait_for("Esc closes")
