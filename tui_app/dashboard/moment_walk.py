"""A walk through the moments of a training, with its keys: earlier, later, play."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.message_pump import MessagePump
from textual.timer import Timer

from core.messages import N_
from core.worker.protocol import MomentView
from tui_app.i18n import _, number

PLAY_S = 0.7
"""Seconds for which each moment is shown at least when they are played."""
SLOW_S = 0.3
"""Seconds after which a wait for a moment is told."""


class MomentWalk:
    """The states of a network in the order of its training, of which one is shown; the trained network is the last.

    `ask` is called with the state to show; once it is shown, `arrive` is to be called. `tell` is called with what is
    going on, or with nothing.
    """

    def __init__(
        self,
        node: MessagePump,
        moments: Sequence[MomentView],
        name: str,
        ask: Callable[[MomentView], None],
        tell: Callable[[str], None],
        *,
        waiting: str = N_("Testing epoch {epoch}, batch {step}…"),
    ) -> None:
        """Begin at the state called `name`, or at the last one if it is not there any more.

        `waiting` is told of a wait.
        """
        self.moments = tuple(moments)
        self._node = node
        self._ask, self._tell = ask, tell
        names = [moment.name for moment in moments]
        self._at = self._shown = names.index(name) if name in names else len(names) - 1
        self._playing: Timer | None = None
        self._waiting = waiting

    def update(self, moments: Sequence[MomentView]) -> None:
        """Take the states that there are by now, and stay at the one that is wanted."""
        names = [moment.name for moment in moments]
        self._at, self._shown = (
            names.index(name) if name in names else len(names) - 1
            for name in (self.wanted.name, self.moments[self._shown].name)
        )
        self.moments = tuple(moments)

    @property
    def wanted(self) -> MomentView:
        """State that is asked for, or shown."""
        return self.moments[self._at]

    def named(self, name: str) -> str:
        """Return which state this is, and its place among all: `Epoch 1, batch 60, 2 of 5`."""
        at = next((at for at, moment in enumerate(self.moments) if moment.name == name), len(self.moments) - 1)
        moment, place = self.moments[at], {"position": at + 1, "count": len(self.moments)}
        if not moment.name:
            return _("Trained network, {position} of {count}").format(**place)
        text = _("Epoch {epoch}, batch {step}, {position} of {count}")
        return text.format(epoch=moment.epoch, step=number(moment.step), **place)

    def step(self, offset: int) -> None:
        """Go to an earlier or later moment, as far as there is one."""
        self.stop()
        self._go_to(self._at + offset)

    def play(self) -> None:
        """Go on from moment to moment, from the first one if the last is shown; or stop that."""
        if self._playing is not None:
            self.stop()
            return
        self._go_to(self._at + 1 if self._at < len(self.moments) - 1 else 0)
        self._playing = self._node.set_interval(PLAY_S, self._go_on)

    def arrive(self) -> None:
        """Note that the wanted state is shown."""
        self._shown = self._at
        self._tell("")

    def give_up(self) -> None:
        """Stay at the state that is shown."""
        self.stop()
        self._at = self._shown
        self._tell("")

    def stop(self) -> None:
        """Play no further."""
        if self._playing is not None:
            self._playing.stop()
            self._playing = None

    def _go_to(self, at: int) -> None:
        at = min(max(0, at), len(self.moments) - 1)
        if at != self._at:
            self._at = at
            self._node.set_timer(SLOW_S, self._say_slow)
            self._ask(self.wanted)

    def _go_on(self) -> None:
        if self._at != self._shown:
            return  # its answer is awaited
        if self._at == len(self.moments) - 1:
            self.stop()
        else:
            self._go_to(self._at + 1)

    def _say_slow(self) -> None:
        if self._at != self._shown:
            values = {"epoch": self.wanted.epoch, "step": number(self.wanted.step)}
            self._tell(_(self._waiting).format(**values))
