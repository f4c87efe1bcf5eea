"""The command `runs`: runs found, listed by what differs, and kept in order."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from core.runs import directory, lease
from core.runs.directory import Run
from core.runs.events import Progress, RunEnded
from tests.core.runs.run_files import claim, new_run, write
from tests.json_checks import check_json
from tests.recorded import started
from tui_app import cli, i18n


@pytest.fixture(autouse=True)
def _english() -> Any:
    i18n.use("en")
    yield
    i18n.use("en")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with four runs, of which the second failed at once and the last is in progress."""
    monkeypatch.setenv("MNIST_TUI_RUNS", str(tmp_path))
    monkeypatch.setenv("LANG", "C")
    each: list[dict[str, Any]] = [{"lr": 0.0005}, {"model": "RN_2"}, {"batch_size": 128}, {"model": "RN_2"}]
    for number, settings in enumerate(each):
        run = new_run(tmp_path, seed=1, dataset="sample", **settings)
        os.utime(run.path / "config.json", (86400.0 * (number + 1),) * 2)
        claim(run, lives=number == 3, host="box")
        if number != 1:
            write(run, started(run.config(), threads=number + 1))
            at: dict[str, Any] = {"epoch": 5, "step": 63, "losses": (), "images_per_s": 1.0, "elapsed_s": 60.0}
            write(run, Progress(loss=0.5 - number / 10, **at))
        if number != 3:
            write(run, RunEnded(status="failed" if number == 1 else "done"))
    return tmp_path


def ids(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    assert cli.run(["runs", "--json", *options]) == 0
    return [run["id"] for run in json.loads(capsys.readouterr().out)]


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_runs_are_found_sorted_and_limited(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, found in (
        ((), ["rn1-0001", "rn2-0002", "rn1-0003", "rn2-0004"]),
        (("--state", "done,failed", "--model", "rn_2"), ["rn2-0002"]),
        (("--since", "1970-01-03T12:00"), ["rn1-0003", "rn2-0004"]),
        (("--since", "3d"), []),
        (("--limit", "2"), ["rn1-0003", "rn2-0004"]),
        (("--sort", "-loss", "--limit", "2"), ["rn1-0001", "rn1-0003"]),
        (("--sort", "loss"), ["rn2-0004", "rn1-0003", "rn1-0001", "rn2-0002"]),
        (("--sort=-started",), ["rn2-0004", "rn1-0003", "rn2-0002", "rn1-0001"]),
    ):
        assert ids(capsys, *options) == found, options
    for word, value, answer in (
        ("state", "dnoe", "did you mean done?"),
        ("state", "xyz", "the states are starting, running"),
        ("sort", "acuracy", "did you mean accuracy?"),
        ("columns", "lr,bach-size", "did you mean batch-size?"),
        ("columns", ",,", "words with commas between them, not ,,"),
        ("since", "soon", "an age such as 3d, not soon"),
        ("limit", "-1", "a whole number, not -1"),
    ):
        assert cli.run(["runs", f"--{word}", value]) == 2
        assert answer in capsys.readouterr().err


def test_the_table_shows_the_settings_that_differ(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def head(*options: str) -> list[str]:
        assert cli.run(["runs", *options]) == 0
        return capsys.readouterr().out.splitlines()[0].split()

    assert {"State", "lr", "Batch", "Threads"} <= set(head())
    assert head("--state", "done", "--differing") == ["Run", "Loss", "Batch", "lr", "Threads"]
    assert head("--columns", "lr,note") == ["Run", "lr", "Note"]
    assert cli.run(["runs", "--tag", "none"]) == 0
    assert "None of the 4 runs" in capsys.readouterr().err
    assert cli.run(["runs", "--json", "--limit", "1", "--sort", "run"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["host"], entry["device"], entry["threads"], entry["elapsed_s"]) == ("box", "cpu", 1, 60.0)


def test_labels_are_given_found_and_taken_away(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["runs", "rename", "rn1-0001", "baseline"]) == 0
    assert cli.run(["runs", "tag", "baseline", "good", "small"]) == 0
    assert cli.run(["runs", "note", "baseline", "lower", "rate"]) == 0
    assert cli.run(["runs", "tag", "rn1-0003", "good"]) == 0
    capsys.readouterr()
    assert cli.run(["runs", "--json", "--tag", "good", "--name", "base*"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["tags"], entry["note"]) == ("baseline", ["good", "small"], "lower rate")
    assert cli.run(["runs", "tag", "baseline", "good", "--remove"]) == 0
    assert cli.run(["runs", "note", "baseline", ""]) == 0
    summary = directory.find(folder, "baseline").summary()
    assert (summary.tags, summary.note) == (("small",), "")
    assert cli.run(["runs", "rename", "rn1-0003", "baseline"]) == 2
    assert cli.run(["runs", "tag", "basline", "x"]) == 1
    assert "Did you mean baseline?" in capsys.readouterr().err


def test_deleting_names_what_goes_and_asks(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.run(["runs", "delete", "rn1-0001"]) == 2
    assert "add --yes" in capsys.readouterr().err
    for answer, code, gone in (("\n", 1, False), ("y\n", 0, True)):
        terminal = _Terminal(answer)
        monkeypatch.setattr("sys.stdin", terminal)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
        assert cli.run(["runs", "delete", "rn1-0001"]) == code
        assert (folder / "rn1-0001").exists() is not gone
    said = capsys.readouterr()
    assert "rn1-0001  done  " in said.out
    assert "Delete this run?" in said.err
    assert cli.run(["runs", "delete", "rn1-0003", "rn2-0004", "--json"]) == 2  # a program is not asked
    check_json(capsys.readouterr().out, "error")
    assert cli.run(["runs", "delete", "rn1-0003", "rn2-0004", "--yes", "--json"]) == 1
    said = capsys.readouterr()
    gone_run, kept = check_json(said.out, "delete")
    assert (gone_run["run"], gone_run["is_deleted"], kept["run"], kept["is_deleted"]) == (
        *("rn1-0003", True),
        *("rn2-0004", False),
    )
    assert kept["message"]["sentence"] == "run rn2-0004 is in progress, and stays"
    assert kept["message"]["sentence"] in said.err
    assert left(folder) == ["rn2-0002", "rn2-0004"]

    def end_while_asked() -> str:
        write(Run(folder / "rn2-0004"), RunEnded(status="done"))
        return "y\n"

    monkeypatch.setattr(_Terminal, "readline", lambda _self: end_while_asked())
    assert cli.run(["runs", "delete", "rn2-0002", "rn2-0004"]) == 1
    assert "rn2-0004" not in capsys.readouterr().out
    assert left(folder) == ["rn2-0004"]


class _Terminal:
    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return self._answer


def test_pruning_shows_first_and_spares_what_is_marked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everything = left(folder)
    assert cli.run(["runs", "prune"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[0].startswith("rn2-0002  failed  ")
    assert "--yes deletes them" in said.err
    assert cli.run(["runs", "prune", "--json"]) == 0
    (would,) = check_json(capsys.readouterr().out, "delete")
    assert (would["run"], would["is_deleted"], would["size"] > 0) == ("rn2-0002", False, True)
    assert left(folder) == everything
    assert cli.run(["runs", "tag", "rn1-0001", "keep"]) == 0
    assert cli.run(["runs", "prune", "--keep", "1", "--yes"]) == 0
    assert left(folder) == ["rn1-0001", "rn1-0003", "rn2-0004"]
    assert cli.run(["runs", "prune", "--older-than", "1w", "--tag", "keep", "--yes"]) == 0  # it ended just now
    assert cli.run(["runs", "prune", "--older-than", "0h", "--tag", "keep", "--yes"]) == 0
    assert left(folder) == ["rn1-0003", "rn2-0004"]
    assert lease.read(folder / "rn1-0003") is not None
