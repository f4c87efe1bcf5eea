"""The command `mnist-tui`: it prepares the process, runs a command, and reports errors as a line and an exit code."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import zip_longest

from core.messages import N_, InvalidSetting, Problem, fill, reason
from tui_app import i18n, terminal
from tui_app.i18n import _

_REASON = N_("{what}: {reason}")
_MISSING = N_("missing argument: {name}")
_NO_COMMAND = N_("there is no command '{name}'")
_OTHER_COMMANDS = N_("there is no command '{name}'; did you mean {others}?")
_NO_OPTION = N_("there is no option {name}")
_OTHER_OPTIONS = N_("there is no option {name}; did you mean {others}?")
_WITHOUT_OTHERS = {_OTHER_COMMANDS: _NO_COMMAND, _OTHER_OPTIONS: _NO_OPTION}
_USAGE_TEXTS = {
    # The command line library's English errors, and our wording of each. A name with a quote in it is in double quotes.
    r"""No such command (['"])(?P<name>.*)\1\. Did you mean (?P<others>.*)\?""": _OTHER_COMMANDS,
    r"""No such command (['"])(?P<name>.*)\1\.?""": _NO_COMMAND,
    r"No such option: (?P<name>\S+) \(Possible options: (?P<others>.*)\)": _OTHER_OPTIONS,
    r"No such option: (?P<name>\S+)": _NO_OPTION,
    r"Missing argument '(?P<name>.*)'\..*": _MISSING,
    r"Option '(?P<name>\S+)' requires an argument\.": N_("the option {name} needs a value"),
    r"Option '(?P<name>\S+)' does not take a value\.": N_("the option {name} takes no value"),
    r"Got unexpected extra arguments?(?:\(s\))? \((?P<name>.*)\)": N_("unexpected argument: {name}"),
}


def main() -> None:
    if sys.platform == "win32":
        sys.exit(_("mnist-tui needs Linux or macOS. On Windows, install and run it in WSL: wsl --install"))
    is_terminal = os.isatty(1)
    code = run(sys.argv[1:])
    for output in (terminal.output(), sys.stdout, sys.stderr):
        if output.closed:
            continue  # by a network
        try:
            output.flush()
        except OSError as error:  # at exit Python would flush again, and print the failure
            os.dup2(os.open(os.devnull, os.O_WRONLY), output.fileno())
            is_gone = error.errno == errno.EPIPE or (is_terminal and error.errno == errno.EIO)
            if output is not sys.stderr and not is_gone and code == 0:
                code = fail(_system_problem(error), 1, as_json=False)
    _ignore_late_signals()
    sys.exit(code)


def _ignore_late_signals() -> None:
    """Let no signal change the exit code any more: a Python that ends gives back to those it handled their effect."""
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_IGN)


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    _open_standard_streams()
    languages = _languages_of(arguments)
    unknown = [each for each in languages if each not in i18n.LANGUAGES]
    i18n.use(i18n.from_locale() if unknown or not languages else languages[-1])
    import typer

    from tui_app.console import completion
    from tui_app.console.all_commands import app

    completion.prepare()
    as_json = "--json" in arguments
    try:
        if unknown:
            text = N_("the language must be one of {languages}")
            return fail(Problem(text, languages=", ".join(i18n.LANGUAGES)), 2, as_json=as_json)
        result = app(list(arguments), prog_name="mnist-tui", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except InvalidSetting as invalid:
        return fail(invalid, 2, as_json=as_json)
    except Problem as problem:
        if isinstance(problem.__cause__, BrokenPipeError):  # a network printed, and the reader is gone
            return 1
        return fail(problem, 1, as_json=as_json)
    except typer.TyperException as error:
        hint = _("(see mnist-tui --help)")
        return fail(_usage_problem(error.format_message()), error.exit_code, hint, as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        return fail(_system_problem(error), 1, as_json=as_json)
    except Exception as error:
        if os.environ.get("MNIST_TUI_DEBUG"):
            raise
        unforeseen = Problem(_REASON, what=type(error).__name__, reason=str(error))
        return fail(unforeseen, 1, _("(set MNIST_TUI_DEBUG=1 for a traceback)"), as_json=as_json)


def fail(problem: Problem, code: int, hint: str = "", *, as_json: bool) -> int:
    """Print why a command failed, for a script as JSON too, and return the exit code."""
    print(f"mnist-tui: {i18n.say(problem)} {hint}".rstrip(), file=sys.stderr)
    if as_json:
        from tui_app.console import json_output

        advice = problem.advice if problem.advice.text else None
        with suppress(OSError):  # that may be the problem
            json_output.print_line(json_output.Failure(exit_code=code, message=problem.message, advice=advice))
    return code


def _system_problem(error: OSError) -> Problem:
    what = error.filename or _("the output")
    return Problem(_REASON, what=str(what), reason=reason(error))


def _usage_problem(text: str) -> Problem:
    for pattern in _USAGE_TEXTS:
        if match := re.fullmatch(pattern, text, re.DOTALL):
            return _in_our_words(_USAGE_TEXTS.get(pattern, ""), match.groupdict())
    return Problem("{error}", error=text)


def _in_our_words(text: str, names: dict[str, str]) -> Problem:
    if text == _NO_COMMAND and (known := _commands_of_groups(names["name"])):
        return Problem(_OTHER_COMMANDS, **names, others=_(" or ").join(known))
    if text == _MISSING and names["name"] in ("RUN", _("RUN")):
        return Problem("the id of a run is missing")
    if "others" in names:
        near = _near(names["name"], names["others"])
        text = text if near else _WITHOUT_OTHERS[text]
        others = [re.sub("'([^']*)'", lambda other: fill(_("'{name}'"), {"name": other[1]}), each) for each in near]
        names["others"] = _(" or ").join(others)
    return Problem(text, **names)


def _near(name: str, others: str) -> list[str]:
    """Return the words near to a name, of those in a text such as `'follow', 'stop'` or `--epochs, --seed`.

    The library compares the dashes too, so that most options are near to each other.
    """
    import difflib

    bare = {each.strip("'-"): each for each in others.split(", ")}
    return [bare[each] for each in sorted(difflib.get_close_matches(name.strip("'-"), bare))]


def _commands_of_groups(name: str) -> list[str]:
    """Return the commands of that name within others, such as 'runs delete', in quotes."""
    from typer.main import get_command

    from tui_app.console.all_commands import app

    groups = getattr(get_command(app), "commands", {}).items()
    return [
        fill(_("'{name}'"), {"name": f"{group} {name}"})
        for group, command in groups
        if name in getattr(command, "commands", {})
    ]


def _languages_of(arguments: Sequence[str]) -> list[str]:
    """Return the values of `--lang` before the command line is parsed: its own texts depend on the last one."""
    return [
        following if argument == "--lang" else argument.partition("=")[2]
        for argument, following in zip_longest(arguments, arguments[1:], fillvalue="")
        if argument == "--lang" or argument.startswith("--lang=")
    ]


def _open_standard_streams() -> None:
    """Open closed standard streams: otherwise the next file opened would take their number and be printed into."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
        if getattr(sys, name) is None:
            stream = open(descriptor, mode, encoding="utf-8")  # noqa: SIM115, PTH123
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    for output in (sys.stdout, sys.stderr):
        terminal.simplify(output)
