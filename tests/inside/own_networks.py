"""Ten networks as people write them, whose every value is compared with torch's own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 5), nn.Conv2d(4, 8, 5)
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.view(-1, 128))


class LeNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(400, 10),
        )


class Strided(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 4, 3, stride=2, padding=1, padding_mode="reflect"),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 4, 3, dilation=2, groups=2),
            nn.BatchNorm2d(4),
            nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True),
            nn.Flatten(),
            nn.Linear(144, 10),
        )


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.pool = nn.AdaptiveAvgPool2d(3)
        self.fc = nn.Linear(36, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.stem(x)
        x = x + torch.relu(self.conv(x))
        return self.fc(self.pool(x).flatten(1))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(1, 2, 5, padding=2), nn.Conv2d(1, 2, 3, padding="same")
        self.pool = nn.MaxPool2d(3, stride=3, padding=1)
        self.fc = nn.Linear(400, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.pool(torch.cat([self.wide(x), self.narrow(x)], 1)).flatten(1))


class Rows(nn.Module):
    """Reads the rows one after another, with the batch as the second dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 12)
        self.fc = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Any:
        outputs, _state = self.lstm(x.squeeze(1).transpose(0, 1))
        return self.fc(outputs[-1])


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 7, stride=7)
        self.mix = nn.Linear(8, 8)
        self.softmax = nn.Softmax(-1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return self.fc(self.softmax(self.mix(x)).mean(1))


class NormedConvolution(nn.Conv2d):
    """Computes something else than the layer that it is derived from."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x)) + 1


class Derived(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = NormedConvolution(1, 3, 3)
        self.fc = nn.Linear(3 * 26 * 26, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.conv(x).flatten(1))


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.shared, self.fc2 = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(16, 10)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.fc1(x.flatten(1)))
        x = torch.relu_(self.shared(x))
        return self.fc2(self.drop(torch.relu(self.shared(x))))


class Upwards(nn.Module):
    """Makes the picture larger again, by a layer whose sums are not written out."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 3, stride=2), nn.ConvTranspose2d(4, 2, 3, stride=2)
        self.fc = nn.Linear(2 * 27 * 27, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.up(torch.relu(self.down(x))).flatten(1))


ALL = (Functional, LeNet, Strided, Residual, Branches, Rows, Tokens, Derived, Shared, Upwards)
