"""The networks that a sheet may be about: built-in, the teacher's own, and exercises made at random."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from core.catalogue import EXAM_PAIR, NETWORKS
from core.config import Architecture
from core.exam import exercises
from core.exam.copy_lines import folded
from core.exam.exercises import Exercise
from core.messages import Problem
from core.networks import kept_tables
from core.networks.layer_table import LayerTable

_EXAM_SOURCE = Path(kept_tables.__file__).with_name("exam.py")
_BUILT_IN = re.compile(r"\brn[ _]?(\d+)\b|\b(?:reseau|network)\D*(\d+)\b")


class Examined:
    """The networks that the teacher has chosen; exercises of any seed, or of one, are regenerated when they are named.

    `models` are names of networks as `--model` takes them; none stands for the exam's two, which then need not all be
    in a copy of an exercise.
    """

    def __init__(self, models: Sequence[str] = (), seed: int | None = None) -> None:
        chosen = models or EXAM_PAIR
        self.labels = dict(zip(_labels(chosen), chosen, strict=True))
        """Names of networks by what a sheet calls them."""
        self.are_chosen = bool(models)
        self.seed = seed
        """Seed of the exercises that were set; None if none was named."""
        self._made: dict[int, list[Exercise]] = {}
        self._tables: dict[str, LayerTable] = {}

    def label(self, text: str) -> str | None:
        """Return what a sheet calls the network that a line or cell of a copy names; None if it is none of these."""
        if own := self._own(folded(text)):
            return own
        found = exercises.named(text)
        if found is None:
            return self._built_in(folded(text))
        return exercises.label_of(*found) if self.seed in (None, found[0]) else None

    def table(self, label: str) -> LayerTable:
        """Return a network's layer table. Raises `Problem` if it cannot be built."""
        if label not in self._tables:
            found = exercises.named(label)
            is_exercise = found is not None and label not in self.labels
            self._tables[label] = (
                exercise_table(self._exercise(*found)) if found and is_exercise else layer_table(self.labels[label])
            )
        return self._tables[label]

    def _own(self, text: str) -> str | None:
        fitting = [label for label in self.labels if label not in NETWORKS and folded(label) in text]
        return max(fitting, key=len, default=None)

    def _built_in(self, text: str) -> str | None:
        for found in _BUILT_IN.finditer(text):
            label = f"RN_{found[1] or found[2]}"
            if label in self.labels:
                return label
        return None

    def _exercise(self, seed: int, number: int) -> Exercise:
        made = self._made.get(seed, [])
        if len(made) < number:
            made = self._made[seed] = exercises.exercises(seed, number)
        return made[number - 1]


def needs_torch(models: Sequence[str]) -> bool:
    """Tell if the table of one of these networks must be worked out from the network itself."""
    return any(model not in NETWORKS for model in models)


def layer_table(model: str) -> LayerTable:
    """Return the table of a network named as `--model` names it; torch is loaded only if it is not built in.

    Raises `Problem`.
    """
    architecture = Architecture(model=model)
    known = kept_tables.built_in().get(architecture)
    if known is not None:
        return known
    import torch

    from core.networks import tabulate
    from core.networks.build import build_network

    torch.manual_seed(0)
    return tabulate.layer_table(build_network(architecture), model)


def exercise_table(exercise: Exercise) -> LayerTable:
    """Return the table of an exercise, worked out from the network itself. Loads torch."""
    with TemporaryDirectory() as folder:
        path = Path(folder, f"{exercise.stem}.py")
        path.write_text(exercise.source, encoding="utf-8")
        return layer_table(f"{path}:{exercise.class_name}")


def source_code(model: str) -> str:
    """Return the class that defines a network, as it is written in its file; empty if it is not found there."""
    file, _colon, class_name = model.rpartition(":")
    path = Path(file).expanduser() if file else _EXAM_SOURCE
    try:
        text = path.read_text(encoding="utf-8")
        statements = ast.parse(text).body
    except (OSError, ValueError, SyntaxError) as error:
        raise Problem("{path} cannot be read: {reason}", path=str(path), reason=str(error)) from error
    for statement in statements:
        if isinstance(statement, ast.ClassDef) and statement.name == class_name:
            return ast.get_source_segment(text, statement) or ""
    return ""


def _labels(models: Sequence[str]) -> list[str]:
    """Return what a sheet calls each network: without its folders, unless two would be called the same."""
    short = [model.rpartition("/")[2] for model in models]
    return [model if short.count(name) > 1 else name for model, name in zip(models, short, strict=True)]
