"""Factories of the screens that query trained networks: they choose which of the given runs to query."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from core.catalogue import EXAM_PAIR
from core.exam import facts
from core.exam.examined import source_code
from core.exam.kept import state_folder
from core.exam.kept_sheets import sheets_file
from core.messages import Problem
from core.networks.layer_table import LayerTable
from core.runs.directory import FollowedRun
from core.runs.record import Record
from core.runs.resumption import check_trusted
from core.worker.moment_views import moment_views
from core.worker.protocol import AskedImage, Browse, InsideQuestion, Measure, Recognise
from tui_app import wording
from tui_app.dashboard.screens.annexe_screen import AnnexeScreen
from tui_app.dashboard.screens.conditions_screen import ConditionsScreen, Subject
from tui_app.dashboard.screens.digits_screen import Cell, Choice, DigitsScreen
from tui_app.dashboard.screens.draw_screen import DrawScreen
from tui_app.dashboard.screens.inside_screen import InsideScreen
from tui_app.dashboard.screens.side_screen import AskedRun
from tui_app.i18n import _

Look = Callable[[AskedImage, str, str], None]
"""Opens an image inside the network of a run, at a moment of its training."""
MAX_DRAWN = 3
"""Maximum number of runs that fit beside a drawing."""


def digits_screen(
    runs: Sequence[FollowedRun], cell: Cell | None, moment: str, ask: Callable[[Browse], None], look: Look
) -> DigitsScreen:
    """Make the screen of the first run's errors, of a cell (label, predicted), and of a second run's differences.

    The first run has a result; it is asked at the snapshot called `moment`, or as it was trained. `look` opens an image
    inside a run's network.
    """
    tested = [each for each in runs if each.record.evaluated is not None]
    finished = [each.run for each in tested]
    first = finished[0]
    choices = []
    if cell is not None:
        label, predicted = cell
        name = _("{label} taken for {predicted}").format(label=label, predicted=predicted)
        choices.append(Choice(name, Browse(str(first.path), label=label, predicted=predicted)))
    choices.append(Choice(_("Errors of {run}").format(run=first.id), Browse(str(first.path))))
    names = [first.id]
    if len(finished) > 1:
        other = finished[1]
        names.append(other.id)
        for which, name in (
            ("wrong", _("Only {run} is wrong").format(run=first.id)),
            ("other_wrong", _("Only {run} is wrong").format(run=other.id)),
            ("both_wrong", _("Both are wrong")),
        ):
            choices.append(Choice(name, Browse(str(first.path), str(other.path), which=which)))  # type: ignore[arg-type]
    moments = moment_views(first, tested[0].record.position)
    return DigitsScreen(choices, names, moments, moment, ask, look)


def draw_screen(
    runs: Sequence[FollowedRun],
    ask: Callable[[Recognise], None],
    ask_inside: Callable[[InsideQuestion], None],
    look: Look,
) -> DrawScreen:
    """Make the screen for the finished runs among `runs`, of which there is one. Raises `Problem`."""
    finished = [each for each in runs if each.record.evaluated is not None]
    return DrawScreen(_asked(finished)[:MAX_DRAWN], ask, ask_inside, look)


def inside_screen(
    runs: Sequence[FollowedRun],
    picture: AskedImage,
    ask: Callable[[InsideQuestion], None],
    *,
    layer: str,
    moment: str,
    trusts: bool,
) -> InsideScreen:
    """Make the screen for the first of `runs`, and the next one beside it. Raises `Problem`."""
    return InsideScreen(_asked(runs, trusts=trusts), picture, ask, layer=layer, moment=moment, trusts=trusts)


def _asked(runs: Sequence[FollowedRun], *, trusts: bool = False) -> list[AskedRun]:
    """Return those of `runs` that have started and whose networks may be asked.

    A custom network's file will be executed, so it is not asked if its run is another user's. Raises `Problem` if there
    is no other.
    """
    subjects: list[AskedRun] = []
    refused: Problem | None = None
    for each in runs:
        started = each.record.started
        if started is None:
            continue
        try:
            check_trusted(each.run, started.config, trust=trusts)
        except Problem as problem:
            refused = problem
        else:
            name = wording.network_name(started.config, folder=False)
            subjects.append(AskedRun(each.run.id, str(each.run.path), name, started.class_names))
    if refused is not None and not subjects:
        raise refused
    return subjects


def conditions_screen(
    runs: Sequence[FollowedRun],
    colours: Callable[[], Mapping[str, str]],
    ask: Callable[[Measure], None],
    known: Mapping[Measure, float],
) -> ConditionsScreen:
    """Make the screen for the finished runs among `runs`; `colours` returns theirs by id.

    Raises `Problem` if no finished run has a built-in network: no custom network's file is executed for it.
    """
    subjects, notes = [], []
    for each in runs:
        run, record = each.run, each.record
        started = record.started
        if started is None or record.evaluated is None:
            notes.append(_("{run} is not finished and cannot be tested.").format(run=run.id))
        elif not _is_built_in(record):
            text = _("{run} has a custom network: mnist-tui conditions {run} executes its file and tests it.")
            notes.append(text.format(run=run.id))
        else:
            lines = [run.id, *wording.network_name(started.config).split(", ")]
            lines += [_("permuted")] if started.config.permute else []
            lines += [_("SAMPLE")] if started.dataset == "sample" else []
            subjects.append(Subject(str(run.path), tuple(lines)))
    if not subjects:
        raise Problem("{reason}", reason=notes[0])
    if any(each.record.is_sample for each in runs):
        notes.insert(0, _("SAMPLE: 5,000 images, not all of MNIST"))
    return ConditionsScreen(subjects, notes, colours, ask, known)


def _is_built_in(record: Record) -> bool:
    return record.started is not None and record.started.config.architecture.is_built_in


def annexe_screen(shown: Callable[[], LayerTable | None]) -> AnnexeScreen:
    """Make the screen of Annexe 1, for the exam's networks and the one whose table is on show."""

    def networks() -> list[LayerTable]:
        """Return the tables to choose from: a custom network's on show comes first, and variants are no exam."""
        found = list(map(facts.table, EXAM_PAIR))
        own = shown()
        return found if own is None or not own.layers or own.model in EXAM_PAIR else [own, *found]

    folder, problem = state_folder()
    return AnnexeScreen(networks, source_code, sheets_file(folder), problem)
