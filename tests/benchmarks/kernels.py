"""The fused training step against the plain one, both as CUDA graphs, and the time of each kernel in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tests.benchmarks.measuring import Options, Spread, Table, ratios, say

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.cuda import CUDAGraph

    from core.training.batches import Batches

PRECISIONS = ("fp32", "tf32", "bf16")
BATCH_SIZE, NUM_IMAGES = 64, 8192


def measure(options: Options) -> Iterator[Table]:
    import torch

    if not torch.cuda.is_available():
        yield Table("Kernels", notes=["no CUDA device here: no kernel was measured"])
        return
    for model in options.models:
        yield from _compare(model, torch.cuda.get_device_name(0), options)


def _compare(model: str, device_name: str, options: Options) -> Iterator[Table]:
    steps = 200 if options.quick else 2000
    table = Table(
        f"A step of {model} on {device_name}, {BATCH_SIZE} images: microseconds as a CUDA graph",
        ("", "plain", "fused", "times as fast"),
    )
    kernels = Table(f"The kernels of a step of {model} on {device_name}", ("", "kernel", "a step", "µs a step"))
    for precision in PRECISIONS:
        graphs = {kind: _captured(make, model, precision) for kind, make in (("plain", _plain), ("fused", _fused))}
        taken: dict[str, list[float]] = {kind: [] for kind in graphs}
        for _ in options.turns(least=3):
            for kind, graph in graphs.items():
                taken[kind].append(_seconds(graph, steps) / steps * 1e6)
        say(f"{model} {precision}: " + ", ".join(f"{kind} {times[-1]:.1f} µs" for kind, times in taken.items()))
        spreads = {kind: Spread(tuple(times)) for kind, times in taken.items()}
        faster = ratios(taken["plain"], taken["fused"])
        table.add(precision, spreads["plain"].text(1), spreads["fused"].text(1), faster.text(2))
        table.data[precision] = {kind: spread.data() for kind, spread in spreads.items()} | {"ratio": faster.data()}
        for kind, graph in graphs.items():
            for name, launches, microseconds in _in_kernels(graph):
                kernels.add(f"{precision} {kind}", name, f"{launches:g}", f"{microseconds:.1f}")
                kernels.data[f"{precision} {kind} {name}"] = microseconds
    yield table
    yield kernels


def _prepared(model: str, precision: str) -> tuple[nn.Module, Any, Batches]:
    """Return a network with its optimizer on the GPU, in this precision, and random images."""
    import torch

    from core.catalogue import DATA_SETS
    from core.config import RunConfig
    from core.networks.build import built_in_class
    from core.training import acceleration
    from core.training.batches import Batches
    from core.training.optimizer import FusedAdam

    device = torch.device("cuda:0")
    acceleration.prepare(device, RunConfig(model=model, precision=precision, device="cuda:0"))  # type: ignore[arg-type]
    torch.manual_seed(0)
    network = built_in_class(model)().to(device)
    images = torch.randint(256, (NUM_IMAGES, 28, 28), dtype=torch.uint8, device=device)
    labels = torch.randint(10, (NUM_IMAGES,), device=device)
    optimizer = FusedAdam(network, lr=torch.tensor(1e-3, device=device), capturable=True)
    return network, optimizer, Batches(images, labels, DATA_SETS["mnist"])


def _fused(model: str, precision: str) -> Callable[[Tensor], Tensor]:
    from core.training.steps.fused.step import FusedStep

    network, optimizer, batches = _prepared(model, precision)
    return FusedStep(network, batches, optimizer, BATCH_SIZE, precision)  # type: ignore[arg-type]


def _plain(model: str, precision: str) -> Callable[[Tensor], Tensor]:
    from core.config import RunConfig
    from core.training.acceleration import fast_equivalent
    from core.training.steps.plain import PlainStep

    network, optimizer, batches = _prepared(model, precision)
    device = batches.images.device
    forward = fast_equivalent(network, device, exact=False)
    return PlainStep(forward, batches, optimizer, RunConfig(precision=precision), device)  # type: ignore[arg-type]


def _captured(make: Callable[[str, str], Callable[[Tensor], Tensor]], model: str, precision: str) -> CUDAGraph:
    import torch

    step, graph = make(model, precision), torch.cuda.CUDAGraph()
    batch = torch.randperm(NUM_IMAGES)[:BATCH_SIZE].cuda()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(batch)
    torch.cuda.synchronize()
    with torch.cuda.graph(graph, stream=stream):
        step(batch)
    graph.keep = step, batch  # type: ignore[attr-defined]  # the graph only knows addresses
    return graph


def _seconds(graph: CUDAGraph, steps: int) -> float:
    import torch

    graph.replay()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(steps):
        graph.replay()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def _in_kernels(graph: CUDAGraph, steps: int = 20) -> list[tuple[str, float, float]]:
    """Return each kernel's name, launches a step and microseconds a step, the longest first."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        for _ in range(steps):
            graph.replay()
        torch.cuda.synchronize()
    events = [event for event in profiled.key_averages() if event.device_time_total > 0]
    found = [(event.key[:60], event.count / steps, event.device_time_total / steps) for event in events]
    return sorted(found, key=lambda each: -each[2])
