"""Measure the program side by side with what it is compared to: `python -m tests.benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.benchmarks import measuring
from tests.benchmarks.agreement import agreement
from tests.benchmarks.measuring import Options, Table, say
from tests.benchmarks.peers import PEERS

SHARES = {
    "training": 120,
    "peers": 290,
    "equivalence": 45,
    "dashboard": 140,
    "startup": 90,
    "scaling": 190,
    "snapshots": 65,
    "inside": 110,
    "marking": 30,
    "coverage": 6,
    "sequential": 6,
    "phases": 60,
    "together": 50,
    "kernels": 5,
    "many": 60,
}
"""The benchmarks, with the seconds that each may take of twenty minutes on two cores."""
GPU_SHARES = {"training": 60, "peers": 110, "kernels": 20, "equivalence": 40, "dashboard": 60, "together": 40}
"""Those that a GPU changes, with the seconds that each may take of five minutes there."""
UNHURRIED = ("equivalence",)
"""Benchmarks that take as long as they need when only they are asked for, and go on where they ended."""
MODELS = ("RN_1", "RN_2")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(SHARES)}; all without one")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--minutes", type=float, metavar="M", help="for all of them together: 20, or 5 on a GPU")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="of each, instead of what fits in the time")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: does it work at all")
    parser.add_argument("--model", choices=MODELS, help="only this network")
    parser.add_argument("--peer", default="", metavar="TEXT", help="of peers, only those with this in their names")
    parser.add_argument(
        "--patience", type=float, default=5, metavar="S", help="wait so long for a quiet moment before each round"
    )
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="of equivalence, at most")
    parser.add_argument("--epochs", type=int, default=5, metavar="N", help="of equivalence [default: 5]")
    parser.add_argument(
        "--results", type=Path, default=Path("build/equivalence.json"), metavar="FILE", help="trainings of equivalence"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, every single one")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw the ratios")
    arguments = parser.parse_args()
    if arguments.minutes is not None and not 0 < arguments.minutes < 1e5:
        parser.error("--minutes must be a number above 0")
    for name, least in (("rounds", 0), ("seeds", 0), ("epochs", 1)):
        if getattr(arguments, name) < least:
            parser.error(f"--{name} must be at least {least}")
    for path in (arguments.json, arguments.picture):
        if path is not None and not path.absolute().parent.is_dir():
            parser.error(f"there is no folder {path.absolute().parent}")
    if not any(arguments.peer.lower() in name.lower() for name in PEERS):
        parser.error(f"no peer has {arguments.peer} in its name: {', '.join(PEERS)}")
    unknown = [name for name in arguments.names if name not in SHARES]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(SHARES)}")
    return arguments


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # runs and processes are then ended
    machine = measuring.machine()
    options = _options(arguments, machine["gpu"] is not None)
    print(_described(machine, options), flush=True)
    found: dict[str, Any] = {"machine": machine, "dataset": options.dataset, "benchmarks": {}}
    tables: list[Table] = []
    for name, its_options in _shared_out(arguments, options):
        say(f"{name} (load {measuring.load():.1f})")
        began = time.time()
        new = []
        for table in _measure(name, its_options):
            print(table.text(), flush=True)
            new.append(table)
        tables += new
        found["benchmarks"][name] = {
            "seconds": time.time() - began,
            "load_after": measuring.load(),
            "tables": [{"title": table.title, "figures": table.data, "notes": table.notes} for table in new],
        }
        say(f"{name} took {time.time() - began:.0f} s")
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if (agreed := agreement(tables)) is not None:
        print(agreed.text(), flush=True)
    if arguments.picture:
        from tests.benchmarks.picture import draw

        bars = [bar for table in tables for bar in table.bars]
        arguments.picture.write_text(draw("Times as fast as the exam's program", bars, machine), encoding="utf-8")


def _options(arguments: argparse.Namespace, has_gpu: bool) -> Options:
    dataset, data_dir = measuring.choose_dataset()
    on_gpu = arguments.device == "cuda" or (arguments.device == "auto" and has_gpu)
    if on_gpu and not has_gpu:
        sys.exit("there is no GPU here")
    return Options(
        models=(arguments.model,) if arguments.model else MODELS,
        dataset=dataset,
        data_dir=data_dir,
        device="cuda:0" if on_gpu else "cpu",
        rounds=arguments.rounds or (2 if arguments.quick else 0),
        quick=arguments.quick,
        peer=arguments.peer,
        seeds=arguments.seeds or (1 if arguments.quick else 0),
        epochs=1 if arguments.quick else arguments.epochs,
        results_path=arguments.results,
        patience_s=arguments.patience,
    )


def _shared_out(arguments: argparse.Namespace, options: Options) -> Iterator[tuple[str, Options]]:
    """Yield each benchmark with its options: what one leaves of its time, or takes too much, the others share."""
    shares = GPU_SHARES if options.on_gpu else SHARES
    names: Sequence[str] = arguments.names or tuple(shares)
    seconds: dict[str, float] = {name: shares.get(name, SHARES[name]) for name in names}
    total = 60 * arguments.minutes if arguments.minutes else sum(seconds.values())
    end = time.monotonic() + total
    for number, name in enumerate(names):
        share = seconds[name] / sum(seconds[each] for each in names[number:])
        is_unhurried = not arguments.minutes and all(each in UNHURRIED for each in names)
        yield name, replace(options, until=math.inf) if is_unhurried else replace(options, until=end).part(share)


def _measure(name: str, options: Options) -> Iterator[Table]:
    """Yield each table as soon as it is ready. Say so if something cannot be measured here, and carry on."""
    try:
        yield from importlib.import_module(f"tests.benchmarks.{name}").measure(options)
    except Exception as error:
        yield Table(name, notes=[f"not measured: {type(error).__name__}: {error}"])


def _described(machine: dict[str, Any], options: Options) -> str:
    data = "MNIST" if options.dataset == "mnist" else "the embedded sample (no MNIST in MNIST_TUI_DATA)"
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = machine["gpu"] if options.on_gpu else "the CPU; no figure here is a GPU's"
    return (
        f"{machine['day']}; {machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f}; "
        f"{machine['system']}; Python {machine['python']}; {versions}.\n"
        f"Trained on {where}. Threads: {machine['exam_threads']} in the exam's program, {machine['threads']} in "
        f"mnist-tui. Data: {data}. Figures without another name are the median (least..greatest) of all rounds.\n"
    )


if __name__ == "__main__":
    main()
