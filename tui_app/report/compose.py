"""Text, tables and pictures of a comparison's report, in the current language; `pages` writes them down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from core import machine
from core.comparing.statistics import Pair, Results
from core.config import RECORDING
from core.data.conditions import Robustness
from core.runs.events import RunStarted
from tui_app import comparison_text, i18n, wording
from tui_app.comparison_text import Grid
from tui_app.i18n import _, number, percent, printable
from tui_app.report import pictures
from tui_app.settings import changed_settings, option, written


@dataclass(frozen=True)
class Content:
    """The input of a report. `robustness` has each network's name and its tested runs; it may be empty."""

    results: Results
    command: str
    robustness: Sequence[tuple[str, Sequence[Robustness]]] = ()
    until_decided: bool = False
    """True if seeds were added until there was a decision."""


@dataclass(frozen=True)
class Illustration:
    """A picture, a short description of it, and the caption under it."""

    name: str
    """Part of the name of its file, if it gets one."""
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
    """A section of the report, its parts in the order in which they appear."""

    heading: str
    introduction: str = ""
    tables: Sequence[TitledGrid] = ()
    notes: Sequence[str] = ()
    illustrations: Sequence[Illustration] = ()
    command: str = ""


@dataclass(frozen=True)
class Report:
    """A whole report, in order. Its texts may hold anything: each page format escapes them in its own way."""

    language: str
    title: str
    warnings: Sequence[str]
    verdicts: Sequence[str]
    sections: Sequence[Section]
    details: Sequence[Section]
    """Sections on what the results rest on, short enough to stand side by side."""
    last: Section
    """Section with the command that reproduces the report."""

    @property
    def illustrations(self) -> list[Illustration]:
        """Return all pictures, in order."""
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
        verdicts=[text for pair in results.pairs for text in comparison_text.verdicts(pair, content.until_decided)],
        sections=sections,
        details=[_settings(results), _machine(results)],
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
          " both erred equally often.")
        + " "
        + _("How many seeds' tests are significant proves nothing: they share the images. The test over all seeds is a"
            " single one: on each image, the two networks might as well be swapped, for all seeds at once. It is about"
            " the networks as trained; the interval is about other seeds and other images too."),
        tables=[TitledGrid(comparison_text.mcnemar(pair), _pair_title(pair)) for pair in results.pairs],
    )  # fmt: skip


def _pair_title(pair: Pair) -> str:
    return " ".join(filter(None, (comparison_text.pair_title(pair) + ".", comparison_text.variance(pair))))


def _conditions(robustness: Sequence[tuple[str, Sequence[Robustness]]]) -> Section:
    kinds = comparison_text.kinds_of([run for _name, runs in robustness for run in runs])
    return Section(
        _("Harder conditions"),
        _("The same trained networks on changed test images: the accuracy, a mean over the seeds."),
        tables=[TitledGrid(comparison_text.robustness(robustness))],
        illustrations=[condition_picture(kind, robustness) for kind in kinds],
    )


_IN_ROWS_OF_THEIR_OWN = RECORDING.union(
    {"model", "device", "seed", "threads", "data_dir", "dataset", "epochs", "batch_size", "lr", "precision"}
)


def _settings(results: Results) -> Section:
    started = results.started
    own_rows = {
        "epochs": _("Epochs"),
        "batch_size": _("Batch size"),
        "lr": _("Adam's learning rate"),
        "precision": _("Precision"),
    }
    differing = [name for name in results.differing if name not in own_rows]
    seeds = sorted({run.seed for network in results.networks for run in network.runs})
    rows = [
        (_("Data"), _data(started)),
        (_("Seeds"), ", ".join(map(str, seeds))),
        *((label, _values(results, name)) for name, label in own_rows.items()),
        *changed_settings(started.config, _IN_ROWS_OF_THEIR_OWN.union(differing)),
        *((option(name), _values(results, name)) for name in differing),
        (_("Runs"), ", ".join(run.run for network in results.networks for run in network.runs)),
    ]
    return Section(_("Settings"), tables=[TitledGrid(Grid((_("Setting"), _("Value")), tuple(rows), texts=True))])


def _values(results: Results, name: str) -> str:
    """Return the most common value of a setting, with the networks that have another: `0.001 (RN_2+lr=0.01: 0.01)`."""
    values = [network.settings[name] for network in results.networks]
    common = max(values, key=values.count)
    others = [
        f"{printable(network.name)}: {_value(value)}"
        for network, value in zip(results.networks, values, strict=True)
        if value != common
    ]
    return f"{_value(common)} ({', '.join(others)})" if others else _value(common)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return number(value) if isinstance(value, int) else written(value)


def _machine(results: Results) -> Section:
    started = results.started
    cores = _("{cores} cores").format(cores=machine.usable_cores())
    rows = [
        (_("Device"), f"{started.device} ({', '.join(map(printable, results.processors))})"),
        (_("Processor"), f"{printable(machine.cpu_name())}, {cores}"),
        ("torch", ", ".join(map(printable, results.torch_versions))),
        (_("Threads of each run"), number(started.threads)),
        (_("Runs in parallel"), number(results.side_by_side)),
        (_("Written"), datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")),
    ]
    return Section(_("Machine"), tables=[TitledGrid(Grid((_("What"), _("Value")), tuple(rows), texts=True))])


def _data(started: RunStarted) -> str:
    sizes = {"train": number(started.train_size), "test": number(started.test_size)}
    return _("{dataset}: {train} to train, {test} to test").format(dataset=_(started.dataset_title), **sizes)


# Pictures


def loss_picture(results: Results) -> Illustration:
    """Draw the running loss at the end of each epoch: the mean over the seeds, with a min–max band."""
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
    """Draw the accuracy of each seed and their mean."""
    groups = [
        pictures.Group(
            network.name,
            [run.accuracy for run in network.runs],
            network.accuracy.mean,
            *((network.accuracy.low, network.accuracy.high) if len(network.runs) > 1 else ()),
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
    """Draw accuracy by strength, starting with the unchanged images."""
    traces = []
    for name, runs in robustness:
        points = comparison_text.curve_points(
            ((one.condition, one.accuracy) for run in runs for one in run.tested), kind
        )
        traces.append(pictures.Trace(name, [x for x, _y in points], [y for _x, y in points]))
    short = comparison_text.condition_kind(kind)
    caption = _("{condition}: accuracy by strength").format(condition=short)
    svg = pictures.curves(caption, comparison_text.strength_unit(kind), _("accuracy"), traces, i18n.short, _percent)
    return Illustration(kind, short, caption, svg)


def _percent(fraction: float, decimals: int) -> str:
    """Format a share in percent; `decimals` is the number of decimals of the share itself."""
    return percent(fraction, max(0, decimals - 2))


def _whole(value: float) -> str:
    """Format a number of epochs; return an empty text if it is not whole."""
    return f"{value:g}" if value == int(value) else ""
