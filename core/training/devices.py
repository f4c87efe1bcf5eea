"""The available devices, and what `auto` means; only this module asks for them."""

from __future__ import annotations

import platform

import torch

from core.machine import DeviceInfo, cpu_name, usable_cores
from core.messages import N_, Problem, reason


def available() -> list[DeviceInfo]:
    """Return every device, best first: the first is what `auto` means."""
    found = _gpus()
    if torch.backends.mps.is_available():
        found.append(DeviceInfo("mps", f"Apple {platform.machine()}"))
    return [*found, DeviceInfo("cpu", cpu_name())]


def resolve(name: str) -> torch.device:
    """Return the device that a name stands for. Raises `Problem` with the names of the available devices."""
    there = [device.id for device in available()]
    wanted = there[0] if name == "auto" else "cuda:0" if name == "cuda" else name
    if wanted not in there:
        raise Problem("there is no device {device} here; available: {known}", device=name, known=", ".join(there))
    return torch.device(wanted)


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return cpu_name() if device.type == "cpu" else f"Apple {platform.machine()}"


def out_of_memory(error: BaseException) -> Problem | None:
    """Return the problem that `error` stands for if a device is out of memory, else None."""
    is_refusal = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    if not (is_refusal or isinstance(error, MemoryError | torch.OutOfMemoryError)):
        return None
    advice = N_("Try a smaller batch size, or another device.")
    return Problem("out of memory: {reason}", advice=advice, reason=reason(error))


def default_threads() -> int:
    """Return the default number of threads: small networks gain nothing from more than four, and lose from many."""
    return min(4, usable_cores())


def _gpus() -> list[DeviceInfo]:
    if not torch.cuda.is_available():
        return []
    gpus = []
    for index in range(torch.cuda.device_count()):
        free, total, use = _memory_and_use(index)
        gpus.append(DeviceInfo(f"cuda:{index}", torch.cuda.get_device_name(index), free, total, use))
    return gpus


def _memory_and_use(index: int) -> tuple[int | None, int | None, float | None]:
    """Ask the driver for free and total memory and use: torch would open a context of hundreds of MB on every GPU."""
    import pynvml

    try:
        pynvml.nvmlInit()
        uuid = f"GPU-{torch.cuda.get_device_properties(index).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        return int(memory.free), int(memory.total), pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except (pynvml.NVMLError, AttributeError):
        return None, None, None
