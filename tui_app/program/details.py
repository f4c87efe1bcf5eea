"""What a statement of the exam's program made, in full: its values, and what is to be seen in them."""

from __future__ import annotations

from collections.abc import Iterator

from core.exam.steps import BatchSeen, GradientSeen, LossSeen, Made, NamedValue, StepSeen
from core.messages import N_
from tui_app.i18n import _, number, percent
from tui_app.program.figures import figure, figures, shape_text, size_text

_NOTES = {
    "model.train()": N_(
        "It tells the layers that they are being trained. Only dropout and batch normalisation behave differently then,"
        " and this network has neither."
    ),
    "model.eval()": N_(
        "It tells the layers that they are being tested. Only dropout and batch normalisation behave differently then,"
        " and this network has neither: see the mistake “eval() forgotten”."
    ),
    "with torch.no_grad():": N_("In this block torch keeps nothing for gradients: a test needs none."),
    "criterion =": N_("For each image −log of the probability that softmax gives its label, then the mean."),
    "transform =": N_(
        "Not executed yet: each image goes through it when a loader takes it. ToTensor makes 0 to 1 of the pixels,"
        " Normalize subtracts 0.1307, MNIST's mean, and divides by 0.3081, its standard deviation."
    ),
    "train_dataset =": N_("It has read the file; no image has been transformed yet."),
    "train_loader =": N_("It will draw a new order of the images in each epoch, and give them out 64 at a time."),
    "test_loader =": N_("It gives the images out in the order of the file: for a test the order does not matter."),
    "for epoch": N_("epoch counts from 0; what is printed, from 1."),
    "class RN_": N_("Only defined: its layers are made when the program calls it, in stage 2."),
    "running_loss = 0.0": N_("At the start of each epoch the sum of the losses begins anew."),
}
"""What there is to know of statements, by how they begin."""


def lines(made: Made, statement: str, mean: float | None) -> list[str]:
    """Say what a statement made; `mean` is the mean loss of the epoch so far."""
    found = [_of_value(value) for value in made.names]
    match made.seen:
        case BatchSeen():
            found += _of_batch(made.seen)
        case LossSeen():
            found += _of_loss(made.seen)
        case GradientSeen():
            found += _of_gradient(made.seen)
        case StepSeen():
            found += _of_step(made.seen)
    if statement.startswith("running_loss +=") and mean is not None:
        text = _("The sum of the losses of this epoch so far; divided by their number, {mean}.")
        found.append(text.format(mean=number(mean, 4)))
    if made.printed:
        found.append(_("Printed: {line}").format(line=made.printed))
    return found + [_(note) for start, note in _NOTES.items() if statement.startswith(start)]


def _of_value(value: NamedValue) -> str:
    if value.shape is not None:
        text = f"{value.name}: {value.kind} {shape_text(value.shape)}, {value.dtype}, {value.device}"
        if not value.values:
            return text
        if len(value.shape) == 2:
            return f"{text}\n  " + _("first row: {values}").format(values=figures(value.values))
        more = " …" if value.shape and value.shape[0] > len(value.values) else ""
        return f"{text}\n  {figures(value.values, 6)}{more}"
    if value.values:
        return f"{value.name} = {figure(value.values[0], 6)} ({value.kind})"
    if value.size is not None:
        place = f", {value.device}" if value.device else ""
        return f"{value.name}: {value.kind}, {size_text(value)}{place}"
    return f"{value.name} = {value.text}" if value.text else f"{value.name}: {value.kind}"


def _of_batch(seen: BatchSeen) -> Iterator[str]:
    places = ", ".join(number(place) for place in seen.places)
    first = seen.places[0] if seen.places else 0
    if seen.places == tuple(range(first, first + len(seen.places))):
        yield _("In the file they are images {places} …: one after another, without a shuffle.").format(places=places)
    else:
        text = _(
            "In the file they are images {places} …: the shuffle drew them. The file itself begins with {labels} …"
        )
        yield text.format(places=places, labels=" ".join(map(str, seen.file_labels)))
    text = _(
        "Pixels are 0 to 255 in the file; in the batch, after the normalisation, {low} to {high}, with mean {mean} and"
        " standard deviation {std}: the pictures above are drawn without it."
    )
    yield text.format(
        low=figure(seen.low, 3), high=figure(seen.high, 3), mean=figure(seen.mean, 2), std=figure(seen.std, 3)
    )


def _of_loss(seen: LossSeen) -> Iterator[str]:
    p = seen.probabilities[seen.label]
    text = _("First image, a {label}: softmax gives it p({label}) = {p}; its loss is −log {p} = {loss}.")
    yield text.format(label=seen.label, p=figure(p), loss=figure(seen.first))
    yield _("digit, logit, probability:")
    rows = [
        f"{'>' if digit == seen.label else ' '}{digit} {number(logit, 2).replace('-', '−'):>7} {percent(share, 1):>7}"
        for digit, (logit, share) in enumerate(zip(seen.logits, seen.probabilities, strict=True))
    ]
    half = len(rows) // 2
    yield "\n".join(f"{left}   {right}" for left, right in zip(rows[:half], rows[half:], strict=True))
    text = _("The loss of the batch is the mean over its {size} images: {mean}.")
    yield text.format(size=number(seen.size), mean=figure(seen.mean))


def _of_gradient(seen: GradientSeen) -> Iterator[str]:
    before = _("none") if seen.before is None else _("norm {norm}").format(norm=figure(seen.before))
    now = _("none") if seen.norm is None else _("norm {norm}").format(norm=figure(seen.norm))
    yield _("Gradients before: {before}; now: {now}.").format(before=before, now=now)
    if seen.parts:
        yield "\n".join(f"  {name:<13} {figure(norm)}" for name, norm in seen.parts)


def _of_step(seen: StepSeen) -> Iterator[str]:
    text = _("Adam changed {size} parameters: norm of the change {norm}, the largest {largest}.")
    yield text.format(size=number(seen.size), norm=figure(seen.norm), largest=figure(seen.largest))
    text = _("{weight} has the largest gradient, {gradient}. It went from {before} to {after}.")
    values = {"gradient": seen.gradient, "before": seen.before, "after": seen.after}
    yield text.format(weight=seen.weight, **{name: figure(value, 5) for name, value in values.items()})
    text = _(
        "Its moving means: m = {m}, of the square v = {v}; corrected in step {number}: m' = {m_hat}, v' = {v_hat}."
    )
    means = {"m": seen.m, "v": seen.v, "m_hat": seen.m_hat, "v_hat": seen.v_hat}
    yield text.format(number=number(seen.number), **{name: figure(value, 3) for name, value in means.items()})
    text = "−lr · m' / (√v' + ε) = −{lr} · ({m}) / {root} = {change}"
    root = seen.v_hat**0.5 + 1e-8
    change = -seen.lr * seen.m_hat / root
    yield text.format(lr=figure(seen.lr), m=figure(seen.m_hat, 3), root=figure(root, 3), change=figure(change, 3))
