"""What `--json` prints is what `mnist-tui schema` says, failures too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator, ValidationError

from core.messages import Message
from core.runs.events import (
    CheckpointSaved,
    EpochEnded,
    Evaluated,
    Event,
    LayersMeasured,
    Notice,
    Progress,
    RunEnded,
    SettingsChanged,
    Validated,
    WeightsRestored,
)
from core.runs.layer_health import Histogram, LayerHealth
from tests.core.runs.run_files import claim, new_run, write
from tests.json_checks import check_json, check_lines
from tests.recorded import started
from tests.tui_app import recorded
from tui_app import cli, i18n


@pytest.fixture(autouse=True)
def _english_afterwards() -> Iterator[None]:
    yield
    i18n.use("en")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert cli.run(arguments) == code
    return capsys.readouterr().out


def test_the_schema_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads(printed(capsys, "schema"))
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    failure = {"type": "error", "exit_code": 2, "message": {"text": "a {b}", "values": {"b": 1}, "sentence": "a 1"}}
    validator.validate({**failure, "advice": None, "run": "", "attempt": 0, "format": 2})
    with pytest.raises(ValidationError):
        validator.validate(failure)
    for name in ("event", "detached", "error", "predict"):  # what is printed line by line
        output = schema["$defs"][name]
        kinds = [schema["$defs"][each["$ref"].rpartition("/")[2]] for each in output.get("anyOf", [output])]
        assert all({"run", "format"} <= set(kind["required"]) for kind in kinds), name


def test_every_event_that_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says which run, attempt and format it belongs to, and each message has its sentence."""
    run = new_run(tmp_path, validate=True)
    claim(run)
    message = Message("Epoch {epoch}, loss {loss}", {"epoch": 3, "loss": 0.5})
    histogram = Histogram(low=-1.0, high=1.0, counts=(1, 2))
    events: list[Event] = [
        Notice(message=message, fraction=0.5),
        started(run.config()),
        Progress(epoch=1, step=2, loss=None, losses=(0.5, None), images_per_s=1.0, elapsed_s=0.5),
        SettingsChanged(epoch=1, step=2, lr=0.5, paused=True),
        EpochEnded(epoch=1, loss=0.5, seconds=1.0),
        Validated(epoch=1, loss=None, accuracy=0.5),
        LayersMeasured(epoch=1, layers=(LayerHealth(name="fc1", gradient_norm=0.5, weights=histogram),)),
        CheckpointSaved(epoch=1, step=63),
        WeightsRestored(epoch=1, loss=0.5),
        Evaluated(correct=1, total=2, accuracy=0.5, test_loss=None, confusion=((1, 1), (0, 0))),
        RunEnded(status="failed", message=message, advice=message),
    ]
    assert {type(event) for event in events} == set(get_args(Event))
    write(run, *events)
    lines = check_lines(printed(capsys, "follow", run.id, "--json", "--runs-dir", str(tmp_path), code=1))
    assert len(lines) == len(events)
    assert {(line["run"], line["attempt"], line["format"]) for line in lines} == {(run.id, 1, 2)}
    assert lines[-1]["advice"] == {
        "text": "Epoch {epoch}, loss {loss}",
        "values": {"epoch": 3, "loss": 0.5},
        "sentence": "Epoch 3, loss 0.5000",
    }


def test_runs_of_older_versions_and_lists(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--json", "--runs-dir", str(finished))
    (finished / "rn1-0001" / "config.json").write_text("{")
    lines = check_lines(printed(capsys, "follow", "rn2-0002", *where))
    assert {(line["run"], line["attempt"], line["format"]) for line in lines} == {("rn2-0002", 0, 1)}
    unreadable, done = check_json(printed(capsys, "runs", *where), "runs")
    assert (unreadable["state"], done["state"]) == ("unreadable", "done")
    assert unreadable["message"]["sentence"].startswith("run rn1-0001 is unreadable")
    assert [unreadable["id"], done["id"]] == list(recorded.RUN_IDS)


@pytest.mark.parametrize("command", ["", "layers", "runs", "follow", "resume", "compare", "conditions", "doctor"])
def test_bad_usage_is_json_with_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = printed(capsys, *command.split(), "--json", "--zzz", code=2).splitlines()
    failure = check_json(line, "error")
    assert (failure["exit_code"], failure["message"]["values"]) == (2, {"name": "--zzz"})


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("folow", 2, "il n'y a pas de commande «¦folow¦»¦; vouliez-vous dire «¦follow¦»¦?"),
        ("--epochs 0", 2, "le nombre d'époques doit"),
        ("follow rn1-0007", 1, "il n'y a pas d'entraînement rn1-0007"),
        ("conditions --shift 9", 2, "un décalage"),
        ("resume --no-ui", 1, "il n'y a"),
        ("--lang xx", 2, "the language must be one of en, fr"),
    ],
)
def test_failures_are_json_in_the_language(
    typed: str, code: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    language = () if "--lang" in typed else ("--lang", "fr")
    arguments = (*language, "--runs-dir", str(tmp_path), *typed.split(), "--json")
    (line,) = printed(capsys, *arguments, code=code).splitlines()
    failure = check_json(line, "error")
    assert failure["exit_code"] == code
    assert failure["message"]["sentence"].startswith(said.replace("¦", "\u202f"))


def test_a_crash_is_a_failure_for_who_follows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = new_run(tmp_path)
    claim(run, lives=False)
    write(run, started(run.config()))
    *_, last = printed(capsys, "follow", "--json", "--runs-dir", str(tmp_path), "--lang", "en", code=1).splitlines()
    failure = check_json(last, "error")
    assert (failure["run"], failure["attempt"]) == (run.id, 1)
    assert failure["message"]["sentence"] == f"run {run.id} crashed"
