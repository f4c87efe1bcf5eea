"""The columns of a table of runs, on the command line and in the dashboard: their words, headings, values and texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.config import RECORDING
from core.runs import sameness
from core.runs.directory import Summary
from tui_app import i18n, wording
from tui_app.i18n import _, duration, printable
from tui_app.settings import all_settings, option, written

_TOLD_ELSEWHERE = frozenset({"dropout", "batch-norm", "width", "permute"})
"""Settings that other columns show too: shown if asked for."""
_KNOWN_LATER = frozenset({"device", "threads"})
"""Settings that a run which has not started may have left to be chosen."""
_ALWAYS = ("run", "name", "state", "model", "dataset", "epoch", "accuracy", "started", "tags")
_OF_DIFFERENCES = ("run", "name", "state", "model", "dataset", "loss", "accuracy", "tags")


@dataclass(frozen=True)
class RunColumn:
    """A column of a table of runs."""

    word: str
    """Word for it on the command line and in the filter line."""
    heading: str
    text: Callable[[Summary], str]
    value: Callable[[Summary], Any]
    """Value to sort by; None if the run has none."""
    is_setting: bool = False
    is_number: bool = False


def all_columns() -> tuple[RunColumn, ...]:
    """Return every column, with its heading in the current language."""
    return (
        RunColumn("run", _("Run"), lambda run: run.id, _number_of),
        RunColumn("name", _("Name"), lambda run: printable(run.name), lambda run: run.name.lower() or None),
        RunColumn("state", _("State"), wording.state_of, lambda run: wording.state_name(run.state)),
        RunColumn("model", _("Network"), _network, _network),
        RunColumn("epoch", _("Epoch"), _epoch, lambda run: run.epoch if run.config else None, is_number=True),
        RunColumn("loss", _("Loss"), lambda run: _decimal(run.loss), lambda run: run.loss, is_number=True),
        RunColumn(
            "accuracy",
            _("Accuracy"),
            lambda run: "" if run.accuracy is None else i18n.percent(run.accuracy),
            lambda run: run.accuracy,
            is_number=True,
        ),
        RunColumn("dataset", _("Data"), _data, _data),
        *_settings(),
        RunColumn("started", _("Started"), lambda run: _time(run.created), lambda run: run.created or None),
        RunColumn("ended", _("Ended"), lambda run: _time(run.ended), lambda run: run.ended),
        RunColumn(
            "duration",
            _("Duration"),
            lambda run: "" if run.elapsed_s is None else duration(run.elapsed_s),
            lambda run: run.elapsed_s,
            is_number=True,
        ),
        RunColumn("host", _("Host"), lambda run: printable(run.host), lambda run: run.host or None),
        RunColumn("tags", _("Tags"), lambda run: printable(", ".join(run.tags)), lambda run: run.tags or None),
        RunColumn("note", _("Note"), lambda run: printable(run.note), lambda run: run.note.lower() or None),
    )


def suitable(summaries: Sequence[Summary]) -> list[RunColumn]:
    """Return the columns to show where none are chosen: what everyone looks for, and the settings that differ."""
    return [
        column
        for column in all_columns()
        if (column.word in _ALWAYS and (_says_something(column, summaries) or column.word == "run"))
        or (
            column.is_setting
            and column.word not in (*_TOLD_ELSEWHERE, "epochs", "seed")  # the former are told with the epoch
            and _differs(column, summaries)
        )
    ]


def differing(summaries: Sequence[Summary], chosen: Sequence[RunColumn] = ()) -> list[RunColumn]:
    """Return only those of the chosen columns, or else of the settings and results, that tell the runs apart."""
    known = [
        column
        for column in all_columns()
        if column.word in _OF_DIFFERENCES or (column.is_setting and column.word not in _TOLD_ELSEWHERE)
    ]
    return [column for column in chosen or known if column.word == "run" or _differs(column, summaries)]


def in_order(summaries: Iterable[Summary], column: RunColumn, *, descending: bool = False) -> list[Summary]:
    """Sort runs by a column; those without a value come last."""
    known = [(column.value(summary), summary) for summary in summaries]
    with_value = sorted((pair for pair in known if pair[0] is not None), key=lambda pair: pair[0], reverse=descending)
    return [summary for _value, summary in with_value] + [summary for value, summary in known if value is None]


def _settings() -> list[RunColumn]:
    headings = {"batch_size": _("Batch"), "lr": _("lr"), "validate": _("Validation"), "exact": _("Exact")}
    return [
        RunColumn(
            option(setting.field)[2:],
            headings.get(setting.field, setting.label),
            _text_of(setting.field),
            _value_of(setting.field),
            is_setting=True,
            is_number=setting.kind == "typed",
        )
        for setting in all_settings()
        if setting.field not in RECORDING.union(("model", "dataset", "data_dir"))
    ]


def _value_of(field: str) -> Callable[[Summary], Any]:
    def value(summary: Summary) -> Any:
        if summary.config is None:
            return None
        if field == "fused" and summary.device:
            return sameness.is_fused(summary.config, summary.device)
        took_effect = {"device": summary.device, "threads": summary.threads}.get(field)
        return took_effect or getattr(summary.config, field)

    return value


def _text_of(field: str) -> Callable[[Summary], str]:
    value_of = _value_of(field)

    def text(summary: Summary) -> str:
        value = value_of(summary)
        if isinstance(value, bool):
            return _("yes") if value else ""
        if value is None or (field in ("threads", "patience") and value == 0):
            return ""
        return printable(written(value))

    return text


def _differs(column: RunColumn, summaries: Sequence[Summary]) -> bool:
    known = [run for run in summaries if run.config is not None and (run.device or column.word not in _KNOWN_LATER)]
    return len({column.text(summary) for summary in known}) > 1


def _says_something(column: RunColumn, summaries: Sequence[Summary]) -> bool:
    return any(column.text(summary) for summary in summaries)


def _number_of(summary: Summary) -> tuple[int, str]:
    return int(summary.id.rpartition("-")[2]), summary.id


def _network(summary: Summary) -> str:
    return wording.network_name(summary.config, folder=False) if summary.config else ""


def _data(summary: Summary) -> str:
    return printable(summary.dataset) + (
        ", " + _("permuted") if summary.config is not None and summary.config.permute else ""
    )


def _epoch(summary: Summary) -> str:
    return f"{summary.epoch}/{summary.config.epochs}" if summary.config else ""


def _decimal(value: float | None) -> str:
    return "" if value is None else i18n.number(value, 4)


def _time(seconds: float | None) -> str:
    if not seconds:
        return ""
    try:
        return datetime.fromtimestamp(seconds).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):  # from a damaged file
        return "?"
