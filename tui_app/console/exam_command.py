"""`mnist-tui exam`: Annexe 1 to fill in, and for a teacher sheets, exercises and marks."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from core import paths
from core.config import setting_from_text
from core.messages import N_, InvalidSetting
from tui_app.console.arguments import Json, Lang, RunsDir, folder_of, network_names
from tui_app.console.command_line import app
from tui_app.console.opening import no_dashboard, open_dashboard
from tui_app.console.translated import Command
from tui_app.i18n import _

_SEEDS_DRAWN = 10_000
_PAGE_FORMATS = ("html", "md")

CopiesToMark = Annotated[
    list[str] | None,
    typer.Argument(metavar=_("FILE"), show_default=False, help=_("With --mark: copies, or folders of them.")),
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


@app.command(cls=Command, help=_("Fill in Annexe 1; or hand out its sheets, mark copies of them, make exercises."))
def exam(
    context: typer.Context,
    file: CopiesToMark = None,
    new: Annotated[
        str | None, typer.Option("--new", metavar=_("FILE"), help=_("Write an empty sheet: .md or .csv."))
    ] = None,
    mark: Annotated[
        bool, typer.Option("--mark", help=_("Mark the copies FILE..., as data: nothing is executed."))
    ] = False,
    make: Annotated[
        str | None,
        typer.Option("--make", metavar="N", show_default=False, help=_("Make N random networks, all different.")),
    ] = None,
    model: OwnModels = None,
    seed: Annotated[
        str | None,
        typer.Option(
            "--seed",
            metavar="S",
            show_default=False,
            help=_("Seed of the exercises (drawn if none is given); with --mark, the only one that counts."),
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar=_("FOLDER"),
            show_default=False,
            help=_("With --mark: write tables and a page for each copy there. With --make: [default: exercises]"),
        ),
    ] = None,
    no_key: Annotated[bool, typer.Option("--no-key", help=_("Give no right answers away."))] = False,
    page_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="html|md",
            show_default=False,
            help=_("Format of the pages. [default: html]"),
            autocompletion=lambda: list(_PAGE_FORMATS),
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help=_("Replace files that are there already."))] = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    way = _way(new=new is not None, mark=mark, make=make is not None)
    _check_allowed(
        way,
        {
            "--model": bool(model),
            "--seed": seed is not None,
            "--output": output is not None,
            "--no-key": no_key,
            "--format": page_format is not None,
            "--overwrite": overwrite,
            "--json": json,
        },
    )
    files = file or []
    if files and way != "--mark":
        raise InvalidSetting("file", N_("{file} is marked with --mark"), file=files[0])
    models = [setting_from_text("model", each) for each in dict.fromkeys(model or ())]
    known_seed = None if seed is None else setting_from_text("seed", seed)
    if way == "--mark":
        return _mark(files, models, known_seed, output, page_format, no_key=no_key, overwrite=overwrite, json=json)
    from tui_app.console import exam_sheets_command

    if new is not None:
        path = paths.absolute(new)
        exam_sheets_command.check_ending(path)
        return exam_sheets_command.new(path, models, overwrites=overwrite)
    if make is not None:
        return exam_sheets_command.make(
            int(make) if make.isdecimal() and len(make) < 10 else 0,
            secrets.randbelow(_SEEDS_DRAWN) if known_seed is None else known_seed,
            paths.absolute(output or "exercises"),
            with_key=not no_key,
            overwrites=overwrite,
        )
    if no_dashboard(_("the empty sheet follows")):
        return exam_sheets_command.print_sheet(models)
    return open_dashboard(folder_of(runs_dir or context.obj), {"model": models[0]} if models else {}, exam=True)


def _way(**given: bool) -> str:
    """Return which of the ways was chosen: an option, or nothing. Raises `InvalidSetting` if several were."""
    chosen = [f"--{name}" for name, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise InvalidSetting("new", N_("choose one of --new, --mark and --make"))
    return chosen[0] if chosen else ""


_ALLOWED = {
    "": ("--model",),
    "--new": ("--model", "--overwrite"),
    "--mark": ("--model", "--seed", "--output", "--no-key", "--format", "--overwrite", "--json"),
    "--make": ("--seed", "--output", "--no-key", "--overwrite"),
}
"""Options that go with each way."""


def _check_allowed(way: str, given: dict[str, bool]) -> None:
    """Raise `InvalidSetting` if an option was given that means nothing here."""
    for option, is_given in given.items():
        if is_given and option not in _ALLOWED[way]:
            ways = ", ".join(each for each, allowed in _ALLOWED.items() if each and option in allowed)
            raise InvalidSetting("option", N_("{option} only goes with {ways}"), option=option, ways=ways)


def _mark(
    files: list[str],
    models: list[str],
    seed: int | None,
    output: str | None,
    page_format: str | None,
    *,
    no_key: bool,
    overwrite: bool,
    json: bool,
) -> int:
    if not files or not all(files):
        raise InvalidSetting("file", N_("name the copies to mark after --mark"))
    if page_format not in (None, *_PAGE_FORMATS):
        raise InvalidSetting("format", N_("the format must be html or md"))
    if output is None and (page_format or overwrite):
        raise InvalidSetting("output", N_("name the folder for the pages with --output"))
    from tui_app.console.exam_marking_command import MarkingRequest
    from tui_app.console.exam_marking_command import mark as mark_copies

    return mark_copies(
        MarkingRequest(
            files=files,
            models=models,
            seed=seed,
            output=None if output is None else paths.absolute(output),
            page_format="md" if page_format == "md" else "html",
            with_key=not no_key,
            overwrites=overwrite,
            json=json,
        )
    )
