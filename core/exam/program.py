"""The exam's program as text: mended, with its stages, the errors of the printed one, and wrong edits to try."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from core.messages import N_

Model = Literal["RN_1", "RN_2"]
ChangeName = Literal["lr", "batch_size", "zero_grad", "eval", "shuffle"]
SEED = 0
"""Seed that the program is executed with: it sets none itself."""
CHANGE_EPOCHS = 2
"""Epochs for which a changed program runs beside the original."""


def program(model: str = "RN_1") -> str:
    """Return the mended program that trains one of the two networks; it can be executed as it is."""
    return _text().replace("model = RN_1()", f"model = {model}()")


@cache
def _text() -> str:
    return Path(__file__).with_name("mended.txt").read_text(encoding="utf-8")


# Stages and lines


class Stage(NamedTuple):
    """A part of the program, from its first to its last line, counted from 1."""

    number: int
    """0 for the definitions of the networks, which the exam prints before its three stages."""
    title: str
    first: int
    last: int


_STAGES = (
    ("import torch\n", N_("The networks")),
    ("# Stage 1\n", N_("Stage 1: the data")),
    ("# Etape 2\n", N_("Stage 2: the training")),
    ("# Etape 3\n", N_("Stage 3: the test")),
)


def stages(source: str) -> list[Stage]:
    """Return the parts of the program."""
    firsts = [1 + source[: source.index(mark)].count("\n") for mark, _title in _STAGES]
    lasts = [first - 1 for first in firsts[1:]] + [source.count("\n")]
    titles = [title for _mark, title in _STAGES]
    return [Stage(number, *part) for number, part in enumerate(zip(titles, firsts, lasts, strict=True))]


def stage_of(source: str, line: int) -> Stage:
    """Return the part of the program that a line belongs to; after the end, the last."""
    parts = stages(source)
    return next((part for part in parts if part.first <= line <= part.last), parts[-1])


def line_of(source: str, start: str, stage: int = 2) -> int:
    """Return the number of the first line of a stage that begins so, without its indentation; 0 if there is none."""
    part = stages(source)[stage]
    lines = source.split("\n")
    found = (number for number in range(part.first, part.last + 1) if lines[number - 1].strip().startswith(start))
    return next(found, 0)


@dataclass(frozen=True)
class Statements:
    """The statements of the program outside of its classes, by their lines."""

    of_line: Mapping[int, int]
    """First line of the statement, or of the head of a block, that a line belongs to."""
    names: Mapping[int, tuple[str, ...]]
    """Names that a statement gives a value to."""
    loops: Mapping[int, range]
    """Lines of the body of each loop over batches, by the line of its head."""
    loaders: Mapping[int, str]
    """Name of what each of these loops takes its batches from."""

    def loop_around(self, line: int) -> int:
        """Return the head of the loop over batches that a line is in, its head included; 0 if it is in none."""
        return next((head for head, body in self.loops.items() if line == head or line in body), 0)


def statements(source: str) -> Statements:
    """Find the statements of a program."""
    of_line: dict[int, int] = {}
    names: dict[int, tuple[str, ...]] = {}
    loops: dict[int, range] = {}
    loaders: dict[int, str] = {}
    for node in _outside_classes(ast.parse(source).body):
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
        of_line.update(dict.fromkeys(range(node.lineno, last + 1), node.lineno))
        names[node.lineno] = tuple(_names_given(node))
        if isinstance(node, ast.For) and "loader" in ast.unparse(node.iter):
            loops[node.lineno] = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
            loaders[node.lineno] = ast.unparse(node.iter)
    return Statements(of_line, names, loops, loaders)


def _outside_classes(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        yield node
        if not isinstance(node, ast.ClassDef):
            yield from _outside_classes(getattr(node, "body", []))


def _names_given(node: ast.stmt) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in filter(None, targets):
        yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name) and each.id != "_")


# The errors of the printed program


class Mend(NamedTuple):
    """An error of the printed program, and what was meant."""

    printed: str
    meant: str
    why: str


MENDS = (
    Mend(
        "super(MLP, self)",
        "super(RN_1, self)",
        N_("There is no class MLP: Python stops with a NameError as soon as a network is made."),
    ),
    Mend("super(CNN, self)", "super(RN_2, self)", N_("Nor is there a class CNN.")),
    Mend(
        "transforms.Normalize((0, 1307.), (0.3081,))",
        "transforms.Normalize((0.1307,), (0.3081,))",
        N_("A decimal comma: it makes two means, 0 and 1307, for images that have one channel. MNIST's is 0.1307."),
    ),
    Mend(
        ".. predicted =",
        "_, predicted =",
        N_("torch.max returns the maxima and their places: the first are not needed, the second are the classes."),
    ),
)


def printed() -> str:
    """Return the program as the exam prints it, which does not run; long lines are wrapped as in the mended one."""
    text = _text()
    for mend in MENDS:
        text = text.replace(mend.meant, mend.printed)
    return text


class DiffLine(NamedTuple):
    """A line of a diff: removed (`-`), added (`+`) or the same in both; `number` counts it in its own program."""

    sign: Literal["-", "+", " "]
    number: int
    text: str


def diff(before: str, after: str, around: int = 1) -> list[list[DiffLine]]:
    """Return where two programs differ, each place with some lines around it."""
    old, new = before.splitlines(), after.splitlines()
    places = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(around):
        lines: list[DiffLine] = []
        for tag, old_first, old_end, new_first, new_end in group:
            if tag == "equal":
                lines += [DiffLine(" ", i + 1, new[i]) for i in range(new_first, new_end)]
            else:
                lines += [DiffLine("-", i + 1, old[i]) for i in range(old_first, old_end)]
                lines += [DiffLine("+", i + 1, new[i]) for i in range(new_first, new_end)]
        places.append(lines)
    return places


# Wrong edits


@dataclass(frozen=True)
class Change:
    """A prepared edit of the program, to be run beside the original."""

    name: ChangeName
    title: str
    expect: str
    """What there is to see, and why."""
    before: str
    after: str = ""
    with_remedies: bool = False
    """True to make it in the network with batch normalisation and dropout, where it matters."""
    is_sorted: bool = False
    """True to train on images sorted by their labels, where it matters."""

    def sources(self, model: str) -> tuple[str, str]:
        """Return the program to compare with, and the changed one."""
        original = with_remedies(program(model)) if self.with_remedies else program(model)
        return original, original.replace(self.before, self.after)


CHANGES: tuple[Change, ...] = (
    Change(
        "lr",
        N_("Learning rate 0.1"),
        N_(
            "A hundred times the step: Adam moves each weight by up to 0.1 at once, far beyond the valley. The loss"
            " jumps, then stays near ln 10 ≈ 2.30, that of a network that gives each digit the same probability."
        ),
        "lr=0.001",
        "lr=0.1",
    ),
    Change(
        "batch_size",
        N_("Batches of 512"),
        N_(
            "Each gradient is a mean over more images, so the curve is smoother; but an epoch has an eighth of the"
            " steps, and after the same number of images the loss is higher."
        ),
        "train_dataset, batch_size=64",
        "train_dataset, batch_size=512",
    ),
    Change(
        "zero_grad",
        N_("zero_grad() forgotten"),
        N_(
            "backward() adds to the gradients that are there. Without zero_grad() each step follows the sum of all"
            " batches so far, old ones as much as the newest: it overshoots, and the loss jumps about."
        ),
        "        optimizer.zero_grad()\n",
    ),
    Change(
        "eval",
        N_("eval() forgotten"),
        N_(
            "A change of stage 3: the training is the same, the test is not. Dropout goes on leaving units out, and"
            " batch normalisation takes each test batch's own mean. The exam's networks have neither, so eval() changes"
            " nothing in them; here both were added to the network."
        ),
        "model.eval()\n",
        with_remedies=True,
    ),
    Change(
        "shuffle",
        N_("Without the shuffle"),
        N_(
            "The batches come in the order of the file. MNIST's own is mixed already, and little would change; here the"
            " images are sorted, all zeros first: a batch shows one digit only, the network learns to answer just that"
            " one, forgets the others, and the loss jumps whenever a new digit begins."
        ),
        "batch_size=64, shuffle=True",
        "batch_size=64, shuffle=False",
        is_sorted=True,
    ),
)


def change(name: ChangeName) -> Change:
    """Return a prepared edit by its name."""
    return next(each for each in CHANGES if each.name == name)


_LAYER = re.compile(r"        self\.\w+ = nn\.(Conv2d|Linear)\([\d *]+, (\d+)")
_RELU = re.compile(r"        self\.relu(\d) = nn\.ReLU\(\)")


def with_remedies(source: str) -> str:
    """Add batch normalisation before each ReLU of both networks, and dropout after those between linear layers."""
    lines, kind, size = [], "", ""
    linear: set[str] = set()
    for line in source.split("\n"):
        if layer := _LAYER.match(line):
            kind, size = layer[1], layer[2]
        if line.startswith("class "):
            linear.clear()
        if relu := _RELU.match(line):
            sides = "2" if kind == "Conv2d" else "1"
            lines.append(f"        self.bn{relu[1]} = nn.BatchNorm{sides}d({size})")
        called = re.match(r"        x = self\.relu(\d)\(x\)", line)
        if called:
            lines.append(f"        x = self.bn{called[1]}(x)")
        lines.append(line)
        if relu and kind == "Linear":
            linear.add(relu[1])
            lines.append(f"        self.dropout{relu[1]} = nn.Dropout(0.5)")
        if called and called[1] in linear:
            lines.append(f"        x = self.dropout{called[1]}(x)")
    return "\n".join(lines)
