"""The folder that the exam's program reads its data from, as torchvision lays it out."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from core.catalogue import DATA_SETS, SIDE, RawFile
from core.data import datasets, raw_files
from core.messages import Message, Problem, reason

_MNIST = DATA_SETS["mnist"]


class ProgramData(NamedTuple):
    """A folder for torchvision's MNIST."""

    root: Path
    name: str
    """`mnist`, or `sample` for the embedded sample of it."""


class ProgramFolders:
    """The folders for the program, some of them written for it; nothing is downloaded."""

    def __init__(self) -> None:
        self._written: dict[str, TemporaryDirectory[str]] = {}

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
        if name not in self._written:
            try:
                folder = TemporaryDirectory(prefix="mnist-tui-", ignore_cleanup_errors=True)
                _write(Path(folder.name), values())
            except OSError as error:
                raise Problem("cannot write to {path}: {reason}", path="TMPDIR", reason=reason(error)) from error
            self._written[name] = folder
        return Path(self._written[name].name)

    def close(self) -> None:
        """Remove what was written."""
        for folder in self._written.values():
            with suppress(OSError):
                folder.cleanup()
        self._written.clear()


def _ignore(_message: Message, _share: float = 0) -> None:
    pass


def _write(root: Path, values: list[Any]) -> None:
    """Write images and labels, of the training and of the test, under the names of MNIST's files."""
    for file, content in zip(_MNIST.files, values, strict=True):
        shape = (len(content), SIDE, SIDE)[: len(file.shape)]
        path = _MNIST.path(root, file)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(RawFile(file.name, file.value_type, shape).header + content.astype(file.dtype).tobytes())
