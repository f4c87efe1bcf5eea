"""Trained parameters as a safetensors file, with a checksum among its metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

_AS_PAIRS = "@complex128"
_CHECKSUM = "sha256"


def pack(state: Mapping[str, Any]) -> bytes:
    """Return the tensors of a network's state as the content of a file, from any device and in any layout."""
    from safetensors.torch import save

    tensors = {
        name: value.detach().cpu().to_dense().clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }
    for name, value in list(tensors.items()):
        if value.dtype == torch.complex128:  # safetensors has no such numbers
            tensors[name + _AS_PAIRS] = torch.view_as_real(tensors.pop(name))
    return save(tensors, {_CHECKSUM: _digest(tensors)})


def unpack(content: bytes) -> dict[str, torch.Tensor]:
    """Return the tensors in a file's content. Raises `ValueError` or `SafetensorError` if it is damaged.

    Older versions wrote no checksum.
    """
    from safetensors.torch import load

    tensors = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    checksum = header.get("__metadata__", {}).get(_CHECKSUM)
    if checksum not in (None, _digest(tensors)):
        raise ValueError("damaged")
    for name in list(tensors):
        if name.endswith(_AS_PAIRS):
            tensors[name.removesuffix(_AS_PAIRS)] = torch.view_as_complex(tensors.pop(name))
    return tensors


def _digest(tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
