"""The folder that the exam's program reads its data from, as torchvision lays it out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from core import files
from core.catalogue import DATA_SETS, SIDE, RawFile
from core.data import datasets, raw_files
from core.messages import Message, Problem, reason

_MNIST = DATA_SETS["mnist"]
_PREFIX = "mnist-tui-program-"
_IN_USE = "in-use"
"""File that is locked while the process lives that wrote a folder."""
_NEW_S = 60.0
"""Seconds in which a folder's process has surely locked it."""


class ProgramData(NamedTuple):
    """A folder for torchvision's MNIST."""

    root: Path
    name: str
    """`mnist`, or `sample` for the embedded sample of it."""


class ProgramFolders:
    """The folders for the program, some of them written for it; nothing is downloaded."""

    def __init__(self) -> None:
        self._root: TemporaryDirectory[str] | None = None
        self._lock = -1
        self._written: set[str] = set()

    def of(self, data_dir: Path) -> ProgramData:
        """Return a folder with MNIST, if `data_dir` has it in any form, else with the sample. Raises `Problem`."""
        found = raw_files.read(_MNIST, data_dir)
        if found.missing:
            return self.sample()
        own = [_MNIST.path(data_dir, file) for file in _MNIST.files]
        # torchvision would prefer the tensors that an older version of it left there.
        if all(path.is_file() for path in own) and not (data_dir / "MNIST" / "processed").exists():
            return ProgramData(data_dir, "mnist")
        return ProgramData(self._folder("mnist", lambda: list(found.values.values())), "mnist")

    def sample(self, *, is_sorted: bool = False) -> ProgramData:
        """Return a folder with the sample, its training images sorted by their labels on request. Raises `Problem`."""

        def values() -> list[Any]:
            data = datasets.load("sample", Path(), notify=_ignore, progress=_ignore, should_stop=lambda: True)
            images, labels = data.train_images, data.train_labels
            if is_sorted:
                order = labels.argsort(stable=True)
                images, labels = images[order], labels[order]
            return [each.numpy() for each in (images, labels, data.test_images, data.test_labels)]

        return ProgramData(self._folder("sorted" if is_sorted else "sample", values), "sample")

    def _folder(self, name: str, values: Any) -> Path:
        try:
            root = self._begun()
            if name not in self._written:
                _write(root / name, values())
        except OSError as error:
            self.close()
            raise Problem("cannot write to {path}: {reason}", path="TMPDIR", reason=reason(error)) from error
        self._written.add(name)
        return root / name

    def _begun(self) -> Path:
        """Return the folder of this process, where all others are. Raises `OSError`."""
        if self._root is None:
            _sweep()
            self._root = TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
            self._lock = files.create(Path(self._root.name) / _IN_USE)
            files.lock(self._lock)
        return Path(self._root.name)

    def close(self) -> None:
        """Remove what was written."""
        if self._root is not None:
            with suppress(OSError):
                self._root.cleanup()
        if self._lock >= 0:
            os.close(self._lock)
        self._root, self._lock = None, -1
        self._written.clear()


def _sweep() -> None:
    """Remove the folders of processes that were killed."""
    for folder in _left_behind():
        shutil.rmtree(folder, ignore_errors=True)


def _left_behind() -> Iterator[Path]:
    parent = Path(tempfile.gettempdir())
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status, age = folder.lstat(), files.age_s(parent, folder.lstat().st_mtime)
            is_old = age is not None and age > _NEW_S
            if is_old and status.st_uid == os.getuid() and _is_unused(folder):
                yield folder


def _is_unused(folder: Path) -> bool:
    """Tell if nobody has locked a folder. Raises `OSError` where that cannot be known."""
    with files.open_regular(folder / _IN_USE) as file:
        return not files.is_locked(file.fileno())


def _ignore(_message: Message, _share: float = 0) -> None:
    pass


def _write(root: Path, values: list[Any]) -> None:
    """Write images and labels, of the training and of the test, under the names of MNIST's files."""
    for file, content in zip(_MNIST.files, values, strict=True):
        shape = (len(content), SIDE, SIDE)[: len(file.shape)]
        path = _MNIST.path(root, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(RawFile(file.name, file.value_type, shape).header + content.astype(file.dtype).tobytes())
