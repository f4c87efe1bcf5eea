"""A question to a process that has torch, with its progress on the status line: this process need not load it."""

from __future__ import annotations

from core.messages import Message
from core.worker.asking import GivenUp, ask
from core.worker.detach import StopSignals
from core.worker.protocol import Answer, Question
from tui_app.console.status_line import StatusLine, Stopped
from tui_app.console.training_command import say_that_torch_is_loaded
from tui_app.i18n import say


def ask_with_status(question: Question, status: StatusLine, signals: StopSignals) -> Answer:
    """Return the answer to a question. Raises `Problem` or, after a signal, `Stopped`."""

    def tell(message: Message, share: float | None) -> None:
        if share is None:
            status.note(say(message))
        else:
            status.draw_share(say(message), share)

    say_that_torch_is_loaded()
    try:
        return ask(question, tell, signals)
    except GivenUp:
        raise Stopped from None
    finally:
        status.erase()
