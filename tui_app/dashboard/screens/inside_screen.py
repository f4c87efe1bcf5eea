"""The screen inside a trained network: the way of an image through it, a layer, a value, and why it answers so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Header, Static

from core.catalogue import SIDE
from core.inspecting.views import ValueView
from core.messages import N_
from core.worker.protocol import (
    AskedImage,
    FindNearest,
    InsideQuestion,
    Inspect,
    Inspected,
    InspectedLayer,
    InspectedValue,
    InspectLayer,
    InspectValue,
    NearestFound,
    Occlude,
    Occluded,
    ProgressNote,
    Refused,
)
from tui_app import terminal
from tui_app.dashboard.enquiries import Enquiries
from tui_app.dashboard.keys import inside_keys
from tui_app.dashboard.moment_walk import MomentWalk
from tui_app.dashboard.screens.side_screen import AskedRun, AskingScreen
from tui_app.dashboard.why_not import no_snapshots
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.tile_wall import TileWall
from tui_app.i18n import _, percent, say
from tui_app.inside import bands, words
from tui_app.inside.bands import Band
from tui_app.inside.cards import CardLine, card, heading, softmax_card
from tui_app.inside.position import LAYER, VALUE, WAY, Position

LIVE_S = 3.0
"""Seconds after which a run in progress is looked at again: it saves checkpoints some seconds apart."""
_SLOW_S = 0.4
"""Seconds after which a wait is told."""


class InsideScreen(AskingScreen[None]):
    """A network and an image, at three levels; `ask` sends a request, answered in `show`."""

    ASKS = (Inspect, InspectLayer, InspectValue, Occlude, FindNearest)
    AUTO_FOCUS = ""
    HELP = N_(
        "An image on its way through the network: every layer with its most active channels, positive values orange and"
        " negative ones blue. Enter goes down to a layer, with its weights and what it does, and from there to a single"
        " value, with the sum that gives it; Esc goes up again. On the image is marked what the value depends on."
    )

    def __init__(
        self,
        subjects: Sequence[AskedRun],
        picture: AskedImage,
        ask: Callable[[InsideQuestion], None],
        *,
        layer: str = "",
        moment: str = "",
    ) -> None:
        """Show the first of `subjects` at a `moment`, the second beside it on request; `layer` is opened at once."""
        super().__init__(inside_keys())
        self._subjects = list(subjects[:2])
        self._picture = picture
        self._enquiries: Enquiries[InsideQuestion] = Enquiries(ask, lambda each: (type(each), each.run_dir))
        self._open_first = layer
        self._at = Position()
        self._first_moment = moment
        self._walk: MomentWalk | None = None
        """Walk through the moments of the training, once they are known."""
        self._is_beside = False
        self._other: Inspected | None = None
        """The image's way through the second network."""
        self._value: ValueView | None = None
        self._occluded: Occluded | None = None
        self._nearest: NearestFound | None = None
        self._said: dict[str, str] = {}
        """What the texts say, by their places."""

    def compose(self) -> ComposeResult:
        yield Header()
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
        yield KeyFooter(self.keys)

    def on_mount(self) -> None:
        self.set_timer(_SLOW_S, self._say_waiting)
        self.set_interval(LIVE_S, self._look_again)
        self._ask_again()

    def on_resize(self) -> None:
        self.call_after_refresh(self._fill)

    # Questions and answers

    def _ask_again(self) -> None:
        """Ask for everything that is on the screen."""
        self._enquiries.ask(Inspect(*self._about))
        if self._is_beside:
            self._enquiries.ask(Inspect(self._subjects[1].run_dir, self._picture))
        if self._occluded is not None:
            self._enquiries.ask(Occlude(*self._about, chosen=self._occluded.request.chosen))
        self._ask_deeper()

    def _ask_deeper(self) -> None:
        if self._at.level >= LAYER and not self._at.is_at_end:
            self._enquiries.ask(InspectLayer(*self._about, layer=self._at.layer))
        self._ask_value()

    def _ask_value(self) -> None:
        if self._at.level == VALUE and (place := self._at.flat_place) is not None:
            self._enquiries.ask(InspectValue(*self._about, layer=self._at.layer, place=place))

    @property
    def _about(self) -> tuple[str, AskedImage, str]:
        moment = self._walk.wanted.name if self._walk is not None else self._first_moment
        return self._subjects[0].run_dir, self._picture, moment

    def show(self, answer: Any) -> None:
        if isinstance(answer, ProgressNote):
            self._tell(f"{say(answer.message)}: {percent(answer.fraction or 0, 0)}")
            return
        if not self._enquiries.take(answer.request):
            return
        match answer:
            case Inspected():
                self._take_way(answer)
            case InspectedLayer() if answer.request.layer == self._at.layer:
                self._at.take_layer(answer, self._width)
            case InspectedValue():
                self._value = answer.value
            case Occluded():
                self._occluded = answer
            case NearestFound():
                self._nearest = answer
        self._fill()

    def _take_way(self, answer: Inspected) -> None:
        if answer.request.run_dir != self._subjects[0].run_dir:
            self._other = answer
            return
        self._at.way = answer
        if self._walk is None or self._walk.moments != answer.moments:
            name = answer.request.moment
            self._walk = MomentWalk(self, answer.moments, name, lambda _moment: self._ask_again(), self._tell)
        if self._walk.wanted.name == answer.request.moment:
            self._walk.arrive()
        for doubt in answer.doubts:
            self.notify(say(doubt), severity="warning", timeout=10, markup=False)
        names = [view.name for view in answer.layers]
        if self._open_first in names:
            self._at.go_to_layer(names.index(self._open_first))
            self._arrive()
        self._open_first = ""
        self.refresh_bindings()

    def refuse(self, refused: Refused) -> None:
        super().refuse(refused)
        if self._walk is not None:
            self._walk.give_up()
        self._tell(say(refused.message, refused.advice))

    def give_up(self) -> None:
        self._enquiries.forget()

    @property
    def is_waiting(self) -> bool:
        return self._enquiries.has_open(FindNearest)

    # Going down and up

    def action_deeper(self) -> None:
        if self._nearest is None and self._at.deeper():
            self._arrive()

    def action_leave(self) -> None:
        if self._walk is not None:
            self._walk.stop()
        if self._nearest is not None:
            self._nearest = None
            self._fill()
        elif self._at.higher():
            self._arrive()
        else:
            self.dismiss()

    def action_turn(self, layers: int) -> None:
        """Go to another layer."""
        if self._at.way is not None:
            self._at.go_to_layer(self._at.layer + layers)
            self._arrive()

    def _arrive(self) -> None:
        """Show another level or layer."""
        self._value = None
        self.set_class(self._at.level > WAY, "-deep")
        if self._at.of_layer is None:
            self._ask_deeper()
        self._ask_value()
        self.refresh_bindings()
        self.call_after_refresh(self._fill)

    def action_move(self, rows: int, columns: int) -> None:
        self._at.move(rows, columns, self._width, self.query_one("#inside-wall", TileWall).beside)
        self._ask_value()
        self._fill()

    @on(TileWall.Clicked, "#inside-wall")
    def _clicked(self, event: TileWall.Clicked) -> None:
        if self._nearest is None and self._at.level < VALUE and not (self._at.level > WAY and self._at.is_at_end):
            self._at.put_on(event.spot, self._width)
            self.action_deeper()

    # Other images, moments of the training, and runs

    def action_image(self, offset: int) -> None:
        """Go to another test image."""
        index = self._picture.index
        self._picture = AskedImage(0 if index is None else max(0, index + offset))
        self._nearest = None
        self._ask_again()

    def action_moment(self, offset: int) -> None:
        if self._walk is not None:
            self._walk.step(offset)

    def action_play(self) -> None:
        if self._walk is not None:
            self._walk.play()

    def _look_again(self) -> None:
        if self._at.way is not None and not self._at.way.is_final and not self._enquiries.are_open:
            self._ask_again()

    def action_why(self) -> None:
        if self._occluded is not None or self._at.way is None:
            self._occluded = None
            self._fill()
            return
        probabilities = self._at.way.probabilities
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        self._enquiries.ask(Occlude(*self._about, chosen=best))

    def action_nearest(self) -> None:
        self._tell(_("Looking through the training images…"))
        self._enquiries.ask(FindNearest(*self._about))

    def action_beside(self) -> None:
        self._is_beside = not self._is_beside
        self.set_class(self._is_beside, "-beside")
        self._ask_again()
        self.call_after_refresh(self._fill)

    def why_not(self, verb: str) -> str:
        if verb == "beside" and len(self._subjects) < 2:
            return _("Overlay a second finished run on the dashboard first.")
        if verb in ("moment", "play") and (self._walk is None or len(self._walk.moments) < 2):
            return no_snapshots()
        if verb == "turn" and self._at.level == WAY:
            return _("Enter opens a layer first.")
        return ""

    # Showing

    @property
    def _width(self) -> int:
        return self.query_one("#inside-wall", TileWall).width

    def _say_waiting(self) -> None:
        if self._at.way is None and self._enquiries.are_open:
            self._tell(_("Loading torch and the network: this takes some seconds the first time…"))

    def _tell(self, text: str) -> None:
        self._put("#inside-title", Content(text))

    def _put(self, place: str, text: Content) -> None:
        """Show a text unless it is there already: a new one costs a new layout of the screen."""
        if self._said.get(place) != text.markup:
            self._said[place] = text.markup
            self.query_one(place, Static).update(text)

    def _fill(self) -> None:
        way = self._at.way
        if way is None:
            return
        plain = not terminal.has_utf8()
        self._tell(words.title(self._subjects[0].run_id, self._subjects[0].network, way))
        seen = self._value if self._at.level == VALUE else None
        pixels = bands.image(way.pixels, seen.receptive_field if seen is not None else b"", self._occluded)
        self.query_one("#inside-image", TileWall).show([Band("", (pixels,))], None)
        other = self._other if self._is_beside else None
        ways = [way] if other is None else [way, other]
        room = self.query_one("#inside-image-side").size.height - SIDE // 2
        self._put("#inside-answer", words.answers_of(ways, SIDE, room, plain=plain))
        if other is not None:
            beside = self.query_one("#inside-other", TileWall)
            beside.show(bands.way(other, beside.width, plain=plain), None)
        self._fill_wall(self.query_one("#inside-wall", TileWall), way, seen, plain=plain)

    def _fill_wall(self, wall: TileWall, way: Inspected, seen: ValueView | None, *, plain: bool) -> None:
        at, text = self._at, Content("")
        if self._nearest is not None:
            wall.show([bands.neighbours(self._nearest, way)], None)
            text = Content(words.neighbours(self._nearest, way))
        elif at.level == WAY:
            wall.show(bands.way(way, self._width, plain=plain), at.spot)
            text = Content(words.occlusion(self._occluded, way) if self._occluded is not None else "")
        elif at.is_at_end:
            wall.show(bands.way(way, self._width, plain=plain)[-1:], None)
            text = words.lines(softmax_card(way))
        elif at.of_layer is not None and at.level == LAYER:
            view, facts = at.of_layer.layer, at.of_layer.facts
            wall.show(at.layer_bands(self._width), at.spot)
            text = words.lines([CardLine("", heading(view)), *card(view, facts, at.channel)])
        elif at.view is not None and at.map is not None:
            wall.show(bands.value(at.view, at.map, at.place, seen, self._width, wall.size.height), None)
            text = words.value(at.view, seen, self.query_one("#inside-text").size.width)
        self._put("#inside-text", text)
        self.query_one("#inside-text-box").display = bool(text)
