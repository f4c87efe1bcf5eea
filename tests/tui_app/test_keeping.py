"""Fifty runs of six settings: found, sorted, named, tagged, and deleted, on the command line."""

from __future__ import annotations

import json
import os
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from core.messages import Problem
from core.runs import deletion, directory, labels, names
from core.runs.directory import Run
from core.runs.events import EpochEnded, Evaluated, Event, RunEnded
from tests.core.runs.run_files import PROGRESS, claim, new_run, write
from tests.recorded import started
from tui_app import cli

SIX: tuple[dict[str, Any], ...] = (
    {},
    {"lr": 0.01},
    {"batch_size": 128},
    {"model": "RN_2"},
    {"model": "RN_2", "dropout": 0.3},
    {"model": "RN_2", "validate": True, "patience": 3},
)
ENDS = ("done", "done", "done", "stopped", "failed", "diverged", "done")


@pytest.fixture
def fifty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MNIST_TUI_RUNS", str(tmp_path))
    for number, settings in enumerate(islice(cycle(SIX), 50)):
        run = new_run(tmp_path, seed=number, **settings)
        claim(run, lives=False)
        status: Any = ENDS[number % len(ENDS)]
        told: list[Event] = [started(run.config()), PROGRESS, EpochEnded(epoch=1, loss=0.5, seconds=1.0)]
        if status == "done":
            right = 900 + number
            told.append(
                Evaluated(correct=right, total=1000, accuracy=right / 1000, test_loss=0.1, confusion=((right,),))
            )
        write(run, *told, RunEnded(status=status))
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert cli.run(["runs", *options, "--json", "--lang", "en"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def ids(capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    return [entry["id"] for entry in listed(capsys, *options)]


def text_of(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> str:
    capsys.readouterr()
    assert cli.run([*command, "--lang", "en"]) == code
    return "".join(capsys.readouterr())


def test_runs_are_found_and_sorted(fifty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(ids(capsys)) == 50
    assert ids(capsys, "--state", "failed,diverged", "--model", "rn_2") == [
        entry["id"] for entry in listed(capsys) if entry["state"] in ("failed", "diverged") and "rn2" in entry["id"]
    ]
    best = listed(capsys, "--sort", "-accuracy", "--limit", "3")
    assert [entry["accuracy"] for entry in best] == [0.949, 0.948, 0.944]
    assert listed(capsys, "--sort", "accuracy")[-1]["accuracy"] is None  # without one, they come last either way
    assert ids(capsys, "--limit", "2") == ["rn1-0049", "rn1-0050"]  # the newest
    assert ids(capsys, "--name", "rn2-001*") == ["rn2-0010", "rn2-0011", "rn2-0012", "rn2-0016", "rn2-0017", "rn2-0018"]
    os.utime(fifty / "rn1-0001" / "config.json", (0, 0))
    assert len(ids(capsys, "--since", "1h")) == len(ids(capsys, "--since", "2020-01-01")) == 49
    entry = listed(capsys, "--limit", "1")[0]
    assert entry["config"]["batch_size"] == 64
    assert {"host", "device", "created", "ended", "loss", "elapsed_s", "threads", "tags", "note"} <= entry.keys()
    for wrong in (("--state", "finished"), ("--sort", "acuracy"), ("--since", "yesterday"), ("--limit", "x")):
        assert text_of(capsys, "runs", *wrong, code=2)
    assert "did you mean accuracy?" in text_of(capsys, "runs", "--columns", "acuracy", code=2)


def test_settings_are_seen_and_only_what_differs(fifty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = text_of(capsys, "runs")
    assert "dropout=0.3" in whole
    assert "validate patience=3" in whole
    lines = text_of(capsys, "runs", "--columns", "run,lr,batch_size", "--name", "rn1-000?").splitlines()
    assert [line.split() for line in lines if line.startswith("rn1")] == [
        ["rn1-0001", "0.001", "64"],
        ["rn1-0002", "0.01", "64"],
        ["rn1-0003", "0.001", "128"],
        ["rn1-0007", "0.001", "64"],
        ["rn1-0008", "0.01", "64"],
        ["rn1-0009", "0.001", "128"],
    ]
    heading = text_of(capsys, "runs", "--differing", "--name", "rn1-000?", "--state", "done").splitlines()[0]
    assert heading.split() == ["Run", "State", "Accuracy", "batch_size", "lr", "seed"]


def test_runs_are_named_tagged_and_annotated(fifty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text_of(capsys, "runs", "rename", "rn2-0004", "the-best")
    text_of(capsys, "runs", "tag", "the-best", "exam", "keep")
    text_of(capsys, "runs", "tag", "rn1-0001", "exam")
    text_of(capsys, "runs", "note", "the-best", "Ca marche\x1b[2J!")
    text_of(capsys, "runs", "tag", "the-best", "keep", "--remove")
    assert ids(capsys, "--tag", "exam") == ["rn1-0001", "rn2-0004"]
    (entry,) = listed(capsys, "--name", "the-*")
    assert (entry["name"], entry["tags"], entry["id"]) == ("the-best", ["exam"], "rn2-0004")
    assert names.find(fifty, "the-best") == "rn2-0004"
    assert "\x1b" not in text_of(capsys, "runs", "--columns", "run,note")
    assert "the-best is the name of run rn2-0004" in text_of(capsys, "runs", "rename", "rn1-0001", "the-best", code=1)
    text_of(capsys, "runs", "rename", "the-best", "better")
    text_of(capsys, "runs", "rename", "rn1-0001", "the-best")  # which is free now
    assert text_of(capsys, "runs", "tag", "rn1-0001", "a b", code=2)
    assert text_of(capsys, "runs", "rename", "rn1-0001", "../x", code=2)
    assert "Did you mean rn1-0001?" in text_of(capsys, "follow", "rn-0001", code=1)
    for damaged in (b"", b"[]", b'{"tags": [1]}', b'{"name": 3}', b"\xff", b'{"tags": ["' + b"x" * 99 + b'"]}'):
        labels.path(fifty / "rn1-0001").write_bytes(damaged)
        assert labels.read(fifty / "rn1-0001") == labels.Labels()
    assert len(ids(capsys)) == 50


def test_runs_are_deleted_but_never_one_in_progress(fifty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    claim(Run(fifty / "rn1-0002"))  # its process is alive
    refused = text_of(capsys, "runs", "delete", "rn1-0001", "rn1-0002", "--yes", code=1)
    assert "rn1-0002 is in progress" in refused
    assert "mnist-tui stop rn1-0002 --wait" in refused
    assert len(ids(capsys)) == 50  # none of them
    assert "add --yes" in text_of(capsys, "runs", "delete", "rn1-0001", code=2)
    assert "rn1-0001 deleted, 0.0 MB" in text_of(capsys, "runs", "delete", "rn1-0001", "--yes")
    assert new_run(fifty).id == "rn1-0051"  # an id never comes back
    shown = text_of(capsys, "runs", "prune")
    wanted = [entry["id"] for entry in listed(capsys) if entry["state"] in ("failed", "diverged")]
    assert all(run_id in shown for run_id in wanted)
    assert f"{len(wanted)} runs, 0.0 MB: add --yes to delete them." in shown
    assert len(ids(capsys)) == 50
    assert "nothing to delete" in text_of(capsys, "runs", "prune", "--older-than", "1d", "--yes")
    text_of(capsys, "runs", "prune", "--yes")
    assert not {"failed", "diverged", "crashed"} & {entry["state"] for entry in listed(capsys)}
    assert "rn1-0002" in ids(capsys)
    assert not list(fifty.glob(".*deleted*"))


def test_a_run_that_starts_at_that_moment_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path)
    claim(run, lives=False)
    write(run, RunEnded(status="failed"))
    size = deletion.size

    def start_meanwhile(one: Run) -> int:
        claim(one)
        return size(one)

    monkeypatch.setattr(deletion, "size", start_meanwhile)
    with pytest.raises(Problem, match="already being trained"):
        deletion.delete(run)
    assert directory.find(tmp_path, run.id).state() == "running"
