"""The project's training against the exam's program, both on the GPU."""

from __future__ import annotations

from tests.benchmarks.measuring import Options, Table, say
from tests.benchmarks.trainer import EXAM, Spec, Trainer
from tests.benchmarks.training import EXAM_NAME, by_turns, fill

AT_LEAST = 50.0


def measure(options: Options) -> list[Table]:
    import torch

    if not torch.cuda.is_available():
        return [Table("GPU", notes=["no CUDA device here: nothing was measured on a GPU"])]
    return [_compare(model, torch.cuda.get_device_name(0), options) for model in options.models]


def _compare(model: str, device_name: str, options: Options) -> Table:
    common = Spec(model=model, dataset=options.dataset, data_dir=options.data_dir, device="cuda:0")
    specs = {EXAM_NAME: common.but(program=EXAM), "fp32": common, "bf16": common.but(precision="bf16")}
    say(f"{model} on {device_name}")
    trainers = {name: Trainer(spec) for name, spec in specs.items()}
    try:
        seconds = by_turns(trainers, 100 if options.quick else 400, options, model)
    finally:
        for trainer in trainers.values():
            trainer.close()
    table = Table(
        f"Training {model} on {device_name}: batches of 64, milliseconds a step",
        ("", "ms a step", "times as fast", "at least"),
    )
    fill(table, seconds, EXAM_NAME, {"fp32": AT_LEAST, "bf16": AT_LEAST}, f"{model} on the GPU,")
    return table
