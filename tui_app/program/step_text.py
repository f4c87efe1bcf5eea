"""The exam's program where it has stopped, in sentences."""

from __future__ import annotations

from core.exam.program import SEED, program, stage_of
from core.exam.steps import Made, ProgramStop
from tui_app.i18n import _, number, say
from tui_app.program import details


def title(model: str, stop: ProgramStop) -> str:
    """Say where the program has stopped, and on which data."""
    where = _("At its end") if stop.is_over else _(stage_of(program(model), stop.line).title)
    parts, last = [where], _("seed {seed}").format(seed=SEED)
    if stop.epoch:
        last = ""
        text = _("epoch {epoch}/{epochs}, batch {batch}/{batches}")
        counts = {"epoch": stop.epoch, "epochs": stop.num_epochs, "batch": stop.batch, "batches": stop.num_batches}
        parts.append(text.format(**{name: number(count) for name, count in counts.items()}))
    data = "MNIST" if stop.dataset == "mnist" else _("SAMPLE")
    return " · ".join(filter(None, [*parts, model, data, last]))


def said(source: str, stop: ProgramStop, made: Made | None) -> list[str]:
    """Say what a statement has made, and why the program has failed; at its start, how to go on."""
    lines = [say(stop.fault)] if stop.fault is not None else []
    if made is not None:
        statement = source.split("\n")[made.line - 1].strip()
        lines += [_("Line {line} made:").format(line=made.line), *details.lines(made, statement, stop.mean)]
    elif stop.fault is None:
        text = _(
            "Enter executes the line at ▸, b goes on to the next batch, e to the end of the epoch. The program is"
            " the exam's, mended; only root='./data' stands for the folder that has the images, nothing is"
            " downloaded, and torch.manual_seed({seed}) comes before it."
        )
        lines.append(text.format(seed=SEED))
    return lines
