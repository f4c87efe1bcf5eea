"""What a look inside a network says beside its pictures."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.inspecting.views import LayerView, ValueView
from core.worker.protocol import Inspected, NearestFound, Occluded
from tui_app.charts import answer as answers
from tui_app.i18n import _, ngettext, number, percent, printable
from tui_app.inside.cards import CardLine
from tui_app.inside.formulas import value_text, written

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
        text = _("epoch {epoch}, batch {step} ({position} of {count})")
        position = 1 + [each.name for each in answer.moments].index(moment.name)
        parts.append(
            text.format(epoch=moment.epoch, step=number(moment.step), position=position, count=len(answer.moments))
        )
    if not answer.is_double:
        parts.append(_("computed in single precision"))
    return " · ".join(parts)


def verdict(answer: Inspected) -> str:
    """Say what an image is, what it is taken for, and how wrong that is."""
    best = max(range(len(answer.probabilities)), key=answer.probabilities.__getitem__, default=0)
    taken, share = _class_name(answer, best), percent(answer.probabilities[best])
    if answer.label is None or answer.loss is None:
        return _("taken for {name} ({probability})").format(name=taken, probability=share)
    if answer.label == best:
        text = _("{label}, recognised ({probability}), loss {loss}")
    else:
        text = _("{label}, taken for {name} ({probability}), loss {loss}")
    return text.format(
        label=_class_name(answer, answer.label), name=taken, probability=share, loss=value_text(answer.loss)
    )


def answers_of(ways: Sequence[Inspected], width: int, height: int, *, plain: bool) -> Content:
    """Return the probabilities of the classes as bars, for one run or for two side by side, the greatest if few fit."""
    columns = []
    greatest = [max(each) for each in zip(*(way.probabilities for way in ways), strict=False)]
    kept = sorted(sorted(range(len(greatest)), key=lambda at: -greatest[at])[: max(1, height)])
    for way in ways:
        room = (width - len(ways) + 1) // len(ways)
        lines, best = answers.bars(way.probabilities, way.class_names, room - 8, plain=plain)
        columns.append(
            [
                Content.styled(line, "bold $text-success" if at == way.label else "bold" if at == best else "")
                for at, line in enumerate(lines)
                if at in kept
            ]
        )
    return Content("\n").join(Content(" ").join(row) for row in zip(*columns, strict=False))


def occlusion(found: Occluded, answer: Inspected) -> str:
    """Say what hiding a place of the image does to the answer."""
    worst = min(range(len(found.probabilities)), key=found.log_odds.__getitem__)
    text = _(
        "Why {name}? Orange speaks for it, blue against it: a square of 4×4 pixels is hidden at each place in turn."
        " Whole image: {whole}. Hidden around row {row}, column {column}: {hidden}."
    )
    row, column = divmod(worst, found.side)
    step = 28 // found.side
    return text.format(
        name=_class_name(answer, found.request.chosen),
        whole=percent(found.whole_probability),
        row=row * step,
        column=column * step,
        hidden=percent(found.probabilities[worst]),
    )


def neighbours(found: NearestFound, answer: Inspected) -> str:
    """Say how many of the nearest training images have which label."""
    labels = [each.label for each in found.neighbours]
    counts = sorted(((labels.count(label), label) for label in set(labels)), reverse=True)
    shown = ", ".join(f"{count}× {_class_name(answer, label)}" for count, label in counts)
    text = _(
        "Labels of the nearest: {labels}. If they agree, and differ from this image's label, that may be the wrong one."
    )
    return text.format(labels=shown)


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
    place = _place(seen.place)
    head = Content.styled(f"{printable(view.name)}[{place}] ≈ {value_text(seen.value)}", "bold")
    parts = [head]
    if seen.formula is None:
        parts.append(Content(_("How this value comes about is not known: it is shown as the network computed it.")))
    else:
        text, notes = written(seen.formula, seen.value, max(3, _SUM_LINES * width // _TERM_CELLS))
        parts += [Content(text), *([Content(" · ".join(notes))] if notes else [])]
    if seen.before_name is None:
        parts.append(Content(_("The input comes from other code of the network, and is shown as it came.")))
    parts.append(Content(_field(seen)))
    return Content("\n").join(parts)


def _field(seen: ValueView) -> str:
    count = sum(seen.receptive_field)
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


def _place(place: tuple[int, ...]) -> str:
    return ", ".join(map(str, place))


def _class_name(answer: Inspected, label: int) -> str:
    return printable(answer.class_names[label]) if label < len(answer.class_names) else str(label)
