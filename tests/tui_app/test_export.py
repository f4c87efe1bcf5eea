"""Runs in the formats of other tools, read back as these would read them."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from core.exporting.csv import COLUMNS
from core.runs.directory import Run
from core.runs.events import EpochEnded, Evaluated, Event, Progress, RunEnded, SettingsChanged, Validated
from tests.core.runs.run_files import claim, new_run, write
from tests.recorded import started
from tests.tui_app import recorded
from tui_app import cli

_STEPS = 2000
"""Batches per epoch: their rows are more than are searched one by one."""


def export(runs: Path, output: Path, *arguments: str) -> int:
    return cli.run(["export", *arguments, "--output", str(output), "--runs-dir", str(runs), "--lang", "en"])


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def read_back(folder: Path) -> Any:
    everything = {"scalars": 0, "images": 0, "tensors": 0}
    found: Any = EventAccumulator(str(folder), size_guidance=everything)
    found.Reload()
    return found


def progress(epoch: int, step: int, losses: Sequence[float | None], at: float) -> Progress:
    return Progress(
        epoch=epoch, step=step, loss=0.5, losses=tuple(losses), images_per_s=1e3, elapsed_s=at, time=1000.0 + at
    )


def resumed_run(folder: Path) -> Run:
    """Write a run that was resumed within its second epoch, paused, and changed; its repeated losses are 0.75."""
    run = new_run(folder, seed=7, epochs=2, model="RN_2", validate=True)
    config = run.config()
    begin = started(config, steps_per_epoch=_STEPS, time=1000.0, class_names=("=1+1", "$x^$", "あ"))
    write(
        run,
        begin,
        progress(1, _STEPS, [0.25] * _STEPS, 40.0),
        EpochEnded(epoch=1, loss=0.5, seconds=40.0, time=1040.0),
        Validated(epoch=1, loss=0.4, accuracy=0.9, time=1041.0),
        progress(2, 1500, [0.125] * 1500, 70.0),
        started(config, steps_per_epoch=_STEPS, time=2000.0, class_names=begin.class_names, epoch=2, step=500),
        SettingsChanged(epoch=2, step=500, lr=0.5, time=2000.0),
        progress(2, 502, [0.75, None], 1004.0),
        progress(2, _STEPS, [0.75] * (_STEPS - 502), 1010.0),
        EpochEnded(epoch=2, loss=0.5, seconds=40.0, time=2010.0),
        Validated(epoch=2, loss=None, accuracy=0.95, time=2011.0),
        Evaluated(correct=2, total=4, accuracy=0.5, test_loss=1.5, confusion=((1, 0, 1), (0, 1, 1), ()), time=2012.0),
        RunEnded(status="done", time=2013.0),
    )
    return run


def test_csv_of_a_run_that_was_resumed(tmp_path: Path) -> None:
    """What was repeated is there once, as it was at last; what is not finite is an empty cell."""
    run = resumed_run(tmp_path / "runs")
    assert export(run.path.parent, tmp_path / "out", run.id, "--to", "csv") == 0
    folder = tmp_path / "out" / run.id
    assert {path.name for path in folder.iterdir()} == set(COLUMNS)
    for name, columns in COLUMNS.items():
        assert (folder / name).read_text(encoding="utf-8").splitlines()[0] == ",".join(columns)
    batches = rows(folder, "batches.csv")
    assert [int(row["step"]) for row in batches] == list(range(1, 2 * _STEPS + 1))
    assert [row["loss"] for row in batches[2499:2502]] == ["0.125", "0.75", ""]
    assert {row["loss"] for row in batches[2502:]} == {"0.75"}
    assert [(row["epoch"], row["batch"], row["lr"]) for row in (batches[2499], batches[2500], batches[-1])] == [
        ("2", "500", "0.001"),
        ("2", "501", "0.5"),
        ("2", "2000", "0.5"),
    ]
    times = [float(row["time"]) for row in batches]
    assert times == sorted(times)
    assert (times[0], times[1999], times[-1]) == (1000.02, 1040.0, 2010.0)
    assert [row["step"] for row in rows(folder, "epochs.csv")] == ["2000", "4000"]
    assert [(row["loss"], row["accuracy"]) for row in rows(folder, "validation.csv")] == [("0.4", "0.9"), ("", "0.95")]
    settings = {row["setting"]: row["value"] for row in rows(folder, "settings.csv")}
    assert (settings["lr"], settings["seed"], settings["validate"]) == ("0.5", "7", "true")
    (result,) = rows(folder, "result.csv")
    assert (result["run"], result["state"], result["accuracy"], result["epochs"]) == (run.id, "done", "0.5", "2")
    confusion = rows(folder, "confusion.csv")
    assert [(row["label"], row["predicted"], row["images"]) for row in confusion][:3] == [
        ("0", "0", "1"),
        ("0", "1", "0"),
        ("0", "2", "1"),
    ]
    assert confusion[0]["label_name"] == "'=1+1"  # not a formula


def test_a_pause_takes_no_training_time(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    late = progress(1, 4, [0.5, 0.5], 2.0)
    write(run, started(run.config(), time=1000.0), progress(1, 2, [0.5, 0.5], 1.0), _at(late, 1500.0))
    assert export(tmp_path, tmp_path / "out", "--to", "csv") == 0
    batches = rows(tmp_path / "out" / run.id, "batches.csv")
    assert [float(row["time"]) for row in batches] == [1000.5, 1001.0, 1499.5, 1500.0]


def _at(event: Progress, when: float) -> Progress:
    return msgspec.structs.replace(event, time=when)


@pytest.mark.slow
def test_tensorboard_reads_a_run_that_was_resumed(tmp_path: Path) -> None:
    run = resumed_run(tmp_path / "runs")
    assert export(run.path.parent, tmp_path / "out", "--to", "tensorboard") == 0
    found = read_back(tmp_path / "out" / run.id)
    losses = found.Scalars("loss/batch")
    assert [one.step for one in losses] == list(range(1, 2 * _STEPS + 1))
    assert (losses[2499].value, losses[2500].value, losses[-1].value) == (0.125, 0.75, 0.75)
    assert losses[2501].value != losses[2501].value  # not a number
    assert (losses[1999].wall_time, losses[-1].wall_time) == (1040.0, 2010.0)
    expected = {
        "loss/running": [(2000, 0.5), (2502, 0.5), (4000, 0.5)],
        "loss/epoch": [(2000, 0.5), (4000, 0.5)],
        "accuracy/test": [(4000, 0.5)],
        "loss/test": [(4000, 1.5)],
    }
    assert {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in expected} == expected
    assert [round(one.value, 6) for one in found.Scalars("accuracy/validation")] == [0.9, 0.95]
    assert [round(one.value, 6) for one in found.Scalars("settings/lr")] == [0.001, 0.001, 0.5]
    (image,) = found.Images("confusion")
    assert image.encoded_image_string.startswith(b"\x89PNG")
    assert (image.width, image.height, image.step) == (600, 600, 4000)
    content = found.PluginTagToContent("hparams")
    begin = metadata.parse_session_start_info_plugin_data(content[metadata.SESSION_START_INFO_TAG])
    assert begin.group_name == run.id
    assert begin.hparams["model"].string_value == "RN_2"
    assert (begin.hparams["lr"].number_value, begin.hparams["validate"].bool_value) == (0.5, True)
    end = metadata.parse_session_end_info_plugin_data(content[metadata.SESSION_END_INFO_TAG])
    assert (end.status, end.end_time_secs) == (1, 2013.0)


def test_each_run_has_a_folder_and_nothing_is_replaced_unasked(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    new_run(finished)  # has not started
    assert export(finished, output, "--all", "--to", "csv") == 0
    assert sorted(path.name for path in output.iterdir()) == list(recorded.RUN_IDS)
    (output / "rn2-0002" / "batches.csv").write_text("mine")
    capsys.readouterr()
    assert export(finished, output, "rn2-0002", "--to", "csv") == 1
    assert "batches.csv exists already. Choose another folder" in capsys.readouterr().err
    assert (output / "rn2-0002" / "batches.csv").read_text() == "mine"
    (output / "rn2-0002" / "mine.txt").write_text("mine")
    assert export(finished, output, "rn2-0002", "--to", "csv", "--overwrite") == 0
    assert len(rows(output / "rn2-0002", "batches.csv")) == 126
    assert (output / "rn2-0002" / "mine.txt").exists()


def test_what_cannot_be_exported_is_named(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unstarted = new_run(finished)
    (finished / "rn1-0001" / "config.json").write_text("{")
    (tmp_path / "file").write_text("")
    for arguments, output, code, said in (
        ((unstarted.id, "--to", "csv"), tmp_path, 1, f"run {unstarted.id} has not started"),
        (("rn1-0001", "--to", "csv"), tmp_path, 1, "run rn1-0001 is unreadable"),
        (("rn2-0002", "--to", "csv", "--all"), tmp_path, 2, "leave out rn2-0002"),
        (("rn2-0002",), tmp_path, 2, "say what to export to: --to csv, --to tensorboard"),
        (("rn2-0002", "--to", "xls"), tmp_path, 2, "not xls"),
        (("rn2-0002", "--to", "csv"), finished, 1, "is the folder of the run itself"),
        (("rn2-0002", "--to", "csv"), tmp_path / "file", 1, "cannot write to"),
    ):
        assert export(finished, output, *arguments) == code
        assert said in capsys.readouterr().err


def test_without_tensorboard_a_line_has_the_command(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import core.exporting

    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    monkeypatch.delitem(sys.modules, "core.exporting.tensorboard", raising=False)
    monkeypatch.delattr(core.exporting, "tensorboard", raising=False)
    assert export(finished, tmp_path / "out", "--to", "tensorboard") == 1
    assert capsys.readouterr().err == (
        "mnist-tui: the package tensorboard is not installed. Install it: pip install 'mnist-tui[tensorboard]'\n"
    )


@pytest.mark.parametrize("to", ["csv", "tensorboard"])
def test_live_writes_while_the_run_trains(to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = new_run(tmp_path / "runs")
    claim(run)
    write(run, started(run.config()), progress(1, 2, [0.25, 0.5], 1.0))
    folder = tmp_path / "out" / run.id
    looks: dict[str, Callable[[], list[float]]] = {
        "csv": lambda: [float(row["loss"]) for row in rows(folder, "batches.csv")],
        "tensorboard": lambda: [one.value for one in read_back(folder).Scalars("loss/batch")],
    }
    batch_losses = looks[to]
    seen: list[list[float]] = []
    monkeypatch.setattr(time, "sleep", _later(run, seen, batch_losses))
    assert export(run.path.parent, tmp_path / "out", "--to", to, "--live") == 0
    assert [*seen, batch_losses()] == [[0.25, 0.5], [0.25, 0.5, 0.75], [0.25, 0.5, 0.75]]


def _later(run: Run, seen: list[list[float]], look: Callable[[], list[float]]) -> Callable[[float], None]:
    """Return what the exporter does instead of waiting: the run goes on, and what has been written is looked at."""
    left: Iterator[Event] = iter([progress(1, 3, [0.75], 2.0), RunEnded(status="stopped")])

    def sleep(_seconds: float) -> None:
        seen.append(look())
        write(run, next(left))

    return sleep
