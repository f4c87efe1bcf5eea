"""What a run was trained with: versions, command line and git commit, as each attempt keeps them."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import msgspec

from core.messages import N_, Problem

COMMAND_VARIABLE = "MNIST_TUI_COMMAND"
"""Environment variable by which a worker learns the command line of the program that started it."""
_PACKAGES = ("mnist-tui", "torch", "torchvision", "numpy")
_GIT_S = 2.0
_MAX_COMMAND = 4000


class Provenance(msgspec.Struct, frozen=True):
    """Origin of an attempt's numbers."""

    command: str = ""
    versions: dict[str, str] = {}
    """Versions of Python and of the packages that decide the numbers."""
    platform: str = ""
    commit: str = ""
    """Git commit of the current folder, followed by `+` if there are changes; empty outside a repository."""


def provenance() -> Provenance:
    """Describe what this process trains with."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return Provenance(command_line(), versions, platform.platform(), _commit())


def check_versions(node: str, versions: Mapping[str, str], own: Mapping[str, str]) -> None:
    """Raise `Problem` if a node has other versions than this machine of what decides the numbers."""
    for name in own.keys() | versions.keys():
        here, there = own.get(name, "–"), versions.get(name, "–")
        if here != there:
            text = N_("node {node} has {name} {other}, and this machine {own}: their results would differ")
            raise Problem(text, node=node, name=name, other=there, own=here)


def command_line() -> str:
    """Return the command line that the user typed, of this process or of the one that started it."""
    typed = os.environ.get(COMMAND_VARIABLE) or shlex.join(sys.argv)
    return typed[:_MAX_COMMAND].encode(errors="replace").decode()  # a path may be no UTF-8


def _commit() -> str:
    """Return the git commit of the current folder, with a `+` if its files differ; empty if there is none."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"]
    try:
        folder = Path.cwd()
        if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
            return ""
        found = subprocess.run(
            command, capture_output=True, timeout=_GIT_S, stdin=subprocess.DEVNULL, text=True, check=True
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()
