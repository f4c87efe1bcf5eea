"""The commands that print the layer tables and the list of runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.config import Architecture
from core.runs import directory
from tui_app import tables, wording
from tui_app.console import json_output
from tui_app.console.training_command import prepare_for_torch
from tui_app.i18n import _
from tui_app.run_selection import EVERYTHING, Selection


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


def print_runs(runs_dir: Path, selection: Selection = EVERYTHING, *, json: bool) -> None:
    """Print the runs that are selected, as text or as JSON."""
    listed = directory.Listing(runs_dir).read()
    summaries = selection.runs(listed)
    if json:
        json_output.print_document(summaries)
    elif summaries:
        columns = selection.shown_columns(summaries)
        fitting = columns if selection.columns else tables.without_those_that_do_not_fit(summaries, columns)
        tables.print_table(tables.runs(summaries, fitting))
        if left_out := [column.word for column in columns if column not in fitting]:
            text = _("Left out, as the terminal is too narrow: {columns} (--columns chooses).")
            print(text.format(columns=", ".join(left_out)), file=sys.stderr)
    elif listed:
        print(_("None of the {count} runs in {path} fits.").format(count=len(listed), path=runs_dir), file=sys.stderr)
    else:
        print(_("There is no run in {path} yet.").format(path=runs_dir), file=sys.stderr)
