"""Marking a sheet of Annexe 1: each cell, and what follows from an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from core.exam import output_sizes, parameters, specifications, vocabulary
from core.exam.chain import Chains
from core.exam.choices import Place
from core.exam.mistakes import Attempt, carried
from core.exam.sheet import COLUMNS, MAX_ANSWER, Answers, Column, Mark, MarkedSheet, Reason, State
from core.exam.sums import UnreadableAnswer, read_number, read_size
from core.networks.layer_table import Layer, LayerTable
from core.networks.shapes import times

FORM_POINTS = 0.75
"""Points of an answer that is right but for the form."""
MISTAKE_POINTS = (1.0, 0.5, 0.25)
"""Points of an answer whose mistakes are all known, by their number; those of another cell do not count."""

MOST_ROWS = 30
"""Rows of the longest table in which mistakes are named."""

_NO_PARAMETERS = """
-|–|—|/|0|∅|ø|…|...|n/a|x|×|aucun|aucune|aucuns|aucun parametre|pas de parametre|pas de parametres|rien|sans|zero|
nul|neant|none|no|nothing|no parameter|no parameters"""
_NOTHING = frozenset(_NO_PARAMETERS.replace("\n", "").split("|"))
"""Ways to write that there are no parameters, in small letters and without accents."""

_Found = tuple[State, tuple[Reason, ...], str]
"""State of a cell, its mistakes, and the form that is expected."""


def mark_sheet(table: LayerTable, answers: Answers) -> MarkedSheet:
    """Return the marks of the answers to a network's table, a mark for each cell. Missing rows are empty."""
    marker = _Marker(table.layers)
    marks: list[Mark] = []
    for position in range(len(table.layers)):
        marks += marker.mark_row(position, answers[position] if position < len(answers) else {})
    return MarkedSheet(table.model, tuple(marks))


def points(state: State, reasons: tuple[Reason, ...]) -> float:
    """Return the points of a cell after the scheme."""
    if state in ("right", "form"):
        return 1.0 if state == "right" else FORM_POINTS
    own = sum(not reason.carried_from for reason in reasons)
    return MISTAKE_POINTS[own] if state == "wrong" and reasons and own < len(MISTAKE_POINTS) else 0.0


class _Marker:
    """A marker of a sheet, row by row, which remembers the wrong sizes that later cells may follow from."""

    def __init__(self, layers: tuple[Layer, ...]) -> None:
        self._chains = Chains(layers)
        self._carried: dict[int, Attempt] = {}

    def mark_row(self, position: int, answers: Mapping[Column, str]) -> list[Mark]:
        place = Place(self._chains, position, self._carried)
        layer = place.layer
        marks = []
        for column in COLUMNS:
            answer = " ".join(answers.get(column, "").split())[:MAX_ANSWER]
            state, reasons, form = _CELLS[column](place, answer)
            is_asked = not needs_nothing(layer, column)
            given = points(state, reasons) if is_asked and (column != "type" or state != "wrong") else 0.0
            marks.append(Mark(layer.name, column, answer, state, reasons, form, given, float(is_asked)))
            if column == "specification":
                place = _with_specification(place, answer, state)
            elif column == "output" and state not in ("right", "form"):
                size = _whole_size(layer, marks[-1])
                self._keep_size(place, size)
                place = _with_output(place, size, reasons)
        return marks

    def _keep_size(self, place: Place, size: Attempt | None) -> None:
        """Remember the wrong size that was given for this layer, or that follows from what was given before."""
        layer = place.layer
        if size is not None:
            self._carried[place.position] = size
        elif place.outputs is not None and layer.output_shape is not None:
            followed = (*place.outputs.numbers, *layer.output_shape[1:])
            self._carried[place.position] = Attempt(followed, place.outputs.reasons)
        elif (before := place.before()) is not None and place.role == "same":
            self._carried[place.position] = before


def _whole_size(layer: Layer, mark: Mark) -> Attempt | None:
    """Return a wrong size that other cells may follow from, with the channels first, and its mistakes carried."""
    try:
        sizes = read_size(mark.answer)
    except UnreadableAnswer:
        return None
    right = layer.output_shape or ()
    sides = next((size.sides for size in sizes if len(size.sides) == len(right)), None)
    if sides is None:
        return None
    if len(right) > 2 and sides[0] != right[0] and sides[-1] == right[0]:
        sides = (sides[-1], *sides[:-1])
    return Attempt(sides, carried(mark.reasons, layer.name, times(sides), times(right or ("–",))))


def _with_specification(place: Place, answer: str, state: State) -> Place:
    """Add the wrong numbers of a specification to what the other cells of the row may follow from."""
    settings = place.layer.settings
    if state != "wrong" or settings is None or not settings.outputs:
        return place
    written = specifications.read_specification(answer, settings)
    faults = specifications.wrong(written, settings)
    found: dict[str, Attempt] = {}
    for name in ("inputs", "outputs"):
        if name in faults:
            factors, right = getattr(written, name), getattr(settings, name)
            text = times(factors)
            of_number = specifications.explain_number(place, name, factors, settings)
            found[name] = Attempt(factors, carried(of_number, place.layer.name, text, str(right)))
    return replace(place, inputs=found.get("inputs"), outputs=found.get("outputs"))


def needs_nothing(layer: Layer, column: Column) -> bool:
    """Tell if there is nothing to write in a cell."""
    if column == "specification":
        return not layer.specification.text
    return column == "output" and layer.output_shape is None


def _with_output(place: Place, size: Attempt | None, reasons: tuple[Reason, ...]) -> Place:
    """Add the wrong number of outputs in a layer's size to what its number of parameters may follow from."""
    settings = place.layer.settings
    if size is None or settings is None or not settings.outputs or place.outputs is not None:
        return place
    given = size.numbers[:1]
    if given == (settings.outputs,):
        return place
    return replace(
        place, outputs=Attempt(given, carried(reasons, place.layer.name, times(given), str(settings.outputs)))
    )


# Cells


def _mark_type(place: Place, answer: str) -> _Found:
    if not answer:
        return "empty", (), ""
    if not vocabulary.has_words(answer):
        return "unreadable", (), ""
    state = vocabulary.rightness(place.layer, answer)
    kind = vocabulary.named_kind(answer) if state == "wrong" else ""
    return state, (Reason("other_type", kind),) if kind else (), ""


def _mark_specification(place: Place, answer: str) -> _Found:
    layer, settings = place.layer, place.layer.settings
    if needs_nothing(layer, "specification"):
        return "right", (), ""
    if not answer:
        return "empty", (), ""
    if settings is None:
        return specifications.mark_in_words(layer, answer)
    written = specifications.read_specification(answer, settings)
    if written.is_empty:
        return "unreadable", (), ""
    if specifications.wrong(written, settings):
        return _wrong(place, lambda: specifications.explain_specification(place, written, settings))
    missing = specifications.missing(written, settings)
    return ("form", (), ",".join(missing)) if missing else ("right", (), "")


def _mark_output(place: Place, answer: str) -> _Found:
    if needs_nothing(place.layer, "output"):
        return "right", (), ""
    if not answer:
        return "empty", (), ""
    try:
        sizes = read_size(answer)
    except UnreadableAnswer:
        return "unreadable", (), ""
    found = [output_sizes.rightness(place.layer, size) for size in sizes]
    if "right" in found:
        return "right", (), ""
    if form := next((each for each in found if each != "wrong"), ""):
        return "form", (), form
    return _wrong(place, lambda: output_sizes.explain_size(place, sizes))


def _mark_parameters(place: Place, answer: str) -> _Found:
    layer = place.layer
    if not layer.parameters and vocabulary.without_accents(answer.lower()).strip(" .") in _NOTHING:
        return "right", (), ""
    if not answer:
        return "empty", (), ""
    try:
        written = read_number(answer)
    except UnreadableAnswer:
        return "unreadable", (), ""
    if written.terms is None:
        if written.value == layer.parameters:
            return "right", (), ""
        return _wrong(place, lambda: parameters.explain_value(place, written.value))
    if written.is_muddled:
        return "wrong", (), ""
    if not parameters.is_right_sum(layer, terms := written.terms):
        return _wrong(place, lambda: parameters.explain_sum(place, terms, written.stated))
    return ("wrong", (Reason("value_wrong"),), "") if written.says_otherwise else ("right", (), "")


def _wrong(place: Place, explain: Callable[[], tuple[Reason, ...]]) -> _Found:
    """Mark a cell as wrong; in a long table, finding mistakes would take too long, and there would be too many."""
    return "wrong", explain() if len(place.layers) <= MOST_ROWS else (), ""


_CELLS: Mapping[Column, Callable[[Place, str], _Found]] = {
    "type": _mark_type,
    "specification": _mark_specification,
    "output": _mark_output,
    "parameters": _mark_parameters,
}
