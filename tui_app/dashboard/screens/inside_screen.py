"""The screen inside a trained network: the way of an image through it, a layer, a value, and why it answers so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.widgets import Header

from core.exam.questions import THE_END
from core.inspecting.views import ValueView
from core.messages import N_, Problem
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
from tui_app.dashboard.enquiries import Enquiries
from tui_app.dashboard.keys import inside_keys
from tui_app.dashboard.moment_walk import MomentWalk
from tui_app.dashboard.screens.side_screen import AskedRun, AskingScreen
from tui_app.dashboard.why_not import no_snapshots
from tui_app.dashboard.widgets.inside_view import InsideView
from tui_app.dashboard.widgets.key_footer import KeyFooter
from tui_app.dashboard.widgets.tile_wall import TileWall
from tui_app.i18n import _, percent, say
from tui_app.inside import levels, words
from tui_app.inside.levels import Room, Shown
from tui_app.inside.position import LAYER, VALUE, WAY, Position

LIVE_S = 3.0
"""Seconds after which a run in progress is looked at again: it saves checkpoints some seconds apart."""
FIELD_S = 0.3
"""Seconds after which a value is asked about again, if it was not known yet what it depends on."""
_LAYERS_OF_A_PAGE = 3
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
        trusts: bool = False,
    ) -> None:
        """Show the first of `subjects` at a `moment`, the second beside it on request.

        `layer`, or `THE_END`, is opened at once; `trusts` allows another user's network to be executed.
        """
        super().__init__(inside_keys())
        self._subjects = list(subjects[:2])
        self._picture = picture
        self._enquiries: Enquiries[InsideQuestion] = Enquiries(ask, lambda each: (type(each), each.run_dir))
        self._open_first = layer
        self._at = Position()
        self._first_moment = moment
        self._trusts = trusts
        self._walk: MomentWalk | None = None
        """Walk through the moments of the training, once they are known."""
        self._is_beside = self._wants_why = False
        self._other: Inspected | None = None
        """The image's way through the second network."""
        self._value: ValueView | None = None
        self._occluded: Occluded | None = None
        self._nearest: NearestFound | None = None

    def compose(self) -> ComposeResult:
        yield Header()
        yield InsideView()
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
        self._occluded = self._nearest = None
        self._enquiries.ask(Inspect(*self._about))
        if self._is_beside:
            self._enquiries.ask(Inspect(self._subjects[1].run_dir, self._picture))
        self._ask_deeper()

    def _ask_deeper(self) -> None:
        if self._at.level >= LAYER and not self._at.is_at_end:
            self._enquiries.ask(InspectLayer(*self._about, layer=self._at.layer))
        self._ask_value()

    def _ask_value(self) -> None:
        if self._at.level == VALUE and (place := self._at.flat_place) is not None:
            self._enquiries.ask(InspectValue(*self._about, layer=self._at.layer, place=place))

    @property
    def _about(self) -> tuple[str, AskedImage, str, bool]:
        moment = self._walk.wanted.name if self._walk is not None else self._first_moment
        return self._subjects[0].run_dir, self._picture, moment, self._trusts

    def _is_about(self, question: InsideQuestion) -> bool:
        """Tell if a question is about what is on the screen, and not about an image or a moment that was left."""
        about = (question.run_dir, question.picture, question.moment, question.trusts)
        return about == self._about or (question.run_dir != self._about[0] and question.picture == self._picture)

    def show(self, answer: Any) -> None:
        if isinstance(answer, ProgressNote):
            if self._enquiries.has_open(FindNearest):
                share = percent(answer.fraction or 0, 0)
                self._tell(_("{text}: {share}").format(text=say(answer.message), share=share))
            return
        if not self._enquiries.take(answer.request) or not self._is_about(answer.request):
            return
        match answer:
            case Inspected():
                self._take_way(answer)
            case InspectedLayer() if answer.request.layer == self._at.layer:
                self._at.take_layer(answer, self._view.wall.width)
            case InspectedValue() if answer.request.layer == self._at.layer:
                self._value = answer.value
                if not answer.value.is_field_known:
                    self.set_timer(FIELD_S, self._ask_value)
            case Occluded():
                self._occluded = answer
            case NearestFound():
                self._nearest = answer
        self._fill()

    def _take_way(self, answer: Inspected) -> None:
        if answer.request.run_dir != self._subjects[0].run_dir:
            self._other = answer
            return
        before, self._at.way = self._at.way, answer
        if self._walk is None:
            name, waiting = answer.request.moment, N_("Loading epoch {epoch}, batch {step}…")
            self._walk = MomentWalk(
                self, answer.moments, name, lambda _moment: self._ask_again(), self._tell, waiting=waiting
            )
        self._walk.update(answer.moments)
        self._walk.arrive()
        if self._wants_why and self._occluded is None:
            self._enquiries.ask(Occlude(*self._about, chosen=answer.best))
        if answer.is_live and before is not None and before.logits != answer.logits:
            self._ask_deeper()  # the run has gone on
        for doubt in answer.doubts:
            self.notify(say(doubt), severity="warning", timeout=10, markup=False)
        names = [*(view.name for view in answer.layers), THE_END]
        if self._open_first in names:
            self._at.go_to_layer(names.index(self._open_first))
            self._arrive()
        self._open_first = ""
        self.refresh_bindings()

    def refuse(self, refused: Refused) -> None:
        """Tell why a question cannot be answered, and go back to what is shown."""
        request = refused.request
        if not isinstance(request, self.ASKS) or not self._enquiries.take(request) or not self._is_about(request):
            return
        if self._walk is not None:
            self._walk.give_up()
        if self._at.way is not None and isinstance(request, Inspect):
            self._picture = self._at.way.request.picture
        self._complain(Problem.of(refused.message, refused.advice))
        self._fill()
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
        """Go to another layer, on the first level some layers on."""
        if self._at.way is None or self._nearest is not None:
            return
        if self._at.level == WAY:
            self.action_move(layers * _LAYERS_OF_A_PAGE, 0)
        else:
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
        # What is asked for is drawn once, when it has come.
        if self._at.level == WAY or self._at.is_at_end or (self._at.level == LAYER and self._at.of_layer is not None):
            self.call_after_refresh(self._fill)

    def action_move(self, rows: int, columns: int) -> None:
        if self._nearest is not None:
            self._view.wall.scroll_relative(y=rows, animate=False)
            return
        self._at.move(rows, columns, self._view.wall.width, self._view.wall.beside)
        self._ask_value()
        self._fill()

    @on(TileWall.Clicked, "#inside-wall")
    def _clicked(self, event: TileWall.Clicked) -> None:
        if self._nearest is None and self._at.level < VALUE and not (self._at.level > WAY and self._at.is_at_end):
            self._at.put_on(event.spot, self._view.wall.width)
            self.action_deeper()

    # Other images, moments of the training, and runs

    def action_image(self, offset: int) -> None:
        """Go to another test image."""
        index = self._picture.index
        most = max(1, self._at.way.num_images if self._at.way is not None else 1)
        self._picture = AskedImage(0 if index is None else min(max(0, index + offset), most - 1))
        self._ask_again()

    def action_moment(self, offset: int) -> None:
        if self._walk is not None:
            self._walk.step(offset)

    def action_play(self) -> None:
        if self._walk is not None:
            self._walk.play()

    def _look_again(self) -> None:
        """Look whether a run in progress has newer parameters."""
        if self._at.way is not None and self._at.way.is_live and not self._enquiries.are_open:
            self._enquiries.ask(Inspect(*self._about))

    def action_why(self) -> None:
        self._wants_why = not self._wants_why
        self._occluded = None
        if self._wants_why and self._at.way is not None:
            self._enquiries.ask(Occlude(*self._about, chosen=self._at.way.best))
        self._fill()

    def action_nearest(self) -> None:
        if self._nearest is not None:
            self._nearest = None
            self._fill()
        else:
            self._tell(_("Looking through the training images…"))
            self._enquiries.ask(FindNearest(*self._about))

    def action_beside(self) -> None:
        self._is_beside = not self._is_beside
        self.set_class(self._is_beside, "-beside")
        self._ask_again()
        self.call_after_refresh(self._fill)

    def why_not(self, verb: str) -> str:
        if verb == "beside" and len(self._subjects) < 2:
            return _("Go back to the dashboard, and overlay a second run with o in its list.")
        if verb in ("moment", "play") and (self._walk is None or len(self._walk.moments) < 2):
            return no_snapshots()
        if verb == "deeper" and (self._at.level == VALUE or (self._at.level == LAYER and self._at.is_at_end)):
            return _("There is nothing deeper.")
        return ""

    # Showing

    @property
    def _view(self) -> InsideView:
        return self.query_one(InsideView)

    def _say_waiting(self) -> None:
        if self._at.way is None and self._enquiries.are_open:
            self._tell(_("Loading torch and the network: this takes some seconds the first time…"))

    def _tell(self, text: str) -> None:
        self._view.tell(text)

    def _fill(self) -> None:
        way = self._at.way
        if way is None:
            return
        seen = self._value if self._at.level == VALUE else None
        ways = [way] if self._other is None or not self._is_beside else [way, self._other]
        titles = [words.title(each.run_id, each.network, way) for each, way in zip(self._subjects, ways, strict=False)]
        self._tell("\n".join(titles))

        def level(room: Room) -> Shown:
            if self._nearest is not None:
                return levels.neighbours(self._nearest, way)
            return levels.level(self._at, way, seen, self._occluded, room)

        self._view.show(ways, seen.receptive_field if seen is not None else b"", self._occluded, level)
