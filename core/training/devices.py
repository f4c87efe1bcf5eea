"""The available devices, and what `auto` means; only this module asks for them."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from threading import Thread
from typing import Any

import msgspec
import torch

from core.machine import DeviceInfo, cpu_name, usable_cores
from core.messages import N_, InvalidSetting, Problem, reason

_DRIVER_PATIENCE_S = 2.0
_MIB = 1 << 20
_HOST_REFUSAL = "can't allocate memory"
_DEVICE_REFUSALS = ("out of memory", "_STATUS_ALLOC_FAILED")
_resolved: torch.device | None = None


def available() -> list[DeviceInfo]:
    """Return every device, best first: GPUs by their free memory. The first is what `auto` means."""
    gpus = sorted(
        _with_memory(_gpus()), key=lambda gpu: -1 if gpu.free_memory is None else gpu.free_memory, reverse=True
    )
    return [*gpus, *_others()]


def lost_gpus() -> list[str]:
    """Return the GPUs that are there but do not answer, as after a hardware fault."""
    answering = {gpu.id for gpu in _gpus()}
    return [name for name in map(_id, range(_num_gpus())) if name not in answering]


def resolve(name: str) -> torch.device:
    """Return the device that a name stands for. Raises `Problem` with the names of the available devices.

    Only `auto` asks for the memory of GPUs, and `cpu` asks for none at all.
    """
    global _resolved
    wanted = "cuda:0" if name == "cuda" else name
    if wanted == "auto":
        wanted = available()[0].id
    elif wanted != "cpu":
        there = [device.id for device in [*_gpus(), *_others()]]
        known = ", ".join(there)
        if wanted in lost_gpus():
            text = N_("{device} does not answer: the driver has lost this GPU; available: {known}")
            raise Problem(text, device=wanted, known=known)
        if wanted not in there:
            raise Problem("there is no device {device} here; available: {known}", device=name, known=known)
    _resolved = torch.device(wanted)
    return _resolved


def of_comparison(device: str, wanted: Sequence[str]) -> list[str]:
    """Return the devices of a comparison: those `wanted`, else what `device` means.

    `all`, or `auto` where none are wanted, are all GPUs, or the best device where there is none. Raises `Problem`.
    """
    if not wanted and device != "auto":
        return [str(resolve(device))]
    if tuple(wanted) in ((), ("all",)):
        return [gpu.id for gpu in _gpus()] or [available()[0].id]
    found = list(dict.fromkeys(str(resolve(name)) for name in wanted))
    if len({name.partition(":")[0] for name in found}) > 1:
        text = N_("the devices of a comparison must be of one kind, as their arithmetic differs: not {devices}")
        raise InvalidSetting("devices", text, devices=", ".join(found))
    return found


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else f"Apple {platform.machine()}"


def out_of_memory(error: BaseException) -> Problem | None:
    """Return the problem that `error` stands for if a device is out of memory, else None.

    A full GPU raises `OutOfMemoryError`, or another `RuntimeError` where a library needs room for itself. None of them
    says reliably which GPU it is: it is the one that was last resolved, as a process trains on one device.
    """
    said = reason(error)
    host_is_full = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and _HOST_REFUSAL in said)
    if not host_is_full and not (isinstance(error, RuntimeError) and any(sign in said for sign in _DEVICE_REFUSALS)):
        return None
    devices = available()
    full = next((device for device in devices if _resolved is not None and device.id == str(_resolved)), None)
    if host_is_full or full is None or full.id == "cpu":
        advice = N_("Try a smaller batch size, or another device.")
        return Problem("out of memory: {reason}", advice=advice, reason=said)
    advice = N_("Try a smaller batch size, or another device: {others}.")
    others = ", ".join(device.id for device in devices if device is not full)
    if full.free_memory is None or full.total_memory is None:
        text = N_("{device} ({name}) is out of memory: {reason}")
        return Problem(text, advice=advice, device=full.id, name=full.name, reason=said, others=others)
    return Problem(
        "{device} ({name}) is out of memory: {free} of {total} MiB are free",
        advice=advice,
        device=full.id,
        name=full.name,
        free=full.free_memory // _MIB,
        total=full.total_memory // _MIB,
        others=others,
    )


def default_threads() -> int:
    """Return the default number of threads: small networks gain nothing from more than four, and lose from many."""
    return min(4, usable_cores())


def _others() -> list[DeviceInfo]:
    """Return the devices that are no GPUs of CUDA's kind."""
    apple = [DeviceInfo("mps", f"Apple {platform.machine()}")] if torch.backends.mps.is_available() else []
    return [*apple, DeviceInfo("cpu", cpu_name())]


def _num_gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def _id(index: int) -> str:
    return f"cuda:{index}"


def _gpus() -> list[DeviceInfo]:
    """Return the GPUs that answer, in torch's order, without their memory."""
    gpus = []
    for index in range(_num_gpus()):
        with suppress(RuntimeError, AssertionError):  # the driver has lost it
            gpus.append(DeviceInfo(_id(index), torch.cuda.get_device_name(index)))
    return gpus


def _with_memory(gpus: list[DeviceInfo]) -> list[DeviceInfo]:
    """Add what the driver says of memory and use: torch would open a context of hundreds of MB on every GPU.

    A driver can take seconds to wake, or never answer: then the GPUs that it has not described yet stay as they are.
    """
    if not gpus:
        return gpus
    import pynvml

    described: dict[str, DeviceInfo] = {}

    def ask() -> None:
        with suppress(pynvml.NVMLError, AttributeError):
            pynvml.nvmlInit()
            for gpu in gpus:
                described[gpu.id] = _described(gpu, pynvml)

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_DRIVER_PATIENCE_S)
    return [described.get(gpu.id, gpu) for gpu in gpus]


def _described(gpu: DeviceInfo, nvml: Any) -> DeviceInfo:
    """Add as much as the driver knows: a slice of a GPU (MIG), for example, has memory, but its use is not known."""
    with suppress(nvml.NVMLError, RuntimeError, AttributeError):
        handle = _handle(gpu, nvml)
        with suppress(nvml.NVMLError):
            memory = nvml.nvmlDeviceGetMemoryInfo(handle)
            gpu = msgspec.structs.replace(gpu, free_memory=int(memory.free), total_memory=int(memory.total))
        with suppress(nvml.NVMLError):
            gpu = msgspec.structs.replace(gpu, use=nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
    return gpu


def _handle(gpu: DeviceInfo, nvml: Any) -> Any:
    """Return the driver's handle, by the one name that torch and the driver share. Raises `NVMLError`."""
    uuid = torch.cuda.get_device_properties(gpu.id).uuid
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except nvml.NVMLError:
        return nvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")
