"""Layer tables kept as data, so that whoever only looks at a network need not load torch."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import msgspec

from core import files
from core.config import Architecture
from core.networks.layer_table import LayerTable

BUILT_IN = Path(__file__).with_name("built_in_tables.json")
"""Tables of the built-in networks, without variants; `python -m tests.tui_app.record` writes them."""
_FILE = "layers.json"
_MAX_FILE = 1 << 19
"""Bytes of the longest table that is kept: a thousand layers."""


@cache
def built_in() -> Mapping[Architecture, LayerTable]:
    """Return the tables that come with the program."""
    tables = msgspec.json.decode(BUILT_IN.read_bytes(), type=tuple[LayerTable, ...])
    return {Architecture(model=table.model): table for table in tables}


def of_run(run_dir: Path, architecture: Architecture) -> LayerTable | None:
    """Return the table of a run's network; None if it was not kept, or makes no sense."""
    if architecture in built_in():
        return built_in()[architecture]
    try:
        return msgspec.json.decode(files.read_small(run_dir / _FILE, _MAX_FILE), type=LayerTable)
    except (OSError, ValueError, RecursionError):
        return None


def keep(run_dir: Path, architecture: Architecture, make: Callable[[], LayerTable]) -> None:
    """Write the table of a run's network into its directory, once, unless it comes with the program.

    Nothing is written where that fails: a custom network may refuse the batches that its table is made with, and a
    run needs no table.
    """
    if architecture in built_in() or os.path.lexists(run_dir / _FILE):
        return
    with suppress(Exception):
        content = msgspec.json.encode(make())
        if len(content) <= _MAX_FILE:
            files.replace(run_dir / _FILE, content)
