"""The command line's commands for pictures of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from core import paths
from core.messages import N_, InvalidSetting
from core.runs import directory, names, resumption
from core.worker.protocol import AskedImage
from tui_app.console import completion
from tui_app.console.arguments import Json, Lang, RunId, RunsDir, Trust, folder_of
from tui_app.console.command_line import app
from tui_app.console.opening import no_dashboard, open_dashboard
from tui_app.console.translated import Command
from tui_app.i18n import _

RunAndPictures = Annotated[
    list[str],
    typer.Argument(
        metavar=_("[RUN] FILE..."),
        show_default=False,
        help=_("A run's id (the newest finished one of your own by default), then pictures, or folders of them."),
        autocompletion=completion.runs_in(folder_of, "done"),
    ),
]


@app.command(cls=Command, help=_("Say which digit a photograph or scan shows, as a trained network sees it."))
def predict(
    context: typer.Context,
    what: RunAndPictures,
    trust: Trust = False,
    json: Json = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    from tui_app.console import predict_command

    folder = folder_of(runs_dir or context.obj)
    run_id = what[0] if _is_run(folder, what[0]) else None
    pictures = what[1:] if run_id else what
    if not all(pictures) or not pictures:
        raise InvalidSetting("file", N_("name a picture, or a folder of pictures, after the run"))
    run = directory.find(folder, run_id, frozenset({"done"}))
    resumption.check_trusted(run, run.config(), trust=trust)
    return predict_command.predict(run, pictures, names_run=run_id is not None, json=json)


@app.command(cls=Command, help=_("Look inside a trained network: an image on its way through it, layer by layer."))
def inside(
    context: typer.Context,
    run: RunId = None,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar=_("N|FILE"), help=_("Number of a test image (0 by default), or a picture.")),
    ] = None,
    draw: Annotated[bool, typer.Option("--draw", help=_("Draw a digit instead."))] = False,
    trust: Trust = False,
    runs_dir: RunsDir = None,
    lang: Lang = None,
) -> int:
    folder = folder_of(runs_dir or context.obj)
    found = directory.find(folder, run)
    resumption.check_trusted(found, found.config(), trust=trust)
    if draw and image is not None:
        raise InvalidSetting("draw", N_("choose one of --image and --draw"))
    picture = AskedImage() if draw else _picture(image or "0")
    if not no_dashboard(_("what happens inside follows as text")):
        return open_dashboard(folder, {}, found.id, look=(picture, trust))
    if draw:
        raise InvalidSetting("draw", N_("there is no terminal to draw in: name a picture with --image"))
    from tui_app.console import inside_command

    return inside_command.inside(found, picture, trusts=trust)


def _picture(text: str) -> AskedImage:
    """Return the test image or the file that is meant. Raises `InvalidSetting`."""
    if text.isdecimal():
        return AskedImage(int(text))
    path = paths.absolute(text)
    if not path.exists():
        raise InvalidSetting("image", N_("{image} is neither the number of a test image nor a file"), image=text)
    return AskedImage(path=str(path))


def _is_run(runs_dir: Path, text: str) -> bool:
    """Tell if a run is meant, there or not: what is neither there nor like an id or a name is a file."""
    is_id = names.ID.fullmatch(text) is not None
    if is_id and (runs_dir / text).is_dir():
        return True
    if paths.absolute(text).exists():
        return False
    return is_id or (names.is_name(text) and names.find(runs_dir, text) is not None)
