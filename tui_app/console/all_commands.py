"""Every command: importing their modules puts them on the one application."""

from tui_app.console import commands, exam_command, output_commands, picture_commands, progress_commands, runs_commands
from tui_app.console.command_line import app

__all__ = [
    "app",
    "commands",
    "exam_command",
    "output_commands",
    "picture_commands",
    "progress_commands",
    "runs_commands",
]
