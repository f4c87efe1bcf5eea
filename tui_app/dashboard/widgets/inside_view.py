"""What a look inside a network shows: the image and the answer, pictures, and a text below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.catalogue import SIDE
from core.worker.protocol import Inspected, Occluded
from tui_app import terminal
from tui_app.dashboard.widgets.tile_wall import TileWall
from tui_app.i18n import _
from tui_app.inside import bands, words
from tui_app.inside.bands import Band
from tui_app.inside.levels import Room, Shown


class InsideView(Vertical):
    """The parts of the screen inside a network, below a title."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, str] = {}
        """What the texts say, by their places."""

    def compose(self) -> ComposeResult:
        yield Static(_("Loading the network…"), id="inside-title")
        with Horizontal(id="inside"):
            with Vertical(id="inside-image-side"):
                yield TileWall(id="inside-image")
                yield Static(id="inside-answer")
            with Vertical(id="inside-side"):
                with Horizontal(id="inside-walls"):
                    yield TileWall(id="inside-wall")
                    yield TileWall(id="inside-other")
                with VerticalScroll(can_focus=False, id="inside-text-box"):
                    yield Static(id="inside-text")

    @property
    def wall(self) -> TileWall:
        """The pictures of the level."""
        return self.query_one("#inside-wall", TileWall)

    def tell(self, text: str) -> None:
        """Say in the title what is shown, or what is going on."""
        self._put("#inside-title", Content(text))

    def show(
        self,
        ways: Sequence[Inspected],
        receptive_field: bytes,
        occluded: Occluded | None,
        level: Callable[[Room], Shown],
    ) -> None:
        """Show the image and its answers in one or two networks, and a level of the first one."""
        plain = not terminal.has_utf8()
        pixels = bands.image(ways[0].pixels, receptive_field, occluded)
        self.query_one("#inside-image", TileWall).show([Band("", (pixels,))], None)
        lines = self.query_one("#inside-image-side").size.height - SIDE // 2
        self._put("#inside-answer", words.answers_of(ways, SIDE, lines, plain=plain))
        if len(ways) > 1:
            beside = self.query_one("#inside-other", TileWall)
            beside.show(bands.way(ways[1], beside.width, plain=plain), None)
        room = Room(self.wall.width, self.wall.size.height, plain, is_colourless=not terminal.has_grey())
        shown = level(room)
        self.wall.show(shown.bands, shown.cursor)
        self._put("#inside-text", shown.text)
        self.query_one("#inside-text-box").display = bool(shown.text)

    def _put(self, place: str, text: Content) -> None:
        """Show a text unless it is there already: a new one costs a new layout of the screen."""
        if self._said.get(place) != text.markup:
            self._said[place] = text.markup
            self.query_one(place, Static).update(text)
