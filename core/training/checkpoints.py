"""Saving a training state atomically, and loading it without trusting the file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, cast

import msgspec
import torch

from core import files
from core.config import RunConfig
from core.messages import N_, Problem, reason
from core.training.loop import Checkpoint

_VERSION = 1
_MAY_CHANGE = frozenset({"device", "threads", "epochs", "dataset", "data_dir"})
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


def save(path: Path, checkpoint: Checkpoint, config: RunConfig, data_digest: str) -> None:
    """Save a checkpoint, replacing the older one only once the new one is complete. Raises `OSError`."""
    content = {"version": _VERSION, "config": _identity(config), "data_digest": data_digest, "state": checkpoint}

    def write(file: Any) -> None:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # how torch's writer reports a full disk
            raise OSError(reason(error)) from error

    files.replace(path, write)


def load(path: Path, config: RunConfig, data_digest: str) -> Checkpoint | None:
    """Load a checkpoint; None if there is none yet. Raises `Problem` if it is damaged, or of other data or settings."""
    try:
        with files.open_regular(path) as file:
            content = torch.load(file, map_location="cpu", weights_only=True)
        state, digest = content["state"], content["data_digest"]
        damaged = not all(isinstance(state[name], kind) for name, kind in _TYPES.items()) or state["epoch"] < 1
        trained_with = _identity(RunConfig()) | content["config"]  # older ones lack settings left at their default
    except FileNotFoundError:
        return None
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError) as error:
        raise _damaged(path) from error
    if damaged or content.get("version") != _VERSION:
        raise _damaged(path)
    if digest != data_digest:
        raise Problem(
            "the data differ from those that the run was trained on so far",
            advice=N_("Give it the same data again with --data-dir, or start a new run."),
        )
    if trained_with != _identity(config):
        raise Problem("the checkpoint {path} belongs to a run with other settings", path=str(path))
    return cast(Checkpoint, state)


def _identity(config: RunConfig) -> dict[str, Any]:
    """Return the settings that must stay the same when a training is resumed."""
    return {name: value for name, value in msgspec.structs.asdict(config).items() if name not in _MAY_CHANGE}


def _damaged(path: Path) -> Problem:
    advice = N_("Delete it to train from the beginning.")
    return Problem("the checkpoint {path} is damaged", advice=advice, path=str(path))
