"""Every command: importing their modules puts them on the one application."""

from tui_app.console import runs_commands
from tui_app.console.commands import app

__all__ = ["app", "runs_commands"]
