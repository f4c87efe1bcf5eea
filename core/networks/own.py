"""A custom network from the user's Python file."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from core import paths
from core.catalogue import IMAGE_SHAPE, NETWORKS, NUM_CLASSES
from core.config import Architecture
from core.messages import N_, Problem, Value, reason
from core.networks.own_modules import OwnModules, without_package
from core.networks.rehearsal import rehearsal
from core.networks.trail import Trail
from core.randomness import random_state_kept

_MAX_REASON = 300
_Result = TypeVar("_Result")
_sources: WeakKeyDictionary[nn.Module, dict[str, bytes]] = WeakKeyDictionary()


@contextmanager
def _own_arguments(file: Path) -> Iterator[None]:
    """Give a file that parses its command line one without arguments: ours is not for it."""
    ours, sys.argv = sys.argv, [str(file)]
    try:
        yield
    finally:
        sys.argv = ours


def source_of(network: nn.Module) -> dict[str, bytes] | None:
    """Return the source of a custom network that was built here; None for a built-in network."""
    return _sources.get(network)


class OwnNetwork:
    """A class in the user's file, where anything can go wrong: every failure becomes a `Problem`."""

    def __init__(self, name: str, class_name: str) -> None:
        self._name = name
        self._class_name = class_name
        try:
            self._path = paths.here(Path(name).expanduser())
        except RuntimeError as error:
            raise self._unreadable(error) from error

    @classmethod
    def of(cls, architecture: Architecture) -> OwnNetwork:
        """Return the custom network that an architecture names. Raises `Problem` if it names none."""
        name, colon, class_name = architecture.model.rpartition(":")
        if not colon and not architecture.model.endswith(".py"):
            text = N_("there is no network {name}: choose {known} or path/to/file.py:ClassName")
            raise Problem(text, name=architecture.model, known=", ".join(NETWORKS))
        if not name or not class_name.isidentifier():
            raise Problem("{name} names no class: write path/to/file.py:ClassName", name=architecture.model)
        return cls(name, class_name)

    def build(self) -> nn.Module:
        source = self._read()
        modules = OwnModules(self._path)
        with modules.on_search_path():
            network_class = self._network_class(self._import(modules, source))
            self._check_arguments(network_class)
            network = self._guarded(N_("{where}: building {class_name} fails: {reason}"), network_class)
            # If the class forgot `super().__init__()`, this is the first call to fail.
            self._guarded(N_("{where}: building {class_name} fails: {reason}"), network.train)
        self._check_forward(network)
        _sources[network] = modules.source
        return network

    def _read(self) -> bytes:
        try:
            if self._path.is_dir():
                raise Problem("{path} is a folder, not a Python file", path=self._name)
            if self._path.exists() and not self._path.is_file():
                raise Problem("{path} is not a regular file", path=self._name)
            return self._path.read_bytes()
        except FileNotFoundError as error:
            raise Problem("there is no network file {path}", path=self._name) from error
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> Problem:
        return Problem("{path} cannot be read: {reason}", path=self._name, reason=reason(error))

    def _import(self, modules: OwnModules, source: bytes) -> ModuleType:
        def execute() -> None:
            # A file often seeds the generators itself, as scripts do; then every seed would give the same run.
            with random_state_kept(), _own_arguments(self._path):
                modules.execute(modules.main, source, self._path)

        self._guarded(N_("{where}: the import fails: {reason}"), execute)
        return modules.main

    def _network_class(self, module: ModuleType) -> type[nn.Module]:
        found = vars(module).get(self._class_name)
        if found is None:
            classes = ", ".join(name for name, value in vars(module).items() if _is_network_class(value))
            if not classes:
                raise Problem("{path} has no class derived from torch.nn.Module", path=self._name)
            text = N_("{path} has no class {class_name}: choose from {classes}")
            raise Problem(text, path=self._name, class_name=self._class_name, classes=classes)
        if not (isinstance(found, type) and issubclass(found, nn.Module)):
            text = N_("{class_name} in {path} is not a class derived from torch.nn.Module")
            raise Problem(text, path=self._name, class_name=self._class_name)
        return found

    def _check_arguments(self, network_class: type[nn.Module]) -> None:
        try:
            parameters = inspect.signature(network_class).parameters.values()
        except (TypeError, ValueError):
            return  # building it will tell
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        needed = [each.name for each in parameters if each.default is each.empty and each.kind not in variadic]
        if needed:
            raise Problem(
                "{class_name} in {path} must be built without arguments: give a default to {arguments}",
                path=self._name,
                class_name=self._class_name,
                arguments=", ".join(needed),
            )

    def _check_forward(self, network: nn.Module) -> None:
        images = torch.zeros(2, *IMAGE_SHAPE)
        if any(is_lazy(parameter) for parameter in network.parameters()):
            # Lazy layers draw their parameters in their first forward pass.
            network.eval()
            with torch.no_grad():
                self._forward(network, images)
            network.train()
        if not any(parameter.requires_grad for parameter in network.parameters()):
            raise Problem(
                "{class_name} in {path} has no trainable parameters", path=self._name, class_name=self._class_name
            )
        with rehearsal(network) as stand_in:
            with torch.no_grad():
                self._check_output(self._forward(stand_in, images))
            stand_in.train()
            with torch.enable_grad():
                output = self._forward(stand_in, images)
            self._check_output(output)
            if not output.requires_grad:
                text = N_("the output of {class_name} in {path} does not depend on any trainable parameter")
                raise Problem(text, path=self._name, class_name=self._class_name)

    def _forward(self, network: nn.Module, images: torch.Tensor) -> Any:
        trail = Trail()
        text = N_("{where}: {class_name} fails on images of 1×28×28: {reason}")
        with trail.following(network):
            return self._guarded(text, lambda: network(images), trail)

    def _check_output(self, output: object) -> None:
        if not isinstance(output, torch.Tensor):
            came = type(output).__name__
        elif output.shape != (2, NUM_CLASSES):
            came = "×".join(map(str, output.shape)) or "()"
        elif not output.is_floating_point():
            came = str(output.dtype).removeprefix("torch.")
        else:
            return
        raise Problem(
            "{class_name} in {path} gives {came} for 2 images: expected floating-point logits of shape {expected}",
            path=self._name,
            class_name=self._class_name,
            came=came,
            expected=f"2×{NUM_CLASSES}",
        )

    def _guarded(self, text: str, call: Callable[[], _Result], trail: Trail | None = None) -> _Result:
        """Return the result of the user's code. Whatever that raises, even `SystemExit`, becomes a `Problem`.

        Only `KeyboardInterrupt` passes through.
        """
        try:
            return call()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise self.blamed(text, error, trail) from error

    def blamed(
        self, text: str, error: BaseException, trail: Trail | None = None, line: int | None = None, **values: Value
    ) -> Problem:
        """Return a problem that blames the user's code for `error`: it names the line in the user's file.

        `line` is that line if the error did not pass through it.

        `text` may use `where`, `class_name`, `reason` and `values`. If a layer of the `trail` could not take what it
        was given, the problem says that instead.
        """
        line = self._line(error) or line
        where = f"{self._name}:{line}" if line else self._name
        explained = trail.explained(where=where, class_name=self._class_name) if trail is not None else None
        if explained is not None:
            return explained
        layers = trail.layers() if trail is not None else ""
        advice = N_("Called before: {layers}.") if layers else ""
        values |= {"where": where, "class_name": self._class_name, "reason": _described(error), "layers": layers}
        return Problem(text, advice=advice, **values)

    def is_its_file(self, path: str) -> bool:
        return path == str(self._path)

    def _line(self, error: BaseException) -> int | None:
        """Return the last line of the user's file that `error` passed through; None if there is none."""
        if isinstance(error, SyntaxError) and error.filename == str(self._path):
            return error.lineno
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == str(self._path)]
        return lines[-1] if lines else None


def _is_network_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, nn.Module) and not value.__module__.startswith("torch.")


def _described(error: BaseException) -> str:
    """Return an exception's type and message on one line of limited length."""
    try:
        message = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:
        message = ""
    message = without_package(" ".join(message.split())).rstrip(".")
    if len(message) > _MAX_REASON:
        message = message[: _MAX_REASON - 1] + "…"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
