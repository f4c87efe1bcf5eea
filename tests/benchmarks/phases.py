"""Phases in which a step takes longer: is it the training, or the machine?

The step takes turns, in one process, with work that does nothing but one thing: arithmetic in the registers, and reads
and writes that fit into each level of the caches. What gets slower at the same time as the step is what it waits for.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

from tests.benchmarks.measuring import Options, Table, say
from tests.benchmarks.trainer import Spec, load

_TURN_S = 0.1
_KIB = 1 << 10
_SIZES = {
    "L1, 16 KiB": 16 * _KIB,
    "L2, 512 KiB": 512 * _KIB,
    "L3, 8 MiB": 8 * _KIB**2,
    "memory, 256 MiB": 256 * _KIB**2,
}


def measure(options: Options) -> Iterator[Table]:
    seconds = 20 if options.quick else 60
    say(f"phases: {seconds} s")
    works = _works(options)
    for work in works.values():
        _pace(work)
    paces: dict[str, list[float]] = {name: [] for name in works}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, work in works.items():
            paces[name].append(_pace(work))
    table = Table(
        f"A step of RN_1 and other work by turns, {len(paces[_STEP])} rounds of {_TURN_S:g} s each",
        ("", "slowest tenth / fastest tenth", "correlation with the step"),
    )
    for name, found in paces.items():
        tenth = max(1, len(found) // 10)
        ranked = sorted(found)
        ratio = statistics.mean(ranked[-tenth:]) / statistics.mean(ranked[:tenth])
        correlation = statistics.correlation(found, paces[_STEP])
        table.add(name, f"{ratio:.2f}", "" if name == _STEP else f"{correlation:+.2f}")
        table.data[name] = {"ratio": ratio, "correlation": correlation, "seconds": found}
    yield table


_STEP = "a step of RN_1"


def _works(options: Options) -> dict[str, Callable[[], object]]:
    import torch

    from core.config import RunConfig
    from core.training import acceleration, devices
    from core.training.loop import Training
    from tests.built import built

    acceleration.keep_freed_memory()
    torch.set_num_threads(devices.default_threads())
    data = load(Spec(dataset=options.dataset, data_dir=options.data_dir))
    training = Training(built("RN_1"), data, RunConfig(seed=0, data_dir=options.data_dir), torch.device("cpu"))
    training.begin_epoch()
    generator = torch.Generator().manual_seed(0)
    works: dict[str, Callable[[], object]] = {
        _STEP: lambda: training.steps.take(torch.randint(len(data.train_labels), (64,), generator=generator))
    }
    small = torch.rand(2048)
    works["registers: sines of 8 KiB"] = lambda: [torch.sin(small, out=small) for _ in range(20)]
    for name, size in _SIZES.items():
        source, target = torch.rand(size // 8), torch.empty(size // 8)
        times = max(1, (1 << 20) // size)
        works[f"a copy within {name}"] = lambda source=source, target=target, times=times: [  # type: ignore[misc]
            target.copy_(source) for _ in range(times)
        ]
    return works


def _pace(work: Callable[[], object]) -> float:
    """Return the seconds that one call takes, over a turn."""
    calls, began = 0, time.perf_counter()
    while (now := time.perf_counter()) - began < _TURN_S:
        work()
        calls += 1
    return (now - began) / calls
