"""The application that the commands register on."""

from __future__ import annotations

from tui_app.console.translated import group

app = group()
