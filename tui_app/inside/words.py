"""What a look inside a network says beside its pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual.content import Content

from core.inspecting.views import LayerView, ValueView
from core.worker.protocol import Inspected, NearestFound, Occluded
from tui_app.i18n import _, ngettext, number, printable
from tui_app.inside.cards import CardLine
from tui_app.inside.formulas import Written, share_text, value_text, written

_TERM_CELLS = 16
"""Cells that a term of a sum takes, at most."""
_SUM_LINES = 3


def title(run_id: str, network: str, answer: Inspected) -> str:
    """Say which network looks at which image, when in its training, and what it makes of it."""
    picture = answer.request.picture
    if picture.index is not None:
        image = _("test image {number}").format(number=number(picture.index))
    else:
        image = _("a picture") if picture.path else _("a drawing")
    parts = [f"{run_id} {network}", image, verdict(answer)]
    moment = next((each for each in answer.moments if each.name == answer.request.moment), None)
    if moment is not None and len(answer.moments) > 1:
        text = _("epoch {epoch}, batch {step} (moment {position} of {count})")
        position = 1 + [each.name for each in answer.moments].index(moment.name)
        parts.append(
            text.format(epoch=moment.epoch, step=number(moment.step), position=position, count=len(answer.moments))
        )
    if not answer.is_double:
        parts.append(_("computed in single precision"))
    return " · ".join(parts)


def verdict(answer: Inspected) -> str:
    """Say what an image is, what it is taken for, and how wrong that is."""
    best = answer.best
    taken, share = _class_name(answer, best), share_text(answer.probabilities[best])
    if answer.label is None or answer.loss is None:
        return _("taken for {name} (p = {probability})").format(name=taken, probability=share)
    if answer.label == best:
        text = _("{label}, recognised (p = {probability}), loss {loss}")
    else:
        text = _("{label} (p = {own}), taken for {name} (p = {probability}), loss {loss}")
    return text.format(
        label=_class_name(answer, answer.label),
        own=share_text(answer.probabilities[answer.label]),
        name=taken,
        probability=share,
        loss=value_text(answer.loss),
    )


def bars(answer: Inspected, width: int, *, plain: bool) -> list[str]:
    """Return a line for each class, with a bar for its probability and the probability, in so many columns."""
    names = [_class_name(answer, at) for at in range(len(answer.probabilities))]
    for_name = min(width // 3, max(map(len, names), default=1))
    room = max(1, width - for_name - 8)
    lines = []
    for name, probability in zip(names, answer.probabilities, strict=True):
        length = round(room * probability) if math.isfinite(probability) else 0
        bar = ("#" if plain else "█") * length
        lines.append(f"{name[:for_name]:{for_name}} {bar:{room}} {Written(probability, 4)}")
    return lines


def answers_of(ways: Sequence[Inspected], width: int, height: int, *, plain: bool) -> Content:
    """Return the probabilities of the classes as bars, for one run or for two side by side, the greatest if few fit."""
    columns = []
    greatest = [max(each) for each in zip(*(way.probabilities for way in ways), strict=False)]
    labels = [way.label for way in ways]
    kept = sorted(range(len(greatest)), key=lambda at: (at not in labels, -greatest[at]))[: max(1, height)]
    for way in ways:
        room = (width - len(ways) + 1) // len(ways)
        lines, best = bars(way, room, plain=plain), way.best
        columns.append(
            [
                Content.styled(line, "bold $text-success" if at == way.label else "bold" if at == best else "")
                for at, line in enumerate(lines)
                if at in kept
            ]
        )
    return Content("\n").join(Content(" ").join(row) for row in zip(*columns, strict=False))


def occlusion(found: Occluded, answer: Inspected, *, is_colourless: bool) -> str:
    """Say what hiding a place of the image does to the answer."""
    worst = min(range(len(found.probabilities)), key=found.log_odds.__getitem__)
    signs = _("Why {name}? Orange places speak for it, blue ones against it.")
    if is_colourless:
        signs = _("Why {name}? Signs (.:-=+*#%@) speak for it, letters (,;~ioaeXM) against it.")
    tried = _(
        "A square of 4×4 pixels is hidden at each place in turn. p of the whole image: {whole}; hidden around"
        " row {row}, column {column} (counted from 0): {hidden}."
    )
    text = f"{signs} {tried}"
    row, column = divmod(worst, found.side)
    step = 28 // found.side
    return text.format(
        name=_class_name(answer, found.request.chosen),
        whole=share_text(found.whole_probability),
        row=row * step,
        column=column * step,
        hidden=share_text(found.probabilities[worst]),
    )


def neighbours(found: NearestFound, answer: Inspected) -> str:
    """Say how many of the nearest training images have which label."""
    labels = [each.label for each in found.neighbours]
    counts = sorted(((labels.count(label), label) for label in set(labels)), reverse=True)
    shown = ", ".join(f"{count}× {_class_name(answer, label)}" for count, label in counts)
    text = _("Labels of the nearest: {labels}.").format(labels=shown)
    if answer.label is not None and counts and counts[0][1] != answer.label and 2 * counts[0][0] > len(labels):
        own = _("Most have another label than this image, {label}: its label in the data set may be wrong.")
        text += " " + own.format(label=_class_name(answer, answer.label))
    return text


def lines(card: Sequence[CardLine]) -> Content:
    """Return the lines of a card, their headings in bold."""
    found = []
    for line in card:
        heading = _("{heading}:").format(heading=line.heading) if line.heading else ""
        head = Content.styled(f"{heading} ", "bold") if heading else Content("")
        found.append(Content.assemble(head, line.text))
    return Content("\n").join(found)


def value(view: LayerView, seen: ValueView | None, width: int) -> Content:
    """Return how a value comes about, and what it sees of the image."""
    if seen is None:
        return Content("…")
    place = ", ".join(map(str, seen.place))
    head = Content.styled(f"{printable(view.name)}[{place}] ≈ {value_text(seen.value)}", "bold")
    parts = [Content.assemble(head, _named(view, seen))]
    if seen.formula is None:
        parts.append(Content(_("How this value comes about is not known: it is shown as the network computed it.")))
    else:
        text, notes = written(seen.formula, seen.value, max(3, _SUM_LINES * width // _TERM_CELLS))
        parts += [Content(text), *([Content(" · ".join(notes))] if notes else [])]
    if seen.before_name is None:
        parts.append(Content(_("The input comes from other code of the network, and is shown as it came.")))
    parts.append(Content(_field(seen)))
    return Content("\n").join(parts)


def _named(view: LayerView, seen: ValueView) -> str:
    """Say what the indices of a value are, and which picture of the layer's input is beside it."""
    text = ""
    if len(seen.place) == 3:
        channel, row, column = seen.place
        text = "  " + _("(channel {channel}, row {row}, column {column}, counted from 0)").format(
            channel=channel, row=row, column=column
        )
    if view.kind.text == "dropout":
        text += "  " + _("(in a test; in training 0, or scaled up)")
    if seen.before is not None and seen.num_before > 1 and seen.formula is not None and seen.formula.kind == "sum":
        beside = _("Beside it the channel of the input that contributes most, {channel} of {count}.")
        text += "\n" + beside.format(channel=seen.before.channel, count=seen.num_before)
    return text


def _field(seen: ValueView) -> str:
    count = sum(seen.receptive_field)
    if not seen.is_field_known:
        return _("Which pixels of the image it depends on is being found…")
    if not seen.receptive_field:
        return _("Which pixels of the image it depends on cannot be told.")
    if count == len(seen.receptive_field):
        return _("It depends on the whole image.")
    text = ngettext(
        "It depends on {count} pixel of the image, which is marked there.",
        "It depends on {count} pixels of the image, which are marked there.",
        count,
    )
    return text.format(count=number(count))


def _class_name(answer: Inspected, label: int) -> str:
    return printable(answer.class_names[label]) if label < len(answer.class_names) else str(label)
