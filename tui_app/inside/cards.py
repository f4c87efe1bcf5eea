"""What a layer is, with its own numbers: its definition, what it is good for, and where its parameters come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from core.inspecting.views import LayerFacts, LayerView
from core.worker.protocol import Inspected
from tui_app import tables
from tui_app.i18n import _, number, printable, say
from tui_app.inside.formulas import share_text, value_text


class CardLine(NamedTuple):
    """A part of a card: what it is about, and what it says."""

    heading: str
    text: str


class _Shown(NamedTuple):
    view: LayerView
    facts: LayerFacts
    channel: int


def card(view: LayerView, facts: LayerFacts, channel: int = 0) -> list[CardLine]:
    """Return a layer's card; `channel` is the one whose numbers are given where each has its own."""
    shown = _Shown(view, facts, channel)
    kind = view.kind.text if view.kind.text != "{name}" else str(view.kind.values.get("name", ""))
    if kind not in _CARDS:
        lines = [CardLine("", _("No formula is known for this kind of layer: its values are shown."))]
    elif not facts.is_torchs:
        text = _(
            "It is derived from torch's layer, or has hooks, and may compute something else: its values are shown."
        )
        lines = [CardLine("", text)]
    else:
        lines = _CARDS[kind](shown)
    if facts.row is not None and facts.row.output_derivation:
        lines.insert(1, CardLine(_("Output size"), printable(facts.row.output_derivation)))
    if view.calls > 1:
        text = _("It is called {count} times for an image; the last call is shown.")
        lines.append(CardLine("", text.format(count=number(view.calls))))
    if view.is_function:
        lines.append(CardLine("", _("A function that the network calls itself: it has no row in the layer table.")))
    if view.source is None:
        text = _("Its input is made by other code of the network: it is shown as it came, not followed further back.")
        lines.append(CardLine("", text))
    return lines


def heading(view: LayerView) -> str:
    """Return a layer's name, kind, settings and size in a line."""
    parts = [] if say(view.kind) == view.name else [printable(view.name)]
    parts += [f"{say(view.kind)} {tables.specification(view.specification)}".strip()]
    if view.shape:
        parts.append("×".join(map(str, view.shape)))
    return " · ".join(parts)


def softmax_card(answer: Inspected) -> list[CardLine]:
    """Return the card of the end: softmax and cross-entropy, with this image's numbers."""
    lines = [
        CardLine(_("Definition"), "pₖ = e^zₖ / (e^z₀ + … + e^z₉)"),
        CardLine(
            _("Good for"),
            _(
                "It turns the ten logits z into probabilities: positive ones that add up to 1, in the same order."
                " Adding the same number to all logits changes nothing."
            ),
        ),
    ]
    if answer.label is not None and answer.loss is not None:
        name = answer.class_names[answer.label] if answer.label < len(answer.class_names) else str(answer.label)
        text = _("−log p of the true class {name}: −log {probability} ≈ {loss}").format(
            name=printable(name),
            probability=share_text(answer.probabilities[answer.label]),
            loss=value_text(answer.loss),
        )
        lines.insert(1, CardLine(_("Cross-entropy"), text))
        lines.append(
            CardLine(
                _("Training"),
                _("The loss of a batch is its mean over the images: 0 only for answers both certain and right."),
            )
        )
    lines.append(CardLine(_("Parameters"), _("None.")))
    return lines


def _parameters(shown: _Shown, why: str) -> CardLine:
    row = shown.facts.row
    text = f"{tables.count(row)}. {why}" if row is not None and row.parameters else why
    return CardLine(_("Parameters"), text)


def _none(_shown: _Shown) -> CardLine:
    return CardLine(_("Parameters"), _("None: nothing is learned here."))


def _linear(shown: _Shown) -> list[CardLine]:
    kernels = shown.facts.kernels
    inputs = kernels.inputs * kernels.rows * kernels.columns if kernels else 0
    row = shown.facts.row
    if row is not None:
        inputs = int(row.specification.values.get("inputs", inputs))
    outputs = number(kernels.total) if kernels else "?"
    bias = " + bⱼ" if shown.facts.has_bias else ""
    return [
        CardLine(_("Definition"), f"yⱼ = wⱼ₁·x₁ + … + wⱼₙ·xₙ{bias}   n = {number(inputs)}, j = 1 … {outputs}"),
        CardLine(
            _("Good for"),
            _(
                "Each unit weighs all values of its input and adds them up: it can combine what is anywhere in the"
                " image, and knows nothing of what is beside what."
            ),
        ),
        _parameters(
            shown,
            _("A weight for each input of each unit, and a bias for each unit.")
            if shown.facts.has_bias
            else _("A weight for each input of each unit, and no bias."),
        ),
    ]


def _convolution(shown: _Shown) -> list[CardLine]:
    kernels = shown.facts.kernels
    numbers = ""
    if kernels is not None:
        text = _("{outputs} filters, each of {inputs}×{rows}×{columns} weights")
        numbers = "   " + text.format(
            outputs=number(kernels.total), inputs=number(kernels.inputs), rows=kernels.rows, columns=kernels.columns
        )
    return [
        CardLine(_("Definition"), _convolution_sum(shown.facts) + numbers),
        CardLine(
            _("Good for"),
            _(
                "The same small filter is laid on every place of the image: it answers to the same stroke or edge"
                " wherever that is, with few weights."
            ),
        ),
        _parameters(
            shown,
            _("For each filter, a weight for each place of its window in each input channel, and a bias.")
            if shown.facts.has_bias
            else _("For each filter, a weight for each place of its window in each input channel, and no bias."),
        ),
    ]


def _convolution_sum(facts: LayerFacts) -> str:
    """Return the sum of a convolution in two dimensions, with this layer's stride, padding and dilation."""
    slid = facts.window
    bias = " + b[c]" if facts.has_bias else ""
    if slid is None or len(slid.kernel) != 2:
        return f"y = w * x{bias.replace('[c]', '')}"
    places = []
    for dimension, (of_output, of_window) in enumerate((("i", "m"), ("j", "n"))):
        stride, dilation, padding = (each[dimension] for each in (slid.stride, slid.dilation, slid.padding))
        text = f"{of_output}·{stride}" if stride > 1 else of_output
        text += f"+{of_window}·{dilation}" if dilation > 1 else f"+{of_window}"
        places.append(f"{text}−{padding}" if padding else text)
    ranges = ", ".join(f"{name} = 0…{size - 1}" for name, size in zip("mn", slid.kernel, strict=True))
    outside = _("; x is 0 outside") if any(slid.padding) else ""
    return f"y[c,i,j] = Σₖ Σₘ Σₙ w[c,k,m,n]·x[k,{','.join(places)}]{bias}   {ranges}{outside}"


def _window(shown: _Shown) -> str:
    """Return a pooling window's size and stride, or into how many windows the layer divides its input."""
    text = tables.specification(shown.view.specification)
    size = text.removeprefix("→")
    return text if size == text else _("as large as gives {size} of them").format(size=size)


def _max_pooling(shown: _Shown) -> list[CardLine]:
    return [
        CardLine(
            _("Definition"),
            _("y = the greatest of the values in the window: {window}").format(window=_window(shown)),
        ),
        CardLine(
            _("Good for"),
            _(
                "It keeps that something was found, and forgets exactly where: small shifts matter less, and the layers"
                " after it have fewer values to compute."
            ),
        ),
        _none(shown),
    ]


def _average_pooling(shown: _Shown) -> list[CardLine]:
    return [
        CardLine(
            _("Definition"),
            _("y = the mean of the values in the window: {window}").format(window=_window(shown)),
        ),
        CardLine(
            _("Good for"), _("It makes the picture smaller and smoother: each value stands for its whole window.")
        ),
        _none(shown),
    ]


def _relu(shown: _Shown) -> list[CardLine]:
    return [
        CardLine(_("Definition"), "y = max(0, x)"),
        CardLine(
            _("Good for"),
            _(
                "Without it, layers one after another would be a single linear map. It lets through what speaks for a"
                " feature, and sets to 0 what speaks against it."
            ),
        ),
        _none(shown),
    ]


def _flatten(shown: _Shown) -> list[CardLine]:
    return [
        CardLine(_("Definition"), _("y = the values of x one after another: channel by channel, row by row")),
        CardLine(
            _("Good for"),
            _("A linear layer takes a list of values: no value changes, only their arrangement is given up."),
        ),
        _none(shown),
    ]


def _dropout(shown: _Shown) -> list[CardLine]:
    if shown.facts.row is not None and "Alpha" in shown.facts.row.type:
        return [CardLine("", _("No formula is known for this kind of layer: its values are shown."))]
    p = shown.facts.dropout
    lines = [
        CardLine(
            _("Definition"),
            _("in training: y = 0 with probability p = {p}, else x/(1 − p) = {factor}·x; in a test: y = x").format(
                p=value_text(p), factor=value_text(1 / (1 - p)) if p < 1 else "0"
            ),
        ),
        CardLine(
            _("Good for"),
            _("No unit can rely on another one being there: the network learns several ways to its answer."),
        ),
        _none(shown),
    ]
    draw = shown.facts.draw
    if draw is not None:
        text = _("{count} of {total} active values were left out in the draw shown here; a test leaves out none.")
        lines.insert(1, CardLine(_("Training"), text.format(count=number(draw.left_out), total=number(draw.total))))
    return lines


def _batch_norm(shown: _Shown) -> list[CardLine]:
    lines = [
        CardLine(_("Definition"), "y = γ·(x − μ)/√(σ² + ε) + β"),
        CardLine(
            _("Good for"),
            _("Whatever the layers before do, its output keeps its mean and spread: training can take larger steps."),
        ),
        _parameters(
            shown,
            _("γ and β for each channel; μ and σ² are measured, not learned.")
            if shown.facts.has_weights
            else _("None: μ and σ² are measured, and there is no γ or β."),
        ),
    ]
    statistics = shown.facts.statistics
    if statistics is not None and shown.channel < len(statistics.gamma):
        at = shown.channel
        in_training = _(
            "channel {channel} over a batch of {count} images, this one among them, and all its places:"
            " μ = {mean}, σ² = {variance}"
        )
        in_test = _(
            "channel {channel}, running averages over the training: μ = {mean}, σ² = {variance}; γ = {gamma},"
            " β = {beta}"
        )
        lines[1:1] = [
            CardLine(
                _("Training"),
                in_training.format(
                    channel=at,
                    count=number(statistics.batch_size),
                    mean=value_text(statistics.batch_mean[at]),
                    variance=value_text(statistics.batch_variance[at]),
                ),
            ),
            CardLine(
                _("In a test"),
                in_test.format(
                    channel=at,
                    mean=value_text(statistics.running_mean[at]),
                    variance=value_text(statistics.running_variance[at]),
                    gamma=value_text(statistics.gamma[at]),
                    beta=value_text(statistics.beta[at]),
                ),
            ),
        ]
    return lines


def _softmax(shown: _Shown) -> list[CardLine]:
    return [
        CardLine(_("Definition"), "yₖ = e^xₖ / Σⱼ e^xⱼ"),
        CardLine(
            _("Good for"),
            _("It turns any values into shares: positive ones that add up to 1, in the same order."),
        ),
        _none(shown),
    ]


_CARDS: dict[str, Callable[[_Shown], list[CardLine]]] = {
    "linear": _linear,
    "convolution": _convolution,
    "max pooling": _max_pooling,
    "average pooling": _average_pooling,
    "ReLU": _relu,
    "flatten": _flatten,
    "dropout": _dropout,
    "batch norm": _batch_norm,
    "Softmax": _softmax,
}
