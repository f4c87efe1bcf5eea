"""Checks of what `--json` prints against the schema, closed to fields that it does not have."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tui_app.console.schema_command import schema


@cache
def _validator(name: str) -> Any:
    whole = schema()
    for about in whole["$defs"].values():
        if "properties" in about:
            about["additionalProperties"] = False
    del whole["anyOf"]
    return Draft202012Validator({**whole, "$ref": f"#/$defs/{name}"})


def check_json(text: str, name: str) -> Any:
    """Return the JSON in a text, once it has proved to be such an output: a name in `$defs`."""
    found = json.loads(text)
    _validator(name).validate(found)
    return found


def check_lines(text: str) -> list[Any]:
    """Return the events in the lines that a run has printed."""
    return [check_json(line, "event") for line in text.splitlines()]
