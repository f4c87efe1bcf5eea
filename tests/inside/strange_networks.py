"""Networks that are hard to look into: each is legal PyTorch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SharedDropout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.drop, self.fc = nn.Conv2d(1, 2, 5), nn.Dropout(0.2), nn.Linear(2 * 24 * 24, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.drop(torch.relu(self.conv(x)))
        return self.fc(self.drop(x.flatten(1)))


class Mask(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        blocked = torch.ones(x.shape[-2:], dtype=torch.bool).triu(1)
        return x.masked_fill(blocked, -math.inf)


class Masked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mask, self.softmax, self.fc = Mask(), nn.Softmax(-1), nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Any:
        x = x.squeeze(1)
        return self.fc((self.softmax(self.mask(x @ x.mT)) @ x).flatten(1))


class Inception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 5, padding=2)
        self.relu, self.fc = nn.ReLU(), nn.Linear(4 * 784, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.relu(torch.cat([self.narrow(x), self.wide(x)], 1)).flatten(1))


class Sorted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.relu, self.fc = nn.ReLU(), nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.relu(x.flatten(1).sort(1).values))


class ZeroUnits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.none, self.fc = nn.Linear(784, 0), nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Any:
        self.none(x.flatten(1))
        return self.fc(x.flatten(1))


class InPlaceDropout(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 20), nn.ReLU(), nn.Dropout(0.5, inplace=True), nn.Linear(20, 10))


class Exiting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Any:
        if len(x) == 1:
            raise SystemExit("no single images")
        return self.fc(x.flatten(1))


class Leaky(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input)


class LeakyNetwork(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 20, bias=False), Leaky(), nn.Linear(20, 10))


class RowsNormed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.fc = nn.Linear(28, 4), nn.BatchNorm1d(4), nn.Linear(28 * 4, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.relu(self.norm(self.first(x.reshape(-1, 28)))).reshape(-1, 28 * 4))


class NoLinear(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(1, 10, 28), nn.Flatten())


ALL = (
    *(SharedDropout, Masked, Inception, Sorted, ZeroUnits, InPlaceDropout, Exiting, LeakyNetwork, RowsNormed, NoLinear),
)
