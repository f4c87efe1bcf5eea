"""`mnist-tui inside` as text: an image on its way through a network."""

from __future__ import annotations

from rich.text import Text

from core.runs.directory import Run
from core.worker.protocol import AskedImage, Inspect, Inspected
from tui_app import tables, terminal, wording
from tui_app.console.training_command import prepare_for_torch
from tui_app.inside import bands, words
from tui_app.inside.bands import Band
from tui_app.inside.tiles import Painter, Tile

_COLUMNS = 80
_GAP = 1


def inside(run: Run, picture: AskedImage, *, trusts: bool) -> int:
    """Print an image, every layer with its most active channels, and the answer. Raises `Problem`.

    `trusts` allows another user's network to be executed.
    """
    prepare_for_torch()
    from core.worker.questions import RunInspector

    with terminal.unclaimed_output_dropped():
        answer = RunInspector().insides.answer(
            Inspect(str(run.path), picture, trusts=trusts), lambda _message, _fraction: None
        )
    assert isinstance(answer, Inspected)
    out = terminal.output()
    painter = Painter(plain=not (out.isatty() and terminal.has_grey()))
    shown = bands.way(answer, _COLUMNS, plain=not terminal.takes_utf8(out))
    network = wording.network_name(run.config(), folder=False)
    texts: list[str | Text] = [
        words.title(run.id, network, answer),
        *_drawn(Band("", (bands.image(answer.pixels),)), painter),
    ]
    for band in shown:
        texts += ["", *_drawn(band, painter)]
    tables.print_texts(texts)
    return 0


def _drawn(band: Band, painter: Painter) -> list[str | Text]:
    """Return the lines of a band: its heading, its text, and as many pictures as fit side by side."""
    tiles: list[Tile] = []
    room = _COLUMNS
    for tile in band.tiles:
        room -= tile.width + _GAP
        if tiles and room < -_GAP:
            break
        tiles.append(tile)
    lines: list[str | Text] = [line for line in (band.heading, *band.lines) if line]
    for number in range(max((tile.height for tile in tiles), default=0)):
        text = Text(no_wrap=True)
        for tile in tiles:
            for segment in painter.line(tile, number):
                text.append(segment.text, segment.style)
            text.append(" " * _GAP)
        text.rstrip()
        lines.append(text)
    captions = " ".join(tile.caption.ljust(tile.width) for tile in tiles).rstrip()
    return [*lines, captions] if captions else lines
