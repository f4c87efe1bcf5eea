"""Whole trainings of the equivalence test, in processes of one thread each, and the file that keeps their results.

`python -m tests.benchmarks.learning` reads one training a line, and answers with what it ended with.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from core import files
from core.machine import cpu_name, usable_cores
from tests.benchmarks.measuring import Options, child_environment, say
from tests.benchmarks.trainer import Spec, exam_data

EXAM, EXACT, FP32, TF32, BF16 = "the exam's program", "exact", "fp32", "tf32", "bf16"
_GPU_PROCESSES = 4
_EXPECTED_EPOCH_S = {"RN_1": 6.0, "RN_2": 30.0}
"""Seconds of an epoch with one thread, until one has been measured."""


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """A training from its seed to its test: the same one is not carried out twice."""

    model: str
    variant: str
    """`EXAM`, or how the project trains: `EXACT` or a precision."""
    seed: int
    epochs: int
    dataset: str
    device: str
    torch: str
    code: str
    """Digest of the code that trains."""


def digest_of_code() -> str:
    """Return a digest of everything that decides what a training ends with, torch and the exam's program apart."""
    core = Path(__file__).parents[2] / "core"
    files_of = [*(core / "training").rglob("*.py"), *(core / "networks").glob("*.py"), *(core / "data").glob("*.py")]
    digest = hashlib.sha256()
    for path in sorted(files_of):
        digest.update(path.relative_to(core).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a training ended with."""

    training: Training
    loss: float
    """Loss of the last epoch."""
    accuracy: float
    """Fraction of the test images that are right."""
    seconds: float
    cpu: str


class Kept:
    """The results so far, in a file that is complete after each training."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        read = msgspec.json.decode(path.read_bytes(), type=list[Result]) if path.exists() else []
        self._results = {result.training: result for result in read}

    def __contains__(self, training: Training) -> bool:
        return training in self._results

    def __getitem__(self, training: Training) -> Result:
        return self._results[training]

    def add(self, result: Result) -> None:
        with self._lock:
            self._results[result.training] = result
            ordered = sorted(self._results.values(), key=lambda each: msgspec.structs.astuple(each.training))
            lines = b",\n".join(map(msgspec.json.encode, ordered))  # one a line: a difference is then easy to read
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(self._path, b"[\n" + lines + b"\n]\n")

    def expected_s(self, training: Training) -> float:
        """Return how long a training takes, to go by those that are kept, or else by a guess."""
        alike = [
            result.seconds / result.training.epochs
            for result in self._results.values()
            if (result.training.model, result.training.variant, result.training.device)
            == (training.model, training.variant, training.device)
        ]
        return training.epochs * (max(alike) if alike else _EXPECTED_EPOCH_S[training.model])


def carry_out_all(trainings: Iterable[Training], kept: Kept, options: Options) -> None:
    """Carry out the trainings that are not kept, side by side, as long as another one fits in the time."""
    waiting = [training for training in trainings if training not in kept]
    if not waiting:
        return
    lock = threading.Lock()

    def take_next() -> Training | None:
        with lock:
            if waiting and time.monotonic() + kept.expected_s(waiting[0]) < options.until:
                return waiting.pop(0)
            return None

    num_processes = min(len(waiting), _GPU_PROCESSES if options.on_gpu else usable_cores())
    with ThreadPoolExecutor(num_processes) as pool:
        for running in [pool.submit(_work, take_next, kept, options) for _ in range(num_processes)]:
            running.result()


def _work(take_next: Callable[[], Training | None], kept: Kept, options: Options) -> None:
    """Give a process one training after another."""
    training = take_next()
    if training is None:
        return
    with tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-m", "tests.benchmarks.learning", options.data_dir]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
        with subprocess.Popen(command, env=child_environment(), **pipes) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            while training is not None:
                process.stdin.write(msgspec.json.encode(training) + b"\n")
                process.stdin.flush()
                line = process.stdout.readline()
                if not line:
                    errors.seek(0)
                    raise RuntimeError(errors.read().decode(errors="replace").strip().rpartition("\n")[2])
                result = msgspec.json.decode(line, type=Result)
                kept.add(result)
                say(f"{training.model} {training.variant} seed {training.seed}: {result.accuracy:.2%}")
                training = take_next()
            process.stdin.close()


def main() -> None:
    import torch

    torch.set_num_threads(1)
    data_dir = sys.argv[1]
    answers, sys.stdout = sys.stdout, sys.stderr  # output that a library prints must not be taken for an answer
    for line in sys.stdin:
        training = msgspec.json.decode(line, type=Training)
        begin = time.perf_counter()
        run = _run_exam if training.variant == EXAM else _run_ours
        loss, accuracy = run(training, data_dir)
        seconds = round(time.perf_counter() - begin, 1)
        result = Result(training=training, loss=loss, accuracy=accuracy, seconds=seconds, cpu=cpu_name())
        print(msgspec.json.encode(result).decode(), file=answers, flush=True)


def _run_exam(training: Training, data_dir: str) -> tuple[float, float]:
    from core.networks.build import built_in_class
    from tests.core.training import exam_program

    train, test = exam_data(Spec(model=training.model, dataset=training.dataset, data_dir=data_dir))
    network = built_in_class(training.model)
    where = {"seed": training.seed, "num_epochs": training.epochs, "device": training.device}
    result = exam_program.run(network, train, test, **where)  # type: ignore[arg-type]
    return result.epoch_losses[-1], result.accuracy


def _run_ours(training: Training, data_dir: str) -> tuple[float, float]:
    """Train as mnist-tui's own runs do."""
    from core.config import RunConfig
    from core.runs import directory
    from core.runs.events import EpochEnded, Evaluated, Event
    from core.worker.carry_out import carry_out

    exact = training.variant == EXACT
    config = RunConfig(
        model=training.model,
        device=training.device,
        epochs=training.epochs,
        seed=training.seed,
        dataset=training.dataset,
        data_dir=data_dir,
        threads=1,
        exact=exact,
        precision=FP32 if exact else training.variant,  # type: ignore[arg-type]
    )
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as folder:
        ended = carry_out(directory.create(Path(folder), config), events.append, lambda: False)
    losses = [event.loss for event in events if isinstance(event, EpochEnded)]
    evaluated = next((event for event in events if isinstance(event, Evaluated)), None)
    if evaluated is None:
        raise RuntimeError(f"the run ended as {ended.status}: {ended.message}")
    return losses[-1], evaluated.accuracy


if __name__ == "__main__":
    main()
