"""A run, held beside the exam's program, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from core.exam.program import stages
from core.runs.record import LIVE, Record, State
from tui_app import wording
from tui_app.i18n import _, number, percent, short
from tui_app.program.beside import of_run, stage_of_run


def title(run_id: str, record: Record, state: State, source: str) -> str:
    """Say in which stage of the program a run is, and how far both loops are."""
    stage = stage_of_run(record, state)
    parts = [run_id, wording.state_name(state)]
    if stage:
        parts.append(_(stages(source)[stage].title))
    if record.started is not None:
        (epoch, step), steps = record.position, record.started.steps_per_epoch
        text = _("epoch {epoch}/{epochs}, batch {batch}/{batches}")
        values = {"epoch": epoch, "epochs": record.config.epochs, "batch": step, "batches": steps}
        parts.append(text.format(**{name: number(value) for name, value in values.items()}))
    return " · ".join(parts)


def details(source: str, record: Record, state: State) -> list[str]:
    """Say what a run's events tell of the program's values, and how the run differs from the program."""
    if record.started is None:
        return [_("The run has not started: the data are loaded first.")]
    found = of_run(source, record)
    by_text = {source.split("\n")[line - 1].strip(): beside.text for line, beside in found.items() if line}
    lines = [_("{place}: {value}").format(place=name, value=by_text[start]) for start, name in _named(by_text)]
    if record.evaluated is not None:
        share = percent(record.evaluated.accuracy)
        values = {"correct": number(record.evaluated.correct), "total": number(record.evaluated.total)}
        lines.append(_("Result: {correct} of {total} right, {share}.").format(share=share, **values))
    if state in LIVE:
        lines.append(
            _(
                "A run reports its values ten times a second, after hundreds of steps, so no line moves here. The next"
                " tab executes the program line by line."
            )
        )
    return [*lines, *_differences(record)]


def _named(by_text: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the lines that have a loss beside them, each with the name of that value."""
    names = {
        "loss =": "loss.item()",
        "running_loss +=": "running_loss",
        "print(f'Ép": "running_loss/len(train_loader)",
    }
    for start, name in names.items():
        yield from ((text, name) for text in by_text if text.startswith(start))


def _differences(record: Record) -> Iterator[str]:
    """Say what the run was told otherwise than the program."""
    config, started = record.config, record.started
    assert started is not None
    found = []
    if not (config.architecture.is_built_in and wording.network_name(config) == config.model):
        found.append(_("network {value}").format(value=wording.network_name(config, folder=False)))
    if config.lr != 0.001:
        found.append(_("lr {value}").format(value=short(config.lr)))
    if config.batch_size != 64:
        found.append(_("batch {value}").format(value=number(config.batch_size)))
    if config.epochs != 5:
        found.append(_("epochs {value}").format(value=number(config.epochs)))
    if started.dataset != "mnist":
        found.append(_("data {value}").format(value=_(started.dataset_title)))
    found += [_("pixels permuted")] if config.permute else []
    found += [config.precision] if config.precision != "fp32" else []
    found += [_("validation")] if config.validate else []
    found += [_("patience {value}").format(value=number(config.patience))] if config.patience else []
    if found:
        yield _("Different from the program: {differences}.").format(differences=", ".join(found))
