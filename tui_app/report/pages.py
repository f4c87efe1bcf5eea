"""Report pages: one HTML file with its pictures in it, or Markdown with its pictures beside it.

The templates hold no text of their own. Everything they print is escaped for their format.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from core import files
from core.messages import N_, InvalidSetting, Problem, reason
from tui_app.i18n import printable
from tui_app.report.compose import Content, Illustration, Report, compose

if TYPE_CHECKING:  # loaded only when a report is written
    from jinja2 import Environment

ENDINGS = (".html", ".md")
_TEMPLATES = Path(__file__).with_name("templates")


def check(path: Path) -> None:
    """Check that a report can be written to `path`, before hours of training rather than after. Raises `Problem`."""
    if path.suffix.lower() not in ENDINGS:
        raise InvalidSetting("report", "a report must end in .md or .html, not {path}", path=str(path))
    try:
        if path.is_dir():
            raise IsADirectoryError(21, N_("Is a directory"))
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists():
            with path.open("ab"):
                pass
    except OSError as error:
        raise _unwritable(path, error) from error


def write(path: Path, content: Content) -> list[Path]:
    """Write a report, and return the files written. Raises `Problem`."""
    report = compose(content)
    if path.suffix.lower() == ".html":
        written = {path: html(report)}
    else:
        pictures = {path.with_name(_file_name(each, path.stem)): each.svg for each in report.illustrations}
        written = {path: markdown(report, path.stem), **pictures}
    for file, text in written.items():
        encoded = text.encode("utf-8", errors="replace")
        try:
            files.replace(file, encoded)
        except OSError as error:
            raise _unwritable(file, error) from error
    return list(written)


def _unwritable(path: Path, error: OSError) -> Problem:
    return Problem("the report {path} cannot be written: {reason}", path=str(path), reason=reason(error))


def html(report: Report) -> str:
    """Return a self-contained HTML page."""
    from markupsafe import Markup

    from tui_app.report.pictures import embedded

    templates = environment(printable)
    templates.filters["embedded"] = lambda illustration: Markup(embedded(illustration.svg))
    return templates.get_template("report.html").render(report=report)


def markdown(report: Report, stem: str) -> str:
    """Return Markdown whose pictures lie beside it, in files whose names begin with `stem`."""
    from markupsafe import Markup

    templates = environment(lambda text: Markup(plain(text)))
    templates.filters["fenced"] = lambda command: Markup(_fenced(command))
    templates.filters["target"] = lambda each: Markup(quote(os.fsencode(_file_name(each, stem))))
    return templates.get_template("report.md").render(report=report)


def environment(written: Callable[[str], str]) -> Environment:
    """Return the template environment; every text except `Markup` goes through `written` and is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def finish(value: object) -> object:
        return value if isinstance(value, Markup) else written(str(value))

    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        finalize=finish,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


# Markdown


def _file_name(illustration: Illustration, stem: str) -> str:
    return f"{stem}-{illustration.name}.svg"


def plain(text: str) -> str:
    """Escape text so that Markdown, and HTML within it, sees no markup in it, and no links either."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", printable(text).strip())
    escaped = re.sub(r"(:)(?=//)|(?<=www)(\.)", r"\\\g<0>", escaped, flags=re.IGNORECASE)
    return re.sub(r"^(\d+)(?=[.)](\s|$))|^(?=[-+=])", r"\1\\", escaped)  # at the start of the text: a list or a rule


def _fenced(command: str) -> str:
    """Return a block of code with a fence longer than any inside it."""
    command = printable(command)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", command)), default=0))
    return f"{fence}sh\n{command}\n{fence}"
