"""Comparisons on disk: what was asked for, and how far the process that carries it out has come.

Each has a folder in `RUNS/.comparisons`. Its name is a digest of the plan, so that who asks for the same finds it, and
nobody can slip in another plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from core import files
from core.comparing.configurations import configurations
from core.comparing.parts import MOST_TOGETHER, Part, PartState, at_once, plan
from core.config import RECORDING, RunConfig
from core.messages import Message, Problem, reason, writing
from core.runs import sameness
from core.runs.job_folder import JobFolder

_FOLDER = ".comparisons"
_MOST_READ = 1 << 22
Outcome = Literal["none", "done", "decided", "stopped", "failed"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison that was asked for, with nothing left to choose."""

    configurations: tuple[str, ...]
    """Configurations as a user types them."""
    settings: RunConfig
    """Settings that they share."""
    seeds: int
    """Number of seeds, or the largest number if they are added until the answer is decided."""
    margin: float | None = None
    """Smallest difference that matters, as a fraction, if seeds are added until the answer is decided; else None."""
    together: bool | msgspec.UnsetType = msgspec.UNSET  # so that other plans keep their keys
    """True if the seeds of a configuration are trained at once, in one process."""
    devices: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    """Devices to train on, if they are more than that of the settings."""
    per_device: int | msgspec.UnsetType = msgspec.UNSET
    """Number of processes that train on each device at once, if it was asked for."""
    cluster: str | msgspec.UnsetType = msgspec.UNSET
    """Where to train if not on this machine: `ray`, `ray://HOST:PORT` or `slurm`."""
    slurm: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    """What the jobs of a Slurm cluster ask for, such as `{"partition": "gpu"}`."""

    def parts(self) -> list[Part]:
        """Return all runs that the plan may take. Raises `InvalidSetting`."""
        return plan(self.configurations, self.seeds, self.settings)

    @property
    def slots(self) -> tuple[str, ...]:
        """The device of each process that trains at once on this machine: one on every device, then a second one."""
        settings = self.settings
        usual = at_once(settings.device, settings.threads)
        return (self.devices or (settings.device,)) * (self.per_device or usual)

    @property
    def most_together(self) -> int:
        """Most runs that one process trains together."""
        return min(self.seeds, MOST_TOGETHER) if self.together else 1


def make_plan(
    texts: Sequence[str],
    seeds: int,
    settings: RunConfig,
    margin: float | None = None,
    *,
    together: bool = False,
    devices: Sequence[str] = (),
    per_device: int = 0,
    cluster: str = "",
    slurm: Mapping[str, str] | None = None,
) -> Plan:
    """Make a plan of configurations as they were typed, in the words that everyone would use for them.

    `devices` and what follows are as in `Plan`, or nothing. Raises `InvalidSetting`.
    """
    named = tuple(sameness.full_name(config, settings) for config in configurations(texts, settings))
    default = RunConfig(seed=0)
    unused = ("model", "seed", *RECORDING)  # every configuration has a network and seeds of its own
    shared = msgspec.structs.replace(settings, **{name: getattr(default, name) for name in unused})
    return Plan(
        configurations=named,
        settings=shared,
        seeds=seeds,
        margin=margin,
        together=together or msgspec.UNSET,
        devices=tuple(devices) if len(devices) > 1 else msgspec.UNSET,
        per_device=per_device or msgspec.UNSET,
        cluster=cluster or msgspec.UNSET,
        slurm=dict(slurm) if slurm else msgspec.UNSET,
    )


class PartStanding(msgspec.Struct, frozen=True, array_like=True):
    """The state of one run of a comparison, as in `Part`."""

    run: str
    """Id of the run; empty until it exists."""
    state: PartState
    reused: bool = False
    status: str = ""
    why: Message | None = None


class SlotStanding(msgspec.Struct, frozen=True, array_like=True):
    """What a slot of a comparison does."""

    node: str
    """Name of the machine; empty for the one that carries the comparison out."""
    device: str
    runs: tuple[str, ...] = ()
    """Ids of the runs that are trained there, at once if they are several; none if it is idle."""
    since: float = 0.0
    """When they were begun there, in seconds since the Unix epoch."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a comparison."""

    attempt: int = 0
    """Number of the attempt, of those that the comparison's lease counts."""
    parts: tuple[PartStanding, ...] = ()
    """States of the runs planned so far, in the order of the plan."""
    slots: tuple[SlotStanding, ...] = ()
    """Where runs are trained, and which."""
    waits_for: Message | None = None
    """What is waited for while there is no such place."""
    outcome: Outcome = "none"
    """Kind of its end; `decided` if no more seeds are needed, `none` while it goes on."""
    message: Message | None = None
    """Reason of its failure."""
    advice: Message | None = None


class StoredComparison(JobFolder):
    """The folder of a comparison; its files may be missing, damaged or hostile."""

    @property
    def runs_dir(self) -> Path:
        return self.path.parents[1]

    def plan(self) -> Plan:
        """Load the plan. Raises `Problem`."""
        path = self.path / "plan.json"
        try:
            content = files.read_small(path)
            if _key(content) != self.id:
                raise ValueError("it is not what its folder is named after")
            return msgspec.json.decode(content, type=Plan)
        except (OSError, ValueError, RecursionError) as error:
            raise Problem("cannot read {path}: {reason}", path=str(path), reason=reason(error)) from error

    def standing(self) -> Standing:
        """Return how far the newest attempt has come; the default one if that is unknown."""
        attempt = self.attempt
        try:
            content = files.read_small(self._standing_path(attempt), _MOST_READ)
            standing = msgspec.json.decode(content, type=Standing)
        except (OSError, ValueError, RecursionError):
            return Standing()
        return standing if standing.attempt == attempt else Standing()

    def keep(self, standing: Standing) -> None:
        """Save how far the comparison has come. Raises `OSError`."""
        files.replace(self._standing_path(standing.attempt), msgspec.json.encode(standing))

    @property
    def changed(self) -> float:
        """Time of the newest word on how far it is, in seconds since the Unix epoch; 0 if there is none."""
        try:
            return self._standing_path(self.attempt).lstat().st_mtime
        except OSError:
            return 0.0

    @property
    def is_in_progress(self) -> bool:
        """True if a process carries the comparison out, and has not written yet how it ended."""
        return self.is_at_work and self.standing().outcome == "none"

    def _standing_path(self, attempt: int) -> Path:
        return self.path / f"standing-{attempt:04d}.json"


def store(runs_dir: Path, plan: Plan) -> StoredComparison:
    """Write a plan down, unless that has been done already. Raises `Problem`."""
    content = msgspec.json.encode(plan, order="deterministic")
    stored = StoredComparison(runs_dir.absolute() / _FOLDER / _key(content))
    path = stored.path / "plan.json"
    with writing(stored.path):
        stored.path.mkdir(parents=True, exist_ok=True)
        if not path.exists() or files.read_small(path) != content:
            files.replace(path, content)
    return stored


def in_progress(runs_dir: Path) -> list[StoredComparison]:
    """Return the comparisons in a folder of runs that a process carries out."""
    return [stored for stored in _all(runs_dir) if stored.is_in_progress]


def finished(runs_dir: Path) -> list[StoredComparison]:
    """Return the comparisons in a folder of runs that have a result, the one that ended last first."""
    ended = [(stored.changed, stored) for stored in _all(runs_dir) if stored.standing().outcome in ("done", "decided")]
    return [stored for _changed, stored in sorted(ended, key=lambda pair: pair[0], reverse=True)]


def _all(runs_dir: Path) -> list[StoredComparison]:
    try:
        return [StoredComparison(path) for path in (runs_dir / _FOLDER).iterdir() if not path.is_symlink()]
    except OSError:
        return []


def _key(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
