"""`mnist-tui compare` and `mnist-tui conditions`: training many runs, and what they say, without the dashboard."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from core import catalogue, comparison, runs, statistics
from core.comparison import Comparison, Part
from core.conditions import Condition, Robustness
from core.config import RunConfig
from core.detach import StopSignals
from core.problems import Message
from core.runs import Run
from core.statistics import LeftOut, Results
from tui_app import comparison_view as view
from tui_app import curves, i18n, report, tables, terminal
from tui_app.curves import Curve
from tui_app.i18n import _, printable, say
from tui_app.status import StatusLine, bar

_POLL_S = 0.1
_CURVE_SIZE = 60, 14
"""Columns and rows."""


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison; `settings` are fields of `RunConfig`, those that were typed."""

    models: tuple[str, ...]
    seeds: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()
    report: Path | None = None
    json: bool = False


class _Stopped(Exception):
    """By a signal; whatever was in progress is saved."""


def compare(runs_dir: Path, request: Request) -> int:
    """Train what is not trained yet, and print what the runs say. Returns the exit code."""
    comparison.check_models(request.models)
    if request.report is not None:
        report.check(request.report)
    status = StatusLine(sys.stderr)
    signals = StopSignals()
    signals.install()
    try:
        settings = _settled(request, status, signals)
        at_once = comparison.at_once(settings.device, settings.threads)
        configs = comparison.plan(request.models, request.seeds, settings)
        made = Comparison(runs_dir, configs, at_once)
        _check_finished(made)
        if not _carry_out(made, status, signals):
            raise _Stopped
        results = statistics.summarise(made.records, _left_out(made)) if made.records else None
        if results is None:
            return _exit_code(made)
        tested = _test_all(made.records, results, request.conditions, settings.device, status, signals)
    except _Stopped:
        status.note(_("Stopped. The same command goes on from here."))
        return 128 + (signals.received or 2)
    command = _command(request, settings)
    _warn_of_sample([results.started.dataset], status)
    if request.report is not None:
        for path in report.write(request.report, report.Content(results, command, at_once, tested)):
            status.note(_("Written: {path}").format(path=printable(str(path))))
    if request.json:
        print(_json(results, command, at_once, tested))
    else:
        _print(results, tested)
    return _exit_code(made)


def print_conditions(runs_dir: Path, run_ids: Sequence[str], asked: Sequence[Condition], *, json: bool) -> int:
    """Test finished runs under conditions, and print their accuracy. Returns the exit code."""
    found = [runs.find(runs_dir, run_id) for run_id in dict.fromkeys(run_ids)]
    status = StatusLine(sys.stderr)
    signals = StopSignals()
    signals.install()
    try:
        _say_loading()
        tested = _tested(found, asked, "auto", status, signals)
    except _Stopped:
        return 128 + (signals.received or 2)
    if json:
        print(msgspec.json.format(msgspec.json.encode(tested)).decode())
        return 0
    _warn_of_sample([one.dataset for one in tested], status)
    several = len({one.dataset for one in tested}) > 1
    named = [(_run_name(one, with_data=several), [one]) for one in tested]
    _print_conditions(named)
    return 0


# The training


def _settled(request: Request, status: StatusLine, signals: StopSignals) -> RunConfig:
    """The settings of all runs with nothing left to choose, so that the same command means the same runs.

    Raises `Problem` for whatever would fail in every run.
    """
    settings = dict(request.settings)
    for model in request.models:  # before torch is loaded: what no run can have
        RunConfig(**{**settings, "model": model, "seed": 0})
    _say_loading()
    from core import devices, networks

    settings["device"] = str(devices.resolve(settings.get("device", "auto")))
    settings["threads"] = settings.get("threads") or comparison.default_threads(settings["device"])
    config = RunConfig(**{**settings, "seed": 0})
    for model in request.models:
        with redirect_stdout(sys.stderr):  # whatever a network prints: stdout is for the answer
            networks.build(model, config.dropout, config.batch_norm, config.width)
    return msgspec.structs.replace(config, dataset=_dataset_name(config, status, signals))


def _dataset_name(config: RunConfig, status: StatusLine, signals: StopSignals) -> str:
    """The data set that there is, fetched where it is not: once, before many runs ask for it."""
    if config.dataset == "sample":
        return "sample"
    name = "mnist" if config.dataset == "auto" else config.dataset
    if not catalogue.missing_files(catalogue.CATALOGUE[name], Path(config.data_dir)):
        return name
    from core import datasets

    try:
        loaded = datasets.load(
            config.dataset,
            Path(config.data_dir),
            notify=lambda message: status.note(say(message)),
            progress=lambda message, share: _draw_share(status, say(message), share),
            should_stop=signals,
        )
    except datasets.Cancelled:
        raise _Stopped from None
    status.erase()
    return loaded.name


def _check_finished(made: Comparison) -> None:
    """That what is finished already can be used: before the others are trained. Raises `Problem`."""
    if made.records:
        statistics.check_comparable(made.records)
    for record in made.records:
        statistics.read_predictions(record)


def _carry_out(made: Comparison, status: StatusLine, signals: StopSignals) -> bool:
    """Until all runs have ended. False: they were asked to stop, and have."""
    finished, left = made.count("done"), made.count("waiting", "running")
    text = _("{runs} runs: {finished} finished before, {left} to train")
    status.note(text.format(runs=len(made.parts), finished=finished, left=left))
    told = {id(part) for part in made.parts if part.reused}
    asked = False
    while True:
        more = made.advance()
        for part in made.parts:
            if part.state in ("done", "left_out") and id(part) not in told:
                told.add(id(part))
                status.note(_part_line(part))
        if signals.received is not None and not asked:
            asked = True
            made.stop()
            status.note(_("Stopping: each run saves a checkpoint first."))
        if not more:
            break
        _draw(made, status)
        time.sleep(_POLL_S)
    status.erase()
    return not asked or made.count("done", "left_out") == len(made.parts)


def _draw(made: Comparison, status: StatusLine) -> None:
    ended = made.count("done", "left_out")
    text = _("{ended} of {runs} runs, {running} in progress").format(
        ended=ended, runs=len(made.parts), running=made.count("running")
    )
    left = made.seconds_left()
    after = "" if left is None else _("{left} left").format(left=i18n.duration(left))
    _draw_share(status, text, made.share, after)


def _draw_share(status: StatusLine, text: str, share: float, after: str = "") -> None:
    status.draw(f"{text} {bar(share)} {i18n.percent(share, 0)}  {after}".rstrip())


def _part_line(part: Part) -> str:
    if part.state == "left_out":
        return view.left_out(_as_left_out(part))
    assert part.run is not None
    assert part.record is not None
    result = part.record.evaluated
    return _("{run}: {network}, seed {seed}: {accuracy}").format(
        run=part.run.id,
        network=printable(part.config.model.rpartition("/")[2]),
        seed=part.config.seed,
        accuracy="–" if result is None else i18n.percent(result.accuracy),
    )


def _left_out(made: Comparison) -> list[LeftOut]:
    return [_as_left_out(part) for part in made.parts if part.state == "left_out"]


def _as_left_out(part: Part) -> LeftOut:
    run_id = part.run.id if part.run is not None else ""
    return LeftOut(run_id, part.config.model, part.config.seed, part.status, part.why or Message("no reason was given"))


def _exit_code(made: Comparison) -> int:
    """As of a single run: 1 where one failed, else 3 where one diverged."""
    statuses = {part.status for part in made.parts if part.state == "left_out"}
    return 1 if "failed" in statuses else 3 if "diverged" in statuses else 0


# The conditions


def _test_all(
    records: Sequence[comparison.Record],
    results: Results,
    asked: Sequence[Condition],
    device: str,
    status: StatusLine,
    signals: StopSignals,
) -> list[tuple[str, list[Robustness]]]:
    """Each network's name and its tested runs; nothing where no condition is asked for."""
    if not asked:
        return []
    by_id = {record.run.id: record.run for record in records}
    tested = {one.run: one for one in _tested(list(by_id.values()), asked, device, status, signals)}
    return [(network.name, [tested[run.run] for run in network.runs]) for network in results.networks]


def _tested(
    found: Sequence[Run], asked: Sequence[Condition], device: str, status: StatusLine, signals: StopSignals
) -> list[Robustness]:
    from core import acceleration, datasets, devices
    from core.distortions import robustness
    from core.trained import Datasets, load_network

    acceleration.keep_freed_memory()
    where = devices.resolve(device)
    with redirect_stdout(sys.stderr):
        for run in found:
            load_network(run)  # what cannot be tested is said before any of it is
    done, total = 0, len(found) * (len(asked) + 1)

    def advance() -> None:
        nonlocal done
        done += 1
        if signals():
            raise _Stopped
        _draw_share(status, _("Testing under harder conditions"), done / total)

    kept = Datasets(
        notify=lambda message: status.note(say(message)),
        progress=lambda message, share: _draw_share(status, say(message), share),
        should_stop=signals,
    )
    try:
        with redirect_stdout(sys.stderr):
            tested = [robustness(run, asked, kept, where, advance) for run in found]
    except datasets.Cancelled:
        raise _Stopped from None
    finally:
        status.erase()
    return tested


def _run_name(one: Robustness, *, with_data: bool) -> str:
    parts = [tables.network_name(one.config, folder=False)]
    parts += [_("pixels permuted")] if one.config.permute else []
    parts += [one.dataset] if with_data else []
    return f"{one.run} ({', '.join(parts)})"


# What is printed


def _print(results: Results, tested: Sequence[tuple[str, Sequence[Robustness]]]) -> None:
    tables.print_table(view.as_table(view.networks(results)), ["", *view.notes(results)])
    for pair in results.pairs:
        lines = [view.pair_title(pair)]
        if pair.mcnemar:
            tables.print_texts(lines)
            tables.print_table(view.as_table(view.mcnemar(pair)))
            lines = []
        tables.print_texts([*lines, view.verdict(pair), ""])
    if tested:
        _print_conditions(tested)


def _print_conditions(named: Sequence[tuple[str, Sequence[Robustness]]]) -> None:
    """Accuracy by condition, in numbers and as a curve for each kind."""
    tables.print_table(view.as_table(view.robustness(named)))
    plain = not terminal.takes_utf8(sys.stdout)
    for kind in view.kinds_of([run for _name, found in named for run in found]):
        drawn = []
        for position, (name, found) in enumerate(named):
            points = view.curve_points(((one.condition, one.accuracy) for run in found for one in run.tested), kind)
            colour = curves.COLOURS[position % len(curves.COLOURS)]
            drawn.append(Curve(printable(name), curves.marker(position, plain=plain), colour, points))
        strengths = [strength for strength, _accuracy in drawn[0].points]
        curve = curves.draw(drawn, strengths, *_CURVE_SIZE, plain=plain)
        title = f"{view.condition_kind(kind)} ({view.strength_unit(kind)})"
        tables.print_texts(["", title, curves.legend(drawn), curve])


def _json(results: Results, command: str, at_once: int, tested: Sequence[tuple[str, Sequence[Robustness]]]) -> str:
    """One object; the texts in English."""
    started = results.started
    content: dict[str, Any] = {
        "dataset": {
            "name": started.dataset,
            "title": started.dataset_title,
            "train_size": started.train_size,
            "test_size": started.test_size,
        },
        "settings": {
            name: value
            for name, value in msgspec.structs.asdict(started.config).items()
            if name not in ("model", "seed")
        },
        "machine": {
            "device": started.device,
            "device_name": started.device_name,
            "torch": started.torch_version,
            "threads": started.threads,
            "at_once": at_once,
        },
        "networks": results.networks,
        "pairs": [{**msgspec.structs.asdict(pair), "verdict": str(pair.verdict)} for pair in results.pairs],
        "left_out": [{**msgspec.structs.asdict(part), "why": str(part.why)} for part in results.left_out],
        "conditions": [{"network": name, "runs": found} for name, found in tested],
        "command": command,
    }
    return msgspec.json.format(msgspec.json.encode(content)).decode()


def _warn_of_sample(datasets: Sequence[str], status: StatusLine) -> None:
    if "sample" in datasets:
        from tui_app.headless import sample_warning

        status.note(sample_warning())


def _command(request: Request, settings: RunConfig) -> str:
    """What gives the same comparison again: everything that has a part in its result."""
    words = ["mnist-tui", "compare", "--models", ",".join(request.models), "--seeds", str(request.seeds)]
    always = ("epochs", "batch_size", "lr", "dataset", "precision")
    default = RunConfig(seed=0, data_dir="")
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        option = f"--{name.replace('_', '-')}"
        if name in ("model", "seed") or (name not in always and name not in request.settings):
            continue
        if isinstance(value, bool):
            words += [option] if value else []
        elif name in always or value != getattr(default, name):
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    if request.conditions:
        words.append("--conditions")
    return shlex.join(words)


def _say_loading() -> None:
    if sys.stderr.isatty():
        print(_("Loading torch…"), file=sys.stderr, flush=True)
