"""Slots on a Ray cluster: an actor for each, whose runs are written down here with what it sends.

No disk is shared: the run directories are those of this machine, and this process holds the runs' leases.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from core import catalogue
from core.comparing import ray_cluster
from core.comparing.engine import Slot
from core.comparing.stored import Plan, StoredComparison
from core.data import raw_files
from core.messages import N_, Message, Problem, reason
from core.runs import lease, transfer
from core.runs.directory import Run
from core.runs.events import EventWriter, RunEnded
from core.runs.lease import Held, Lost
from core.runs.transfer import Arrivals
from core.worker.outpost import Outpost, OutpostNews, SentRun

_LOOK_S = 1.0
_SHUNNED_S = 15.0
"""Seconds for which a node that has lost an outpost gets none: Ray does not know at once that a node is gone."""
_BUSY_S = 6.0
"""Seconds after which an outpost that is not there yet may be waiting for room on its node: others are tried, too."""
_KEPT_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_MOST_SOURCE = 1 << 20
"""Bytes of a file beside a custom network that is sent along."""
_MOST_SOURCES = 500
_DEEPEST = 3
_FOLDER = re.compile(r"(?!site-packages|node_modules)[A-Za-z_][A-Za-z0-9_]*")
"""Folder whose files can be imported."""


class RayWorker:
    """An outpost's worker, which has been handed runs; their directories are written as its reports come."""

    def __init__(self, runs: Sequence[Run], actor: Any, node: str, sent: Mapping[str, bytes]) -> None:
        """Take the runs' leases, and send them. Raises `Problem` or `OSError`."""
        self.is_busy = True
        self.is_lost = self.has_died = self.died_idle = False
        self._runs = {run.id: run for run in runs}
        self._actor = actor
        self._arrivals = {run.id: Arrivals(run) for run in runs}
        self._held: dict[str, Held] = {}
        copies = []
        with ExitStack() as leases:
            for run in runs:
                attempts = lease.newest_attempt(run.path)
                self._held[run.id] = leases.enter_context(lease.hold(run.path, node=node))
                transfer.sweep(run)
                copies.append(SentRun(run.id, attempts, transfer.to_send(run)))
            with _reached():
                self.pending = actor.begin.remote(copies, sent)
                """The answer that is waited for."""
            self._leases = leases.pop_all()

    def take(self, news: OutpostNews) -> None:
        """Write down what has come, and ask for more. Raises `Problem` if it cannot be written."""
        asked: dict[str, dict[str, bytes]] = {}
        for run_id, pieces in news.pieces.items():
            try:
                if run_id in self._runs:
                    self._held[run_id].look()
                    self._arrivals[run_id].put(pieces)
            except Lost:  # the run was deleted, or taken over: what comes is nobody's
                self._arrivals[run_id].close()
                del self._runs[run_id]
            if run_id not in self._runs:
                asked[run_id] = {"stop": b""}
        if not news.is_busy:
            self.has_died = news.has_died
            self.end(lost=news.has_died)
            return
        for run in self._runs.values():
            asked.setdefault(run.id, transfer.requests(run))
        with _reached():
            self.pending = self._actor.exchange.remote(asked)

    def end(self, *, lost: bool) -> None:
        """Release the runs: the worker is done with them, or gone. A run that was to stop has then stopped."""
        stopped = [run for run in self._runs.values() if lost and run.stop_requested()]
        self.is_busy, self.is_lost = False, lost and not stopped
        with self._leases:
            for run in self._runs.values():
                self._arrivals[run.id].close()
                if run in stopped:
                    self._end_as_stopped(run)
                run.withdraw_requests()

    def _end_as_stopped(self, run: Run) -> None:
        with suppress(OSError):
            writer = EventWriter(run.events_path, self._held[run.id].attempt)
            writer.write(RunEnded(status="stopped"))
            writer.close()

    def tell(self, why: str) -> None:
        """Write into the runs' logs why their outpost was lost: it may be the last that is known of them."""
        for run in self._runs.values() if why else ():
            with suppress(OSError), run.append_to_log() as log:
                print(why, file=log)


@dataclass(eq=False)
class Post:
    """An outpost: the actor of a slot."""

    actor: Any
    node: str
    """Name of its node."""
    coming: Any
    """The answer that it is there: Ray has found room for it, and it is ready for runs; None once it has come."""
    since: float = field(default_factory=time.monotonic)
    """When it was asked for."""
    worker: RayWorker | None = None
    """The worker that has its newest job."""

    @property
    def is_late(self) -> bool:
        """True if it should have been there by now."""
        return self.coming is not None and time.monotonic() > self.since + _BUSY_S

    @property
    def is_busy(self) -> bool:
        """True while it works on a job."""
        return self.worker is not None and self.worker.is_busy

    @property
    def pending(self) -> Any:
        """The answer that is waited for, or None."""
        return self.worker.pending if self.worker is not None and self.is_busy else self.coming


class RayCluster:
    """The slots of a Ray cluster's nodes, each an actor, made once there is work for it."""

    def __init__(self, stored: StoredComparison, plan: Plan) -> None:
        """Connect to the cluster. Raises `Problem`."""
        settings = plan.settings
        with _reached():
            self._ray = ray_cluster.connect(str(plan.cluster))
        self.devices = frozenset({settings.device})
        self.waits_for: Message | None = None
        self._device = settings.device
        self._per_device = plan.per_device or 0
        """Runs at a time on a GPU, or on a node's cores, if that was asked for; else 0."""
        self._threads = max(1, settings.threads)
        data = _data(settings.dataset, Path(settings.data_dir))
        with _reached():
            self._data = self._ray.put(data)
        self._nodes: list[tuple[str, str, int]] = []
        self._next_look = 0.0
        self._shunned: dict[str, float] = {}
        """Until when a node gets no outpost."""
        self._why_lost = ""
        """Why the last outpost was lost, until another is there."""
        self._posts: dict[tuple[str, int], Post] = {}
        """The outpost of each slot, by its node and its number there."""
        self._look()
        self.at_once = max(1, self._count_places())

    @property
    def slots(self) -> Sequence[Slot]:
        """The slots there are now: the outposts that are ready. Raises `Problem` if the cluster is gone."""
        self._look()
        return [Slot(self._device, post.node) for post in self._posts.values() if post.coming is None]

    def want(self, jobs: int) -> None:
        """Have outposts made for so many jobs, where nodes have room. Raises `Problem` if the cluster is gone."""
        self._look()
        idle = {key: post for key, post in self._posts.items() if not post.is_busy}
        if not jobs:  # others may want their place
            self._close(list(idle))
        late = sum(post.is_late for post in idle.values())
        missing = jobs - (len(idle) - late)
        more = max(missing, late) if jobs and missing > 0 else 0  # twice as many each time, until some have room
        for node, name, number in islice(self._free_places(), more):
            with _reached():
                actor = self._outpost(node)
                self._posts[node, number] = Post(actor, name, actor.tell_when_ready.remote())
        self.waits_for = self._why_no_slot() if jobs and not self.slots else None

    def start(self, runs: Sequence[Run], slot: Slot) -> RayWorker | None:
        """Hand runs to an idle outpost of a node; return None if there is none. Raises `Problem`."""
        for post in self._posts.values():
            if post.pending is not None or post.node != slot.node:
                continue
            try:
                post.worker = RayWorker(runs, post.actor, post.node, _networks(runs))
            except Problem:
                if any(run.is_at_work for run in runs):
                    return None  # another program's process was faster
                raise
            except OSError as error:
                raise Problem(N_("cannot read a run: {reason}"), reason=reason(error)) from error
            return post.worker
        return None

    def trains(self, run: Run) -> None:
        """Return None: outposts end with the process that made them."""

    def wait(self, seconds: float) -> None:
        """Wait until something comes from an outpost, at most so long, and write it down. Raises `Problem`."""
        pending = {post.pending: key for key, post in self._posts.items() if post.pending is not None}
        if not pending:
            time.sleep(seconds)
            return
        with _reached():
            ready, _rest = self._ray.wait(list(pending), num_returns=len(pending), timeout=0)
            if not ready:
                ready, _rest = self._ray.wait(list(pending), num_returns=1, timeout=seconds)
        for reference in ready:
            self._receive(pending[reference], reference)

    def close(self) -> None:
        """End the outposts."""
        self._close(list(self._posts))
        with suppress(Exception):
            self._ray.shutdown()

    def _close(self, keys: Sequence[tuple[str, int]]) -> None:
        """End some outposts, which remove what they have."""
        with suppress(Exception):
            closing = [self._posts[key].actor.close.remote() for key in keys if self._posts[key].coming is None]
            self._ray.wait(closing, num_returns=len(closing), timeout=5.0)
        for key in keys:
            self._lose(key, "")

    def _receive(self, key: tuple[str, int], reference: Any) -> None:
        post = self._posts[key]
        try:
            news: OutpostNews | None = self._ray.get(reference)
        except Exception as error:  # of the actor, its node, or the network between
            self._lose(key, reason(error))
            return
        if news is None:
            post.coming, self._why_lost = None, ""
        elif post.worker is not None:
            post.worker.take(news)

    def _lose(self, key: tuple[str, int], why: str) -> None:
        post = self._posts.pop(key)
        if why:
            self._why_lost = why
            self._shunned[key[0]] = time.monotonic() + _SHUNNED_S
            print(f"an outpost was lost: {why}", file=sys.stderr, flush=True)
        with suppress(Exception):
            self._ray.kill(post.actor)
        if post.worker is not None and post.is_busy:
            post.worker.tell(why)
            post.worker.end(lost=True)

    def _outpost(self, node_id: str) -> Any:
        needs: dict[str, float] = {"num_cpus": 0 if self._per_device else self._threads}
        if self._device != "cpu":
            needs = {"num_gpus": 1 / (self._per_device or 1), "num_cpus": 0}
        options = {**needs, "max_restarts": 0, "scheduling_strategy": ray_cluster.pinned_to(node_id)}
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        return self._ray.remote(Outpost).options(**options).remote(self._data, environment)

    def _look(self) -> None:
        """Find the nodes, and how many slots each has. Raises `Problem`."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_S
        with _reached():
            nodes = [node for node in self._ray.nodes() if node["Alive"]]
        alive = {node["NodeID"]: (node["NodeManagerHostname"], self._count(node)) for node in nodes}
        self._nodes = [(node, *alive[node]) for node in sorted(alive)]
        for key in [key for key in self._posts if key[0] not in alive]:
            self._lose(key, "its node is gone")

    def _count_places(self) -> int:
        return sum(count for _id, _name, count in self._nodes)

    def _free_places(self) -> Iterator[tuple[str, str, int]]:
        """Yield the places that have no outpost and may get one, node after node: node, its name and a number there."""
        now = time.monotonic()
        nodes = [each for each in self._nodes if self._shunned.get(each[0], now) <= now]
        for number in range(max((count for _node, _name, count in nodes), default=0)):
            for node, name, count in nodes:
                if number < count and (node, number) not in self._posts:
                    yield node, name, number

    def _why_no_slot(self) -> Message | None:
        if not self._count_places():
            return Message(N_("no node of the Ray cluster has what a run needs: waiting for one"))
        if self._why_lost:
            text = N_("the Ray cluster has no place for a run ({reason}): waiting for one")
            return Message(text, {"reason": self._why_lost})
        if self._posts and not any(post.is_late for post in self._posts.values()):
            return None
        return Message(N_("the Ray cluster is busy: waiting for room"))

    def _count(self, node: Mapping[str, Any]) -> int:
        if self._device == "cpu":
            return self._per_device or int(node["Resources"].get("CPU", 0)) // self._threads
        return int(node["Resources"].get("GPU", 0)) * (self._per_device or 1)


@contextmanager
def _reached() -> Iterator[None]:
    """Raise `Problem` for what Ray raises where its cluster cannot be reached."""
    try:
        yield
    except Exception as error:
        raise Problem(N_("the Ray cluster cannot be reached: {reason}"), reason=reason(error)) from error


def _data(dataset: str, data_dir: Path) -> dict[str, bytes]:
    """Return the files of a data set, by their paths; none of the sample, which is part of the program.

    Raises `Problem`.
    """
    found = raw_files.read(catalogue.DATA_SETS[dataset], data_dir)
    try:
        return {str(path): path.read_bytes() for path in found.paths.values()}
    except OSError as error:
        raise Problem(N_("cannot read {path}: {reason}"), path=str(data_dir), reason=reason(error)) from error


def _networks(runs: Sequence[Run]) -> dict[str, bytes]:
    """Return the files that custom networks may consist of, by their paths. Raises `Problem` or `OSError`."""
    found: dict[str, bytes] = {}
    for model in {run.config().model for run in runs if not run.config().architecture.is_built_in}:
        file = Path(model.rpartition(":")[0]).expanduser()
        for path in (file, *islice(_python_files(file.parent), _MOST_SOURCES)):
            try:
                if path == file or path.stat().st_size <= _MOST_SOURCE:
                    found[str(path)] = path.read_bytes()
            except OSError:  # another one may not be part of it, and may just be being saved
                if path == file:
                    raise
    return found


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the files beside a custom network that it may import."""
    for inside, folders, names in os.walk(folder):
        here = Path(inside)
        is_deep = len(here.relative_to(folder).parts) >= _DEEPEST
        folders[:] = [] if is_deep else sorted(name for name in folders if _FOLDER.fullmatch(name))
        yield from (here / name for name in sorted(names) if name.endswith(".py") and (here / name).is_file())
