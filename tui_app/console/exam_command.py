"""`mnist-tui exam`: Annexe 1 to fill in, and for a teacher sheets, exercises and marks."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core import paths
from core.config import setting_from_text
from core.messages import N_, InvalidSetting
from tui_app.console.arguments import Json, Lang, RunsDir, folder_of, network_names
from tui_app.console.command_line import app
from tui_app.console.opening import no_dashboard, open_dashboard
from tui_app.console.translated import Command
from tui_app.i18n import _

if TYPE_CHECKING:  # loaded only when copies are marked
    from tui_app.report.feedback_pages import PageFormat

_SEEDS_DRAWN = 10_000
_PAGE_FORMATS = ("html", "md")

CopiesToMark = Annotated[
    list[str] | None,
    typer.Argument(metavar=_("FILE"), show_default=False, help=_("With --mark: copies, or folders of them.")),
]
New = Annotated[str | None, typer.Option("--new", metavar=_("FILE"), help=_("Write an empty sheet: .md or .csv."))]
Marks = Annotated[bool, typer.Option("--mark", help=_("Mark the copies FILE..., as data: nothing is executed."))]
Make = Annotated[
    str | None,
    typer.Option("--make", metavar="N", show_default=False, help=_("Make N random networks, all different.")),
]
OwnModels = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar=_("NETWORK"),
        show_default=False,
        help=_("A network of the sheet, once or more: RN_1, RN_2, FILE:CLASS. [default: RN_1 and RN_2]"),
        autocompletion=network_names,
    ),
]
ExerciseSeed = Annotated[
    str | None,
    typer.Option(
        "--seed",
        metavar="S",
        show_default=False,
        help=_("Seed of the exercises (drawn if none is given); with --mark, the only one that counts."),
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        metavar=_("FOLDER"),
        show_default=False,
        help=_("With --mark: write tables and a page for each copy there. With --make: [default: exercises]"),
    ),
]
NoKey = Annotated[bool, typer.Option("--no-key", help=_("Give no right answers away."))]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="html|md",
        show_default=False,
        help=_("Format of the pages. [default: html]"),
        autocompletion=lambda: list(_PAGE_FORMATS),
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help=_("Replace files that are there already."))]

_ALLOWED = {
    "": ("--model",),
    "--new": ("--model", "--overwrite"),
    "--mark": ("--model", "--seed", "--output", "--no-key", "--format", "--overwrite", "--json"),
    "--make": ("--seed", "--output", "--no-key", "--overwrite"),
}
"""Options that go with each way."""


@app.command(cls=Command, help=_("Fill in Annexe 1; or hand out its sheets, mark copies of them, make exercises."))
def exam(
    context: typer.Context,
    file: CopiesToMark = None,
    new: New = None,
    mark: Marks = False,
    make: Make = None,
    model: OwnModels = None,
    seed: ExerciseSeed = None,
    output: Output = None,
    no_key: NoKey = False,
    page_format: Format = None,
    overwrite: Overwrite = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    way = _way(new=new is not None, mark=mark, make=make is not None)
    _check_allowed(way, context)
    models = [setting_from_text("model", each) for each in dict.fromkeys(model or ())]
    known_seed = None if seed is None else setting_from_text("seed", seed)
    if mark:
        from tui_app.console import exam_marking_command

        request = exam_marking_command.MarkingRequest(
            files=_copies(file),
            models=models,
            seed=known_seed,
            output=paths.absolute(output) if output is not None else None,
            page_format=_page_format(page_format),
            with_key=not no_key,
            overwrites=overwrite,
            json=json,
        )
        _check_pages(output, needs_folder=overwrite or page_format is not None)
        return exam_marking_command.mark(request)
    if new is not None:
        return _new(new, models, overwrites=overwrite)
    if make is not None:
        return _make(make, known_seed, output or "exercises", with_key=not no_key, overwrites=overwrite)
    return _fill_in(folder_of(runs_dir or context.obj), models)


def _way(**given: bool) -> str:
    """Return which of the ways was chosen: an option, or nothing. Raises `InvalidSetting` if several were."""
    chosen = [f"--{name}" for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise InvalidSetting("new", N_("choose one of --new, --mark and --make"))
    return chosen[0] if chosen else ""


def _check_allowed(way: str, context: typer.Context) -> None:
    """Raise `InvalidSetting` if an option, or a file, was given that means nothing here."""
    for parameter in context.command.params:
        option = parameter.opts[0]
        ways = [each for each, allowed in _ALLOWED.items() if each and option in allowed]
        is_given = context.params.get(parameter.name or "") not in (None, False, [], ())
        if is_given and ways and option not in _ALLOWED[way]:
            text = N_("{option} only goes with {ways}")
            raise InvalidSetting("option", text, option=option, ways=", ".join(ways))
    if way != "--mark" and (files := context.params.get("file")):
        raise InvalidSetting("file", N_("{file} is marked with --mark"), file=files[0])


def _copies(files: Sequence[str] | None) -> Sequence[str]:
    if not files or not all(files):
        raise InvalidSetting("file", N_("name the copies to mark after --mark"))
    return files


def _page_format(typed: str | None) -> PageFormat:
    if typed not in (None, *_PAGE_FORMATS):
        raise InvalidSetting("format", N_("the format must be html or md"))
    return "md" if typed == "md" else "html"


def _check_pages(output: str | None, *, needs_folder: bool) -> None:
    if output is None and needs_folder:
        raise InvalidSetting("output", N_("name the folder for the pages with --output"))


def _new(typed: str, models: Sequence[str], *, overwrites: bool) -> int:
    from tui_app.console import exam_sheets_command

    path = paths.absolute(typed)
    exam_sheets_command.check_ending(path)
    return exam_sheets_command.new(path, models, overwrites=overwrites)


def _make(how_many: str, seed: int | None, folder: str, *, with_key: bool, overwrites: bool) -> int:
    from tui_app.console import exam_sheets_command

    return exam_sheets_command.make(
        int(how_many) if how_many.isdecimal() and len(how_many) < 10 else 0,
        secrets.randbelow(_SEEDS_DRAWN) if seed is None else seed,
        paths.absolute(folder),
        with_key=with_key,
        overwrites=overwrites,
    )


def _fill_in(runs_dir: Path, models: Sequence[str]) -> int:
    """Open the dashboard on the sheet; where there is none, print the empty sheet."""
    if no_dashboard(_("the empty sheet follows")):
        from tui_app.console import exam_sheets_command

        return exam_sheets_command.print_sheet(models)
    return open_dashboard(runs_dir, {"model": models[0]} if models else {}, exam=True)
