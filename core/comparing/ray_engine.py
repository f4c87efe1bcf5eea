"""Slots on a Ray cluster: an actor for each, whose runs are written down here with what it sends.

No disk is shared: the run directories are those of this machine, and this process holds the runs' leases.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
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
_GIVE_UP_S = 10.0
"""Seconds for which a run that is to stop is waited for at an outpost that has not begun it."""
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
        self.is_lost = self.died_idle = False
        self._runs = {run.id: run for run in runs}
        self._actor = actor
        self._arrivals = {run.id: Arrivals(run) for run in runs}
        self._held: dict[str, Held] = {}
        self._stopping_since: float | None = None
        self._has_begun = False
        copies = []
        with ExitStack() as leases:
            for run in runs:
                attempts = lease.newest_attempt(run.path)
                self._held[run.id] = leases.enter_context(lease.hold(run.path, node=node))
                copies.append(SentRun(run.id, attempts, transfer.to_send(run)))
            self._leases = leases.pop_all()
        self.pending = actor.begin.remote(copies, sent)
        """The answer that is waited for."""

    def take(self, news: OutpostNews) -> None:
        """Write down what has come, and ask for more. Raises `Problem` if it cannot be written."""
        self._has_begun = True
        asked: dict[str, dict[str, bytes]] = {}
        for run_id, pieces in news.pieces.items():
            if run_id in self._runs:
                try:
                    self._held[run_id].look()
                    self._arrivals[run_id].put(pieces)
                except Lost:  # the run was deleted, or taken over: what comes is nobody's
                    asked[run_id] = {"stop": b""}
        if not news.is_busy:
            self.end(lost=news.has_died)
            return
        for run in self._runs.values():
            asked.setdefault(run.id, transfer.requests(run))
        self.pending = self._actor.exchange.remote(asked)

    def end(self, *, lost: bool) -> None:
        """Release the runs: the worker is done with them, or gone."""
        self.is_busy, self.is_lost = False, lost
        for run in self._runs.values():
            self._arrivals[run.id].close()
            if not lost:
                run.withdraw_requests()
        self._leases.close()

    def tell(self, why: str) -> None:
        """Write into the runs' logs why their outpost was lost: it may be the last that is known of them."""
        for run in self._runs.values() if why else ():
            with suppress(OSError), run.log_path.open("a", encoding="utf-8") as log:
                print(why, file=log)

    def give_up(self) -> None:
        """End runs that are to stop, and that no outpost has begun."""
        for run in self._runs.values():
            writer = EventWriter(run.events_path, self._held[run.id].attempt)
            writer.write(RunEnded(status="stopped"))
            writer.close()
        self.end(lost=False)

    def is_given_up(self) -> bool:
        """Tell if its runs are to stop, and it has not even begun them for a while."""
        if self._has_begun or not any(run.stop_requested() for run in self._runs.values()):
            return False
        self._stopping_since = self._stopping_since or time.monotonic()
        return time.monotonic() > self._stopping_since + _GIVE_UP_S


class RayCluster:
    """The slots of a Ray cluster's nodes, each an actor that is made when it is first handed runs."""

    def __init__(self, stored: StoredComparison, plan: Plan) -> None:
        """Connect to the cluster. Raises `Problem`."""
        settings = plan.settings
        try:
            self._ray = ray_cluster.connect(str(plan.cluster))
        except Exception as error:
            raise Problem(N_("the Ray cluster cannot be reached: {reason}"), reason=reason(error)) from error
        self.devices = frozenset({settings.device})
        self.waits_for: Message | None = None
        self._device = settings.device
        self._per_device = plan.per_device or 0
        """Runs at a time on a GPU, or on a node's cores, if that was asked for; else 0."""
        self._threads = max(1, settings.threads)
        self._data = self._ray.put(_data(settings.dataset, Path(settings.data_dir)))
        self._nodes: list[tuple[str, str, int]] = []
        self._next_look = 0.0
        self._shunned: dict[str, float] = {}
        """Until when a node gets no outpost."""
        self._posts: dict[tuple[str, int], tuple[Any, RayWorker | None]] = {}
        """The actor of each slot, with the worker that has its newest job."""
        self._look()
        self.at_once = max(1, len(self.slots))

    @property
    def slots(self) -> Sequence[Slot]:
        """The slots there are now, of all nodes. Raises `Problem` if the cluster is gone."""
        self._look()
        return [Slot(self._device, name) for _id, name, count in self._nodes for _ in range(count)]

    def want(self, jobs: int) -> None:
        """Say what is waited for, if there is no slot: nodes come by themselves."""
        text = N_("no node of the Ray cluster has what a run needs: waiting for one")
        self.waits_for = Message(text) if jobs and not self.slots else None
        for key in [key for key, (_actor, worker) in self._posts.items() if worker is None or not worker.is_busy]:
            if not jobs:  # others may want its place
                self._close([key])

    def start(self, runs: Sequence[Run], slot: Slot) -> RayWorker | None:
        """Hand runs to an outpost on a node; return None if there is none. Raises `Problem`."""
        for node_id, name, count in self._nodes:
            for number in range(count if name == slot.node else 0):
                actor, worker = self._posts.get((node_id, number), (None, None))
                if worker is not None and worker.is_busy:
                    continue
                if actor is None:
                    actor = self._outpost(node_id)
                try:
                    worker = RayWorker(runs, actor, name, _networks(runs))
                except Problem:
                    self._posts[node_id, number] = actor, None
                    if any(run.is_at_work for run in runs):
                        return None  # another program's process was faster
                    raise
                except OSError as error:
                    raise Problem(N_("cannot read a run: {reason}"), reason=reason(error)) from error
                self._posts[node_id, number] = actor, worker
                return worker
        return None

    def trains(self, run: Run) -> None:
        """Return None: outposts end with the process that made them."""

    def wait(self, seconds: float) -> None:
        """Wait until something comes from an outpost, at most so long, and write it down. Raises `Problem`."""
        pending = {post[1].pending: key for key, post in self._posts.items() if post[1] is not None and post[1].is_busy}
        if not pending:
            time.sleep(seconds)
            return
        ready, _rest = self._ray.wait(list(pending), num_returns=len(pending), timeout=0)
        if not ready:
            ready, _rest = self._ray.wait(list(pending), num_returns=1, timeout=seconds)
        for reference in ready:
            self._receive(pending.pop(reference), reference)
        for key in pending.values():
            worker = self._posts[key][1]
            if worker is not None and worker.is_given_up():
                worker.give_up()
                self._lose(key, "")

    def close(self) -> None:
        """End the outposts."""
        self._close(list(self._posts))
        with suppress(Exception):
            self._ray.shutdown()

    def _close(self, keys: Sequence[tuple[str, int]]) -> None:
        """End some outposts, which remove what they have."""
        closing = [self._posts[key][0].close.remote() for key in keys]
        with suppress(Exception):
            self._ray.wait(closing, num_returns=len(closing), timeout=5.0)
        for key in keys:
            self._lose(key, "")

    def _receive(self, key: tuple[str, int], reference: Any) -> None:
        worker = self._posts[key][1]
        assert worker is not None
        try:
            news: OutpostNews = self._ray.get(reference)
        except Exception as error:  # of the actor, its node, or the network between
            self._lose(key, reason(error))
            return
        worker.take(news)

    def _lose(self, key: tuple[str, int], why: str) -> None:
        actor, worker = self._posts.pop(key)
        if why:
            self._shunned[key[0]] = time.monotonic() + _SHUNNED_S
            self._next_look = 0.0
            print(f"an outpost was lost: {why}", file=sys.stderr, flush=True)
        with suppress(Exception):
            self._ray.kill(actor)
        if worker is not None and worker.is_busy:
            worker.tell(why)
            worker.end(lost=True)

    def _outpost(self, node_id: str) -> Any:
        needs: dict[str, float] = {"num_cpus": 0 if self._per_device else self._threads}
        if self._device != "cpu":
            needs = {"num_gpus": 1 / (self._per_device or 1), "num_cpus": 0}
        options = {**needs, "max_restarts": 0, "scheduling_strategy": ray_cluster.pinned_to(node_id)}
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        return self._ray.remote(Outpost).options(**options).remote(self._data, environment)

    def _look(self) -> None:
        """Find the nodes, and how many slots each has. Raises `Problem`."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        try:
            nodes = [node for node in self._ray.nodes() if node["Alive"]]
        except Exception as error:
            raise Problem(N_("the Ray cluster cannot be reached: {reason}"), reason=reason(error)) from error
        alive = {node["NodeID"]: (node["NodeManagerHostname"], self._count(node)) for node in nodes}
        now = time.monotonic()
        self._nodes = [(node, *alive[node]) for node in sorted(alive) if self._shunned.get(node, now) <= now]
        for key in [key for key in self._posts if key[0] not in alive]:
            self._lose(key, "its node is gone")

    def _count(self, node: Mapping[str, Any]) -> int:
        if self._device == "cpu":
            return self._per_device or int(node["Resources"].get("CPU", 0)) // self._threads
        return int(node["Resources"].get("GPU", 0)) * (self._per_device or 1)


def _data(dataset: str, data_dir: Path) -> dict[str, bytes]:
    """Return the files of a data set, by their paths; none of the sample, which is part of the program."""
    found = raw_files.read(catalogue.DATA_SETS[dataset], data_dir)
    return {str(path): path.read_bytes() for path in found.paths.values()}


def _networks(runs: Sequence[Run]) -> dict[str, bytes]:
    """Return the files that custom networks may consist of, by their paths. Raises `Problem` or `OSError`."""
    found: dict[str, bytes] = {}
    for model in {run.config().model for run in runs if not run.config().architecture.is_built_in}:
        file = Path(model.rpartition(":")[0]).expanduser()
        for path in (file, *islice(_python_files(file.parent), _MOST_SOURCES)):
            if path == file or path.stat().st_size <= _MOST_SOURCE:
                found[str(path)] = path.read_bytes()
    return found


def _python_files(folder: Path) -> Iterator[Path]:
    """Yield the files beside a custom network that it may import."""
    for inside, folders, names in os.walk(folder):
        here = Path(inside)
        is_deep = len(here.relative_to(folder).parts) >= _DEEPEST
        folders[:] = [] if is_deep else sorted(name for name in folders if _FOLDER.fullmatch(name))
        yield from (here / name for name in sorted(names) if name.endswith(".py") and (here / name).is_file())
