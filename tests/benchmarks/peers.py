"""Same networks, data, batches and Adam in other libraries, each used as its own guide shows.

The libraries are not dependencies of the project: install them with `pip install 'mnist-tui[bench]'`, or any of them;
missing ones are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from tests.benchmarks.measuring import Options, Table, say
from tests.benchmarks.trainer import EXAM, Spec, Trainer
from tests.benchmarks.training import EXAM_NAME, STEPS, by_turns, fill

OURS_NAME = "mnist-tui"
PEERS = {
    "Lightning": ("peer_lightning", ("lightning",)),
    "Keras on TensorFlow": ("peer_keras", ("keras", "tensorflow")),
    "JAX": ("peer_jax", ("jax", "optax")),
}


def measure(options: Options) -> Iterator[Table]:
    missing = {
        name: [module for module in modules if find_spec(module) is None] for name, (_, modules) in PEERS.items()
    }
    notes = [f"{name} was left out: {', '.join(lacks)} not installed" for name, lacks in missing.items() if lacks]
    there = {name: program for name, (program, _) in PEERS.items() if not missing[name]}
    if not there:
        yield Table("Peers", notes=notes)
        return
    for model in options.models:
        yield _compare(model, there, notes, options)


def _compare(model: str, programs: dict[str, str], notes: list[str], options: Options) -> Table:
    programs = {EXAM_NAME: EXAM, OURS_NAME: "ours", **programs}
    trainers = {}
    table = Table(
        f"{model} in other libraries: batches of 64, milliseconds a step", ("", "ms a step", "times as fast", "")
    )
    table.notes += notes
    try:
        for name, program in programs.items():
            trainer = Trainer(Spec(program=program, model=model, dataset=options.dataset, data_dir=options.data_dir))
            try:
                trainer.train(5)
            except RuntimeError as error:
                say(str(error))
                table.notes.append(f"{name} was left out: {error}")
                trainer.close()
                continue
            trainers[name] = trainer
        seconds = by_turns(trainers, STEPS[model] // (4 if options.quick else 1), options, model)
    finally:
        for trainer in trainers.values():
            trainer.close()
    fill(table, seconds, EXAM_NAME, {}, model)
    return table
