"""The first images of a batch, with their labels."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from core.exam.steps import BatchSeen
from tui_app import terminal
from tui_app.dashboard.widgets.pixels import Pixels

MOST_PICTURES = 7
"""Pictures that fit in 80 columns."""


class BatchPictures(Horizontal):
    """Row of small pictures, as many as there is room for; nothing where no batch is shown."""

    def compose(self) -> ComposeResult:
        for _position in range(MOST_PICTURES):
            with Vertical():
                yield Pixels(plain=not terminal.has_grey(), border=2, halved=True)
                yield Static(classes="label")

    def show(self, batch: BatchSeen | None) -> None:
        """Show the first images of a batch; of None, nothing."""
        self.display = batch is not None
        if batch is None:
            return
        pictures = zip(
            self.query(Pixels), self.query(Static).exclude("Pixels"), batch.pixels, batch.labels, strict=False
        )
        for pixels, caption, image, label in pictures:
            pixels.show(image)
            caption.update(Content(str(label).center(10)))
