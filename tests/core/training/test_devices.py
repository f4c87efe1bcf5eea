"""The choice of a device, with GPUs and a driver that are stood in for: full, slow, silent, sliced and lost ones."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from core.machine import DeviceInfo
from core.messages import Problem
from core.training import devices

GIB = 1 << 30
LOST = "lost"


class NVMLError(Exception):
    pass


class Driver:
    """A driver of GPUs with this much free memory each; None where it does not know, `LOST` for one that is lost."""

    def __init__(self, free: Sequence[int | str | None], uses: Mapping[int, int], kind: str = "GPU") -> None:
        self.free = free
        self.uses = uses
        self.kind = kind
        self.inits = 0
        self.wakes = threading.Event()
        self.wakes.set()
        self.NVMLError = NVMLError

    def nvmlInit(self) -> None:
        self.inits += 1
        assert self.wakes.wait(60)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        kind, _dash, index = uuid.partition("-")
        if kind != self.kind:
            raise NVMLError("not found")
        return int(index)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        free = self.free[handle]
        if free is None:
            raise NVMLError("no permission")
        return SimpleNamespace(free=free, total=80 * GIB)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        if handle not in self.uses:
            raise NVMLError("not supported")
        return SimpleNamespace(gpu=self.uses[handle])


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    drivers: list[Driver] = []

    def install(*free: int | str | None, uses: Mapping[int, int] | None = None, kind: str = "GPU") -> Driver:
        def properties(device: int | str) -> Any:
            index = int(str(device).removeprefix("cuda:"))
            if free[index] == LOST:
                raise RuntimeError("CUDA error: an illegal or unknown device")
            return SimpleNamespace(name=f"GPU number {index}", uuid=index)

        drivers.append(Driver(free, uses or {}, kind))
        monkeypatch.setattr(devices, "_resolved", None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(free))
        monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: properties(device).name)
        monkeypatch.setitem(sys.modules, "pynvml", drivers[-1])
        return drivers[-1]

    yield install
    for driver in drivers:
        driver.wakes.set()


def gpus() -> list[DeviceInfo]:
    return [device for device in devices.available() if device.id.startswith("cuda")]


def test_auto_takes_the_gpu_with_the_most_free_memory(stand_in: Any) -> None:
    driver = stand_in(1 * GIB, None, 75 * GIB, 2 * GIB, uses={0: 7, 2: 100})
    assert [gpu.id for gpu in gpus()] == ["cuda:2", "cuda:3", "cuda:0", "cuda:1"]
    assert driver.inits == 1
    assert gpus()[0] == DeviceInfo("cuda:2", "GPU number 2", 75 * GIB, 80 * GIB, 1.0)
    assert devices.resolve("auto") == torch.device("cuda:2")
    assert devices.resolve("cuda") == torch.device("cuda:0")


def test_where_nothing_is_known_the_first_is_taken(stand_in: Any) -> None:
    stand_in(None, None)
    assert devices.resolve("auto") == torch.device("cuda:0")


def test_what_a_slice_does_not_know_hides_nothing(stand_in: Any) -> None:
    stand_in(10 * GIB, 20 * GIB, kind="MIG")
    assert gpus()[0] == DeviceInfo("cuda:1", "GPU number 1", 20 * GIB, 80 * GIB, None)
    stand_in(None, uses={0: 50})
    assert gpus() == [DeviceInfo("cuda:0", "GPU number 0", None, None, 0.5)]


def test_a_named_device_does_not_wake_the_driver(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = stand_in(GIB, GIB)
    assert devices.resolve("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: pytest.fail("the CPU asks no GPU"))
    assert devices.resolve("cpu") == torch.device("cpu")
    assert driver.inits == 0


def test_a_driver_that_never_answers_is_given_up(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = stand_in(GIB, GIB)
    driver.wakes.clear()
    monkeypatch.setattr(devices, "_DRIVER_PATIENCE_S", 0.01)
    began = time.monotonic()
    assert [(gpu.id, gpu.free_memory) for gpu in gpus()] == [("cuda:0", None), ("cuda:1", None)]
    assert time.monotonic() - began < 30  # the driver takes a minute


def test_a_lost_gpu_breaks_nothing_else(stand_in: Any) -> None:
    stand_in(LOST, 3 * GIB, 4 * GIB)
    assert [gpu.id for gpu in gpus()] == ["cuda:2", "cuda:1"]
    assert devices.resolve("auto") == torch.device("cuda:2")
    assert devices.resolve("cpu") == torch.device("cpu")
    assert devices.lost_gpus() == ["cuda:0"]
    with pytest.raises(Problem, match=r"cuda:0 does not answer.*available: cuda:1, cuda:2, cpu"):
        devices.resolve("cuda")
    with pytest.raises(Problem, match="no device cuda:3 here; available: cuda:1, cuda:2, cpu"):
        devices.resolve("cuda:3")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 1 GiB"),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_a_full_gpu_is_named_with_the_others(stand_in: Any, error: Exception) -> None:
    stand_in(300 << 20, 2 * GIB)
    devices.resolve("cuda:0")
    problem = devices.out_of_memory(error)
    assert str(problem) == (
        "cuda:0 (GPU number 0) is out of memory: 300 of 81920 MiB are free"
        " Try a smaller batch size, or another device: cuda:1, cpu."
    )
    stand_in(None)
    devices.resolve("cuda:0")
    assert "cuda:0 (GPU number 0) is out of memory: " + str(error)[:20] in str(devices.out_of_memory(error))


def test_the_machine_out_of_memory_is_not_blamed_on_a_gpu(stand_in: Any) -> None:
    stand_in(2 * GIB)
    devices.resolve("cuda")
    refusal = RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried")
    for error in (MemoryError(), refusal):
        assert str(devices.out_of_memory(error)).startswith("out of memory: ")
    assert devices.out_of_memory(RuntimeError("shapes do not match")) is None
