"""`mnist-tui schema`: one JSON Schema of everything that `--json` prints, made from the types and their docstrings."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from core.comparing.slots import ComparisonSlots
from core.data.conditions import Robustness
from core.networks.layer_table import Layer, LayerTable
from core.runs.directory import Summary
from core.runs.events import Event
from tui_app.console.compare_json import PrintedComparison
from tui_app.console.doctor_command import Examination
from tui_app.console.exam_json import MarkedCopies
from tui_app.console.json_output import Detached, Failure
from tui_app.console.predict_command import Prediction, UnreadPicture
from tui_app.console.runs_in_order import Deletion


class PrintedLayer(Layer, frozen=True, kw_only=True):
    """A row of the table: a layer with one size of its output, or a parameter that belongs to no layer."""

    kind: str  # type: ignore[assignment]
    specification: str  # type: ignore[assignment]


class PrintedLayerTable(LayerTable, frozen=True, kw_only=True):
    """The layers of a network, in the order in which its forward calls them, with the texts in English."""

    layers: tuple[PrintedLayer, ...]


OUTPUTS: dict[str, Any] = {
    "event": Event,
    "detached": Detached,
    "error": Failure,
    "runs": list[Summary],
    "delete": list[Deletion],
    "layers": PrintedLayerTable | list[PrintedLayerTable],
    "compare": PrintedComparison,
    "conditions": list[Robustness],
    "slots": list[ComparisonSlots],
    "doctor": Examination,
    "exam": MarkedCopies,
    "predict": Prediction | UnreadPicture,
}
"""Type of each output by its name: that of a command, or of a line that several commands print."""


def print_schema() -> None:
    print(msgspec.json.format(msgspec.json.encode(schema())).decode())


def schema() -> dict[str, Any]:
    """Return the schema. `$defs` has one for each of `OUTPUTS`, and of each type in them."""
    outputs, types = msgspec.json.schema_components(OUTPUTS.values(), ref_template="#/$defs/{name}")
    classes = {kind.__name__: kind for kind in _subclasses(msgspec.Struct)}
    for name, found in types.items():
        for field, text in _field_docstrings(classes[name]).items():
            found["properties"][field]["description"] = _in_json(text)
        found["description"] = _in_json(found.get("description", ""))
        for about in found["properties"].values():
            about.pop("default", None)
        found["required"] = list(found["properties"])  # nothing is left out when it is printed
    types["Message"]["properties"]["sentence"] = {"type": "string", "description": "The text in the chosen language."}
    types["Message"]["required"].append("sentence")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What mnist-tui prints with --json",
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in OUTPUTS],
        "$defs": {**dict(zip(OUTPUTS, outputs, strict=True)), **types},
    }


def _in_json(docstring: str) -> str:
    """Return a docstring as one line, in JSON's words."""
    return re.sub(r"\bNone\b", "null", " ".join(docstring.split()))


def _subclasses(kind: type) -> Iterator[type]:
    for each in list[type](kind.__subclasses__()):
        if each.__module__.partition(".")[0] in ("core", "tui_app"):
            yield each
            yield from _subclasses(each)


def _field_docstrings(kind: type) -> dict[str, str]:
    """Return the text below each field of a class, which Python itself does not keep."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        if each.__module__.partition(".")[0] not in ("core", "tui_app"):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for field, text in pairwise(definition.body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = words
    return found
