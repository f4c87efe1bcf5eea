"""Same networks, data, batches and Adam in other libraries: each as its own guide shows it, and tuned by who knows it.

The libraries are not dependencies of the project: install them with `pip install 'mnist-tui[bench]'`, or any of them;
a row says why it has no figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import NamedTuple

from tests.benchmarks.measuring import Options, Table, paired
from tests.benchmarks.trainer import EXAM, OURS, Spec
from tests.benchmarks.turns import Started, milliseconds, started, take_turns

OURS_NAME = "mnist-tui"
EXAM_NAME = "PyTorch, its quickstart: the exam's program"


class Peer(NamedTuple):
    """A program to compare with, and the libraries that it needs."""

    program: str
    needs: tuple[str, ...] = ()
    tuned: bool = False
    compiled: bool = False
    many: bool = False
    """Whether it takes many steps in one call."""


PEERS = {
    OURS_NAME: Peer(OURS),
    EXAM_NAME: Peer(EXAM),
    "PyTorch, tuned": Peer("peer_torch", tuned=True),
    "PyTorch, tuned, `torch.compile`": Peer("peer_torch", tuned=True, compiled=True),
    "Lightning, its guide": Peer("peer_lightning", ("lightning",)),
    "Lightning, tuned": Peer("peer_lightning", ("lightning",), tuned=True),
    "Keras on TensorFlow, its guide": Peer("peer_keras", ("keras", "tensorflow")),
    "Keras on TensorFlow, tuned": Peer("peer_keras", ("keras", "tensorflow"), tuned=True, many=True),
    "Keras on TensorFlow, tuned, `jit_compile`": Peer(
        "peer_keras", ("keras", "tensorflow"), tuned=True, compiled=True, many=True
    ),
    "JAX, its guide": Peer("peer_jax", ("jax", "optax")),
    "JAX, tuned, one step in a call": Peer("peer_jax", ("jax", "optax"), tuned=True),
    "JAX, tuned, a scan over many steps": Peer("peer_jax", ("jax", "optax"), tuned=True, many=True),
}
STEPS_IN_A_CALL = {"RN_1": 100, "RN_2": 20}
_WRITTEN_OUT = 8
"""The same for convolutions in JAX on a CPU, where every step is compiled for itself."""
NOTES = (
    "Same network, batches of 64 of the same images, Adam with eps 1e-8, fp32 without TF32; every row's process runs "
    "alone, with as many threads as its library takes by itself.",
    "The first call is apart: where a program compiles, it compiles then.",
    "The ratios are those of turns next to each other; the time of a step is the median of all turns, which may fall "
    "into a fast or a slow phase of the machine, so their quotient is another number.",
    "The peers leave out the last 32 of 60,000 images, so that no batch is compiled for another size; mnist-tui and "
    "the exam's program train on them.",
)


def measure(options: Options) -> Iterator[Table]:
    for model, part in options.by_model():
        yield _compare(model, part)


def chosen(options: Options) -> dict[str, Peer]:
    """Return mnist-tui and the peers that are asked for."""
    return {name: peer for name, peer in PEERS.items() if name == OURS_NAME or options.peer.lower() in name.lower()}


def specs(model: str, options: Options) -> dict[str, Spec]:
    """Return the programs that are asked for and whose libraries are installed."""
    common = Spec(model=model, dataset=options.dataset, data_dir=options.data_dir, device=options.device)
    return {
        name: common.but(
            program=peer.program,
            tuned=peer.tuned,
            compiled=peer.compiled,
            chunk=_steps_in_a_call(model, peer, options) if peer.many else 1,
        )
        for name, peer in chosen(options).items()
        if not missing(peer)
    }


def missing(peer: Peer) -> list[str]:
    return [library for library in peer.needs if find_spec(library) is None]


def _steps_in_a_call(model: str, peer: Peer, options: Options) -> int:
    is_written_out = peer.program == "peer_jax" and model == "RN_2" and not options.on_gpu
    return _WRITTEN_OUT if is_written_out else STEPS_IN_A_CALL[model]


def _compare(model: str, options: Options) -> Table:
    with started(specs(model, options), options) as processes:
        seconds = take_turns(processes, options, model)
    where = "the GPU" if options.on_gpu else "the CPU"
    table = Table(
        f"{model} in other libraries, on {where}",
        ("", "ms a step", "times as long as mnist-tui, 95 %", "first call, s", "steps in a call"),
        notes=list(NOTES),
    )
    for name, peer in chosen(options).items():
        if lacking := missing(peer):
            table.add(name, f"not run: {', '.join(lacking)} not installed", "", "", "")
        elif name in processes.failed:
            table.add(name, f"not run: {processes.failed[name]}", "", "", "")
        else:
            _add(table, name, seconds, processes)
    table.shared = {
        f"{model}, {shared}, ms a step": milliseconds(seconds[name])
        for shared, name in (("fp32", OURS_NAME), ("the exam's program", EXAM_NAME))
        if name in seconds
    }
    return table


def _add(table: Table, name: str, seconds: dict[str, list[float]], processes: Started) -> None:
    spread, times = milliseconds(seconds[name]), seconds[name]
    ratio = paired(times, seconds[OURS_NAME]) if OURS_NAME in seconds else None
    shown = "" if ratio is None else "1" if name == OURS_NAME else ratio.text()
    chunk = processes.trainers[name].spec.chunk
    table.add(name, spread.text(3), shown, f"{processes.first_call_s[name]:.1f}", str(chunk))
    table.rounds = len(times)
    table.data[name] = {
        "ms_per_step": spread.data(),
        "ratio": None if ratio is None else ratio.data(),
        "first_call_s": processes.first_call_s[name],
        "steps_in_a_call": chunk,
    }
