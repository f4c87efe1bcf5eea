"""The application that the commands register on, with every text in the current language."""

from __future__ import annotations

from typing import Any

import typer

from tui_app.i18n import _


class CommandGroup(typer.core.TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _translate(formatter)


class Command(typer.core.TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _translate(formatter)


def _translate(formatter: Any) -> None:
    """Translate the words that the library itself puts into the help."""
    words = {
        "Usage:": _("Usage:"),
        "Arguments:": _("Arguments:"),
        "Options:": _("Options:"),
        "Commands:": _("Commands:"),
        "Show this message and exit.": _("Show this message and exit."),
        "[required]": _("[required]"),
    }
    for english, ours in words.items():
        formatter.buffer[:] = [part.replace(english, ours) for part in formatter.buffer]


app = typer.Typer(
    cls=CommandGroup,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    options_metavar=_("[OPTIONS]"),
    subcommand_metavar=_("COMMAND [ARGUMENTS]..."),
)
