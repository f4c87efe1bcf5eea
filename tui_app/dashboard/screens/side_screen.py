"""The base classes of the side screens, which open over the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from core.messages import Problem
from core.worker.protocol import Refused
from tui_app.dashboard.screens.keyed_screen import KeyedScreen, Result


@dataclass(frozen=True)
class AskedRun:
    """A run whose network is asked."""

    run_id: str
    run_dir: str
    network: str
    class_names: tuple[str, ...]


class SideScreen(KeyedScreen[Result]):
    """A screen that Escape leaves."""

    def action_leave(self) -> None:
        self.dismiss()


class AskingScreen(SideScreen[Result]):
    """A screen that queries the standby worker."""

    ASKS: ClassVar[type | tuple[type, ...]]
    """Types of the screen's questions."""

    @property
    def is_waiting(self) -> bool:
        """True while the worker is busy with a question of this screen that may take long."""
        return False

    @property
    def keeps_worker(self) -> bool:
        """True while the worker keeps what this screen could not get again from another."""
        return False

    def show(self, answer: Any) -> None:
        """Show the answer to a question."""
        raise NotImplementedError

    def refuse(self, refused: Refused) -> None:
        """Tell the user why the last question cannot be answered."""
        self._complain(Problem.of(refused.message, refused.advice))
        self.give_up()

    def give_up(self) -> None:
        """Stop waiting for the last answer: the worker is gone."""
