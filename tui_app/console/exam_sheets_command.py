"""`mnist-tui exam --new` and `--make`: sheets to fill in, and exercises with their keys."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from core.exam import examined, exercises
from core.exam.examined import Examined
from core.exam.exercises import Exercise
from core.messages import N_, InvalidSetting
from tui_app import terminal
from tui_app.console import exam_files
from tui_app.console.status_line import StatusLine
from tui_app.console.training_command import prepare_for_torch
from tui_app.i18n import _, ngettext, printable
from tui_app.report import exam_sheets
from tui_app.report.exam_sheets import Sheet

ENDINGS = (".md", ".csv")


def check_ending(path: Path) -> None:
    """Raise `InvalidSetting` if a sheet cannot be written in such a file."""
    if path.suffix.lower() not in ENDINGS:
        raise InvalidSetting("new", N_("a sheet must end in .md or .csv, not {path}"), path=str(path))


def new(path: Path, models: Sequence[str], *, overwrites: bool) -> int:
    """Write an empty sheet, and return the exit code. Raises `Problem`."""
    exam_files.check_new([path], overwrites=overwrites)
    found = _sheets(models)
    exam_files.write({path: exam_sheets.csv(found) if path.suffix.lower() == ".csv" else exam_sheets.markdown(found)})
    print(_("Written: {path}").format(path=printable(str(path))), file=sys.stderr)
    return 0


def print_sheet(models: Sequence[str]) -> int:
    """Print an empty sheet, and return the exit code. Raises `Problem`."""
    sheet = exam_sheets.markdown(_sheets(models)).decode()
    print(sheet, end="", file=terminal.output())
    return 0


def make(how_many: int, seed: int, folder: Path, *, with_key: bool, overwrites: bool) -> int:
    """Write exercises, each as a program, an empty sheet and a key, and return the exit code. Raises `Problem`."""
    made = exercises.exercises(seed, how_many)
    exam_files.check_new([path for each in made for path in _paths(each, folder, with_key)], overwrites=overwrites)
    prepare_for_torch()
    status = StatusLine(sys.stderr)
    for done, each in enumerate(made):
        status.draw_share(_("Exercises"), done / len(made))
        sheet = Sheet(each.label, examined.exercise_table(each), each.source)
        contents = (each.source.encode(), exam_sheets.markdown([sheet]), exam_sheets.markdown([sheet], key=True))
        exam_files.write(dict(zip(_paths(each, folder, with_key), contents, strict=False)))
    text = ngettext(
        "{count} exercise of seed {seed} in {path}. Marked by: {command}",
        "{count} exercises of seed {seed} in {path}. Marked by: {command}",
        len(made),
    )
    folder_of_copies = _("COPIES")
    command = f"mnist-tui exam --mark --seed {seed} {folder_of_copies}/*"
    status.note(text.format(count=len(made), seed=seed, path=printable(str(folder)), command=command))
    return 0


def _paths(exercise: Exercise, folder: Path, with_key: bool) -> list[Path]:
    endings = (".py", ".md", *(("-key.md",) if with_key else ()))
    return [folder / f"{exercise.stem}{ending}" for ending in endings]


def _sheets(models: Sequence[str]) -> list[Sheet]:
    if examined.needs_torch(models):
        prepare_for_torch()
    chosen = Examined(models)
    return [Sheet(label, chosen.table(label), examined.source_code(model)) for label, model in chosen.labels.items()]
