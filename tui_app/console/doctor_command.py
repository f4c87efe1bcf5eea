"""`mnist-tui doctor`: what there is here, whether it works, and the way out where it does not, on one page."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from core import doctor
from core.catalogue import DATA_SETS
from core.doctor import Cores, DataState, Devices, Folder
from core.messages import N_
from tui_app import i18n, tables, terminal, wording
from tui_app.console import json_output
from tui_app.console.training_command import prepare_for_torch
from tui_app.i18n import _, number, printable, say

Level = Literal["ok", "warning", "error"]
"""`error`: no run can be trained here."""

_GIB = 1 << 30
_SMALL_SCREEN = (80, 24)
_CHOOSE_RUNS = N_("Choose a writable folder with --runs-dir or MNIST_TUI_RUNS.")


class Finding(msgspec.Struct, frozen=True):
    """A line of the page, in the chosen language; `advice` is the way out."""

    subject: str
    level: Level
    text: str
    advice: str = ""


class TerminalFacts(msgspec.Struct, frozen=True):
    """The terminal that the dashboard would be drawn on; without one, the size and the colours are None."""

    term: str
    columns: int | None
    rows: int | None
    colours: str | None
    """Depth of its colours: `standard`, `256` or `truecolor`."""
    utf8: bool


class Examination(msgspec.Struct, frozen=True):
    """What `--json` prints: the facts, and the findings that say what they mean."""

    versions: dict[str, str | None]
    """Version of Python and of each package by its name; null for one that is not installed."""
    devices: Devices
    cores: Cores
    data_folder: Folder
    data_sets: dict[str, DataState]
    runs_folder: Folder
    terminal: TerminalFacts
    locale: str
    """The environment's locale, as `LANG=fr_FR.UTF-8`; empty if there is none."""
    language: str
    findings: list[Finding]


def print_doctor(runs_dir: Path, data_dir: Path, *, json: bool) -> int:
    """Print the page, or the same as JSON; return 1 if something makes training impossible."""
    prepare_for_torch()
    devices, cores, versions = doctor.devices(), doctor.cores(), doctor.versions()
    data_folder, runs_folder, data_sets = doctor.folder(data_dir), doctor.folder(runs_dir), doctor.data_sets(data_dir)
    screen, locale = _terminal(), _locale()
    findings = [
        _versions(versions),
        *_devices(devices),
        _cores(cores),
        *_data(data_folder, data_sets),
        _runs(runs_folder),
        _dashboard_on(screen),
        Finding(_("Language"), "ok", ", ".join(filter(None, (i18n.language(), printable(locale))))),
    ]
    if json:
        states = {each.name: each.state for each in data_sets}
        report = Examination(
            versions, devices, cores, data_folder, states, runs_folder, screen, locale, i18n.language(), findings
        )
        json_output.print_document(report)
    else:
        tables.print_table(_page(findings))
    return int(any(each.level == "error" for each in findings))


def _page(findings: list[Finding]) -> Table:
    names = {"ok": _("ok"), "warning": _("warning"), "error": _("error")}
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for each in findings:
        text = f"{each.text}. {each.advice}" if each.advice else each.text
        grid.add_row(each.subject, names[each.level], Text(text))  # a path is not to be read as markup
    return grid


def _versions(versions: dict[str, str | None]) -> Finding:
    missing = [name for name, version in versions.items() if version is None]
    text = ", ".join(f"{name} {version}" for name, version in versions.items() if version is not None)
    if not missing:
        return Finding(_("Versions"), "ok", text)
    text += ", " + _("not installed: {names}").format(names=", ".join(missing))
    return Finding(_("Versions"), "warning", text, _("Install mnist-tui again, with pip."))


def _devices(devices: Devices) -> Iterator[Finding]:
    if devices.fault is not None:
        text = _("torch cannot be loaded: {reason}").format(reason=printable(devices.fault))
        yield Finding(_("Devices"), "error", text, _("Install mnist-tui again, with pip."))
    for device in devices.available:
        if device.free_memory is not None and device.free_memory < _GIB:
            yield Finding(
                device.id, "warning", wording.device(device), _("It is nearly full: choose another --device.")
            )
        else:
            yield Finding(device.id, "ok", wording.device(device))
    for name in devices.lost:
        advice = _("Look at nvidia-smi; resetting the GPU or restarting the machine may bring it back.")
        yield Finding(name, "warning", _("does not answer: the driver has lost this GPU"), advice)
    if devices.unusable_driver:
        text = _("there is an NVIDIA driver, but torch finds no GPU")
        yield Finding("cuda", "warning", text, _("Update the driver, or correct CUDA_VISIBLE_DEVICES."))


def _cores(cores: Cores) -> Finding:
    text = _("{usable} used, {machine} in the machine; limits: affinity {affinity}, CPU quota {quota}").format(
        usable=cores.usable,
        machine=cores.machine,
        affinity=cores.affinity,
        quota="–" if cores.quota is None else i18n.short(cores.quota),
    )
    return Finding(_("Cores"), "ok", text)


def _data(folder: Folder, found: list[doctor.DataSet]) -> Iterator[Finding]:
    whole = [DATA_SETS[each.name].title for each in found if each.state == "whole"]
    text = printable(folder.path) + ", " + (", ".join(whole) or _("no data set yet"))
    if folder.fault is not None and "MNIST" not in whole:
        text += ", " + _("not writable: {reason}").format(reason=i18n.system_reason(folder.fault))
        advice = _("Without MNIST only the sample can be trained on: choose another folder with --data-dir.")
        yield Finding(_("Data"), "warning", text, advice)
    else:
        yield Finding(_("Data"), "ok", text)
    for each in found:
        if each.fault is not None:
            advice = say(each.advice) if each.advice is not None else ""
            yield Finding(each.name, "warning", say(each.fault), advice)
        elif each.state == "incomplete":
            yield Finding(each.name, "warning", _("incomplete"), _("A run downloads what is missing."))


def _runs(folder: Folder) -> Finding:
    parts = [printable(folder.path), folder.file_system]
    if folder.free is not None:
        parts.append(_("{free} GiB free").format(free=number(folder.free / _GIB, 1)))
    if not folder.exists:
        parts.append(_("made by the first run"))
    level: Level = "ok"
    advice = ""
    if folder.fault is not None:
        level, advice = "error", _(_CHOOSE_RUNS)
        parts.append(_("not writable: {reason}").format(reason=i18n.system_reason(folder.fault)))
    elif folder.locks == "work":
        parts.append(_("locks work"))
    else:
        level = "warning"
        advice = _("Start and resume a run on one machine only, or choose a local folder with --runs-dir.")
        parts.append(_("locks do not work on this file system"))
    return Finding(_("Runs"), level, ", ".join(filter(None, parts)), advice)


def _dashboard_on(screen: TerminalFacts) -> Finding:
    if screen.columns is None or screen.rows is None:
        return Finding(_("Terminal"), "ok", _("none: text mode, as with --no-ui"))
    text = f"{printable(screen.term)}, {screen.columns}×{screen.rows}, "
    text += _("colours: {depth}").format(depth=screen.colours) if screen.colours else _("no colours")
    if not screen.utf8:
        advice = _("Charts are drawn in ASCII: a UTF-8 locale, such as LANG=C.UTF-8, and xterm show more.")
        return Finding(_("Terminal"), "warning", text, advice)
    if screen.columns < _SMALL_SCREEN[0] or screen.rows < _SMALL_SCREEN[1]:
        return Finding(_("Terminal"), "warning", text, _("Enlarge it: the dashboard needs 80×24."))
    return Finding(_("Terminal"), "ok", text + ", UTF-8")


def _terminal() -> TerminalFacts:
    """Look at stderr, on which the dashboard is drawn."""
    term = os.environ.get("TERM", "")
    try:
        columns, rows = os.get_terminal_size(sys.__stderr__.fileno())  # type: ignore[union-attr]
    except (OSError, AttributeError, ValueError):
        return TerminalFacts(term, None, None, None, terminal.has_utf8())
    return TerminalFacts(term, columns, rows, Console(file=sys.__stderr__).color_system, terminal.has_utf8())


def _locale() -> str:
    name = next((name for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), None)
    return f"{name}={os.environ[name]}" if name else ""
