"""Commands whose help is in the current language, the words of the command line library included."""

from __future__ import annotations

import re
from typing import Any

import typer

from tui_app.i18n import _


class CommandGroup(typer.core.TyperGroup):
    """A command that has commands of its own."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _translate(formatter)


class Command(typer.core.TyperCommand):
    """A command."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        super().format_help(ctx, formatter)
        _translate(formatter)


def group(**options: Any) -> typer.Typer:
    """Make a group of commands."""
    return typer.Typer(
        cls=CommandGroup,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        options_metavar=_("[OPTIONS]"),
        subcommand_metavar=_("COMMAND [ARGUMENTS]..."),
        **options,
    )


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
    formatter.buffer[:] = [re.sub(r" <(?:str|list\[str\])>", "", part) for part in formatter.buffer]  # Python's types
