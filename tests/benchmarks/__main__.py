"""Measure the program side by side with what it is compared to: `python -m tests.benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks import measuring
from tests.benchmarks.measuring import Options, Table, say

BENCHMARKS = (
    "training",
    "dashboard",
    "startup",
    "scaling",
    "gpu",
    "kernels",
    "peers",
    "equivalence",
    "coverage",
    "sequential",
    "snapshots",
    "inside",
    "marking",
)
MODELS = ("RN_1", "RN_2")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; all without one")
    parser.add_argument("--quick", action="store_true", help="few and short rounds: does it work at all")
    parser.add_argument("--rounds", type=int, default=0, metavar="N", help="of each; 9 without, 3 with --quick")
    parser.add_argument("--seeds", type=int, default=0, metavar="N", help="of equivalence: 10 without, 2 with --quick")
    parser.add_argument("--epochs", type=int, default=2, metavar="N", help="of equivalence [default: 2]")
    parser.add_argument(
        "--patience", type=float, default=5, metavar="S", help="wait so long for a quiet moment before each measurement"
    )
    parser.add_argument("--model", choices=MODELS, help="only this network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures, every single one")
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw the ratios")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    return arguments


def main() -> None:
    arguments = _arguments()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # runs and processes are then ended
    dataset, data_dir = measuring.choose_dataset()
    options = Options(
        rounds=arguments.rounds or (3 if arguments.quick else 9),
        quick=arguments.quick,
        seeds=arguments.seeds or (2 if arguments.quick else 10),
        epochs=arguments.epochs,
        models=(arguments.model,) if arguments.model else MODELS,
        dataset=dataset,
        data_dir=data_dir,
        patience_s=arguments.patience,
    )
    machine = measuring.machine()
    print(_described(machine, options), flush=True)
    found: dict[str, Any] = {"machine": machine, "dataset": dataset, "rounds": options.rounds, "benchmarks": {}}
    tables: list[Table] = []
    for name in arguments.names or BENCHMARKS:
        say(f"{name} (load {measuring.load():.1f})")
        began = time.time()
        new = []
        for table in _measure(name, options):
            print(table.text(), flush=True)
            new.append(table)
        tables += new
        found["benchmarks"][name] = {
            "seconds": time.time() - began,
            "load_after": measuring.load(),
            "tables": [{"title": table.title, "figures": table.data, "notes": table.notes} for table in new],
        }
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    if arguments.picture:
        from tests.benchmarks.picture import draw

        bars = [bar for table in tables for bar in table.bars]
        arguments.picture.write_text(draw("Times as fast as the exam's program", bars, machine), encoding="utf-8")


def _measure(name: str, options: Options) -> Iterator[Table]:
    """Yield each table as soon as it is ready. Say so if something cannot be measured here, and carry on."""
    try:
        yield from importlib.import_module(f"tests.benchmarks.{name}").measure(options)
    except Exception as error:
        yield Table(name, notes=[f"not measured: {type(error).__name__}: {error}"])


def _described(machine: dict[str, Any], options: Options) -> str:
    data = "MNIST" if options.dataset == "mnist" else "the embedded sample (no MNIST in MNIST_TUI_DATA)"
    return (
        f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']:.1f}; {machine['system']}; "
        f"Python {machine['python']}, torch {machine['torch']}, textual {machine['textual']}; "
        f"threads: {machine['exam_threads']} in the exam's program, {machine['threads']} in ours; data: {data}; "
        f"median (least..greatest) of {options.rounds} rounds\n"
    )


if __name__ == "__main__":
    main()
