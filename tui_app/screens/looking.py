"""Opens the screens that ask trained networks: which choices there are for the runs in hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from core.config import EXAM_NETWORKS
from core.problems import N_, Problem
from core.replay import Replay
from core.standby import Browse, Measure, Recognise
from tui_app import tables
from tui_app.i18n import _, printable
from tui_app.screens.conditions import ConditionsScreen, Subject
from tui_app.screens.digits import Choice, DigitsScreen
from tui_app.screens.draw import DrawScreen

MAX_DRAWN = 3
"""Runs that have room beside a drawing."""


def digits_screen(
    runs: Sequence[tuple[Path, Replay]], cell: tuple[int, int] | None, ask: Callable[[Browse], None]
) -> DigitsScreen:
    """Of the first run its errors, or those of a cell (label, predicted); with a second, where the two differ.

    Raises `Problem` where there is no finished run.
    """
    finished = [(path, replay) for path, replay in runs if replay.evaluated is not None]
    if not finished or finished[0][0] != runs[0][0]:
        raise Problem(N_("there are no images to look at before a run is finished"))
    first = finished[0][0]
    choices = []
    if cell is not None:
        label, predicted = cell
        name = _("{label} taken for {predicted}").format(label=label, predicted=predicted)
        choices.append(Choice(name, Browse(str(first), label=label, predicted=predicted)))
    choices.append(Choice(_("Errors of {run}").format(run=first.name), Browse(str(first))))
    names = [first.name]
    if len(finished) > 1:
        other = finished[1][0]
        names.append(other.name)
        for which, name in (
            ("wrong", _("{run} alone is wrong").format(run=first.name)),
            ("other_wrong", _("{run} alone is wrong").format(run=other.name)),
            ("both_wrong", _("Both are wrong")),
        ):
            choices.append(Choice(name, Browse(str(first), str(other), which=which)))  # type: ignore[arg-type]
    return DigitsScreen(choices, names, ask)


def draw_screen(runs: Sequence[tuple[Path, Replay]], ask: Callable[[Recognise], None]) -> DrawScreen:
    """For the finished ones among `runs`. Raises `Problem` where there is none.

    Only the exam's networks are asked: another one's file would be executed, whoever put the run into the folder.
    """
    chosen = [(path, replay) for path, replay in runs if replay.evaluated is not None and _is_exam_network(replay)]
    chosen = chosen[:MAX_DRAWN]
    if not chosen:
        raise Problem(N_("no network to ask yet: train one, or pick a finished run"))
    names = {
        path.name: printable(replay.started.config.model.rpartition(":")[2])
        for path, replay in chosen
        if replay.started
    }
    return DrawScreen({path.name: str(path) for path, _replay in chosen}, names, ask)


def conditions_screen(
    runs: Sequence[tuple[Path, Replay]],
    colours: Mapping[str, str],
    ask: Callable[[Measure], None],
    known: Mapping[Measure, float],
) -> ConditionsScreen:
    """For the finished ones among `runs`, `colours` by id. Raises `Problem` where there is none, or none of the exam's.

    As for drawing: no other one's file is executed.
    """
    subjects, notes = [], []
    for path, replay in runs:
        started = replay.started
        if started is None or replay.evaluated is None:
            notes.append(_("{run} is not finished, and so cannot be tested.").format(run=path.name))
        elif not _is_exam_network(replay):
            text = _("{run} has a network of its own file: mnist-tui conditions {run} runs that, and tests it.")
            notes.append(text.format(run=path.name))
        else:
            lines = [path.name, *tables.network_name(started.config).split(", ")]
            lines += [_("permuted")] if started.config.permute else []
            lines += [_("SAMPLE")] if started.dataset == "sample" else []
            subjects.append(Subject(str(path), tuple(lines), colours.get(path.name, "")))
    if not subjects:
        raise Problem("{reason}", reason=notes[0]) if notes else Problem(N_("no run to test yet: pick a finished one"))
    if any(replay.is_sample for _path, replay in runs):
        notes.insert(0, f"{_('SAMPLE')}: {_('5,000 images, not all of MNIST')}")
    return ConditionsScreen(subjects, notes, ask, known)


def _is_exam_network(replay: Replay) -> bool:
    return replay.started is not None and replay.started.config.model in EXAM_NETWORKS
