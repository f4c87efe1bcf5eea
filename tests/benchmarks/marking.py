"""How long the marks of Annexe 1 take: of single cells, and of thirty copies in one command."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from core.exam.marking import mark_sheet
from core.exam.sheet import COLUMNS, Column
from core.networks import kept_tables
from tests.benchmarks.measuring import Options, Spread, Table, child_environment, quiet_moment

NUM_COPIES = 30
WORDS = ("linear", "convolution", "pooling", "flatten", "relu", "784→512", "1→32, 3×3, padding 1", "2x2")


def measure(options: Options) -> Iterator[Table]:
    chance = random.Random(26)
    table = Table("The marks of Annexe 1", ("", "median and range", "at most"))
    cells = Spread(tuple(_cells(chance, 100 if options.quick else 1000)))
    table.add("a cell, ms", cells.text(2), "100")
    table.data["cell_ms"] = cells.data()
    for name, options_of_command in (("RN_1 and RN_2", ()), ("exercises", ("--seed", "3"))):
        seconds = Spread(tuple(_copies(chance, options_of_command, options) for _round in range(3)))
        table.add(f"{NUM_COPIES} copies of {name}, with a page each, s", seconds.text(), "10")
        table.data[f"copies of {name}"] = seconds.data()
    yield table


def _cells(chance: random.Random, count: int) -> Iterator[float]:
    """Yield the milliseconds that marking a sheet with one random answer takes."""
    for _cell in range(count):
        layers = chance.choice(tuple(kept_tables.built_in().values()))
        column: Column = chance.choice(COLUMNS)
        chosen = chance.randrange(len(layers.layers))
        answers = tuple({column: _answer(chance)} if row == chosen else {} for row in range(len(layers.layers)))
        began = time.perf_counter()
        mark_sheet(layers, answers)
        yield 1000 * (time.perf_counter() - began)


def _answer(chance: random.Random) -> str:
    """Return a word, a size, or a sum as a student may write it."""
    numbers = [chance.choice((1, 3, 7, 9, 10, 14, 28, 32, 64, 128, 256, 512, 572, 784, 3136)) for _factor in range(4)]
    product = "x".join(map(str, numbers[: chance.randint(1, 4)]))
    return chance.choice((chance.choice(WORDS), product, f"{product}+{numbers[-1]}", str(chance.randrange(500_000))))


def _copies(chance: random.Random, more: tuple[str, ...], options: Options) -> float:
    """Return the seconds that the command takes for filled-in copies."""
    program = [sys.executable, "-m", "tui_app", "exam", "--lang", "en"]
    root, environment = Path(__file__).parents[2], child_environment()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if more:
            make = [*program, "--make", str(NUM_COPIES), *more, "--no-key", "--output", str(folder / "copies")]
            subprocess.run(make, check=True, capture_output=True, cwd=root, env=environment)
        else:
            (folder / "copies").mkdir()
            sheet = folder / "copies" / "copy-00.md"
            subprocess.run([*program, "--new", str(sheet)], check=True, capture_output=True, cwd=root, env=environment)
            for number in range(1, NUM_COPIES):
                sheet.with_name(f"copy-{number:02}.md").write_bytes(sheet.read_bytes())
        for path in (folder / "copies").glob("*.md"):
            path.write_text("\n".join(_filled_in(chance, line) for line in path.read_text().splitlines()))
        copies = [str(path) for path in sorted((folder / "copies").glob("*.md"))]
        quiet_moment(options.patience_s)
        began = time.perf_counter()
        mark = [*program, "--mark", *copies, *more, "--output", str(folder / "marks")]
        subprocess.run(mark, check=True, capture_output=True, cwd=root, env=environment)
        return time.perf_counter() - began


def _filled_in(chance: random.Random, line: str) -> str:
    """Return a line of a sheet, with answers if it is a row to fill in."""
    parts = [part.strip() for part in line.strip().strip("|").split("|")]
    if len(parts) != 1 + len(COLUMNS) or any(parts[1:]):
        return line
    return f"| {parts[0]} | {' | '.join(_answer(chance) for _column in COLUMNS)} |"
