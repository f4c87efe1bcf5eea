"""`mnist-tui slots`: where the runs of comparisons in progress are trained."""

from __future__ import annotations

from pathlib import Path

from core.comparing import slots
from tui_app import comparison_text, slot_text, tables
from tui_app.console import json_output
from tui_app.i18n import _, printable, say


def print_slots(runs_dir: Path, *, json: bool) -> int:
    """Print the slots of every comparison in progress, and return the exit code."""
    found = slots.in_progress(runs_dir)
    if json:
        json_output.print_document(found)
        return 0
    if not found:
        tables.print_texts([_("No comparison is in progress in {path}.").format(path=printable(str(runs_dir)))])
    for comparison in found:
        if len(found) > 1:
            tables.print_texts([printable(" ".join(comparison.configurations))])
        if comparison.waits_for is not None:
            tables.print_texts([say(comparison.waits_for)])
        if comparison.slots:
            tables.print_table(comparison_text.as_table(slot_text.slots(comparison.slots)))
    return 0
