"""The commands that print the layer tables and the list of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.config import Architecture
from core.runs import directory
from tui_app import run_columns, tables, wording
from tui_app.console import json_output
from tui_app.console.training_command import prepare_for_torch
from tui_app.i18n import _
from tui_app.run_columns import Selection


def print_layers(described: Sequence[Architecture], *, json: bool) -> None:
    """Print the layer tables of networks, as text or as JSON."""
    prepare_for_torch()
    import torch

    from core.networks import tabulate
    from core.networks.build import build_network

    found = []
    for each in described:
        torch.manual_seed(0)
        network = build_network(each)
        found.append(tabulate.layer_table(network, each.model))
    if json:
        as_dicts = [table.to_dict() for table in found]
        json_output.print_document(as_dicts if len(found) > 1 else as_dicts[0])
        return
    for each, table in zip(described, found, strict=True):
        tables.print_table(tables.layers(table, wording.network_name(each)), tables.derivations(table))


def print_runs(
    runs_dir: Path, selection: Selection, columns: Sequence[str], *, differing: bool = False, json: bool
) -> None:
    """Print the selected runs, as text or as JSON. Raises `Problem`."""
    every = directory.Listing(runs_dir).read()
    selected = selection.of(every)
    if json:
        json_output.print_document(selected)
    elif selected:
        shown = run_columns.chosen(columns, selected, differing=differing)
        tables.print_table(tables.runs(selected, shown))
    else:
        text = (
            _("None of the {count} runs in {path} is one of these.") if every else _("There is no run in {path} yet.")
        )
        print(text.format(count=len(every), path=runs_dir), file=sys.stderr)
