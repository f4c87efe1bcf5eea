"""Carrying out a run, from its configuration to its result; every event is written, then shown."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from core import files
from core.catalogue import NUM_CLASSES
from core.config import RunConfig
from core.data import datasets, split_and_permute
from core.data.datasets import Dataset
from core.messages import N_, Message, Problem, reason
from core.networks import kept_tables, tabulate
from core.networks.build import build_network
from core.networks.macs import macs_per_image
from core.networks.own import source_of
from core.networks.state import network_state
from core.randomness import seed_all
from core.runs import lease
from core.runs.directory import Run
from core.runs.events import Evaluated, Event, EventWriter, Notice, RunEnded, RunStarted, Status, finite
from core.training import acceleration, checkpoints, devices
from core.training.evaluation import Evaluation, evaluate
from core.training.loop import Checkpoint, normalise, num_steps, train
from core.training.trial import try_out
from core.worker import threads
from core.worker.process_title import RunTitle

Emit = Callable[[Event], None]

_STOP_FILE_INTERVAL_S = 0.25
_CANNOT_WRITE = N_("cannot write to the run directory ({reason}): training continues")


def carry_out(run: Run, show: Emit, should_stop: Callable[[], bool]) -> RunEnded:
    """Train and test a run, from its checkpoint if it has one; write every event, then show it.

    Raises `Problem` only if the run is being trained already, or its directory cannot be used at all.
    """
    with lease.hold(run.path):
        try:
            lease.claim(run.path)
            files.sweep(run.path)
            writer = EventWriter(run.events_path)
        except OSError as error:
            raise Problem("cannot write to {path}: {reason}", path=str(run.path), reason=reason(error)) from error
        title = RunTitle(run.id)
        failing = False

        def emit(event: Event) -> None:
            nonlocal failing
            error = writer.write(event)
            if error is not None and not failing:
                show(Notice(message=Message(_CANNOT_WRITE, {"reason": reason(error)})))
            failing = error is not None
            title.take(event)
            show(event)

        stopping = _StopWatch(run, should_stop)
        try:
            ended = _train_and_test(run, emit, stopping)
        except datasets.Cancelled:
            ended = RunEnded(status="stopped")
        except Exception as error:
            if not isinstance(error, Problem):
                with run.log_path.open("a", encoding="utf-8", errors="replace") as log:
                    traceback.print_exc(file=log)
            ended = _failed(error)
        emit(ended)
        if ended.status == "stopped":
            run.withdraw_stop()  # not at the start: a stop may be requested while the libraries load
        writer.close()
    return ended


def _train_and_test(run: Run, emit: Emit, should_stop: Callable[[], bool]) -> RunEnded:
    config = run.config()
    acceleration.keep_freed_memory()
    device = devices.resolve(config.device)
    num_threads = threads.for_run(run, config)
    if num_threads != torch.get_num_threads():  # setting it changes how MKL uses them, even to the same number
        torch.set_num_threads(num_threads)

    # Stage 1: the data
    dataset = split_and_permute.prepared(_load_data(config, emit, should_stop), config)
    remark = try_out(config, device, len(dataset.train_labels))
    seed_all(config.seed)
    network = build_network(config.architecture)
    source = source_of(network)
    if source is not None:
        source.record(run.path)

    # Stage 2: the training
    kept_tables.keep(run.path, config.architecture, lambda: tabulate.layer_table(network, config.model))
    checkpoint = checkpoints.load(run.checkpoint_path, config, dataset.digest)
    emit(_run_started(config, device, dataset, network, checkpoint))
    if remark is not None:
        emit(Notice(message=remark))
    for event in train(
        network,
        dataset,
        config,
        device,
        resume_from=checkpoint,
        save=lambda state: checkpoints.save(run.checkpoint_path, state, config, dataset.digest),
        should_stop=should_stop,
    ):
        if isinstance(event, RunEnded):
            return event
        emit(event)

    # Stage 3: the test
    images = normalise(dataset.test_images.to(device), dataset)
    equivalent = acceleration.fast_equivalent(network, device, exact=config.exact)
    evaluation = evaluate(equivalent, images, dataset.test_labels.to(device))
    emit(_evaluated(evaluation, dataset))
    if source is not None:
        source.record(run.path)  # with the modules that were imported meanwhile
    try:
        _save_results(run, network, evaluation)
    except OSError as error:
        # Not `done`: the last checkpoint is there, and resuming tests again and saves what is missing.
        return RunEnded(
            status="failed",
            message=Message("the predictions and weights could not be saved: {reason}", {"reason": reason(error)}),
            advice=Message("Free some disk space, then resume the run."),
        )
    return _done(evaluation, remark)


def _load_data(config: RunConfig, emit: Emit, should_stop: Callable[[], bool]) -> Dataset:
    return datasets.load(
        config.dataset,
        Path(config.data_dir),
        notify=lambda message: emit(Notice(message=message)),
        progress=lambda message, fraction: emit(Notice(message=message, fraction=fraction)),
        should_stop=should_stop,
    )


def _run_started(
    config: RunConfig, device: torch.device, dataset: Dataset, network: torch.nn.Module, checkpoint: Checkpoint | None
) -> RunStarted:
    return RunStarted(
        config=config,
        device=str(device),
        device_name=devices.device_name(device),
        torch_version=str(torch.__version__),
        threads=torch.get_num_threads(),
        dataset=dataset.name,
        dataset_title=dataset.title,
        class_names=dataset.class_names,
        train_size=len(dataset.train_labels),
        test_size=len(dataset.test_labels),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        steps_per_epoch=num_steps(dataset, config),
        epoch=checkpoint["epoch"] if checkpoint else 1,
        step=checkpoint["step"] if checkpoint else 0,
        validation_size=len(dataset.validation_labels),
        macs=macs_per_image(network),
    )


def _evaluated(evaluation: Evaluation, dataset: Dataset) -> Evaluated:
    total = len(dataset.test_labels)
    return Evaluated(
        correct=evaluation.correct,
        total=total,
        accuracy=evaluation.accuracy,
        test_loss=finite(evaluation.loss),
        confusion=evaluation.confusion(len(dataset.class_names)),
    )


def _done(evaluation: Evaluation, remark: Message | None) -> RunEnded:
    """Return the end of a finished run, with what is wrong with its result if something is."""
    advice = None
    if remark is None and evaluation.is_guessing:
        remark = Message("The network has learned nothing: it does no better than always giving the same class.")
        advice = Message("Try a higher learning rate, or more epochs.")
        if not evaluation.loss < 2 * math.log(NUM_CLASSES):  # far worse than guessing, or not finite
            advice = Message("Try a lower learning rate.")
    return RunEnded(status="done", message=remark, advice=advice)


def _save_results(run: Run, network: torch.nn.Module, evaluation: Evaluation) -> None:
    """Save the predictions and the weights. Raises `OSError`."""
    import numpy
    from safetensors.torch import save as serialised

    predictions = {
        "label": evaluation.labels.numpy().astype("uint8"),
        "predicted": evaluation.predicted.numpy().astype("uint8"),
        "probability": evaluation.probability.numpy(),
    }
    weights = {
        name: value.detach().cpu().to_dense().clone(memory_format=torch.contiguous_format)
        for name, value in network_state(network).items()
        if isinstance(value, torch.Tensor)
    }
    files.replace(
        run.path / "predictions.npz", lambda file: numpy.savez_compressed(file, allow_pickle=False, **predictions)
    )
    files.replace(run.path / "weights.safetensors", lambda file: file.write(serialised(weights)))


def _failed(error: Exception) -> RunEnded:
    """Return the end of a run that failed with `error`, described on one line; the log has the full traceback."""
    status: Status = "failed"
    problem = error if isinstance(error, Problem) else devices.out_of_memory(error)
    if problem is not None:
        advice = problem.advice if problem.advice.text else None
        return RunEnded(status=status, message=problem.message, advice=advice)
    return RunEnded(
        status=status,
        message=Message("{kind}: {reason}", {"kind": type(error).__name__, "reason": reason(error)}),
        advice=Message("See the run's log for the details."),
    )


class _StopWatch:
    """A check for stop requests that is cheap at every batch: it looks at the file system only now and then."""

    def __init__(self, run: Run, should_stop: Callable[[], bool]) -> None:
        self._run = run
        self._should_stop = should_stop
        self._next_look = 0.0

    def __call__(self) -> bool:
        if self._should_stop():
            return True
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _STOP_FILE_INTERVAL_S
        return self._run.stop_requested()
