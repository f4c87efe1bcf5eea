"""The data sets' files: found where they usually are, unpacked into memory, and checked to be what they should be."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from core.catalogue import DATA_SETS, NUM_CLASSES, DataSource, RawFile
from core.messages import N_, Message, Problem, reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAX_CACHE_BYTES = 1 << 28
_MEAN_TOLERANCE = 0.001
"""Largest difference between the mean of the training pixels and that of the catalogue, where no checksum is known."""
_MAX_NAMED = 8


class Found(NamedTuple):
    """The part of a data set that a data folder has."""

    values: dict[str, NDArray[Any]]
    """Content of each file that was found, by its name."""
    paths: dict[str, Path]
    """Where each of them was."""
    missing: list[RawFile]
    foreign: dict[Path, DataSource]
    """Files by the same names in folders that belong to no data set, each with the data set that it is from."""


class _Foreign(Problem):
    """Raised for a file of another data set, whose name is its value `name`, in the place of the expected one."""


class _Incomplete(Problem):
    """Raised for an archive that ends too early, as an interrupted download leaves it."""


def on_disk(data_dir: Path) -> list[str]:
    """Return the data sets that are complete and valid in the folder; never the sample, which has no files."""

    def is_complete(entry: DataSource) -> bool:
        try:
            return bool(entry.files) and not read(entry, data_dir).missing
        except Problem:
            return False

    return [name for name, entry in DATA_SETS.items() if is_complete(entry)]


def read(entry: DataSource, data_dir: Path) -> Found:
    """Read what there is of a data set. Raises `Problem` if a file cannot be read or has the wrong content.

    A file is passed over if a valid one is found elsewhere. So are an incomplete archive and, in a folder that belongs
    to no data set, a file of another one.
    """
    found = Found({}, {}, [], {})
    for file in entry.files:
        faults: list[Problem] = []
        for path in filter(_exists, _candidates(entry, file, data_dir)):
            try:
                found.values[file.name] = checked(path, file, entry)
                found.paths[file.name] = path
                break
            except _Foreign as problem:
                if path.is_relative_to(data_dir / entry.source):
                    faults.append(problem)
                else:
                    found.foreign[path] = DATA_SETS[str(problem.message.values["name"])]
            except _Incomplete:
                pass
            except Problem as problem:
                faults.append(problem)
        else:
            if faults:
                raise faults[0]
            found.missing.append(file)
    return found


def other_files(entry: DataSource, data_dir: Path, found: Found) -> str:
    """List the files in the places where the data set is looked for, except those that were found to be its own."""
    own = {path for file in entry.files if file.name in found.values for path in _candidates(entry, file, data_dir)}
    foreign = found.foreign
    others = []
    for folder in dict.fromkeys(path.parent for path in _candidates(entry, entry.files[0], data_dir)):
        with suppress(OSError):
            others += [path for path in sorted(folder.iterdir()) if path not in own and _is_file(path)]
    visible = [path for path in others if not path.name.startswith(".")]
    named = [
        f"{path.relative_to(data_dir)} ({foreign[path].title})" if path in foreign else str(path.relative_to(data_dir))
        for path in visible[:_MAX_NAMED]
    ]
    return ", ".join(named + ["…"] * (len(visible) > _MAX_NAMED))


def _candidates(entry: DataSource, file: RawFile, data_dir: Path) -> Iterator[Path]:
    """Yield where a file may be: as downloads leave it, as archives or their authors name it, in an older layout."""
    own = data_dir / entry.source
    dotted = file.name.replace("-idx", ".idx")
    for folder in (own / "raw", own, data_dir / "raw", data_dir):
        for name in (file.name, dotted):
            yield folder / name
            yield folder / f"{name}.gz"
    # Older versions of torchvision kept a split's images and labels as tensors in one file.
    for folder in (own / "processed", data_dir / "processed"):
        for name in ("training.pt", "train.pt") if "train" in file.name else ("test.pt",):
            yield folder / name


def _exists(path: Path) -> bool:
    """Return True also for a link to nothing. Raises `Problem` if that cannot be determined."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _unreadable(path, error) from error
    return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def checked(path: Path, file: RawFile, entry: DataSource) -> NDArray[Any]:
    """Return the values in a file, of its shape and type. Raises `Problem` if it is not that file of the data set."""
    import numpy

    if not path.exists():
        raise _damaged(Message("{path} is a link to a missing file", {"path": str(path)}))
    if not path.is_file():
        raise _damaged(Message("{path} is not a regular file", {"path": str(path)}))
    try:
        content = _from_cache(path, file) if path.suffix == ".pt" else _unpacked(path, file)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        text = N_("{path} is not a complete gzip archive: {reason}")
        raise _Incomplete(text, path=str(path), reason=reason(error)) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if fault := _misshapen(content, path, file, entry):
        raise _damaged(fault)
    _check_identity(content, path, file, entry)
    values = numpy.frombuffer(content, file.dtype, offset=len(file.header)).reshape(file.shape)
    if fault := _unlike(values, path, file, entry):
        raise _damaged(fault)
    return values


def _unpacked(path: Path, file: RawFile) -> bytes:
    """Return the content, and at most one byte beyond its right length. Raises `OSError`, `EOFError`, `zlib.error`."""
    with path.open("rb") as packed:
        if path.suffix != ".gz":
            return packed.read(file.num_bytes + 1)
        if not path.stat().st_size:
            raise EOFError("it is empty")  # which gzip takes for an archive of nothing
        return gzip.GzipFile(fileobj=packed).read(file.num_bytes + 1)


def _from_cache(path: Path, file: RawFile) -> bytes:
    """Return the content that a file had before torchvision stored it with others as tensors. Raises `Problem`."""
    import torch

    try:
        if path.stat().st_size > _MAX_CACHE_BYTES:
            raise ValueError(f"it is larger than {_MAX_CACHE_BYTES} bytes")
        images, labels = torch.load(path, map_location="cpu", weights_only=True)
        tensor = images if len(file.shape) == 3 else labels
        if tuple(tensor.shape) != file.shape:
            raise ValueError(f"it holds {tuple(tensor.shape)} values, not {file.shape}")
        values: NDArray[Any] = tensor.numpy()
        return file.header + values.astype(file.dtype).tobytes()
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError) as error:
        text = N_("{path} cannot be read as torchvision's older form of a data set: {reason}")
        raise _damaged(Message(text, {"path": str(path), "reason": reason(error)})) from error


def _misshapen(content: bytes, path: Path, file: RawFile, entry: DataSource) -> Message | None:
    """Return what is wrong with the header or the length."""
    header = content[: len(file.header)]
    if len(header) == len(file.header) and header[:4] != file.header[:4]:
        return Message(
            "{path} is not a file of {title}: it starts with the bytes {found}, expected {expected}",
            {"path": str(path), "title": entry.title, "found": header[:4].hex(), "expected": file.header[:4].hex()},
        )
    if len(header) == len(file.header) and header != file.header:
        shape = struct.unpack_from(f">{len(file.shape)}I", header, 4)
        return Message(
            "{path} claims to hold {found} values, expected {expected}",
            {"path": str(path), "found": "×".join(map(str, shape)), "expected": "×".join(map(str, file.shape))},
        )
    if len(content) > file.num_bytes:
        return Message("{path} holds more than {expected} bytes", {"path": str(path), "expected": file.num_bytes})
    if len(content) < file.num_bytes:
        return Message(
            "{path} holds {found} bytes, expected {expected}",
            {"path": str(path), "found": len(content), "expected": file.num_bytes},
        )
    return None


def _check_identity(content: bytes, path: Path, file: RawFile, entry: DataSource) -> None:
    """Raise `Problem` if the checksum is that of another data set's file, or not the expected one."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 == file.md5:
        return
    for owner in DATA_SETS.values():
        for known in owner.files:
            if md5 == known.md5:
                raise _Foreign(
                    N_("{path} is {owner}'s {file}, not {title}'s"),
                    advice=N_(
                        "Move it to {folder} in the data folder, where --dataset {name} finds it, or choose another"
                        " data folder with --data-dir."
                    ),
                    path=str(path),
                    owner=owner.title,
                    file=known.name,
                    title=entry.title,
                    folder=str(Path(owner.source) / "raw"),
                    name=owner.name,
                )
    if file.md5:
        raise Problem(
            "{path} is not {title}'s {file}: its MD5 checksum is {found}, expected {expected}",
            advice=N_("Move it away to have the right one downloaded, or choose --dataset sample."),
            path=str(path),
            title=entry.title,
            file=file.name,
            found=md5,
            expected=file.md5,
        )


def _unlike(values: NDArray[Any], path: Path, file: RawFile, entry: DataSource) -> Message | None:
    """Return what the values of a file without a known checksum cannot be."""
    if file.md5:
        return None
    if len(file.shape) == 3:
        mean = float(values.mean()) / 255
        if file is entry.files[0] and abs(mean - entry.mean) > _MEAN_TOLERANCE:
            return Message(
                "{path} is not {title}'s {file}: the mean of its pixels is {found}, expected {expected}",
                {
                    "path": str(path),
                    "title": entry.title,
                    "file": file.name,
                    "found": f"{mean:.4f}",
                    "expected": f"{entry.mean:.4f}",
                },
            )
        return None
    labels = values.reshape(len(values), -1)[:, 0]
    for label in (int(labels.min()), int(labels.max())):
        if not 0 <= label < NUM_CLASSES:
            return Message("{path} holds the label {found}, expected 0 to 9", {"path": str(path), "found": label})
    return None


def _damaged(fault: Message) -> Problem:
    advice = N_("Delete it to have it downloaded again, or choose --dataset sample.")
    return Problem.of(fault, Message(advice, fault.values))


def _unreadable(path: Path, error: OSError) -> Problem:
    advice = N_("Choose another folder with --data-dir, or --dataset sample.")
    return Problem("{path} cannot be read: {reason}", advice=advice, path=str(path), reason=reason(error))
