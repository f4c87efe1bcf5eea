"""The chart's lines: which runs share one, and each line's name and colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.runs import sameness
from core.runs.events import RunStarted
from core.runs.history import LossHistory
from core.runs.record import LIVE, Record
from tui_app import wording
from tui_app.charts.series import Series
from tui_app.dashboard.run_book import RunBook, ShownRun
from tui_app.i18n import _, ngettext, printable

_MOST_MOMENTS = 50
_NO_LOSSES = LossHistory()
"""Curves of a run that has not started: its own may fill before it is known how many steps an epoch has."""


@dataclass(frozen=True)
class Line:
    """A run, or several that differ only in their seed."""

    key: str
    runs: tuple[ShownRun, ...]

    @property
    def started(self) -> RunStarted | None:
        return self.runs[0].record.started


def lines(book: RunBook) -> list[Line]:
    """Return the current run's line, then those of the ticked runs that have started.

    Ticked runs that differ only in their seed share one line; the current run joins it only if it is ticked itself.
    One that was steered has a line of its own.
    """
    kinds: dict[str, dict[int, ShownRun]] = {}
    for followed in book.shown:
        started = followed.record.started
        if started is not None and not followed.record.is_steered and followed.run.id in book.overlaid:
            kinds.setdefault(repr(sameness.same_but_for_seed_key(started)), {}).setdefault(
                started.config.seed, followed
            )
    groups = {kind: Line(kind, tuple(by_seed.values())) for kind, by_seed in kinds.items() if len(by_seed) > 1}
    of_run = {followed.run.id: line for line in groups.values() for followed in line.runs}
    begun = [each for each in book.shown if each.record.started is not None or each.run.id == book.current_id]
    found = [of_run.get(each.run.id, Line(each.run.id, (each,))) for each in begun]
    return list({line.key: line for line in found}.values())


def series(book: RunBook) -> tuple[Series, ...]:
    """Return the lines as series for the chart."""
    shown = lines(book)
    names = _names(shown)
    return tuple(_series(line, name, book.colour(line.key)) for line, name in zip(shown, names, strict=True))


def colours(book: RunBook) -> dict[str, str]:
    """Map each charted run to its line's colour; empty until it starts."""
    known = {followed.run.id: book.colour(line.key) for line in lines(book) for followed in line.runs}
    return dict.fromkeys(book.overlaid, "") | known


def _names(shown: Sequence[Line]) -> list[str]:
    """Return a name for each line with what differs, and its threads if nothing else tells two apart."""
    begun = [line.started for line in shown if line.started is not None]
    threads = iter(sameness.threads_that_differ(begun))
    configs = [line.runs[0].record.config for line in shown if line.started is not None]
    settings = iter(sameness.distinct_settings(configs))
    networks = iter(sameness.distinct_names(configs))
    num_datasets, num_devices = len({each.dataset for each in begun}), len({_device(each) for each in begun})
    names = []
    for line in shown:
        count = len(line.runs)
        differing, network = (next(settings), next(networks)) if line.started is not None else ("", "")
        if count > 1:
            text = ngettext("{network} ×{count} seed", "{network} ×{count} seeds", count)
            names.append(text.format(network=printable(network), count=count))
        else:
            names.append(line.runs[0].run.id + differing)
        if line.started is None:
            continue
        number = next(threads)
        others = [
            line.started.dataset if num_datasets > 1 else "",
            _device(line.started) if num_devices > 1 else "",
            "" if number is None else wording.threads(number),
        ]
        if found := ", ".join(filter(None, others)):
            names[-1] += f" ({printable(found)})"
    return names


def _device(started: RunStarted) -> str:
    return started.device.partition(":")[0]


def _series(line: Line, name: str, colour: str) -> Series:
    started = line.started
    return Series(
        key=line.key,
        name=name,
        color=colour,
        histories=tuple(followed.record.history for followed in line.runs) if started else (_NO_LOSSES,),
        steps_per_epoch=started.steps_per_epoch if started else 1,
        live=any(followed.state in LIVE for followed in line.runs),
        macs_per_epoch=started.macs * started.train_size if started and started.macs else None,
        validates=started is not None and started.config.validate,
        tested=tuple(test for followed in line.runs for test in _tested(followed.record)),
        moments=_moments(line.runs[0].record),
    )


def _tested(record: Record) -> tuple[tuple[int, float], ...]:
    """Return the step whose weights were tested with their accuracy, if they were."""
    if record.started is None or record.evaluated is None:
        return ()
    epoch = record.restored.epoch if record.restored is not None else None
    step = record.history.end if epoch is None else epoch * record.started.steps_per_epoch
    return ((step - 1, record.evaluated.accuracy),)


def _moments(record: Record) -> tuple[tuple[int, str], ...]:
    """Return where a run was changed, and the epoch whose weights were kept, as marks for the chart."""
    if record.started is None:
        return ()
    steps = record.started.steps_per_epoch
    found = [
        ((change.epoch - 1) * steps + change.step, "▼" + wording.changed_settings(change))
        for change in record.changes_after(0, 0)[-_MOST_MOMENTS:]
    ]
    if record.restored is not None:
        found.append((record.restored.epoch * steps, "★" + _("best epoch")))
    return tuple(sorted(found))
