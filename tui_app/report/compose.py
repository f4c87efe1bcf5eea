"""A comparison's report: one HTML file with its pictures in it, or Markdown with its pictures beside it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Protocol

from core import files, machine
from core.comparing.statistics import Results
from core.data.conditions import Robustness
from core.messages import N_, InvalidSetting, Problem, reason
from core.runs.events import RunStarted
from tui_app import comparison_text as view
from tui_app import i18n
from tui_app.comparison_text import Grid
from tui_app.i18n import _, number, percent, printable
from tui_app.report import pictures

ENDINGS = (".html", ".md")


@dataclass(frozen=True)
class Content:
    """What a report is made of. `robustness`: each network's name and its tested runs; empty where none were asked."""

    results: Results
    command: str
    at_once: int
    robustness: Sequence[tuple[str, Sequence[Robustness]]] = ()


def check(path: Path) -> None:
    """That a report can be written there: before hours of training, not after. Raises `Problem`."""
    if path.suffix.lower() not in ENDINGS:
        raise InvalidSetting("report", "a report ends in .md or .html, not {path}", path=str(path))
    try:
        if path.is_dir():
            raise IsADirectoryError(21, N_("Is a directory"))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as error:
        raise _unwritable(path, error) from error


def write(path: Path, content: Content) -> list[Path]:
    """The files written. Raises `Problem`."""
    page: _Html | _Markdown = _Html() if path.suffix.lower() == ".html" else _Markdown(path.stem)
    _compose(page, content)
    written = {path: page.text(), **{path.with_name(name): picture for name, picture in page.pictures.items()}}
    for file, text in written.items():
        encoded = text.encode("utf-8", errors="replace")
        try:
            files.replace(file, lambda out, encoded=encoded: out.write(encoded))  # type: ignore[misc]
        except OSError as error:
            raise _unwritable(file, error) from error
    return list(written)


def _unwritable(path: Path, error: OSError) -> Problem:
    return Problem("the report {path} cannot be written: {reason}", path=str(path), reason=reason(error))


class _Page(Protocol):
    def title(self, text: str) -> None: ...
    def heading(self, text: str) -> None: ...
    def paragraph(self, text: str, *, strong: bool = False) -> None: ...
    def grid(self, grid: Grid) -> None: ...
    def picture(self, name: str, alternative: str, picture: str) -> None: ...
    def code(self, text: str) -> None: ...


def _compose(page: _Page, content: Content) -> None:
    results = content.results
    names = ", ".join(printable(network.name) for network in results.networks)
    page.title(_("{networks} compared on {dataset}").format(networks=names, dataset=_(results.started.dataset_title)))
    if results.started.dataset == "sample":
        page.paragraph(_sample_warning(), strong=True)
    for pair in results.pairs:
        page.paragraph(view.verdict(pair), strong=True)
    for part in results.left_out:
        page.paragraph(view.left_out(part))
    page.heading(_("Results"))
    page.grid(view.networks(results))
    for note in view.notes(results):
        page.paragraph(note)
    _compose_pairs(page, results)
    page.heading(_("Curves"))
    page.picture("loss", _("Loss by epoch"), loss_picture(results))
    page.picture("accuracy", _("Test accuracy of each seed"), accuracy_picture(results))
    if content.robustness:
        _compose_conditions(page, content.robustness)
    _compose_settings(page, content)


def _compose_pairs(page: _Page, results: Results) -> None:
    page.heading(_("Pairs"))
    page.paragraph(_("Runs of one seed have seen the same images in the same order. McNemar's test counts the images"
                     " that only one of two networks gets right; p is the chance of a difference at least as large if"
                     " both erred equally often."))  # fmt: skip
    for pair in results.pairs:
        page.paragraph(view.pair_title(pair))
        page.grid(view.mcnemar(pair))


def _compose_conditions(page: _Page, robustness: Sequence[tuple[str, Sequence[Robustness]]]) -> None:
    page.heading(_("Harder conditions"))
    page.paragraph(_("The same trained networks on changed test images: the accuracy, a mean over the seeds."))
    page.grid(view.robustness(robustness))
    for kind in view.kinds_of([run for _name, runs in robustness for run in runs]):
        page.picture(kind, view.condition_kind(kind), condition_picture(kind, robustness))


def _compose_settings(page: _Page, content: Content) -> None:
    results = content.results
    started = results.started
    config = started.config
    seeds = sorted({run.seed for network in results.networks for run in network.runs})
    rows = [
        (_("Data"), _data(started)),
        (_("Seeds"), ", ".join(map(str, seeds))),
        (_("Epochs"), number(config.epochs)),
        (_("Batch size"), number(config.batch_size)),
        (_("Adam's learning rate"), f"{config.lr:g}".replace(".", _("."))),
        (_("Precision"), config.precision),
        *((name, text) for name, text in remedies(results) if text),
        (_("Runs"), ", ".join(run.run for network in results.networks for run in network.runs)),
    ]
    page.heading(_("Settings"))
    page.grid(Grid((_("Setting"), _("Value")), tuple(rows), texts=True))
    page.heading(_("Machine"))
    device = f"{started.device} ({printable(started.device_name)})"
    rows = [
        (_("Device"), device),
        (
            _("Processor"),
            f"{printable(machine.cpu_name())}, " + _("{cores} cores").format(cores=machine.usable_cores()),
        ),
        ("torch", printable(started.torch_version)),
        (_("Threads of each run"), number(started.threads)),
        (_("Runs side by side"), number(content.at_once)),
        (_("Written"), datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z")),
    ]
    page.grid(Grid((_("What"), _("Value")), tuple(rows), texts=True))
    page.heading(_("To do it again"))
    page.code(content.command)


def _data(started: RunStarted) -> str:
    sizes = {"train": number(started.train_size), "test": number(started.test_size)}
    return _("{dataset}: {train} to train, {test} to test").format(dataset=_(started.dataset_title), **sizes)


def remedies(results: Results) -> list[tuple[str, str]]:
    """The options that change the exam's training, under their names on the command line, where they are in use."""
    config = results.started.config
    return [
        ("--dropout", f"{config.dropout:g}" if config.dropout else ""),
        ("--width", f"{config.width:g}" if config.width != 1 else ""),
        *((f"--{name.replace('_', '-')}", _("yes") if getattr(config, name) else "")
          for name in ("batch_norm", "validate", "permute", "exact")),
    ]  # fmt: skip


def _sample_warning() -> str:
    from tui_app.wording import sample_warning

    return sample_warning()


# Pictures


def loss_picture(results: Results) -> str:
    """The running loss at the end of each epoch: the mean over the seeds, and a band from the least to the greatest."""
    series = []
    for network in results.networks:
        epochs = list(zip(*(run.losses for run in network.runs), strict=False))
        series.append(
            pictures.Series(
                network.name,
                x=[float(epoch) for epoch in range(1, len(epochs) + 1)],
                y=[sum(losses) / len(losses) for losses in epochs],
                low=[min(losses) for losses in epochs] if len(network.runs) > 1 else (),
                high=[max(losses) for losses in epochs] if len(network.runs) > 1 else (),
            )
        )
    title = _("Training loss by epoch: mean over the seeds, and from the least to the greatest")
    if not _has_several_seeds(results):
        title = _("Loss by epoch")
    return pictures.curves(title, _("epoch"), _("loss"), series, _whole, lambda y: number(y, 3))


def accuracy_picture(results: Results) -> str:
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
    title = _("Test accuracy: a dot for each seed, and the mean with its 95% interval")
    if not _has_several_seeds(results):
        title = _("Test accuracy of each seed")
    return pictures.dots(title, _("accuracy"), groups, lambda y: percent(y, 2))


def _has_several_seeds(results: Results) -> bool:
    return any(len(network.runs) > 1 for network in results.networks)


def condition_picture(kind: str, robustness: Sequence[tuple[str, Sequence[Robustness]]]) -> str:
    """Accuracy by strength, from the images as they are."""
    series = []
    for name, runs in robustness:
        points = view.curve_points(((one.condition, one.accuracy) for run in runs for one in run.tested), kind)
        series.append(pictures.Series(name, [x for x, _y in points], [y for _x, y in points]))
    title = _("{condition}: accuracy by strength").format(condition=view.condition_kind(kind))
    return pictures.curves(
        title, view.strength_unit(kind), _("accuracy"), series, _plain_number, lambda y: percent(y, 0)
    )


def _plain_number(value: float) -> str:
    return f"{value:g}".replace(".", _("."))


def _whole(value: float) -> str:
    """There is no half epoch."""
    return f"{value:g}" if value == int(value) else ""


# Two ways to write it


class _Html:
    pictures: dict[str, str] = {}  # noqa: RUF012 - they are in the text

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._title = ""

    def title(self, text: str) -> None:
        self._title = escape(printable(text))
        self._parts.append(f"<h1>{self._title}</h1>")

    def heading(self, text: str) -> None:
        self._parts.append(f"<h2>{escape(printable(text))}</h2>")

    def paragraph(self, text: str, *, strong: bool = False) -> None:
        inner = escape(printable(text))
        self._parts.append(f"<p><strong>{inner}</strong></p>" if strong else f"<p>{inner}</p>")

    def grid(self, grid: Grid) -> None:
        def row(tag: str, cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(printable(cell))}</{tag}>" for cell in cells) + "</tr>"

        rows = "\n".join(row("td", cells) for cells in grid.rows)
        table = f"<table>\n<thead>{row('th', grid.heading)}</thead>\n<tbody>{rows}</tbody>\n</table>"
        self._parts.append(f'<div class="wide{" texts" if grid.texts else ""}">{table}</div>')

    def picture(self, name: str, alternative: str, picture: str) -> None:
        self._parts.append(f"<figure>{picture}</figure>")

    def code(self, text: str) -> None:
        self._parts.append(f"<pre><code>{escape(printable(text))}</code></pre>")

    def text(self) -> str:
        head = (
            f'<!DOCTYPE html>\n<html lang="{i18n.language()}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width">\n'
            f"<title>{self._title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        )
        return head + "\n".join(self._parts) + "\n</body>\n</html>\n"


_STYLE = """
:root { color-scheme: light dark; }
body { font-family: sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.5; }
h1, p, th { overflow-wrap: anywhere; } th { min-width: 5rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.75rem; border-bottom: 1px solid #8886; text-align: right; vertical-align: top; }
td { white-space: nowrap; } .texts td { white-space: normal; overflow-wrap: anywhere; }
th:first-child, td:first-child, .texts th, .texts td { text-align: left; }
figure { margin: 1rem 0; } svg { max-width: 100%; height: auto; }
pre { background: #8882; padding: 0.75rem; overflow-x: auto; }
@media print {
  body { max-width: none; margin: 0; }
  h2 { break-after: avoid; } figure, table, pre { break-inside: avoid; }
  .wide { overflow: visible; } pre { white-space: pre-wrap; overflow-wrap: anywhere; }
}
"""


class _Markdown:
    def __init__(self, stem: str) -> None:
        self._stem = stem
        self._parts: list[str] = []
        self.pictures: dict[str, str] = {}

    def title(self, text: str) -> None:
        self._parts.append(f"# {_plain(text)}")

    def heading(self, text: str) -> None:
        self._parts.append(f"## {_plain(text)}")

    def paragraph(self, text: str, *, strong: bool = False) -> None:
        self._parts.append(f"**{_plain(text)}**" if strong else _plain(text))

    def grid(self, grid: Grid) -> None:
        def row(cells: Sequence[str]) -> str:
            return "| " + " | ".join(_plain(cell) for cell in cells) + " |"

        rule = "| --- |" + (" --- |" if grid.texts else " ---: |") * (len(grid.heading) - 1)
        self._parts.append("\n".join([row(grid.heading), rule, *map(row, grid.rows)]))

    def picture(self, name: str, alternative: str, picture: str) -> None:
        file = f"{self._stem}-{name}.svg"
        self.pictures[file] = picture
        self._parts.append(f"![{_plain(alternative)}](<{_in_brackets(file)}>)")

    def code(self, text: str) -> None:
        text = printable(text)
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
        self._parts.append(f"{fence}sh\n{text}\n{fence}")

    def text(self) -> str:
        return "\n\n".join(self._parts) + "\n"


def _plain(text: str) -> str:
    """Text that Markdown, and HTML within it, takes for nothing else."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", printable(text))
    return re.sub(r"^(\s*\d*)([-+=.)])", r"\1\\\2", escaped)  # at its start: a list, or a rule


def _in_brackets(file: str) -> str:
    """A link's target between < and >."""
    return re.sub(r"([\\<>])", r"\\\1", file)
