"""The slots of comparisons in progress, as everything shows them: where runs are trained, which, and how fast."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import msgspec

from core.comparing import stored
from core.comparing.stored import SlotStanding
from core.messages import Message, Problem
from core.runs import names
from core.runs.directory import Run
from core.runs.events import Event, Progress, SettingsChanged, last_events

_MOST = 10_000


class OccupiedSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A place where one process trains at a time."""

    node: str
    """Name of the machine."""
    device: str
    runs: tuple[str, ...]
    """Ids of the runs that are trained there, at once if they are several; none if it is idle."""
    images_per_s: float | None
    """Images that are trained with per second, of all these runs; null before the first progress, and while paused."""
    since: float | None
    """When these runs were begun there, in seconds since the Unix epoch; null if it is idle."""


class ComparisonSlots(msgspec.Struct, frozen=True, kw_only=True):
    """The slots of a comparison in progress."""

    comparison: str
    """Name of its folder."""
    configurations: tuple[str, ...]
    """What is compared."""
    cluster: str
    """`ray`, `ray://HOST:PORT` or `slurm`; empty for this machine."""
    waits_for: Message | None
    """What is waited for while there is no slot."""
    slots: tuple[OccupiedSlot, ...]


def in_progress(runs_dir: Path) -> list[ComparisonSlots]:
    """Return the slots of each comparison that a process carries out and whose plan can be read."""
    found = []
    for comparison in stored.in_progress(runs_dir):
        try:
            plan = comparison.plan()
        except Problem:
            continue
        standing = comparison.standing()
        found.append(
            ComparisonSlots(
                comparison=comparison.id,
                configurations=plan.configurations,
                cluster=plan.cluster or "",
                waits_for=standing.waits_for,
                slots=tuple(occupied(runs_dir, standing.slots)),
            )
        )
    return found


def occupied(runs_dir: Path, standings: Iterable[SlotStanding]) -> list[OccupiedSlot]:
    """Return slots with what their runs say of themselves; what is damaged is left out of it."""
    here = socket.gethostname()
    return [_occupied(runs_dir, here, standing) for standing in islice(standings, _MOST)]


def _occupied(runs_dir: Path, here: str, standing: SlotStanding) -> OccupiedSlot:
    runs = tuple(run for run in standing.runs if names.ID.fullmatch(run))
    speeds = [speed for run in runs if (speed := _images_per_s(Run(runs_dir / run))) is not None]
    speed = sum(speeds)
    known = bool(runs) and 0 < standing.since <= time.time()
    return OccupiedSlot(
        node=standing.node or here,
        device=standing.device,
        runs=runs,
        images_per_s=speed if speeds and math.isfinite(speed) else None,
        since=standing.since if known else None,
    )


def _images_per_s(run: Run) -> float | None:
    """Return the speed that a run's newest attempt last told; None while it is paused."""
    try:
        events = last_events(run.events_path)
    except OSError:
        return None
    attempt = run.attempt
    newest = next((event for event in reversed(events) if isinstance(event, Progress) or _is_pause(event)), None)
    return newest.images_per_s if isinstance(newest, Progress) and newest.attempt == attempt else None


def _is_pause(event: Event) -> bool:
    return isinstance(event, SettingsChanged) and event.paused is True
