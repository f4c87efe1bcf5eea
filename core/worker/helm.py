"""What steers a training: requests, those that a resumed run repeats, and the cores that other processes leave it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import torch

from core.config import RunConfig
from core.messages import N_, Message
from core.runs.control import NOTHING, Request
from core.runs.events import Event, Notice, Progress, RunStarted, SettingsChanged
from core.runs.record import Record
from core.worker import threads
from core.worker.inbox import Inbox

Emit = Callable[[Event], None]


class Helm:
    """What steers a training: what is asked of it now, what was before its checkpoint, and the cores that it has.

    It gives up threads whose cores other processes have taken; those that were asked for, or that a comparison's runs
    have in common, are kept.
    """

    def __init__(self, started: RunStarted, past: Record, emit: Emit, inbox: Inbox) -> None:
        config = started.config
        self._started = started
        self._watch = threads.CoreWatch(started.threads if started.device == "cpu" else 1)
        self._may_change = not (config.threads or config.exact)
        self._emit = emit
        self._inbox = inbox
        self._changed = past.settings_at(started.epoch, started.step)
        self._to_repeat = past.changes_after(started.epoch, started.step)
        self._is_repeating = False
        self._looked_at = started.epoch, started.step

    def take(self) -> RunConfig:
        """Return the settings to begin with: as they were then, or as a resumption asks for them."""
        asked = self._inbox.take()
        epoch, step = self._started.epoch, self._started.step
        epochs = None if asked.epochs is None else max(asked.epochs, epoch)
        if asked.lr is not None or epochs is not None:
            self._emit(self.marked(SettingsChanged(epoch=epoch, step=step, lr=asked.lr, epochs=epochs)))
            self._supersede(asked)
        return msgspec.structs.replace(self._started.config, **self._changed)

    def look(self, epoch: int, step: int) -> Request:
        """Return what is asked for after a batch, and again and again in a pause after it. Raises `Lost`."""
        if self._looked_at != (epoch, step):  # in a pause others may have the cores
            self._looked_at = epoch, step
            self._give_up_threads(epoch, step)
        self._is_repeating = bool(self._to_repeat) and _position(self._to_repeat[0]) <= (epoch, step)
        if self._is_repeating:
            again = self._to_repeat.pop(0)
            return Request(stop=self._inbox.should_stop(), lr=again.lr, epochs=again.epochs)
        asked = self._inbox.look()
        self._supersede(asked)
        return asked

    def marked(self, event: Event) -> Event:
        """Return an event of the training with what only its past tells: which settings were changed."""
        if isinstance(event, SettingsChanged):
            values = {"lr": event.lr, "epochs": event.epochs}
            self._changed |= {name: value for name, value in values.items() if value is not None}
            return msgspec.structs.replace(event, repeated=self._is_repeating)
        if isinstance(event, Progress) and self._changed:
            return msgspec.structs.replace(event, **self._changed)
        return event

    def _supersede(self, asked: Request) -> None:
        """Forget the changes to repeat of settings that are asked for anew."""
        if not self._to_repeat or asked is NOTHING:
            return
        new = {name: None for name in ("lr", "epochs") if getattr(asked, name) is not None}
        kept = [msgspec.structs.replace(each, **new) for each in self._to_repeat]
        self._to_repeat = [each for each in kept if each.lr is not None or each.epochs is not None]

    def _give_up_threads(self, epoch: int, step: int) -> None:
        fewer = self._watch.after_batch()
        if fewer is None:
            return
        text = N_("other processes take its cores, which slows it down: --threads {threads} would be faster")
        if self._may_change:
            text = N_(
                "other processes take its cores: it goes on with --threads {threads}; no comparison will reuse it"
            )
            torch.set_num_threads(fewer)
            self._emit(SettingsChanged(epoch=epoch, step=step, threads=fewer))
        self._emit(Notice(message=Message(text, {"threads": fewer})))


def _position(change: SettingsChanged) -> tuple[int, int]:
    return change.epoch, change.step
