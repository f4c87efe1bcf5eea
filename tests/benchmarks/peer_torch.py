"""The exam's training in plain torch, tuned: data in memory, batches by index, fused Adam; and `torch.compile`.

As its own guide shows it, it is the exam's program.
"""

from __future__ import annotations

import os
from typing import IO, Any

from tests.benchmarks.trainer import Pacer, Spec, load


def train(spec: Spec, answers: IO[str]) -> None:
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"  # the first call compiles, whatever earlier ones left
    import torch
    from torch import nn

    from core.networks.build import built_in_class
    from core.training.batches import normalise

    plain_arithmetic()
    torch.manual_seed(0)
    data = load(spec)
    images, labels = data.train_images.to(spec.device), data.train_labels.to(spec.device)
    network = laid_out(built_in_class(spec.model)().to(spec.device), spec)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.001, fused=True)

    def loss(images: Any, labels: Any) -> Any:
        return nn.functional.cross_entropy(network(images), labels)

    if spec.compiled:  # on a GPU as a CUDA graph
        loss = torch.compile(loss, dynamic=False, mode="reduce-overhead" if spec.on_gpu else "default")

    pace = Pacer(answers, lambda: None, torch.cuda.synchronize if spec.on_gpu else lambda: None)
    while True:
        order = torch.randperm(len(labels)).to(spec.device)
        for batch in order.split(spec.batch_size):
            if len(batch) < spec.batch_size:
                continue  # another shape would be compiled anew
            pace()
            optimizer.zero_grad()
            loss(normalise(images[batch], data), labels[batch]).backward()
            optimizer.step()


def plain_arithmetic() -> None:
    """Compute in fp32 everywhere, as the others do: torch's convolutions would be in TF32 on a GPU."""
    import torch

    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]


def laid_out(network: Any, spec: Spec) -> Any:
    """Return a tuned convolutional network with its channels last, which the CPU computes faster."""
    import torch

    if spec.tuned and spec.model == "RN_2" and not spec.on_gpu:
        return network.to(memory_format=torch.channels_last)
    return network
