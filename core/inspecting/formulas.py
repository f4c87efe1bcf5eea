"""How a single value of a layer follows from the layer's input, term by term.

Each formula is checked against the value that the network computed: one that does not give it is not shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from core.inspecting.forward_pass import Step
from core.inspecting.views import Formula, FormulaKind, Term
from core.networks.describe import BATCH_NORMS, DROPOUTS
from core.networks.output_size import ADAPTIVE_AVERAGE_POOLS, AVERAGE_POOLS, CONVOLUTIONS, MAX_POOLS, window
from core.networks.shapes import place_at

MOST_TERMS = 40
"""Terms that are kept one by one; the others are added up."""

Place = tuple[int, ...]


class Derivation(NamedTuple):
    """A formula with every place of the input that it reads."""

    formula: Formula
    window: tuple[int, ...]
    """Places in the flattened input, in the window's order."""


def derive(step: Step, place: Place, *, tolerance: float) -> Derivation | None:
    """Return how the value at `place` of a step's output comes about; None if that is not known for certain.

    `tolerance` is relative to the sum of the terms' magnitudes.
    """
    if step.given is None or step.gave is None or not is_torchs_own(step.module):
        return None
    for classes, rule in _RULES:
        if isinstance(step.module, classes):
            try:
                found = rule(step.module, step.given, step.gave, place)
                is_right = found is not None and _is_right(found.formula, float(step.gave[place]), tolerance)
            except (ArithmeticError, LookupError, RuntimeError, AttributeError, TypeError, ValueError):
                return None  # a subclass may have other settings than its parent
            return found if is_right else None
    return None


def is_torchs_own(module: nn.Module) -> bool:
    """Tell if a layer computes what torch's layer of its kind does: nobody has given it another forward, or hooks."""
    mro = type(module).__mro__
    parent = next((each for each in mro if each.__module__.startswith("torch.nn.modules.")), nn.Module)
    is_hooked = bool(module._forward_hooks or module._forward_pre_hooks)
    has_its_forward = getattr(type(module), "forward", None) is getattr(parent, "forward", None)
    return parent is not nn.Module and has_its_forward and not is_hooked


def evaluated(formula: Formula) -> tuple[float, float]:
    """Return the value that a formula gives, and the sum of its terms' magnitudes."""
    values = [term.contribution for term in formula.terms]
    match formula.kind:
        case "max" | "relu":
            padded = [0.0] if formula.kind == "relu" else []
            return max(values + padded), max(map(abs, values))
        case "same":
            return values[0], abs(values[0])
        case "norm":
            mean, variance, epsilon, gamma, beta = formula.norm or (0.0,) * 5
            scaled = (values[0] - mean) / math.sqrt(variance + epsilon) * gamma
            return scaled + beta, abs(scaled) + abs(beta) + abs(gamma * mean) / math.sqrt(variance + epsilon)
        case "softmax" | "log_softmax":
            exponentials = [math.exp(value - formula.shift) for value in values]
            share = exponentials[0] / (sum(exponentials) + formula.rest)
            return (share, 1.0) if formula.kind == "softmax" else (math.log(share), 1 + abs(math.log(share)))
    bias = formula.bias or 0.0
    return math.fsum([*values, formula.rest, bias]), math.fsum(map(abs, [*values, formula.rest, bias]))


def _is_right(formula: Formula, value: float, tolerance: float) -> bool:
    found, magnitude = evaluated(formula)
    return math.isfinite(value) and abs(found - value) <= tolerance * max(magnitude, 1e-30)


def _formula(kind: FormulaKind, terms: Sequence[Term], **more: Any) -> Formula:
    """Return a formula with its greatest terms if there are many, and the sum of the others."""
    if len(terms) <= MOST_TERMS:
        return Formula(kind, tuple(terms), len(terms), **more)
    ordered = sorted(terms, key=lambda term: -abs(term.contribution))
    others = ordered[MOST_TERMS:]
    rest = math.fsum(term.contribution for term in others)
    return Formula(kind, tuple(ordered[:MOST_TERMS]), len(terms), rest, **more)


def _derivation(formula: Formula, terms: Sequence[Term]) -> Derivation:
    return Derivation(formula, tuple(term.at for term in terms))


def flat(place: Place, shape: Sequence[int]) -> int:
    """Return the place in the flattened tensor of a place in a tensor of this shape."""
    at = 0
    for index, size in zip(place, shape, strict=True):
        at = at * size + index
    return at


# Rules: each returns the formula of a value for a kind of layer


def _linear(module: Any, given: Tensor, _gave: Tensor, place: Place) -> Derivation:
    *row, unit = place
    inputs, weights = given[tuple(row)].tolist(), module.weight[unit].tolist()
    start = flat((*row, 0), given.shape)
    terms = [Term(start + at, x, w) for at, (x, w) in enumerate(zip(inputs, weights, strict=True))]
    bias = None if module.bias is None else float(module.bias[unit])
    return Derivation(_formula("sum", terms, bias=bias), tuple(range(start, start + len(inputs))))


def _convolution(module: Any, given: Tensor, gave: Tensor, place: Place) -> Derivation | None:
    channel, *position = place
    slid = window(module)
    if slid is None or module.transposed or given.dim() != len(slid.kernel) + 1:
        return None
    per_group = module.in_channels // module.groups
    first = channel // (module.out_channels // module.groups) * per_group
    mapped = _PADDINGS.get(module.padding_mode)
    if mapped is None:
        return None
    terms: list[Term] = []
    num_padded = 0
    weights = module.weight[channel]
    for number in range(per_group):
        for offset in itertools.product(*map(range, slid.kernel)):
            at = tuple(
                mapped(start * stride - padding // 2 + step * dilation, size)
                for start, stride, padding, step, dilation, size in zip(
                    position, slid.stride, slid.padding, offset, slid.dilation, given.shape[1:], strict=True
                )
            )
            if None in at:
                num_padded += 1
                continue
            whole = (first + number, *at)
            terms.append(Term(flat(whole, given.shape), float(given[whole]), float(weights[(number, *offset)])))
    bias = None if module.bias is None else float(module.bias[channel])
    return _derivation(_formula("sum", terms, bias=bias, num_padded=num_padded), terms)


def _inside(at: int, size: int) -> int | None:
    return at if 0 <= at < size else None


def _reflected(at: int, size: int) -> int:
    return -at if at < 0 else at if at < size else 2 * (size - 1) - at


_PADDINGS: dict[str, Callable[[int, int], int | None]] = {
    "zeros": _inside,
    "reflect": _reflected,
    "replicate": lambda at, size: min(max(at, 0), size - 1),
    "circular": lambda at, size: at % size,
}


def _window_places(module: Any, given: Tensor, place: Place) -> tuple[list[Place], int, int]:
    """Return the places of a pooling window inside its input, the others, and those outside the padding too."""
    channel, *position = place
    slid = window(module)
    assert slid is not None
    inside: list[Place] = []
    in_padding = beyond = 0
    for offset in itertools.product(*map(range, slid.kernel)):
        at = [
            start * stride - padding // 2 + step * dilation
            for start, stride, padding, step, dilation in zip(
                position, slid.stride, slid.padding, offset, slid.dilation, strict=True
            )
        ]
        sizes = given.shape[1:]
        if all(0 <= index < size for index, size in zip(at, sizes, strict=True)):
            inside.append((channel, *at))
        elif all(index < size + padding // 2 for index, size, padding in zip(at, sizes, slid.padding, strict=True)):
            in_padding += 1
        else:
            beyond += 1
    return inside, in_padding, beyond


def _max_pool(module: Any, given: Tensor, _gave: Tensor, place: Place) -> Derivation:
    places, in_padding, beyond = _window_places(module, given, place)
    terms = [Term(flat(each, given.shape), float(given[each])) for each in places]
    return _derivation(Formula("max", tuple(terms), len(terms), num_padded=in_padding + beyond), terms)


def _average_pool(module: Any, given: Tensor, _gave: Tensor, place: Place) -> Derivation:
    places, in_padding, beyond = _window_places(module, given, place)
    counted = len(places) + (in_padding if module.count_include_pad else 0)
    divisor = getattr(module, "divisor_override", None) or counted
    return _mean(places, given, divisor, in_padding + beyond)


def _adaptive_average_pool(module: Any, given: Tensor, gave: Tensor, place: Place) -> Derivation:
    channel, *position = place
    spans = [
        range(at * before // after, -(-(at + 1) * before // after))
        for at, before, after in zip(position, given.shape[1:], gave.shape[1:], strict=True)
    ]
    places = [(channel, *at) for at in itertools.product(*spans)]
    return _mean(places, given, len(places), 0)


def _mean(places: Sequence[Place], given: Tensor, divisor: int, num_padded: int) -> Derivation:
    terms = [Term(flat(each, given.shape), float(given[each]), 1 / divisor) for each in places]
    return _derivation(_formula("mean", terms, num_padded=num_padded), terms)


def _relu(_module: Any, given: Tensor, _gave: Tensor, place: Place) -> Derivation:
    term = Term(flat(place, given.shape), float(given[place]))
    return _derivation(Formula("relu", (term,), 1), [term])


def _same(_module: Any, given: Tensor, gave: Tensor, place: Place) -> Derivation:
    """Return the one value that is passed on: flattening changes no order, and dropout nothing in a test."""
    at = flat(place, gave.shape)
    before = place_at(at, given.shape)
    return Derivation(Formula("same", (Term(at, float(given[before])),), 1), (at,))


def _batch_norm(module: Any, given: Tensor, _gave: Tensor, place: Place) -> Derivation | None:
    if module.running_mean is None:  # it would be this batch's
        return None
    channel = place[0]
    gamma = 1.0 if module.weight is None else float(module.weight[channel])
    beta = 0.0 if module.bias is None else float(module.bias[channel])
    norm = float(module.running_mean[channel]), float(module.running_var[channel]), module.eps, gamma, beta
    term = Term(flat(place, given.shape), float(given[place]))
    return _derivation(Formula("norm", (term,), 1, norm=norm), [term])


def _softmax(module: Any, given: Tensor, _gave: Tensor, place: Place) -> Derivation | None:
    """Return the share of a value's exponential; `dim` counts the batch, which a step's tensors lack."""
    dimension = module.dim
    if dimension is None:
        dimension = 0 if given.dim() + 1 in (0, 1, 3) else 1  # as torch chooses, for a batch
    dimension = dimension % (given.dim() + 1) - 1
    if dimension < 0:
        return None
    places = [(*place[:dimension], at, *place[dimension + 1 :]) for at in range(given.shape[dimension])]
    places.remove(place)
    places.insert(0, place)
    terms = [Term(flat(each, given.shape), float(given[each])) for each in places]
    shift = max(term.value for term in terms)
    own, *others = terms
    others.sort(key=lambda term: -term.value)
    kept = others[: MOST_TERMS - 1]
    rest = math.fsum(math.exp(term.value - shift) for term in others[len(kept) :])
    kind: FormulaKind = "log_softmax" if isinstance(module, nn.LogSoftmax) else "softmax"
    formula = Formula(kind, (own, *kept), len(terms), rest, shift=shift)
    return _derivation(formula, terms)


_RULES: tuple[tuple[tuple[type[nn.Module], ...], Callable[[Any, Tensor, Tensor, Place], Derivation | None]], ...] = (
    ((nn.Linear,), _linear),
    (CONVOLUTIONS, _convolution),
    (MAX_POOLS, _max_pool),
    (AVERAGE_POOLS, _average_pool),
    (ADAPTIVE_AVERAGE_POOLS, _adaptive_average_pool),
    ((nn.ReLU,), _relu),
    ((nn.Flatten, nn.Unflatten, nn.Identity, *DROPOUTS), _same),
    (BATCH_NORMS, _batch_norm),
    ((nn.Softmax, nn.LogSoftmax), _softmax),
)
