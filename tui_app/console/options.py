"""The command line's options for the settings of a run, built from the table of settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Annotated, Any

import typer

from core.config import setting_from_text
from tui_app.settings import Setting, all_settings


def takes_settings(only: Iterable[str] = (), without: Iterable[str] = ()) -> Callable[..., Callable[..., Any]]:
    """Replace a command's `settings` parameter by an option per setting.

    The command receives the given ones as a dict of `RunConfig` fields. An invalid value raises `InvalidSetting`.
    """
    chosen = [each for each in all_settings() if (not only or each.field in only) and each.field not in without]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_options(**given: Any) -> Any:
            texts = {each.field: given.pop(each.field) for each in chosen}
            return command(
                settings={name: _value(name, text) for name, text in texts.items() if text not in (None, False)},
                **given,
            )

        parameters: list[inspect.Parameter] = []
        for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
            parameters += [_parameter(each) for each in chosen] if name == "settings" else [parameter]
        by_keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
        with_options.__signature__ = inspect.Signature(by_keyword)  # type: ignore[attr-defined]
        with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in by_keyword}
        return with_options

    return decorate


def _parameter(setting: Setting) -> inspect.Parameter:
    if setting.kind == "flag":
        annotation: Any = Annotated[bool, typer.Option(setting.option, help=setting.help_with_default)]
    else:
        option = typer.Option(
            setting.option,
            metavar=setting.metavar,
            help=setting.help_with_default,
            autocompletion=lambda: list(setting.choices),
        )
        annotation = Annotated[str | None, option]
    default = False if setting.kind == "flag" else None
    return inspect.Parameter(setting.field, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _value(field: str, text: str | bool) -> Any:
    return text if isinstance(text, bool) else setting_from_text(field, text)
