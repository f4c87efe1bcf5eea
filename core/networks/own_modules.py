"""The modules of a custom network: its folder, as a package under a name that nothing else has.

In that package, its `core/models.py`, `tests/` or `utils.py` take the place of nothing: not of a module of this
program, nor of a library, nor of another network's. The package's code finds them under the names it knows, at any
time: it has an `__import__` of its own, which looks there first.
"""

from __future__ import annotations

import builtins
import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, resolve_name, spec_from_file_location
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = frozenset({"core", "tui_app", "tests"})
"""Names that mean this program's modules in its own code, and no library's in a custom network's."""
_ROOT = Path(__file__).resolve().parents[2]
_PREFIX = "custom_network_"
_numbers = count(1)
_packages: dict[str, OwnModules] = {}


class OwnModules:
    """The modules of one build of a network. Each build has new ones, so that every edit counts."""

    def __init__(self, file: Path) -> None:
        """Prepare the modules of a network in `file`; nothing is executed yet."""
        self._folder = file.parent.resolve()
        self.source: dict[str, bytes] = {}
        """Content of each file of its own, as it was executed, by its path from the folder; more may be imported."""
        self._builtins = {**vars(builtins), "__import__": self._import}
        self._importlib = _Importlib(self)
        self._own: set[str] = set()
        """Top-level names known to be the network's own."""
        self._added: list[str] = []
        """Entries that the network's code added to the search path."""
        spec = ModuleSpec(f"{_PREFIX}{next(_numbers)}", None, is_package=True)
        spec.submodule_search_locations = [str(self._folder)]
        self._package = spec.name
        sys.modules[self._package] = module_from_spec(spec)
        _packages[self._package] = self
        name = f"{self._package}.{file.stem.replace('.', '_')}"
        main = spec_from_file_location(name, file, loader=_Loader(name, str(file), self))
        assert main is not None
        self.main = module_from_spec(main)
        """Module of the network's file. It is registered before it is executed: data classes look up their module."""
        sys.modules[name] = self.main

    def execute(self, module: ModuleType, source: bytes, path: Path) -> None:
        """Execute a module, compiled anew: Python's cache may miss an edit within a second."""
        self._keep(path, source)
        vars(module)["__builtins__"] = self._builtins
        exec(compile(source, str(path), "exec", dont_inherit=True), vars(module))

    @contextmanager
    def on_search_path(self) -> Iterator[None]:
        """Let libraries import the network's modules too, as `torch.load` does, and forget these copies afterwards."""
        known, search_path = set(sys.modules), list(sys.path)
        sys.path.append(str(self._folder))
        try:
            yield
        finally:
            self._added = [entry for entry in sys.path if entry not in search_path]
            sys.path[:] = search_path
            new = sys.modules.keys() - known
            tops = {name for name in new if "." not in name and name not in _packages}
            copies = {name for name in tops if _directory(getattr(sys.modules[name], "__spec__", None)) == self._folder}
            for name in new:
                if name.partition(".")[0] in copies:
                    del sys.modules[name]

    def find_spec(self, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """Find a module of this package."""
        is_top = name.count(".") == 1
        spec = self._search(name) if is_top else PathFinder.find_spec(name, path)
        if spec is None:
            return None
        if spec.submodule_search_locations is not None:
            # A folder without `__init__.py` would follow changes of the search path.
            spec.submodule_search_locations = list(spec.submodule_search_locations)
        if type(spec.loader) is SourceFileLoader:
            spec.loader = _Loader(name, spec.loader.path, self)
        elif spec.has_location and spec.origin:  # a compiled module
            self._keep(Path(spec.origin), Path(spec.origin).read_bytes())
        return spec

    def _keep(self, path: Path, content: bytes) -> None:
        name = Path(os.path.relpath(path.parent.resolve() / path.name, self._folder)).as_posix()
        self.source[name] = content

    # What the network's code imports

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import as the built-in `__import__` does, with the network's own modules under the names that it knows."""
        top = name.partition(".")[0]
        if level or not self._is_own(top):
            found = builtins.__import__(name, globals, locals, fromlist or (), level)
            return self._importlib if found is importlib else found
        found = builtins.__import__(f"{self._package}.{name}", globals, locals, fromlist or (), 0)
        return found if fromlist else sys.modules[f"{self._package}.{top}"]

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """Import as `importlib.import_module` does."""
        name = resolve_name(name, package)
        return importlib.import_module(f"{self._package}.{name}" if self._is_own(name.partition(".")[0]) else name)

    def _is_own(self, top: str) -> bool:
        """Tell if a top-level name is a module of the network's own. A library comes before a neighbour of its name."""
        if top not in self._own and self._finds_own(top):
            self._own.add(top)
        return top in self._own

    def _finds_own(self, top: str) -> bool:
        if top in _OURS:
            spec = self._search(top)
            return spec is not None and _directory(spec) != _ROOT
        if top in sys.stdlib_module_names or top in sys.modules:
            return False
        spec = self._installed(top)
        if spec is None or spec.origin is None:  # nothing, or a mere folder
            return self._search(top) is not None
        return self._is_theirs(_directory(spec))

    def _search(self, name: str) -> ModuleSpec | None:
        """Find a top-level module in the network's folder, else wherever its author keeps source."""
        others = (entry for entry in (*self._added, *sys.path) if not _holds_packages(Path(entry)))
        found = (PathFinder.find_spec(name, [entry]) for entry in (str(self._folder), *others))
        return next(filter(None, found), None)

    def _installed(self, name: str) -> ModuleSpec | None:
        """Find a top-level module as if the network's folder were not on the search path."""
        folder = self._folder
        skip = not _holds_packages(folder)
        path = [entry for entry in sys.path if not (skip and Path(entry).resolve() == folder)]
        for finder in sys.meta_path:
            spec = finder.find_spec(name, path if finder is PathFinder else None)
            if spec is not None:
                return spec
        return None

    def _is_theirs(self, directory: Path | None) -> bool:
        """Tell if source in a directory is the author's, and may import what they call `core`."""
        if directory is None or _holds_packages(directory):
            return False
        clashing = ("core", "tui_app")
        return directory.is_relative_to(self._folder) or any(
            PathFinder.find_spec(name, [str(directory)]) for name in clashing
        )


class _Importlib(ModuleType):
    """`importlib` as a custom network sees it."""

    def __init__(self, modules: OwnModules) -> None:
        super().__init__("importlib", importlib.__doc__)
        self.import_module = modules.import_module

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib, name)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, modules: OwnModules) -> None:
        super().__init__(name, path)
        self._modules = modules

    def exec_module(self, module: ModuleType) -> None:
        self._modules.execute(module, self.get_data(self.path), Path(self.path))


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: ModuleType | None = None) -> ModuleSpec | None:
        modules = _packages.get(name.partition(".")[0])
        return modules.find_spec(name, path) if modules is not None else None


sys.meta_path.insert(0, _Finder)


def were_executed() -> bool:
    """Tell if this process has executed a custom network's code, which may have changed anything in it."""
    return bool(_packages)


def without_package(text: str) -> str:
    """Return a text with the names of modules as the network's author knows them."""
    return re.sub(rf"\b{_PREFIX}\d+\.", "", text)


def _directory(spec: ModuleSpec | None) -> Path | None:
    """Return the directory in which a top-level module or package was found; None if it was made, not found."""
    locations = spec.submodule_search_locations if spec is not None else None
    if spec is None or not (spec.has_location or locations):
        return None
    return Path(next(iter(locations)) if locations else str(spec.origin)).parent.resolve()


def _holds_packages(directory: Path) -> bool:
    """Tell if a directory holds installed packages, such as `site-packages` anywhere, or this program."""
    return directory.resolve() == _ROOT or next(directory.glob("*.dist-info"), None) is not None
