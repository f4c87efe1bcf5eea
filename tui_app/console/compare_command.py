"""`mnist-tui compare`: trains many runs and prints their comparison."""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core.comparing import clusters, statistics, stored, watching
from core.comparing.configurations import configurations
from core.comparing.engine import RAY, SLURM
from core.comparing.parts import Part, PlannedRuns, check_seeds
from core.comparing.statistics import Results
from core.comparing.stored import Plan
from core.comparing.verdict import MARGIN
from core.comparing.watching import WatchedComparison
from core.config import RunConfig, built_in_names
from core.data.conditions import Condition, Robustness
from core.messages import N_, InvalidSetting
from core.runs import sameness
from core.runs.directory import FollowedRun
from core.worker.asking import GivenUp
from core.worker.detach import StopSignals
from core.worker.protocol import Settle, Settled
from tui_app import comparison_text, i18n, tables
from tui_app.console import json_output
from tui_app.console.asking import ask_with_status
from tui_app.console.compare_json import comparison_document
from tui_app.console.conditions_command import measure_under_conditions, print_accuracies
from tui_app.console.launchers import refuse_several_processes
from tui_app.console.status_line import StatusLine, Stopped
from tui_app.console.training_command import EXIT_CODES
from tui_app.i18n import _, printable, say
from tui_app.report import pages
from tui_app.report.compose import Content
from tui_app.settings import option

_POLL_S = 0.1
_RAY_ADDRESS = re.compile(r"ray://[A-Za-z0-9._\-\[\]:]+:\d{1,5}")
_BETWEEN_OPTIONS = re.compile(r",(?=\s*[a-z][a-z0-9_-]*=)")
"""A comma between options: one in a value, as in `nodelist=a,b`, is followed by no name."""
_SLURM_OPTION = re.compile(r"([a-z][a-z0-9_-]*)=([!-~]+)")


@dataclass(frozen=True)
class ComparisonRequest:
    """A request for a comparison."""

    configurations: tuple[str, ...]
    """Configurations as they were typed."""
    seeds: int
    """Number of seeds, or the largest number if they are added until the answer is decided."""
    settings: RunConfig
    """Settings that they share."""
    until_decided: bool = False
    conditions: tuple[Condition, ...] = ()
    report: Path | None = None
    margin: float = MARGIN
    """Smallest difference in accuracy that matters, as a fraction."""
    together: bool = False
    """True if the seeds of a configuration are to be trained at once."""
    devices: tuple[str, ...] = ()
    """Devices to train on, or `all`; empty for what the settings' device means."""
    per_device: int = 0
    """Runs on each device at once; 0 for the usual number."""
    cluster: str = ""
    """Where to train if not on this machine: `ray`, `ray://HOST:PORT` or `slurm`."""
    slurm: Mapping[str, str] = field(default_factory=dict)
    """What the jobs of a Slurm cluster ask for."""
    json: bool = False


def number_of_seeds(seeds: str | None, max_seeds: str | None, until_decided: bool) -> int:
    """Parse the number of seeds, or the largest number, as a user types them. Raises `InvalidSetting`."""
    if until_decided and seeds is not None:
        raise InvalidSetting("seeds", "--until-decided finds the number of seeds: give --max-seeds, not --seeds")
    if max_seeds is not None and not until_decided:
        raise InvalidSetting("max_seeds", "--max-seeds goes only with --until-decided")
    given, default = (max_seeds, "30") if until_decided else (seeds, "5")
    return check_seeds(default if given is None else given)


def check_devices(text: str | None, device: str) -> tuple[str, ...]:
    """Parse the devices as a user types them: `all`, or some between commas. Raises `InvalidSetting`."""
    if text is None:
        return ()
    if device != "auto":
        raise InvalidSetting("devices", "give either --device or --devices")
    names = tuple(each.strip() for each in text.split(","))
    if names != ("all",):
        for name in names:
            if name in ("auto", "all", ""):
                message = N_("--devices takes all, or names such as cuda:0,cuda:1, not {value}")
                raise InvalidSetting("devices", message, value=text or "''")
            RunConfig(seed=0, device=name)
    return names


def check_cluster(text: str | None, devices: str | None, per_device: str | None, slurm: str | None) -> str:
    """Parse where to train as a user types it; empty for this machine. Raises `InvalidSetting`."""
    cluster = text or ""
    if text is not None and cluster not in (RAY, SLURM) and not _RAY_ADDRESS.fullmatch(cluster):
        raise InvalidSetting("on", "--on takes ray, ray://HOST:PORT or slurm, not {value}", value=text or "''")
    if cluster and devices is not None:
        raise InvalidSetting("devices", "--devices names this machine's devices; with --on, give --device cuda or cpu")
    if cluster == SLURM and per_device is not None:
        raise InvalidSetting("per_device", "under Slurm each job trains one run at a time: give --slurm workers=N")
    if slurm is not None and cluster != SLURM:
        raise InvalidSetting("slurm", "--slurm goes only with --on slurm")
    return cluster


def check_slurm(text: str | None) -> dict[str, str]:
    """Parse what Slurm's jobs ask for as a user types it. Raises `InvalidSetting`."""
    asked: dict[str, str] = {}
    for each in _BETWEEN_OPTIONS.split(text) if text is not None else ():
        match = _SLURM_OPTION.fullmatch(each.strip())
        if match is None:
            message = N_("--slurm takes what sbatch does, as in partition=gpu,gres=gpu:1,time=30, not {value}")
            raise InvalidSetting("slurm", message, value=each or "''")
        name = match[1].replace("-", "_")
        if name in asked:
            raise InvalidSetting("slurm", "--slurm names {name} twice", name=name)
        asked[name] = match[2]
    return asked


def compare(runs_dir: Path, request: ComparisonRequest) -> int:
    """Train the missing runs, print the comparison, and return the exit code."""
    refuse_several_processes()
    configs = configurations(request.configurations, request.settings)
    own = [config for config in configs if not config.architecture.is_built_in]
    if request.together and len(own) == len(configs):
        raise InvalidSetting(
            "together", "--together is for {known}: none of these networks is one", known=built_in_names()
        )
    if request.together and any(config.fused for config in configs):
        raise InvalidSetting("together", "--together and --fused are two ways to fewer kernels: leave out either")
    if request.report is not None:
        pages.check(request.report)
    status = StatusLine(sys.stderr)
    signals = StopSignals()
    signals.install()
    if request.together and own:
        names = ", ".join(dict.fromkeys(printable(config.model) for config in own))
        status.note(
            _("Trained one seed after the other, as only built-in networks go together: {names}").format(names=names)
        )
    try:
        settings, devices = _settle(runs_dir, request, configs, status, signals)
        if request.together and settings.device == "cpu":
            status.note(_("Seeds trained together gain nothing on a CPU, and RN_2 takes longer: this is for GPUs."))
        plan = stored.make_plan(
            request.configurations,
            request.seeds,
            settings,
            request.margin if request.until_decided else None,
            together=request.together,
            devices=devices,
            per_device=request.per_device,
            cluster=request.cluster,
            slurm=request.slurm,
        )
        made = watching.begin(runs_dir, plan)
        _watch(made, status, signals)
        if not made.finished:
            code = _exit_code(made)
            if request.json:
                json_output.print_line(json_output.Failure(exit_code=code, message=statistics.NOTHING_FINISHED))
            return code
        results = statistics.summarise(made.finished, made.left_out, made.names, margin=request.margin)
        where = "auto" if request.cluster else settings.device
        tested = _test_all(made.finished, results, request.conditions, where, status, signals)
    except Stopped:
        status.note(_("Stopped. Run the same command again to continue."))
        return EXIT_CODES["stopped"] if signals.received is None else signals.exit_code
    command = _command(request, plan)
    status.warn_of_sample([results.started.dataset])
    if request.report is not None:
        for path in pages.write(request.report, Content(results, command, tested, request.until_decided)):
            status.note(_("Written: {path}").format(path=printable(str(path))))
    if request.json:
        json_output.print_document(comparison_document(results, command, tested))
    else:
        _print(results, tested, request.until_decided)
    return _exit_code(made)


# The training


def _settle(
    runs_dir: Path,
    request: ComparisonRequest,
    configs: Sequence[RunConfig],
    status: StatusLine,
    signals: StopSignals,
) -> tuple[RunConfig, tuple[str, ...]]:
    """Return the settings of all runs, with every `auto` resolved, and this machine's devices that they are for.

    Raises `Problem` or `Stopped`.
    """
    asked = request.settings
    if not request.cluster:
        settled = _settled(Settle(asked, tuple(configs), request.devices), status, signals)
        return settled.config, settled.devices
    status.draw(_("Asking the cluster…"))
    try:
        device = clusters.check(request.cluster, request.slurm, asked.device, runs_dir, signals)
    except GivenUp:
        raise Stopped from None
    finally:
        status.erase()
    # What this machine has says nothing of the nodes: networks and data are tried on it, no more.
    here = {"device": "auto", "precision": "fp32", "fused": False}
    tried = [msgspec.structs.replace(config, **here) for config in (asked, *configs)]
    settled = _settled(Settle(tried[0], tuple(tried[1:])), status, signals)
    there = {"device": device, "threads": asked.threads or int(device == "cpu")}
    kept = {"precision": asked.precision, "fused": asked.fused}
    return msgspec.structs.replace(settled.config, **there, **kept), ()


def _settled(question: Settle, status: StatusLine, signals: StopSignals) -> Settled:
    answer = ask_with_status(question, status, signals)
    assert isinstance(answer, Settled)
    return answer


def _watch(made: WatchedComparison, status: StatusLine, signals: StopSignals) -> None:
    """Wait until all runs have ended, and announce each as it does. Raises `Problem` or `Stopped`."""
    known = 0
    told: set[tuple[int, str]] = set()
    begun: dict[str, object] = {}
    asked = False
    while True:
        goes_on = made.look()
        if len(made.parts) > known:
            new = made.parts[known:]
            told |= {(id(part), part.state) for part in new if part.reused or (known == 0 and part.state == "done")}
            known = len(made.parts)
            text = _("{runs} runs: {finished} already finished, {left} to train")
            left = made.count("waiting", "running")
            status.note(text.format(runs=known, finished=made.count("done"), left=left))
        for part in made.parts:
            if part.state in ("done", "left_out") and (id(part), part.state) not in told:
                told.add((id(part), part.state))
                status.note(_part_line(part))
        _tell_of_slots(made, status, begun)
        if not goes_on:
            break
        if signals.received is not None and not asked:
            asked = True
            made.stop()
            status.note(_("Stopping: each run saves a checkpoint first."))
        _draw(made, status)
        time.sleep(_POLL_S)
    status.erase()
    if made.outcome == "stopped":
        raise Stopped


def _tell_of_slots(made: WatchedComparison, status: StatusLine, told: dict[str, object]) -> None:
    """Announce what is waited for, and each run that begins on another machine; `told` is what was."""
    if made.waits_for is not None and told.get("") != made.waits_for:
        status.note(say(made.waits_for))
    told[""] = made.waits_for
    for slot in made.slots:
        for run in slot.runs if slot.node else ():
            if told.get(run) != slot.since:
                told[run] = slot.since
                text = _("{run} on {node}, {device}")
                status.note(text.format(run=printable(run), node=printable(slot.node), device=printable(slot.device)))


def _draw(made: PlannedRuns, status: StatusLine) -> None:
    ended = made.count("done", "left_out")
    text = _("{ended} of {runs} runs, {running} in progress").format(
        ended=ended, runs=len(made.parts), running=made.count("running")
    )
    left = made.seconds_left()
    after = "" if left is None else _("{left} left").format(left=i18n.duration(left))
    status.draw_share(text, made.share, after)


def _part_line(part: Part) -> str:
    if part.state == "left_out":
        return comparison_text.left_out(part.as_left_out)
    assert part.followed is not None
    result = part.followed.record.evaluated
    return _("{run}: {network}, seed {seed}: {accuracy}").format(
        run=part.followed.run.id,
        network=printable(part.name),
        seed=part.config.seed,
        accuracy="–" if result is None else i18n.percent(result.accuracy),
    )


def _exit_code(made: PlannedRuns) -> int:
    """Return the exit code, as for a single run: 1 if one failed, else 3 if one diverged."""
    statuses = {part.status for part in made.parts if part.state == "left_out"}
    return 1 if "failed" in statuses else 3 if "diverged" in statuses else 0


def _test_all(
    finished: Sequence[FollowedRun],
    results: Results,
    asked: Sequence[Condition],
    device: str,
    status: StatusLine,
    signals: StopSignals,
) -> list[tuple[str, list[Robustness]]]:
    """Return each configuration's name with its tested runs; nothing if no conditions are requested."""
    if not asked:
        return []
    by_id = {one.run.id: one.run for one in finished}
    tested = {one.run: one for one in measure_under_conditions(list(by_id.values()), asked, device, status, signals)}
    return [(network.name, [tested[run.run] for run in network.runs]) for network in results.networks]


# What is printed


def _print(results: Results, tested: Sequence[tuple[str, Sequence[Robustness]]], until_decided: bool) -> None:
    tables.print_table(
        comparison_text.as_table(comparison_text.networks(results)), ["", *comparison_text.notes(results)]
    )
    for pair in results.pairs:
        lines = list(filter(None, (comparison_text.pair_title(pair), comparison_text.variance(pair))))
        if pair.mcnemar:
            tables.print_texts(lines)
            tables.print_table(comparison_text.as_table(comparison_text.mcnemar(pair)))
            lines = []
        tables.print_texts([*lines, *comparison_text.verdicts(pair, until_decided), ""])
    if tested:
        print_accuracies(tested)


def _command(request: ComparisonRequest, plan: Plan) -> str:
    """Return the command that reproduces the comparison: every option that affects its result."""
    settings = plan.settings
    words = ["mnist-tui", "compare", *plan.configurations]
    words += [*(("--until-decided", "--max-seeds") if request.until_decided else ("--seeds",)), str(request.seeds)]
    always = ("device", "epochs", "batch_size", "lr", "dataset", "precision", "threads")
    default = RunConfig(seed=0)
    for name in settings.__struct_fields__:
        value = getattr(settings, name)
        if name in ("model", "seed") or (name not in always and value == getattr(default, name)):
            continue
        words += [option(name)] if isinstance(value, bool) else [option(name), sameness.as_typed(value)]
    if request.margin != MARGIN:
        words += ["--margin", f"{100 * request.margin:.12g}"]
    if request.together:
        words.append("--together")
    if request.conditions:
        words.append("--conditions")
    return shlex.join(words)
