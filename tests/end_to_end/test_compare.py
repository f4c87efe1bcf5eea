"""`mnist-tui compare` and `mnist-tui conditions` on the sample, with runs that are really trained."""

from __future__ import annotations

import json
import shlex
import signal
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import msgspec
import psutil
import pytest

from core import machine
from core.comparing import statistics
from core.comparing.stored import StoredComparison
from core.runs import directory, lease
from core.runs.directory import Run
from core.runs.events import EpochEnded, Evaluated, Progress
from tests.core.comparing.finished_runs import config_of, finished, record
from tests.core.runs.run_files import checkpoints_of
from tests.end_to_end.forks import ForkServer
from tests.end_to_end.terminal import Place, all_events, batch_losses, predictions, wait_for_event, wait_until
from tests.json_checks import check_json

pytestmark = pytest.mark.slow

OPTIONS = (
    "--seeds",
    "2",
    "--epochs",
    "1",
    "--dataset",
    "sample",
    "--batch-size",
    "256",
    "--device",
    "cpu",
    "--threads",
    "1",
    "--lang",
    "en",
)


def compare(place: Place, *options: str) -> tuple[str, ...]:
    return ("compare", "--models", f"RN_1,{place.slow}", *OPTIONS, *options)


def _comparison(place: Place) -> StoredComparison:
    (folder,) = (place.runs_dir / ".comparisons").iterdir()
    return StoredComparison(folder)


def event(run: Run, kind: Any) -> Any:
    return next(found for found in all_events(run) if isinstance(found, kind))


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, forks: Callable[[], ForkServer]) -> tuple[Place, dict[str, Any]]:
    """Return a place with a finished comparison, and its JSON. Four of its six runs existed, two were trained."""
    place = Place(tmp_path_factory.mktemp("compared"), forks)
    for seed, model, lr in (("0", "RN_1", "0.001"), ("0", "", "0.001"), ("1", "RN_1", "0.001"), ("0", "RN_1", "1e-4")):
        options = ("--epochs", "1", "--seed", seed, "--batch-size", "256", "--device", "cpu", "--lr", lr)
        assert place.train(*options, model=model).wait() == 0
    ended = place.fork(*compare(place, "RN_1+lr=1e-4", "--margin", "0,07", "--json", "--report", "report.html"))
    assert ended.wait() == 0, ended.err
    return place, check_json(ended.out, "compare")


def test_figures_are_those_of_the_runs(compared: tuple[Place, dict[str, Any]]) -> None:
    place, found = compared
    assert [network["name"] for network in found["networks"]] == ["RN_1+lr=0.0001", "RN_1", "slow.py:Slow"]
    assert [network["settings"]["lr"] for network in found["networks"]] == [1e-4, 1e-3, 1e-3]
    assert "lr" not in found["settings"]
    assert found["settings"]["batch_size"] == 256
    assert found["networks"][1]["macs"] == 566_528
    by_seed: dict[str, dict[int, list[int]]] = {}
    for network in found["networks"]:
        for entry in network["runs"]:
            run = place.run(entry["run"])
            result, epoch = event(run, Evaluated), event(run, EpochEnded)
            answers = predictions(run)
            right = [label == answer for label, answer in zip(answers["label"], answers["predicted"], strict=True)]
            assert run.config().seed == entry["seed"]
            assert run.config().lr == network["settings"]["lr"]
            assert entry["correct"] == sum(right) == result.correct
            assert entry["accuracy"] == result.accuracy
            assert entry["test_loss"] == result.test_loss
            assert entry["seconds_per_epoch"] == epoch.seconds
            assert entry["losses"] == [epoch.loss]
            by_seed.setdefault(network["name"], {})[entry["seed"]] = right
        assert network["accuracy"]["mean"] == pytest.approx(fmean(entry["accuracy"] for entry in network["runs"]))
    pair = found["pairs"][2]
    assert (pair["first"], pair["second"]) == ("RN_1", "slow.py:Slow")
    for test in pair["mcnemar"]:
        first, second = (by_seed[name][test["seed"]] for name in ("RN_1", "slow.py:Slow"))
        assert test["only_first_right"] == sum(a and not b for a, b in zip(first, second, strict=True))
        assert test["only_second_right"] == sum(b and not a for a, b in zip(first, second, strict=True))
    assert pair["seeds"] == [0, 1]


def test_the_command_that_it_reports_trains_nothing_again(compared: tuple[Place, dict[str, Any]]) -> None:
    place, found = compared
    before = sorted(path.name for path in place.runs_dir.glob("*-*"))
    command = shlex.split(found["command"])
    again = place.fork(*command[1:], "--report", "again.md", "--lang", "fr")
    assert again.wait() == 0, again.err
    assert sorted(path.name for path in place.runs_dir.glob("*-*")) == before
    assert len(before) == 6
    assert "567" in again.out
    assert "RN_1+lr=0.0001 − slow.py:Slow" in again.out
    report = (place.folder / "again.md").read_text()
    assert "mnist-tui compare" in report
    for name in ("loss", "accuracy"):
        assert f"again-{name}.svg" in report
        xml.etree.ElementTree.parse(place.folder / f"again-{name}.svg")
    assert found["command"] in report
    assert "--margin 0.07" in found["command"]
    assert "0,001 (RN\\_1+lr=0.0001: 0,0001)" in report


def test_the_html_report_is_one_file_with_its_pictures(compared: tuple[Place, dict[str, Any]]) -> None:
    place, found = compared
    report = (place.folder / "report.html").read_text()
    assert report.count("<svg") == 2
    assert "<script" not in report
    assert "src=" not in report
    for network in found["networks"]:
        assert f"{100 * network['accuracy']['mean']:.2f}%" in report
        assert f"{network['parameters']:,}" in report


def test_conditions_of_trained_runs(compared: tuple[Place, dict[str, Any]]) -> None:
    place, found = compared
    ids = [network["runs"][0]["run"] for network in found["networks"]]
    ended = place.fork("conditions", *ids, "--shift", "1,4", "--noise", "0.5", "--json", "--lang", "en")
    assert ended.wait() == 0, ended.err
    for network, tested in zip(found["networks"], check_json(ended.out, "conditions"), strict=True):
        plain, small, large, _noise = tested["tested"]
        assert plain == {"condition": None, "accuracy": network["runs"][0]["accuracy"]}
        assert small["condition"] == {"kind": "shift", "strength": 1.0}
        assert plain["accuracy"] > small["accuracy"] > large["accuracy"]


def test_seeds_are_added_until_it_is_decided(place: Place) -> None:
    """Ten seeds of each network are finished: only as many count as the decision takes, and they say what they said."""
    made = [
        finished(place.runs_dir, config_of(model, seed, epochs=1, batch_size=256), range(errors + seed % 3))
        for seed in range(10)
        for model, errors in (("RN_1", 200), ("RN_2", 20))
    ]
    options = [option for option in OPTIONS if option not in ("--seeds", "2")]
    decided = place.fork("compare", *options, "--until-decided", "--max-seeds", "10", "--json")
    assert decided.wait() == 0, decided.err
    found = check_json(decided.out, "compare")
    assert _comparison(place).standing().outcome == "decided"
    (pair,) = found["pairs"]
    seeds = pair["decision"]["seeds"]
    assert pair["decision"]["outcome"] == "worse"
    assert 3 < seeds == len(pair["seeds"]) < 10
    assert "on these 1000 test images: RN_2 is more accurate than RN_1" in pair["decision_text"]
    assert "--until-decided --max-seeds 10" in found["command"]
    (fixed,) = statistics.summarise([record(run) for run in made[: 2 * seeds]]).pairs
    assert pair["verdict"] == " ".join(map(str, fixed.verdict))
    assert pair["difference"] == msgspec.to_builtins(fixed.difference)


def _slow_run(place: Place) -> Path:
    return wait_until(lambda: next(iter(place.runs_dir.glob("slow-*")), None), "a slow run")


def test_killed_and_continued(place: Place) -> None:
    """The comparison's process and a worker are killed; the same command, watched or not, then finishes it."""
    killed = place.fork(*compare(place, "--seeds", "1"), PAUSE="0.2")
    slow = _slow_run(place)
    wait_for_event(Run(slow), Progress)
    killed.kill()
    for folder in (_comparison(place).path, slow):
        killed_too = lease.read(folder)
        assert killed_too is not None
        psutil.Process(killed_too.pid).kill()
    again = place.fork(*compare(place, "--seeds", "1", "--json"))
    assert again.wait() == 0, again.err
    runs = [entry["run"] for network in json.loads(again.out)["networks"] for entry in network["runs"]]
    assert sorted(runs) == sorted(path.name for path in place.runs_dir.glob("*-*"))
    assert len(runs) == 2


def test_stopped_by_a_signal_every_run_saves_a_checkpoint(place: Place) -> None:
    """So does one that the comparison's process before this one has begun, which was killed."""
    killed = place.fork(*compare(place), PAUSE="1")
    slow = _slow_run(place)
    wait_for_event(Run(slow), Progress)
    killed.kill()
    stored = _comparison(place)
    carrying_out, training = lease.read(stored.path), lease.read(slow)
    assert carrying_out is not None
    assert training is not None
    assert training.comparison == stored.id
    psutil.Process(carrying_out.pid).kill()
    stopped = place.fork(*compare(place), PAUSE="1")
    wait_until(lambda: stored.attempt == 2 and stored.standing().parts, "the second process")
    stopped.signal(signal.SIGTERM)
    assert stopped.wait() == 143
    assert "Run the same command again" in stopped.err
    assert Run(slow).state() == "stopped"
    assert Run(slow).attempt == 1
    assert checkpoints_of(Run(slow))
    place.wait_alone()


ONE_BY_ONE = ("--seeds", "1", "--threads", str(machine.usable_cores()))
"""Options for one seed, and its runs one after the other."""


def test_a_comparison_is_stopped_from_anywhere_but_not_by_a_command_that_is_lost(place: Place) -> None:
    """Once it is stopped, no run is started any more, and a command that only watches it ends too."""
    command = ("compare", place.slow, "RN_1", *OPTIONS, *ONE_BY_ONE)
    lost = place.fork(*command, PAUSE="1")
    slow = Run(_slow_run(place))
    wait_for_event(slow, Progress)
    lost.signal(signal.SIGHUP)
    watching = place.fork(*command)
    wait_until(lambda: "2 runs: 0 already finished" in watching.err, "the second command's first line")
    assert lost.poll() is None
    lost.kill()
    seen = len(batch_losses(slow))
    wait_until(lambda: len(batch_losses(slow)) > seen, "more batches")
    stop = place.fork("stop", "--all", "--wait", "--lang", "en")
    assert stop.wait() == 0, stop.err
    assert "1 comparison will stop" in stop.err
    assert watching.wait() == 130
    assert "Run the same command again" in watching.err
    place.wait_alone()
    assert [summary.state for summary in directory.Listing(place.runs_dir).read()] == ["stopped"]
    assert _comparison(place).attempt == 1


def test_a_comparison_begun_in_the_dashboard_goes_on_without_it(place: Place) -> None:
    """The same command finds it, and neither its kill nor the dashboard's end keeps the second run from starting."""
    terminal = place.terminal(*OPTIONS[2:], *ONE_BY_ONE[2:], "--width", "0.1")
    terminal.wait_for("F5 Train")
    terminal.keys("c")
    terminal.wait_for("Each run: 1 epoch,")
    terminal.keys("1", "enter")
    terminal.wait_for("0 of 2 runs, 1 in progress")
    watching = place.fork("compare", "RN_1", "RN_1+width=0.1", *OPTIONS, *ONE_BY_ONE)
    terminal.keys("escape")
    terminal.wait_for("F5 Train")
    terminal.keys("c")
    terminal.wait_for("of 2 runs, 1 in progress")
    wait_until(lambda: "2 runs:" in watching.err, "the command's first line")
    watching.kill()
    terminal.keys("f10")
    terminal.wait_for("A comparison is in progress")
    terminal.keys("enter")
    assert terminal.wait_end() == 0
    comparison = _comparison(place)
    wait_until(lambda: comparison.standing().outcome != "none", comparison.standing)
    assert comparison.standing().outcome == "done"
    assert comparison.attempt == 1
    assert [summary.state for summary in directory.Listing(place.runs_dir).read()] == ["done", "done"]
    place.wait_alone()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("compare", "--seeds", "0"), 2, "number of seeds"),
        (("compare", "--margin", "0"), 2, "margin"),
        (("compare", "--until-decided", "--seeds", "5"), 2, "--max-seeds"),
        (("compare", "--max-seeds", "5"), 2, "--until-decided"),
        (("compare", "--models", "RN_1,RN_3"), 2, "RN_3"),
        (("compare", "--models", "RN_1,RN_1"), 2, "are the same"),
        (("compare", "RN_1"), 2, "two configurations"),
        (("compare", "RN_2", "RN_2+exact"), 2, "exact is not for comparisons"),
        (("compare", "--epochs", "0"), 2, "epochs"),
        (("compare", "--report", "report.pdf"), 2, "report.pdf"),
        (("compare", "--report", "/nowhere/report.md"), 1, "/nowhere/report.md"),
        (("compare", "--models", "RN_1,{net}:Nothing"), 1, "Nothing"),
        (("compare", "--device", "cuda:77"), 1, "cuda:77"),
        (("compare", "--devices", "all,cpu"), 2, "--devices takes all, or names such as cuda:0,cuda:1, not all,cpu"),
        (("conditions",), 1, "there is no run"),
        (("conditions", "rn1-0009"), 1, "rn1-0009"),
        (("conditions", "rn1-0001", "--shift", "9"), 2, "9"),
        (("conditions", "rn1-0001", "--turn", "90"), 2, "90"),
        (("conditions", "rn1-0001", "--noise", "loud"), 2, "loud"),
        (("conditions", "rn1-0001", "--blur", "1"), 2, "--blur"),
    ],
)
def test_what_cannot_be_compared_gets_one_line(place: Place, arguments: tuple[str, ...], code: int, said: str) -> None:
    words = [word.replace("{net}", str(place.network_path)) for word in arguments]
    ended = place.fork(*words, "--lang", "en")
    assert ended.wait() == code
    assert ended.out == ""
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err
    assert not place.runs_dir.exists()


def test_a_run_without_predictions_is_refused_before_anything_is_trained(place: Place) -> None:
    place.train("--epochs", "1", "--seed", "0", "--batch-size", "256", "--device", "cpu").wait()
    run = place.run()
    run.result_paths("predictions", ".npz")[0].unlink()
    ended = place.fork(*compare(place))
    assert ended.wait() == 1
    assert f"run {run.id} has no predictions" in ended.err
    assert [path.name for path in place.runs_dir.glob("*-*")] == [run.id]
