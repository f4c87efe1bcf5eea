"""docs/EVENTS.md, made from the schema: `python -m tests.events_page` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tui_app.console.schema_command import schema

PAGE = Path(__file__).parents[1] / "docs" / "EVENTS.md"

_INTRODUCTION = """\
# Events, and what else is printed as JSON

`mnist-tui --no-ui --json`, `follow --json` and `resume --json` print one JSON object per line: the run's events, as
its `events.jsonl` has them. Each has the fields of this table. A message also has its sentence in the language of the
command; in the file it has none. New versions may add events and fields: pass over those that you do not know.

{common}

Numbers that are not finite are `null`. Where a command fails and no `run_ended` says so, its last line is an
[`error`](#error), with whichever command `--json` is given. `mnist-tui schema` prints a JSON Schema (2020-12) of all
this and of every other `--json`: in its `$defs`, `runs`, `layers`, `compare`, `slots`, `conditions`, `doctor`,
`predict` and `delete` are what these commands print.
"""
_COMMON = ("type", "time", "run", "attempt", "format")


def page() -> str:
    """Return what the page should be."""
    types = schema()["$defs"]
    events = {name: _target(types, ref) for name, ref in types["event"]["discriminator"]["mapping"].items()}
    common = {"type": {"type": "string", "description": "Kind of the event."}}
    common |= {name: next(iter(events.values()))["properties"][name] for name in _COMMON[1:]}
    parts = [_INTRODUCTION.format(common=_table(common))]
    parts += [_section(name, event, without=_COMMON) for name, event in events.items()]
    parts += [_section("error", types["Failure"], without=("type",))]
    parts += [_section("detached", types["Detached"], without=("type",))]
    parts += ["Within events:\n"] + [
        _section(name, types[name]) for name in ("Message", "RunConfig", "LayerHealth", "Histogram")
    ]
    return "\n".join(parts)


def _section(name: str, about: dict[str, Any], without: tuple[str, ...] = ()) -> str:
    fields = {field: found for field, found in about["properties"].items() if field not in without}
    return f"## {name}\n\n{about['description']}\n\n{_table(fields)}\n"


def _table(fields: dict[str, Any]) -> str:
    rows = [f"| `{name}` | {_kind(about)} | {about.get('description', '')} |" for name, about in fields.items()]
    return "\n".join(["| field | | |", "| --- | --- | --- |", *rows])


def _kind(about: dict[str, Any]) -> str:
    """Return a type in words."""
    if "$ref" in about:
        return str(about["$ref"].rpartition("/")[2])
    if "enum" in about:
        return ", ".join(f"`{each}`" for each in about["enum"])
    if "anyOf" in about:
        return " or ".join(dict.fromkeys(map(_kind, about["anyOf"])))
    if about.get("type") == "array":
        return f"list of {_kind(about.get('items', {}))}"
    return str(about.get("type", "anything"))


def _target(types: dict[str, Any], ref: str) -> dict[str, Any]:
    found: dict[str, Any] = types[ref.rpartition("/")[2]]
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
