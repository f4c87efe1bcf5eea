"""The results of a comparison as plain grids and sentences in the current language, for a terminal, report or panel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from statistics import fmean
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from core.comparing.intervals import Estimate
from core.comparing.statistics import LeftOut, NetworkResult, Pair, Results
from core.data.conditions import KINDS, Condition, Robustness
from core.messages import Message, fill
from tui_app import i18n, wording
from tui_app.i18n import _, number, percent, printable, say


class Grid(NamedTuple):
    """A table whose first column names the rows; the others hold numbers, or texts if `texts` is set."""

    heading: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    texts: bool = False


def networks(results: Results) -> Grid:
    """Tabulate the results, a column per network."""
    columns = [
        (
            number(network.parameters),
            "–" if network.macs is None else number(network.macs),
            _seeds(network),
            _with_interval(network.accuracy, 100, 2, i18n.percent_sign()),
            _with_interval(network.errors, 1, 1 if len(network.runs) > 1 else 0),
            "–" if network.test_loss is None else _estimate(network.test_loss, 1, 4),
            _estimate(network.seconds_per_epoch, 1, 2),
            _estimate(network.images_per_s, 1, 0),
        )
        for network in results.networks
    ]
    names = (
        _("Parameters"),
        _("Multiply–accumulates per image"),
        _("Seeds"),
        _("Test accuracy"),
        _("Errors"),
        _("Test loss"),
        _("Seconds per epoch"),
        _("Images per second"),
    )
    rows = tuple((name, *cells) for name, *cells in zip(names, *columns, strict=True))
    return Grid((_("Network"), *(printable(network.name) for network in results.networks)), rows)


def notes(results: Results) -> list[str]:
    """Return the notes needed to read the grid of networks."""
    found = []
    if any(len(network.runs) > 1 for network in results.networks):
        found += [
            _("Accuracy and errors: the mean over the seeds, with its 95% interval (Wilson's, for the variance of the"
              " seeds and of the test images together): for images like these and this training set."),
            _("±: half-width of Student's 95% interval of the mean over the seeds."),
        ]  # fmt: skip
    if any(len(network.runs) == 1 for network in results.networks):
        found.append(
            _("One seed: Wilson's 95% interval is for images like these; how much a result depends on the seed is"
              " unknown.")
        )  # fmt: skip
    if any(len(pair.seeds) == 2 for pair in results.pairs):
        found.append(_("Two seeds: the 95% interval may be too short; at worst it holds the truth in 9 of 10 cases."))
    total = results.networks[0].runs[0].total
    found.append(_("Errors out of {total} test images.").format(total=number(total)))
    found.append(_times_note(results))
    if len(results.processors) > 1:
        found.append(
            _("The runs were trained on different processors, whose arithmetic may differ a little, and whose times do"
              " not compare: {processors}.").format(processors=", ".join(map(printable, results.processors)))
        )  # fmt: skip
    if len(results.torch_versions) > 1:
        found.append(
            _("The runs were trained with different versions of torch, whose arithmetic may differ a little:"
              " {versions}.").format(versions=", ".join(map(printable, results.torch_versions)))
        )  # fmt: skip
    if len(results.pairs) > 1:
        found.append(
            _("Each interval holds for its own pair, not for all {pairs} at once.").format(pairs=len(results.pairs))
        )
    return found + [left_out(part) for part in results.left_out]


def _times_note(results: Results) -> str:
    side_by_side = _("Times: one run at a time.")
    if results.together:
        text = _("Times: {runs} of these runs were trained together with others, and have the time of all.")
        side_by_side = text.format(runs=results.together)
    elif results.side_by_side > 1:
        side_by_side = _("Times: up to {runs} of these runs side by side; a run alone is faster.").format(
            runs=results.side_by_side
        )
    warm_up = _("The first epoch, which warms up, is not counted.")
    if any(len(run.losses) == 1 for network in results.networks for run in network.runs):
        warm_up = _("The only epoch is the one that warms up.")
    return f"{side_by_side} {warm_up}"


def pair_title(pair: Pair) -> str:
    """Return a pair's names and difference: `RN_1 − RN_2: −2.31 points of accuracy (95% interval −2.50 to −2.12)`."""
    title = f"{printable(pair.first)} − {printable(pair.second)}"
    difference = pair.difference
    if difference is None:
        return title
    text = _("{pair}: {difference} points of accuracy").format(pair=title, difference=_signed(difference.mean))
    if difference.low is None or difference.high is None:
        return text
    interval = _("(95% interval {low} to {high})")
    return f"{text} {interval.format(low=_signed(difference.low), high=_signed(difference.high))}"


def variance(pair: Pair) -> str:
    """Return what the interval of a pair's difference is made of; an empty text without an interval."""
    if pair.parts is None:
        return ""
    text = _("Standard error {total} points: {seeds} from the seeds (more of them make it smaller), {images} from the"
             " test images (only more images do).")  # fmt: skip
    parts = pair.parts
    images = max(0.0, parts.images - parts.residual)  # the seeds' part has the interaction already
    errors = {"total": parts.total, "seeds": min(parts.seeds, parts.total), "images": images}
    return text.format(**{name: number(100 * math.sqrt(value), 3) for name, value in errors.items()})


def mcnemar(pair: Pair) -> Grid:
    """Tabulate a pair's exact McNemar tests, a row per seed, and the one test over all of them."""
    first, second = printable(pair.first), printable(pair.second)
    heading = (
        _("Seed"),
        _("both right"),
        _("only {network} right").format(network=first),
        _("only {network} right").format(network=second),
        _("both wrong"),
        _("McNemar's p"),
    )
    rows = [
        (
            str(test.seed),
            number(test.both_right),
            number(test.only_first_right),
            number(test.only_second_right),
            number(test.both_wrong),
            p_value(test.p),
        )
        for test in pair.mcnemar
    ]
    if len(rows) > 1 and pair.p is not None:
        rows.append((_("all, in one test"), "", "", "", "", p_value(pair.p)))
    return Grid(heading, tuple(rows))


def verdict(pair: Pair) -> str:
    """Return the verdict on a pair in sentences, fractions with two decimals."""
    return " ".join(_sentence(message) for message in pair.verdict)


def verdicts(pair: Pair, until_decided: bool) -> list[str]:
    """Return the verdict, after the decision on these test images if seeds were added until there was one."""
    if not until_decided:
        return [verdict(pair)]
    fixed = _("With this number of seeds fixed beforehand, one would say:")
    return [" ".join(_sentence(message) for message in pair.decision_text), f"{fixed} {verdict(pair)}"]


def _sentence(message: Message) -> str:
    values = {name: _value(name, value) for name, value in message.values.items()}
    return fill(_(message.text), values)


def _value(name: str, value: str | float) -> str:
    if isinstance(value, str):
        return printable(value)
    if name == "margin":
        return i18n.short(value)
    return number(value, 2 if isinstance(value, float) else 0).replace("-", "−")


def left_out(part: LeftOut) -> str:
    """Explain why a run is left out: `RN_2, seed 3 is left out: …`."""
    text = _("{network}, seed {seed} is left out: {why}")
    return text.format(network=printable(part.name), seed=part.config.seed, why=say(part.why))


def p_value(p: float) -> str:
    return f"< {number(0.0001, 4)}" if p < 0.0001 else number(p, 4)


def _seeds(network: NetworkResult) -> str:
    """Return the number of seeds, and of those that the means leave out."""
    seeds = str(len(network.runs))
    return (
        _("{seeds} ({left_out} left out)").format(seeds=seeds, left_out=network.left_out) if network.left_out else seeds
    )


def _estimate(value: Estimate, factor: float, decimals: int) -> str:
    text = number(factor * value.mean, decimals)
    return text if value.half_width is None else f"{text} ± {number(factor * value.half_width, decimals)}"


def _with_interval(value: Estimate, factor: float, decimals: int, sign: str = "") -> str:
    """Format a mean with the ends of its interval, which need not lie equally far from it."""
    mean = number(factor * value.mean, decimals) + sign
    if value.low is None or value.high is None:
        return mean
    ends = (number(factor * end, decimals) for end in (value.low, value.high))
    return f"{mean} ({'–'.join(ends)})"


def _signed(fraction: float) -> str:
    """Format a fraction as percentage points with their sign."""
    points = round(100 * fraction, 4)  # as in the verdict, so that both round alike
    return ("+" if points > 0 else "−" if points < 0 else "") + number(abs(points), 2)


# Conditions


def condition_kind(kind: str) -> str:
    return {"shift": _("Shifted"), "turn": _("Rotated"), "noise": _("Noise")}[kind]


def condition_name(condition: Condition | None) -> str:
    """Name a condition: `shifted by 2 px`, `rotated by 15°`, `noise 0.3`; None is the unchanged images."""
    if condition is None:
        return _("as they are")
    strength = i18n.short(condition.strength)
    texts = {
        "shift": _("shifted by {strength} px"),
        "turn": _("rotated by {strength}°"),
        "noise": _("noise {strength}"),
    }
    return texts[condition.kind].format(strength=strength)


def robustness(named: Sequence[tuple[str, Sequence[Robustness]]]) -> Grid:
    """Tabulate the accuracy under each condition: a column per name, with the mean over its runs."""
    conditions = [tested.condition for tested in named[0][1][0].tested]
    means = [
        [fmean(run.tested[position].accuracy for run in runs) for _name, runs in named]
        for position in range(len(conditions))
    ]
    return by_condition([printable(name) for name, _runs in named], list(zip(conditions, means, strict=True)))


def by_condition(
    names: Sequence[str], rows: Sequence[tuple[Condition | None, Sequence[float | None]]], unknown: str = ""
) -> Grid:
    """Tabulate accuracies from 0 to 1, a row per condition, a column per name; None stands for one not yet known."""
    cells = tuple(
        (condition_name(condition), *(unknown if value is None else percent(value) for value in values))
        for condition, values in rows
    )
    return Grid((_("Test images"), *names), cells)


def curve_points(tested: Iterable[tuple[Condition | None, float]], kind: str) -> list[tuple[float, float]]:
    """Return (strength, mean accuracy) for one kind of condition; strength 0 is the unchanged images."""
    points: dict[float, list[float]] = {}
    for condition, accuracy in tested:
        if condition is None or condition.kind == kind:
            points.setdefault(condition.strength if condition is not None else 0.0, []).append(accuracy)
    return [(strength, fmean(points[strength])) for strength in sorted(points)]


def strength_unit(kind: str) -> str:
    return {"shift": _("pixels"), "turn": _("degrees"), "noise": _("standard deviation, 1 = white")}[kind]


def kinds_of(runs: Sequence[Robustness]) -> list[str]:
    """Return the kinds of condition that runs were tested under."""
    there = {tested.condition.kind for run in runs for tested in run.tested if tested.condition is not None}
    return [kind for kind in KINDS if kind in there]


# On a terminal


def as_table(grid: Grid, colours: Sequence[str] = ()) -> Table:
    """Lay out a grid; `colours` are those of the signs with which the headings after the first begin."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for heading, colour in zip_longest(grid.heading, ("", *colours), fillvalue=""):
        # A configuration's settings go on lines of their own, so that several fit; nothing is ever cut.
        text = Text(heading.replace("+", "\n+"))
        text.stylize(colour, 0, 1)
        table.add_column(text, justify="right" if table.columns else "left", overflow="fold")
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def answer(results: Results) -> RenderableType:
    """Lay out the whole answer of a comparison."""
    parts: list[RenderableType] = []
    if results.started.dataset == "sample":
        parts += [Text(wording.sample_warning(), style="bold"), Text("")]
    for pair in results.pairs:
        parts += [Text(verdict(pair), style="bold"), Text("")]
    parts += [as_table(networks(results)), Text("")]
    parts += [Text(note) for note in notes(results)]
    for pair in results.pairs:
        parts += [
            Text(""),
            Text(pair_title(pair)),
            *([Text(variance(pair))] if pair.parts else []),
            as_table(mcnemar(pair)),
        ]
    return Group(*parts)
