"""The exam's program executed as a whole, beside a changed one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.exam.program import CHANGE_EPOCHS, SEED, line_of
from core.exam.steps import Outcome
from core.exam.torch_state import begun
from core.exam.tracing import Left, TracedProgram
from core.messages import Problem


def outcome(
    source: str, root: Path, is_wanted: Callable[[], bool], tell: Callable[[float], None], epochs: int = CHANGE_EPOCHS
) -> Outcome:
    """Execute a program for some epochs with the data in `root`, and return its losses and its result.

    `tell` is told how much of the training is done. Raises `Problem` once something else `is_wanted`.
    """
    losses: list[float] = []
    add = line_of(source, "running_loss +=")
    executed = 0
    is_left = False

    def look(line: int, names: dict[str, Any]) -> None:
        nonlocal executed, is_left
        if executed == add:
            losses.append(names["loss"].item())
            tell(len(losses) / (epochs * len(names["train_loader"])))
        executed = line
        if is_wanted():
            is_left = True
            raise Left

    traced = TracedProgram(source, root, look, epochs)
    with begun(SEED):
        traced.run()
    if is_left:
        raise Problem("the program was stopped before its end")
    names = traced.names
    return Outcome(
        losses=tuple(losses),
        batches_per_epoch=len(names["train_loader"]) if "train_loader" in names else 0,
        correct=int(names.get("correct", 0)),
        total=int(names.get("total", 0)),
        fault=traced.fault,
    )
