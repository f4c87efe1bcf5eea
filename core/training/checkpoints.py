"""Training states on disk: each whole and checked, or not used; the one before is kept until the next is there.

`checkpoint-0002-3-400.pt` is of attempt 2, after batch 400 of epoch 3. It is what `torch.save` writes, a zip archive,
whose comment seals it with a SHA-256 of everything before.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import re
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec
import torch

from core import files
from core.config import RECORDING, RunConfig
from core.messages import N_, Message, Problem, reason
from core.runs.formats import FORMAT
from core.runs.snapshots import Moment
from core.training.loop import Checkpoint

_KEPT = 2
_NAME = re.compile(r"checkpoint-(\d{4,12})-(\d{1,16})-(\d{1,16})\.pt")
_SEAL = b"mnist-tui checkpoint, sha256 "
_SEAL_SIZE = len(_SEAL) + 64
_END_OF_ZIP = b"PK\x05\x06"
_END_SIZE = 22
_MAY_CHANGE = RECORDING | {"device", "threads", "epochs", "dataset", "data_dir"}
"""Settings that may differ in a resumed run; the data are identified by their digest."""
_TYPES: dict[str, type | tuple[type, ...]] = {
    "network": dict,
    "optimizer": dict,
    "epoch": int,
    "step": int,
    "running_loss": float,
    "elapsed_s": float,
    "epoch_elapsed_s": float,
    "order_state": torch.Tensor,
    "rng_state": torch.Tensor,
    "cuda_rng_state": (torch.Tensor, type(None)),
}


class _Damaged(Exception):
    """The content of a checkpoint is not what was written."""


def save(run_dir: Path, attempt: int, checkpoint: Checkpoint, config: RunConfig, data_digest: str) -> None:
    """Save a checkpoint, and remove all but the whole one before. Raises `OSError`."""
    content = {"version": FORMAT, "config": _identity(config), "data_digest": data_digest, "state": checkpoint}
    buffer = io.BytesIO()
    torch.save(content, buffer)
    name = f"checkpoint-{attempt:04d}-{checkpoint['epoch']}-{checkpoint['step']}.pt"
    files.replace(run_dir / name, _sealed(buffer.getbuffer()))
    kept = 0
    for found in _found(run_dir):
        if found.attempt > attempt:  # this process has been superseded
            continue
        if kept < _KEPT and (found.attempt == attempt or _may_be_whole(found.path)):
            kept += 1
            continue
        with suppress(OSError):
            found.path.unlink()


def load(
    run_dir: Path,
    config: RunConfig,
    data_digest: str,
    *,
    steps_per_epoch: int,
    tell: Callable[[Message], None] = lambda _message: None,
) -> Checkpoint | None:
    """Load the newest whole checkpoint; None if there is none yet. `tell` is told what is lost if an older one is used.

    Raises `Problem` if none is whole, or if one cannot be read or is of a newer version, other data or settings.
    """
    damaged: list[Moment] = []
    for found in _found(run_dir):
        try:
            content = _read(found.path)
            state = _checked(found.path, content, config, data_digest)
        except FileNotFoundError:
            continue  # superseded meanwhile
        except _Damaged:
            damaged.append(found)
            continue
        if damaged:
            newest = damaged[0]
            lost = (newest.epoch - state["epoch"]) * steps_per_epoch + newest.step - state["step"]
            text = N_("{file} is damaged: the checkpoint before it is used, {steps} batches earlier")
            tell(Message(text, {"file": newest.path.name, "steps": max(0, lost)}))
        return state
    if damaged:
        raise Problem(
            "the checkpoint {path} is damaged",
            advice=N_("Restore it from a backup, or start a new run with the same settings."),
            path=str(damaged[0].path),
        )
    return None


def newest_parameters(run_dir: Path, limit: int) -> tuple[Moment, dict[str, Any]] | None:
    """Return the newest whole checkpoint's moment and the network's state in it; None if there is none.

    Raises `Problem` if it cannot be read, or has more than `limit` bytes.
    """
    for found in _found(run_dir):
        try:
            if found.path.lstat().st_size > limit:
                raise Problem("the checkpoint {path} is too large", path=str(found.path))
            state = _loaded(found.path, _read(found.path))["state"]
        except (FileNotFoundError, _Damaged):
            continue
        return found._replace(epoch=state["epoch"], step=state["step"]), state["network"]
    return None


def check_keepable(state: dict[str, Any]) -> None:
    """Raise `Problem` if a checkpoint could keep a network's state, but not be loaded again without trusting it."""
    buffer = io.BytesIO()
    rest = {name: value for name, value in state.items() if not isinstance(value, torch.Tensor)}
    torch.save(rest, buffer)
    try:
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    except pickle.UnpicklingError as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in rest.values()}))
        raise Problem(
            "the network's own state ({kinds}) cannot be kept in a checkpoint",
            advice=N_("Return only tensors, numbers, texts, lists and dicts of these from get_extra_state."),
            kinds=kinds,
        ) from error


def _found(run_dir: Path) -> list[Moment]:
    """Return the checkpoints in a run directory, the newest first; last that of an older version. Raises `OSError`."""
    found = [
        Moment(int(match[1]), int(match[2]), int(match[3]), run_dir / name)
        for name in os.listdir(run_dir)  # noqa: PTH208
        if (match := _NAME.fullmatch(name))
    ]
    older = run_dir / "checkpoint.pt"
    return sorted(found, reverse=True) + ([Moment(0, 0, 0, older)] if os.path.lexists(older) else [])


def _read(path: Path) -> bytes:
    """Return the verified content of a checkpoint.

    Raises `FileNotFoundError`, `_Damaged`, or `Problem` if the file may be whole but cannot be read.
    """
    if not _is_regular(path):
        raise _Damaged
    try:
        with files.open_regular(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise
    except (OSError, MemoryError) as error:
        advice = N_("It may be whole: make it readable, then resume the run.")
        text = N_("the checkpoint {path} cannot be read: {reason}")
        raise Problem(text, advice=advice, path=str(path), reason=reason(error)) from error
    if content[-_SEAL_SIZE:-64] == _SEAL:
        whole = hashlib.sha256(memoryview(content)[:-64]).hexdigest().encode() == content[-64:]
    else:
        whole = path.name == "checkpoint.pt" and _archive_is_whole(content)
    if not whole:
        raise _Damaged
    return content


def _is_regular(path: Path) -> bool:
    """Return False for what cannot be a checkpoint, such as a folder or a link. Raises `FileNotFoundError`."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        raise
    except OSError:
        return True


def _may_be_whole(path: Path) -> bool:
    """Return False if a checkpoint is known to be damaged, or is gone."""
    try:
        _read(path)
    except (FileNotFoundError, _Damaged):
        return False
    except Problem:
        pass
    return True


def _checked(path: Path, content: bytes, config: RunConfig, data_digest: str) -> Checkpoint:
    """Return the state in a checkpoint's content. Raises `_Damaged` or `Problem`."""
    loaded = _loaded(path, content)
    if loaded["data_digest"] != data_digest:
        raise Problem(
            "the data differ from those that the run was trained on so far",
            advice=N_("Give it the same data again with --data-dir, or start a new run."),
        )
    if _identity(RunConfig()) | loaded["config"] != _identity(config):  # older ones lack settings left at their default
        raise Problem("the checkpoint {path} belongs to a run with other settings", path=str(path))
    return cast(Checkpoint, loaded["state"])


def _loaded(path: Path, content: bytes) -> dict[str, Any]:
    """Return a checkpoint's content, once its parts have the right types. Raises `_Damaged` or `Problem`."""
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        version = loaded["version"]
        if isinstance(version, int) and version > FORMAT:
            text = N_("the checkpoint {path} was written by a newer version of mnist-tui")
            raise Problem(text, advice=N_("Update mnist-tui, then resume the run."), path=str(path))
        state = loaded["state"]
        damaged = not isinstance(loaded["config"], dict) or not isinstance(loaded["data_digest"], str)
        damaged = (
            damaged or not all(isinstance(state[name], kind) for name, kind in _TYPES.items()) or state["epoch"] < 1
        )
        damaged = damaged or not _is_best(state.get("best"))
    except MemoryError as error:
        text = N_("the checkpoint {path} cannot be loaded: there is not enough memory")
        raise Problem(text, path=str(path)) from error
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError) as error:
        if "alloc" in str(error):  # how torch reports a lack of memory
            text = N_("the checkpoint {path} cannot be loaded: there is not enough memory")
            raise Problem(text, path=str(path)) from error
        if content[-_SEAL_SIZE:-64] == _SEAL:  # it is as it was written
            text = N_("the checkpoint {path} cannot be loaded: {reason}")
            raise Problem(text, path=str(path), reason=reason(error)) from error
        raise _Damaged from error
    if damaged:
        raise _Damaged
    return cast(dict[str, Any], loaded)


def _is_best(best: Any) -> bool:
    """Tell if a value is a `Best`, or None."""
    if best is None:
        return True
    types = {"epoch": int, "loss": float, "network": dict}
    return isinstance(best, dict) and all(isinstance(best.get(name), kind) for name, kind in types.items())


def _sealed(archive: memoryview) -> bytes:
    """Return a zip archive without a comment as one whose comment is the seal."""
    assert archive[-_END_SIZE : -_END_SIZE + 4] == _END_OF_ZIP
    content = b"".join((archive[:-2], _SEAL_SIZE.to_bytes(2, "little"), _SEAL))
    return content + hashlib.sha256(content).hexdigest().encode()


def _archive_is_whole(content: bytes) -> bool:
    """Verify the checksums in a zip archive, the only ones that an older version's checkpoint has."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, ValueError, LookupError, NotImplementedError, EOFError, OSError):
        return False


def _identity(config: RunConfig) -> dict[str, Any]:
    """Return the settings that must stay the same when a training is resumed."""
    return {name: value for name, value in msgspec.structs.asdict(config).items() if name not in _MAY_CHANGE}
