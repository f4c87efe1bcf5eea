"""Many short runs on a Ray cluster whose workers are killed: `python -m tests.end_to_end.many_on_ray`.

Every run must end once, with a whole record, and the memory of the process that carries them out must not grow with
their number.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from core.comparing import stored
from core.runs import lease
from core.runs.directory import Run
from core.runs.events import EpochEnded, EventReader, RunEnded
from tests.end_to_end.terminal import COMMAND


def main() -> None:
    """Carry the comparison out, and exit with 1 if a run is missing, was done twice, or has lost its epoch."""
    parser = argparse.ArgumentParser(prog="python -m tests.end_to_end.many_on_ray", description=__doc__)
    parser.add_argument("--runs", type=int, default=300, metavar="N")
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="workers that are killed")
    parser.add_argument("--seed", type=int, default=2026, metavar="N")
    arguments = parser.parse_args()
    from ray.cluster_utils import Cluster

    memory = 100 << 20
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": memory})
    cluster.add_node(num_cpus=1, object_store_memory=memory)
    try:
        with tempfile.TemporaryDirectory() as folder:
            sys.exit(_carry_out(Path(folder), cluster.address, arguments))
    finally:
        cluster.shutdown()


def _carry_out(folder: Path, address: str, arguments: argparse.Namespace) -> int:
    chance = random.Random(arguments.seed)
    seeds = arguments.runs // 2
    options = ("--epochs", "1", "--dataset", "sample", "--threads", "1", "--on", "ray", "--runs-dir", str(folder))
    command = [*COMMAND, "compare", "RN_1", "RN_1+lr=0.002", "--seeds", str(seeds), *options]
    environment = {**dict(psutil.Process().environ()), "RAY_ADDRESS": address}
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    due = sorted(chance.sample(range(5, max(seeds * 2 - 5, 6 + arguments.kills)), arguments.kills))
    killed, memory = 0, []
    while process.poll() is None:
        time.sleep(0.2)
        for comparison in stored.in_progress(folder):
            holder = lease.read(comparison.path)
            done = sum(part.state == "done" for part in comparison.standing().parts)
            with suppress(psutil.Error):
                if holder is not None:
                    memory.append((done, psutil.Process(holder.pid).memory_info().rss / 1e6))
            if due and done >= due[0] and _kill_one(chance):
                due.pop(0)
                killed += 1
    runs = [Run(path) for path in sorted(folder.glob("rn1-*"))]
    twice = whole = 0
    for run in runs:
        events = EventReader(run.events_path).read_new()
        ends = [event for event in events if isinstance(event, RunEnded) and event.status == "done"]
        twice += len(ends) > 1
        whole += len(ends) == 1 and any(isinstance(event, EpochEnded) for event in events)
    early = [used for done, used in memory if 10 <= done < max(20, seeds // 5)] or [used for _done, used in memory]
    print(
        f"{len(runs)} runs, {whole} done once and whole, {twice} twice; {killed} workers killed; exit code"
        f" {process.returncode}; the process that carried them out had {max(early):.0f} MB at first,"
        f" {max(used for _done, used in memory):.0f} MB at most; {time.monotonic() - began:.0f} s"
    )
    return int((len(runs), whole, twice, process.returncode) != (2 * seeds, 2 * seeds, 0, 0))


def _kill_one(chance: random.Random) -> bool:
    """Kill the process of an outpost; return False if there is none."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if "ray::Outpost" in " ".join(process.cmdline()):
                found.append(process)
    if found:
        with suppress(psutil.Error):
            chance.choice(found).send_signal(signal.SIGKILL)
            return True
    return False


if __name__ == "__main__":
    main()
