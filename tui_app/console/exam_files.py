"""The files of the exam's commands: which copies are meant, and where what belongs to them is written."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from core import files, paths
from core.exam import copies
from core.messages import N_, Message, Problem, reason, writing
from tui_app.console.exam_json import UnreadCopy

_LONGEST_NAME = 60
"""Characters of a page's name, each of at most four bytes."""


def named_copies(typed: Sequence[str]) -> tuple[list[Path], list[UnreadCopy]]:
    """Return the files that are meant, each once, those in folders among them, and the folders that cannot be read."""
    found: dict[Path, None] = {}
    unread = []
    for path in map(paths.absolute, typed):
        try:
            found |= dict.fromkeys(copies.files_in(path) if path.is_dir() and not path.is_symlink() else [path])
        except Problem as problem:
            unread.append(UnreadCopy(str(path), problem.message))
        except OSError as error:
            unread.append(UnreadCopy(str(path), Message("{reason}", {"reason": reason(error)})))
    return list(found), unread


def shown_names(found: Sequence[Path]) -> list[str]:
    """Return the names by which files are told apart: without folders, unless two have the same name."""
    names = [path.name for path in found]
    if len(set(names)) < len(names):
        common = os.path.commonpath([path.parent for path in found])
        names = [os.path.relpath(path, common) for path in found]
    return [name.encode("utf-8", "replace").decode() for name in names]  # a name need not be UTF-8


def page_paths(found: Sequence[Path], folder: Path, ending: str) -> list[Path]:
    """Return where in `folder` the page of each copy goes; whatever the copies are called, nowhere else."""
    taken: set[str] = set()
    placed = []
    for name in shown_names(found):
        stem = re.sub(r"[^\w()-]+", "_", name.removesuffix(Path(name).suffix))[:_LONGEST_NAME].strip("_") or "copy"
        candidate, number = stem, 1
        while candidate.casefold() in taken:
            number += 1
            candidate = f"{stem}-{number}"
        taken.add(candidate.casefold())
        placed.append(folder / f"{candidate}-feedback.{ending}")
    return placed


def check_new(written: Sequence[Path], *, overwrites: bool) -> None:
    """Raise `Problem` if one of these is there already and is not to be replaced."""
    present = [path for path in written if os.path.lexists(path)]
    if present and not overwrites:
        raise Problem("{path} exists already", advice=N_("--overwrite replaces it."), path=str(present[0]))


def write(contents: Mapping[Path, bytes]) -> None:
    """Write files, with the folders that they need. Raises `Problem`."""
    for path, content in contents.items():
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(path, content, durable=False)
