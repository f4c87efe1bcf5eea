"""Training in a process of its own, which advances only on request: `python -m tests.benchmarks.trainer SPEC`.

The way a process gets its memory is fixed for the whole process, so two ways to train cannot share one. A request is a
line: a number of steps, or `test` for a pass over the test set. The answer is a JSON line with the seconds it took.
"""

from __future__ import annotations

import gc
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import msgspec

from tests.benchmarks.measuring import child_environment

EXAM, OURS = "exam", "ours"


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """The network to train, and the program that trains it: `exam`, `ours`, or the name of a peer's module."""

    dataset: str
    data_dir: str
    program: str = OURS
    model: str = "RN_1"
    precision: str = "fp32"
    exact: bool = False
    batch_size: int = 64
    threads: int = 0
    """Number of threads; 0 leaves it to the program."""
    device: str = "cpu"
    tuned: bool = False
    """Whether a peer is used as by someone who knows it, or as its guide shows it."""
    compiled: bool = False
    """Whether a peer that can do without a compiler uses it."""
    chunk: int = 1
    """Number of steps in one call of a peer, which cannot be stopped between them."""

    @property
    def on_gpu(self) -> bool:
        return self.device != "cpu"

    def but(self, **changes: Any) -> Spec:
        return msgspec.structs.replace(self, **changes)


class Answer(msgspec.Struct, frozen=True):
    seconds: float = 0.0
    steps: int = 0
    peak_bytes: int = 0
    error: str = ""
    """Why there is no answer, and will be none."""


class Trainer:
    """A training process, seen from outside."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.trainer", msgspec.json.encode(spec).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=child_environment(),
        )

    def request(self, what: int | str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()

    def answer(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = self._errors.read().decode(errors="replace").strip().rpartition("\n")[2]
            raise RuntimeError(f"its process ended with {self._process.wait()}: {last}")
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise RuntimeError(answer.error)
        return answer

    def train(self, steps: int) -> Answer:
        self.request(steps)
        return self.answer()

    def test(self) -> Answer:
        self.request("test")
        return self.answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Pacer:
    """A brake called before every step: it lets as many pass as were requested, then blocks until the next request.

    A program that takes several steps in one call says how many; as many, or a multiple, must have been requested.
    """

    def __init__(
        self, answers: IO[str], test: Callable[[], object], synchronise: Callable[[], object] = lambda: None
    ) -> None:
        self._answers = answers
        self._test = test
        self._synchronise = synchronise
        self._left = 0
        self._asked = 0
        self._began = 0.0

    def __call__(self, steps: int = 1) -> None:
        while self._left == 0:
            if self._asked:
                self._synchronise()
                self._answer(self._asked)
            line = sys.stdin.readline().strip()
            if not line:
                sys.exit()
            gc.collect()
            self._began = time.perf_counter()
            if line == "test":
                self._test()
                self._answer(0)
            else:
                self._asked = self._left = int(line)
        self._left -= steps
        assert self._left >= 0, f"more steps at a time, {steps}, than were requested"

    def _answer(self, steps: int) -> None:
        seconds = time.perf_counter() - self._began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        print(json.dumps({"seconds": seconds, "steps": steps, "peak_bytes": peak}), file=self._answers, flush=True)
        self._asked = 0


def load(spec: Spec) -> Any:
    """Load the data set with the project's own reader."""
    from core.data import datasets

    return datasets.load(
        spec.dataset,
        Path(spec.data_dir),
        notify=lambda _message: None,
        progress=lambda _message, _fraction: None,
        should_stop=lambda: False,
    )


def _train_exam(spec: Spec, answers: IO[str]) -> None:
    """Run the exam's program from the images on disk to its last line, pausing before batches as requested."""
    import torch

    from core.networks.build import built_in_class
    from tests.core.training import exam_program as exam

    if spec.threads:
        torch.set_num_threads(spec.threads)
    exam_program: Any = exam
    network: Any = built_in_class(spec.model)
    train, test = exam_data(spec)
    where = {} if spec.device == "cpu" else {"device": spec.device}
    pace = Pacer(answers, lambda: exam_program.run(network, train, test, seed=0, num_epochs=0, **where))

    def forward(self: Any, x: Any) -> Any:
        if self.training:
            pace()
        return network.forward(self, x)

    paced = type("Paced", (network,), {"forward": forward})
    exam_program.run(paced, train, test, seed=0, num_epochs=1_000_000, **where)


def exam_data(spec: Spec) -> tuple[Any, Any]:
    """Return training and test set as the exam's program reads them: image by image, through PIL and the transform."""
    from torchvision import datasets, transforms

    from tests.core.training.exam_program import ImageDataset

    if spec.dataset == "mnist":
        transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))])
        train, test = (datasets.MNIST(spec.data_dir, train=train, transform=transform) for train in (True, False))
        return train, test
    data = load(spec)
    return ImageDataset(data.train_images, data.train_labels), ImageDataset(data.test_images, data.test_labels)


def _train_ours(spec: Spec, answers: IO[str]) -> None:
    """Train as a worker does, but without checkpoints, which the exam's program does not have."""
    import torch

    from core.config import RunConfig
    from core.runs.control import NOTHING, Request
    from core.runs.events import EventWriter
    from core.training import acceleration, devices
    from core.training.batches import normalise
    from core.training.evaluation import evaluate
    from core.training.loop import train
    from tests.built import built

    acceleration.keep_freed_memory()
    device = devices.resolve(spec.device)
    torch.set_num_threads(spec.threads or devices.default_threads())
    data = load(spec)
    config = RunConfig(
        model=spec.model,
        device=spec.device,
        epochs=1_000_000,
        batch_size=spec.batch_size,
        seed=0,
        precision=spec.precision,  # type: ignore[arg-type]
        exact=spec.exact,
        threads=spec.threads,
        data_dir=spec.data_dir,
    )
    torch.manual_seed(config.seed)
    network = built(config.model)

    def test() -> None:
        equivalent = acceleration.fast_equivalent(network, device, exact=spec.exact)
        evaluate(equivalent, normalise(data.test_images.to(device), data), data.test_labels.to(device))
        network.train()

    pace = Pacer(answers, test, torch.cuda.synchronize if device.type == "cuda" else lambda: None)

    def look(_epoch: int, _step: int) -> Request:
        pace()
        return NOTHING

    with tempfile.TemporaryDirectory() as folder:
        writer = EventWriter(Path(folder) / "events.jsonl", 1)
        for event in train(network, data, config, device, save=lambda _state: None, look=look):
            writer.write(event)


def main() -> None:
    spec = msgspec.json.decode(sys.argv[1], type=Spec)
    answers = sys.stdout
    sys.stdout = sys.stderr  # output that a library prints must not be taken for an answer
    if spec.program == EXAM:
        _train_exam(spec, answers)
    elif spec.program == OURS:
        _train_ours(spec, answers)
    else:
        try:
            importlib.import_module(f"tests.benchmarks.{spec.program}").train(spec, answers)
        except Exception as error:
            traceback.print_exc()
            why = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            print(msgspec.json.encode(Answer(error=why)).decode(), file=answers, flush=True)


if __name__ == "__main__":
    main()
