"""What a comparison's report says, in the language in use; `pages` writes it down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core import machine
from core.comparing.statistics import Results
from core.data.conditions import Robustness
from core.runs.events import RunStarted
from tui_app import comparison_text, i18n, wording
from tui_app.comparison_text import Grid
from tui_app.i18n import _, number, percent, printable
from tui_app.report import pictures


@dataclass(frozen=True)
class Content:
    """What a report is made of. `robustness`: each network's name and its tested runs; empty where none were asked."""

    results: Results
    command: str
    at_once: int
    robustness: Sequence[tuple[str, Sequence[Robustness]]] = ()


@dataclass(frozen=True)
class Illustration:
    """A picture, what it shows in a few words, and the sentence under it."""

    name: str
    """Part of its file's name, where it gets one."""
    alternative: str
    caption: str
    svg: str


@dataclass(frozen=True)
class TitledGrid:
    """A table, and the line above it."""

    grid: Grid
    title: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report under its heading, in this order."""

    heading: str
    introduction: str = ""
    tables: Sequence[TitledGrid] = ()
    notes: Sequence[str] = ()
    illustrations: Sequence[Illustration] = ()
    command: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that a report says, in order. The texts may hold anything: each kind of page escapes them its way."""

    language: str
    title: str
    warnings: Sequence[str]
    verdicts: Sequence[str]
    left_out: Sequence[str]
    sections: Sequence[Section]
    details: Sequence[Section]
    """What the results rest on: there is room for them side by side."""
    last: Section
    """The command that gives it all again."""

    @property
    def illustrations(self) -> list[Illustration]:
        """All pictures, in order."""
        return [illustration for section in self.sections for illustration in section.illustrations]


def compose(content: Content) -> Report:
    """Put the results of a comparison into words, tables and pictures."""
    results = content.results
    names = ", ".join(printable(network.name) for network in results.networks)
    sections = [_results(results), _curves(results), _pairs(results)]
    if content.robustness:
        sections.append(_conditions(content.robustness))
    return Report(
        language=i18n.language(),
        title=_("{networks} compared on {dataset}").format(networks=names, dataset=_(results.started.dataset_title)),
        warnings=[wording.sample_warning()] if results.started.dataset == "sample" else [],
        verdicts=[comparison_text.verdict(pair) for pair in results.pairs],
        left_out=[comparison_text.left_out(part) for part in results.left_out],
        sections=sections,
        details=[_settings(results), _machine(results.started, content.at_once)],
        last=Section(_("To reproduce it"), command=content.command),
    )


# The sections


def _results(results: Results) -> Section:
    return Section(
        _("Results"), tables=[TitledGrid(comparison_text.networks(results))], notes=comparison_text.notes(results)
    )


def _curves(results: Results) -> Section:
    return Section(_("Curves"), illustrations=[loss_picture(results), accuracy_picture(results)])


def _pairs(results: Results) -> Section:
    return Section(
        _("Pairs"),
        _("Runs of one seed have seen the same images in the same order. McNemar's test counts the images"
          " that only one of two networks gets right; p is the chance of a difference at least as large if"
          " both erred equally often."),
        tables=[TitledGrid(comparison_text.mcnemar(pair), comparison_text.pair_title(pair)) for pair in results.pairs],
    )  # fmt: skip


def _conditions(robustness: Sequence[tuple[str, Sequence[Robustness]]]) -> Section:
    kinds = comparison_text.kinds_of([run for _name, runs in robustness for run in runs])
    return Section(
        _("Harder conditions"),
        _("The same trained networks on changed test images: the accuracy, a mean over the seeds."),
        tables=[TitledGrid(comparison_text.robustness(robustness))],
        illustrations=[condition_picture(kind, robustness) for kind in kinds],
    )


def _settings(results: Results) -> Section:
    started = results.started
    config = started.config
    seeds = sorted({run.seed for network in results.networks for run in network.runs})
    rows = [
        (_("Data"), _data(started)),
        (_("Seeds"), ", ".join(map(str, seeds))),
        (_("Epochs"), number(config.epochs)),
        (_("Batch size"), number(config.batch_size)),
        (_("Adam's learning rate"), _plain_number(config.lr)),
        (_("Precision"), config.precision),
        *((name, text) for name, text in remedies(results) if text),
        (_("Runs"), ", ".join(run.run for network in results.networks for run in network.runs)),
    ]
    return Section(_("Settings"), tables=[TitledGrid(Grid((_("Setting"), _("Value")), tuple(rows), texts=True))])


def _machine(started: RunStarted, at_once: int) -> Section:
    cores = _("{cores} cores").format(cores=machine.usable_cores())
    rows = [
        (_("Device"), f"{started.device} ({printable(started.device_name)})"),
        (_("Processor"), f"{printable(machine.cpu_name())}, {cores}"),
        ("torch", printable(started.torch_version)),
        (_("Threads of each run"), number(started.threads)),
        (_("Runs in parallel"), number(at_once)),
        (_("Written"), datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")),
    ]
    return Section(_("Machine"), tables=[TitledGrid(Grid((_("What"), _("Value")), tuple(rows), texts=True))])


def _data(started: RunStarted) -> str:
    sizes = {"train": number(started.train_size), "test": number(started.test_size)}
    return _("{dataset}: {train} to train, {test} to test").format(dataset=_(started.dataset_title), **sizes)


def remedies(results: Results) -> list[tuple[str, str]]:
    """Return the options that change the exam's training, under their names on the command line, where in use."""
    config = results.started.config
    return [
        ("--dropout", f"{config.dropout:g}" if config.dropout else ""),
        ("--width", f"{config.width:g}" if config.width != 1 else ""),
        *((f"--{name.replace('_', '-')}", _("yes") if getattr(config, name) else "")
          for name in ("batch_norm", "validate", "permute", "exact")),
    ]  # fmt: skip


# Pictures


def loss_picture(results: Results) -> Illustration:
    """Draw the running loss at the end of each epoch: the mean over the seeds, and a band from least to greatest."""
    traces = []
    for network in results.networks:
        epochs = list(zip(*(run.losses for run in network.runs), strict=False))
        traces.append(
            pictures.Trace(
                network.name,
                x=[float(epoch) for epoch in range(1, len(epochs) + 1)],
                y=[sum(losses) / len(losses) for losses in epochs],
                low=[min(losses) for losses in epochs] if len(network.runs) > 1 else (),
                high=[max(losses) for losses in epochs] if len(network.runs) > 1 else (),
            )
        )
    short = _("Loss by epoch")
    caption = _("Training loss by epoch: mean over the seeds, with a min–max band")
    if not _has_several_seeds(results):
        caption = short
    svg = pictures.curves(caption, _("epoch"), _("loss"), traces, _whole, number)
    return Illustration("loss", short, caption, svg)


def accuracy_picture(results: Results) -> Illustration:
    """Draw the accuracy of each seed, and their mean."""
    groups = [
        pictures.Group(
            network.name,
            [run.accuracy for run in network.runs],
            network.accuracy.mean,
            network.accuracy.low,
            network.accuracy.high,
        )
        for network in results.networks
    ]
    short = _("Test accuracy of each seed")
    caption = _("Test accuracy: a dot for each seed, and the mean with its 95% interval")
    if not _has_several_seeds(results):
        caption = short
    return Illustration("accuracy", short, caption, pictures.dots(caption, _("accuracy"), groups, _percent))


def _has_several_seeds(results: Results) -> bool:
    return any(len(network.runs) > 1 for network in results.networks)


def condition_picture(kind: str, robustness: Sequence[tuple[str, Sequence[Robustness]]]) -> Illustration:
    """Draw accuracy by strength, from the images as they are."""
    traces = []
    for name, runs in robustness:
        points = comparison_text.curve_points(
            ((one.condition, one.accuracy) for run in runs for one in run.tested), kind
        )
        traces.append(pictures.Trace(name, [x for x, _y in points], [y for _x, y in points]))
    short = comparison_text.condition_kind(kind)
    caption = _("{condition}: accuracy by strength").format(condition=short)
    svg = pictures.curves(caption, comparison_text.strength_unit(kind), _("accuracy"), traces, _plain_number, _percent)
    return Illustration(kind, short, caption, svg)


def _percent(fraction: float, decimals: int) -> str:
    """Return a share that has so many decimals, in percent."""
    return percent(fraction, max(0, decimals - 2))


def _plain_number(value: float) -> str:
    return f"{value:g}".replace(".", _("."))


def _whole(value: float) -> str:
    """Return a number of epochs; there is no half one."""
    return f"{value:g}" if value == int(value) else ""
