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
from core.inspecting.views import FeatureMap, ValueView
from core.messages import N_
from core.worker.protocol import (
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
    Picture,
    ProgressNote,
    Refused,
)
from tui_app import terminal
from tui_app.dashboard.enquiries import Enquiries
from tui_app.dashboard.keys import inside_keys
from tui_app.dashboard.screens.side_screen import AskedRun, AskingScreen
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.tile_wall import TileWall
from tui_app.i18n import _, percent, say
from tui_app.inside import bands, words
from tui_app.inside.bands import Band, Spot
from tui_app.inside.cards import Line, card, heading, softmax_card

PLAY_S = 0.7
"""Seconds for which each moment is shown when the training is played."""
_SLOW_S = 0.4
"""Seconds after which a wait is told."""


class InsideScreen(AskingScreen[None]):
    """A network and an image, at three levels; `ask` sends a request, answered in `show`."""

    ASKS = (Inspect, InspectLayer, InspectValue, Occlude, FindNearest)
    AUTO_FOCUS = ""
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012
    HELP = N_(
        "An image on its way through the network: every layer with its most active channels, orange for positive values"
        " and blue for negative ones. Enter goes down to a layer, with its weights and what it does, and from there to a"
        " single value, with the sum that gives it; Esc goes up again. The image shows what the value sees of it."
    )

    def __init__(
        self, subjects: Sequence[AskedRun], picture: Picture, ask: Callable[[InsideQuestion], None], layer: str = ""
    ) -> None:
        """Show the first of `subjects`, the second one beside it on request; `layer` is opened at once."""
        super().__init__(inside_keys())
        self._subjects = list(subjects[:2])
        self._picture = picture
        self._enquiries: Enquiries[InsideQuestion] = Enquiries(ask, lambda each: (type(each), each.run_dir))
        self._open_first = layer
        self._level = 1
        self._spot: Spot = (0, 0)
        """Picture under the cursor, on the first two levels."""
        self._layer = self._channel = self._place = 0
        self._moment = ""
        self._is_beside = self._is_playing = False
        self._way: dict[str, Inspected] = {}
        self._of_layer: InspectedLayer | None = None
        self._of_value: InspectedValue | None = None
        self._occluded: Occluded | None = None
        self._nearest: NearestFound | None = None

    def compose(self) -> ComposeResult:
        yield Header()
        yield Static(_("Loading the network…"), id="inside-title")
        with Horizontal(id="inside"):
            with Vertical(id="inside-image-side"):
                yield TileWall(id="inside-image")
                with VerticalScroll(can_focus=False, id="inside-answer-box"):
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
        self.set_interval(PLAY_S, self._play_on)
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
        if self._level >= 2 and not self._is_at_end:
            self._enquiries.ask(InspectLayer(*self._about, layer=self._layer))
        if self._level == 3 and self._of_layer is not None:
            place = bands.place_of(self._of_layer.layer, self._channel, self._place)
            self._enquiries.ask(InspectValue(*self._about, layer=self._layer, place=place))

    @property
    def _about(self) -> tuple[str, Picture, str]:
        return self._subjects[0].run_dir, self._picture, self._moment

    def show(self, answer: Any) -> None:
        if isinstance(answer, ProgressNote):
            self._tell(f"{say(answer.message)}: {percent(answer.fraction or 0, 0)}")
            return
        if not self._enquiries.take(answer.request):
            return
        match answer:
            case Inspected():
                self._take_way(answer)
            case InspectedLayer() if answer.request.layer == self._layer:
                self._take_layer(answer)
            case InspectedValue():
                self._of_value = answer
            case Occluded():
                self._occluded = answer
            case NearestFound():
                self._nearest = answer
        self._fill()

    def _take_way(self, answer: Inspected) -> None:
        self._way[answer.request.run_dir] = answer
        for doubt in answer.doubts:
            self.notify(say(doubt), severity="warning", timeout=10, markup=False)
        names = [view.name for view in answer.layers]
        if self._open_first in names:
            self._layer = names.index(self._open_first)
            self._go_to_level(2)
        self._open_first = ""
        self.refresh_bindings()

    def _take_layer(self, answer: InspectedLayer) -> None:
        is_new = self._of_layer is None
        self._of_layer = answer
        if is_new:
            self._spot = bands.spot_of(self._layer_bands(answer), self._channel)

    def refuse(self, refused: Refused) -> None:
        super().refuse(refused)
        self._tell(say(refused.message, refused.advice))

    def give_up(self) -> None:
        self._enquiries.forget()

    # Where we are

    @property
    def _answer(self) -> Inspected | None:
        return self._way.get(self._subjects[0].run_dir)

    @property
    def _is_at_end(self) -> bool:
        """True on the softmax after the last layer."""
        return self._answer is not None and self._layer >= len(self._answer.layers)

    @property
    def _map(self) -> FeatureMap | None:
        """Channel that is looked at; None if it is not known yet."""
        maps = self._of_layer.layer.maps if self._of_layer is not None else ()
        return next((each for each in maps if each.channel == self._channel), maps[0] if maps else None)

    def _go_to_level(self, level: int) -> None:
        self._level = level
        self._of_value = None
        if level == 1:
            self._spot = (self._layer, 0)
        self.set_class(level > 1, "-deep")
        self._ask_deeper()
        self.refresh_bindings()
        self.call_after_refresh(self._fill)

    def action_deeper(self) -> None:
        if self._answer is None:
            return
        if self._level == 1:
            self._layer, shown = self._spot
            maps = () if self._is_at_end else self._answer.layers[self._layer].maps
            self._channel = maps[shown].channel if shown < len(maps) else 0
            self._of_layer = None
            self._go_to_level(2)
        elif self._level == 2 and self._map is not None and self._of_layer is not None and not self._is_at_end:
            self._place = bands.strongest_place(self._of_layer.layer, self._map)
            self._go_to_level(3)

    def action_leave(self) -> None:
        if self._is_playing:
            self._is_playing = False
        elif self._nearest is not None:
            self._nearest = None
            self._fill()
        elif self._level > 1:
            self._go_to_level(self._level - 1)
        else:
            self.dismiss()

    def action_move(self, rows: int, columns: int) -> None:
        if self._answer is None:
            return
        if self._level == 1:
            layer, shown = self._spot
            layer = min(max(0, layer + rows), len(self._answer.layers))
            most = 1 if layer == len(self._answer.layers) else bands.num_shown(self._answer.layers[layer])
            self._layer, self._spot = layer, (layer, min(max(0, shown + columns), most - 1))
        elif self._level == 2 and self._of_layer is not None:
            self._spot = self.query_one("#inside-wall", TileWall).beside(rows, columns) or self._spot
            self._channel = bands.channel_at(self._layer_bands(self._of_layer), self._spot, self._channel)
        elif self._map is not None and self._of_layer is not None:
            self._place = bands.place_beside(self._of_layer.layer, self._map, self._place, rows, columns, self._width)
            self._ask_deeper()
        self._fill()

    @on(TileWall.Clicked, "#inside-wall")
    def _clicked(self, event: TileWall.Clicked) -> None:
        if self._nearest is not None or self._is_at_end:
            return
        if self._level < 3:
            self._spot = event.spot
            if self._level == 2 and self._of_layer is not None:
                self._channel = bands.channel_at(self._layer_bands(self._of_layer), self._spot, self._channel)
            self.action_deeper()

    def action_turn(self, layers: int) -> None:
        """Go to another layer."""
        if self._answer is not None:
            self._layer = min(max(0, self._layer + layers), len(self._answer.layers))
            self._channel = self._place = 0
            self._of_layer = None
            self._go_to_level(2)

    def action_image(self, offset: int) -> None:
        """Go to another test image."""
        index = self._picture.index
        self._picture = Picture(0 if index is None else max(0, index + offset))
        self._nearest = None
        self._ask_again()

    # Moments of the training

    def action_moment(self, offset: int) -> None:
        names = [each.name for each in self._answer.moments] if self._answer is not None else []
        at = names.index(self._moment) if self._moment in names else len(names) - 1
        if 0 <= at + offset < len(names):
            self._moment = names[at + offset]
            self._ask_again()

    def action_play(self) -> None:
        moments = self._answer.moments if self._answer is not None else ()
        self._is_playing = not self._is_playing and len(moments) > 1
        if self._is_playing and self._moment == moments[-1].name:
            self._moment = moments[0].name
            self._ask_again()

    def _play_on(self) -> None:
        if self._is_playing and not self._enquiries.are_open:
            before = self._moment
            self.action_moment(1)
            self._is_playing = before != self._moment

    # Why this answer, and another run

    def action_why(self) -> None:
        if self._occluded is not None or self._answer is None:
            self._occluded = None
            self._fill()
            return
        best = max(range(len(self._answer.probabilities)), key=self._answer.probabilities.__getitem__)
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
        if verb in ("moment", "play") and (self._answer is None or len(self._answer.moments) < 2):
            return _("This run kept no snapshots: train one with --snapshots, or from the dashboard.")
        if verb == "turn" and self._level == 1:
            return _("Enter opens a layer first.")
        return ""

    # Showing

    @property
    def _width(self) -> int:
        return max(20, self.query_one("#inside-wall", TileWall).size.width)

    def _say_waiting(self) -> None:
        if self._answer is None and self._enquiries.are_open:
            self._tell(_("Loading torch and the network: this takes some seconds the first time…"))

    def _tell(self, text: str) -> None:
        self.query_one("#inside-title", Static).update(Content(text))

    def _fill(self) -> None:
        answer = self._answer
        if answer is None:
            return
        wall, plain = self.query_one("#inside-wall", TileWall), not terminal.has_utf8()
        self._tell(words.title(self._subjects[0].run_id, self._subjects[0].network, answer))
        seen = self._of_value.value if self._level == 3 and self._of_value is not None else None
        pixels = bands.image(answer.pixels, seen.receptive_field if seen is not None else b"", self._occluded)
        self.query_one("#inside-image", TileWall).show([Band("", (pixels,))], None)
        ways = [way for each in self._subjects if (way := self._way.get(each.run_dir)) is not None]
        self.query_one("#inside-answer", Static).update(
            words.answers_of(ways[: 1 + self._is_beside], SIDE, plain=plain)
        )
        if self._nearest is not None:
            wall.show([bands.neighbours(self._nearest, answer)], None)
            self._say_below(words.neighbours(self._nearest, answer))
        elif self._level == 1:
            wall.show(bands.way(answer, self._width, plain=plain), self._spot)
            self._say_below(words.occlusion(self._occluded, answer) if self._occluded is not None else "")
        elif self._is_at_end:
            wall.show(bands.way(answer, self._width, plain=plain)[-1:], None)
            self._say_below(words.lines(softmax_card(answer)))
        elif self._of_layer is not None:
            self._fill_deep(wall, self._of_layer, seen)
        if self._is_beside and len(ways) > 1:
            beside = self.query_one("#inside-other", TileWall)
            beside.show(bands.way(ways[1], beside.size.width, plain=plain), None)

    def _fill_deep(self, wall: TileWall, found: InspectedLayer, seen: ValueView | None) -> None:
        view, facts = found.layer, found.facts
        if self._level == 2:
            wall.show(self._layer_bands(found), self._spot)
            self._say_below(words.lines([Line("", heading(view)), *card(view, facts, self._channel)]))
        elif self._map is not None:
            wall.show(bands.value(view, self._map, self._place, seen, self._width, wall.size.height), None)
            self._say_below(words.value(view, seen, self.query_one("#inside-text").size.width))

    def _layer_bands(self, found: InspectedLayer) -> list[Band]:
        return bands.layer(found.layer, found.facts, self._channel, self._width)

    def _say_below(self, text: str | Content) -> None:
        self.query_one("#inside-text", Static).update(text if isinstance(text, Content) else Content(text))
        self.query_one("#inside-text-box").display = bool(text)
