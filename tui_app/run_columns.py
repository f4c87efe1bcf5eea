"""The columns of a list of runs, and which runs are in it: one place for the table and the command line."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, get_args

import msgspec

from core.config import RunConfig
from core.messages import N_, InvalidSetting
from core.runs import sameness
from core.runs.directory import Summary
from core.runs.record import State
from tui_app import i18n, wording
from tui_app.i18n import _, number, percent, printable
from tui_app.settings import default_of, written

STATES: tuple[State, ...] = get_args(State)
USUAL = ("run", "state", "name", "network", "data", "epoch", "accuracy", "loss", "settings", "tags", "started")
"""Columns that are shown where nothing else is chosen; those that are empty for all runs are left out."""
SETTINGS = ("batch_size", "lr", "seed", "precision", "dropout", "width", "batch_norm", "validate", "patience")
"""Settings with a column of their own."""
_OF_OTHER_COLUMNS = frozenset({"model", "device", "epochs", "seed", "dataset", "data_dir"})
_SINCE = re.compile(r"(\d{1,5})\s*(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class RunColumn:
    """A column of the list. `text` is what is shown, and `value` what it is sorted by."""

    key: str
    heading: str
    text: Callable[[Summary], str]
    value: Callable[[Summary], Any]
    is_number: bool = False

    def sort_key(self, summary: Summary) -> tuple[bool, Any]:
        """Return what sorts a run by this column; runs without a value come last."""
        value = self.value(summary)
        return value is None or value == "", value if value is not None else 0


def columns() -> dict[str, RunColumn]:
    """Return every column by its key, in the current language."""
    found = [
        RunColumn("run", _("Run"), lambda one: one.id, lambda one: (one.id.rpartition("-")[2].zfill(9), one.id)),
        RunColumn("state", _("State"), wording.state_of, lambda one: STATES.index(one.state)),
        RunColumn("name", _("Name"), lambda one: printable(one.name), lambda one: one.name),
        RunColumn("network", _("Network"), _network, _network),
        RunColumn("data", _("Data"), _data, _data),
        RunColumn("epoch", _("Epoch"), _epoch, lambda one: one.epoch, True),
        RunColumn("accuracy", _("Accuracy"), _accuracy, lambda one: one.accuracy, True),
        RunColumn("loss", _("Loss"), lambda one: _decimal(one.loss), lambda one: one.loss, True),
        RunColumn("settings", _("Settings"), settings_line, settings_line),
        *(_of_setting(field) for field in SETTINGS),
        RunColumn(
            "threads", "threads", lambda one: number(one.threads) if one.threads else "", lambda one: one.threads, True
        ),
        RunColumn("tags", _("Tags"), lambda one: " ".join(map(printable, one.tags)), lambda one: " ".join(one.tags)),
        RunColumn("note", _("Note"), lambda one: printable(one.note), lambda one: one.note),
        RunColumn("device", _("Device"), lambda one: printable(one.device), lambda one: one.device),
        RunColumn("host", _("Host"), lambda one: printable(one.host), lambda one: one.host),
        RunColumn("duration", _("Duration"), _duration, lambda one: one.elapsed_s, True),
        RunColumn("started", _("Started"), lambda one: _moment(one.created), lambda one: one.created),
        RunColumn("ended", _("Ended"), lambda one: _moment(one.ended or 0), lambda one: one.ended),
    ]
    return {column.key: column for column in found}


def chosen(keys: Sequence[str], summaries: Sequence[Summary], *, differing: bool = False) -> list[RunColumn]:
    """Return the columns with these keys, or the usual ones. Raises `InvalidSetting` for an unknown key.

    Without keys, columns that are empty for all of the runs are left out. `differing` shows the run and its state, and
    of the rest only what is not the same for all runs, each setting in a column of its own.
    """
    known = columns()
    for key in keys:
        _check_column(key, known)
    if keys:
        return [known[key] for key in dict.fromkeys(keys)]
    if differing:
        wanted = [key for key in known if key not in ("settings", "note", "started", "ended", "duration", "host")]
        return [
            known[key]
            for key in wanted
            if key in ("run", "state") or len({known[key].text(one) for one in summaries}) > 1
        ]
    return [known[key] for key in USUAL if key in ("run", "state") or any(known[key].text(one) for one in summaries)]


def settings_line(summary: Summary) -> str:
    """Return a run's settings that are not the default, without those that other columns show: `lr=0.01 width=2`."""
    return " ".join(_settings_of(summary.config)) if summary.config is not None else ""


def _settings_of(config: RunConfig) -> list[str]:
    found = []
    for field in RunConfig.__struct_fields__:
        value = getattr(config, field)
        if field not in _OF_OTHER_COLUMNS and value != default_of(field):
            found.append(field if value is True else f"{field}={sameness.as_typed(value)}")
    return found


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are listed, and in which order."""

    states: tuple[str, ...] = ()
    model: str = ""
    """Part of the network's name."""
    name: str = ""
    """Pattern of the run's id or name, with `*` and `?`."""
    tag: str = ""
    since: float = 0.0
    """Time of creation, in seconds since the Unix epoch."""
    sort: str = "run"
    """Key of a column; a `-` before it sorts downwards."""
    limit: int = 0
    """Number of runs, the newest or those that come last in the order; 0 for all."""

    def of(self, summaries: Iterable[Summary]) -> list[Summary]:
        """Return the runs that match, in their order. Raises `InvalidSetting` if there is no such column."""
        known = columns()
        key = self.sort.removeprefix("-")
        _check_column(key, known)
        down = self.sort.startswith("-")
        matching = [one for one in summaries if self._matches(one)]
        empty = [one for one in matching if known[key].sort_key(one)[0]]
        ids = {one.id for one in empty}
        found = sorted((one for one in matching if one.id not in ids), key=known[key].sort_key, reverse=down) + empty
        if not self.limit:
            return found
        return found[-self.limit :] if self.sort == "run" else found[: self.limit]

    def _matches(self, one: Summary) -> bool:
        model = one.config.model if one.config is not None else ""
        return (
            (not self.states or one.state in self.states)
            and self.model.casefold() in model.casefold()
            and (not self.name or any(fnmatchcase(text, self.name) for text in (one.id, one.name)))
            and (not self.tag or self.tag in one.tags)
            and one.created >= self.since
        )


def selection(
    *, state: str = "", model: str = "", name: str = "", tag: str = "", since: str = "", sort: str = "", limit: str = ""
) -> Selection:
    """Return the selection that was typed. Raises `InvalidSetting`."""
    states = tuple(each for each in re.split(r"[,\s]+", state) if each)
    for each in states:
        if each not in STATES:
            text = N_("there is no state {value}: choose from {known}")
            raise InvalidSetting("state", text, value=each, known=", ".join(STATES))
    if limit and not limit.isdecimal():
        raise InvalidSetting("limit", "the limit must be a whole number, not {value}", value=limit)
    return Selection(
        states=states,
        model=model,
        name=name,
        tag=tag,
        since=moment(since) if since else 0.0,
        sort=sort or "run",
        limit=int(limit or 0),
    )


def moment(text: str) -> float:
    """Parse a moment in the past: `90m`, `12h`, `7d`, `2w`, `2026-11-26 14:30`. Raises `InvalidSetting`."""
    if match := _SINCE.fullmatch(text.strip()):
        return time.time() - timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise InvalidSetting(
            "since", "{value} is no moment: write 12h, 7d, 2w, or a date such as 2026-11-26", value=text
        ) from None


def _check_column(key: str, known: dict[str, RunColumn]) -> None:
    if key not in known:
        near = difflib.get_close_matches(key, known, 1)
        text = N_("there is no column {key}: choose from {known}")
        if near:
            text = N_("there is no column {key}; did you mean {near}?")
        raise InvalidSetting("columns", text, key=key, known=", ".join(known), near=", ".join(near))


def _of_setting(field: str) -> RunColumn:
    def value(one: Summary) -> Any:
        return getattr(one.config, field) if one.config is not None else None

    def text(one: Summary) -> str:
        found = value(one)
        return "" if found is None else written(found)

    return RunColumn(field, field, text, value, True)


def _network(one: Summary) -> str:
    return wording.network_name(one.config, folder=False) if one.config is not None else ""


def _data(one: Summary) -> str:
    permuted = one.config is not None and one.config.permute
    return printable(one.dataset) + (", " + _("permuted") if permuted else "")


def _epoch(one: Summary) -> str:
    return f"{one.epoch}/{one.config.epochs}" if one.config is not None else ""


def _accuracy(one: Summary) -> str:
    if one.accuracy is None:
        return ""
    return percent(one.accuracy) + ("*" if one.dataset == "sample" else "")


def _decimal(value: float | None) -> str:
    return "" if value is None else number(value, 4)


def _duration(one: Summary) -> str:
    return "" if one.elapsed_s is None else i18n.duration(one.elapsed_s)


def _moment(stamp: float) -> str:
    try:
        return datetime.fromtimestamp(stamp).strftime("%Y-%m-%d %H:%M") if stamp else ""
    except (ValueError, OverflowError, OSError):  # of a damaged run
        return ""
