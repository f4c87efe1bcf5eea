"""Networks as others write them: every parameter is counted once, and every multiply–accumulate."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from core.networks.macs import macs_per_image
from tests.core.networks.checked_tables import check

Make = Callable[[], nn.Module]


def head(inputs: int) -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


class Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return functional.relu(out)


def resnet() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Residual(4, 4), Residual(4, 8, 2), head(8))


def vgg() -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 1
    for outputs in (4, 8):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2, 2)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(32), nn.ReLU(True), nn.Dropout(), nn.Linear(32, 10))


def separable() -> nn.Module:
    depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
    return nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), depthwise, nn.ReLU6(), nn.Conv2d(4, 8, 1, bias=False), head(8))


class Squeeze(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.excite = nn.Sequential(nn.Linear(channels, 2), nn.ReLU(), nn.Linear(2, channels), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, _, _ = x.size()
        gates: torch.Tensor = self.excite(self.squeeze(x).view(batch, channels)).view(batch, channels, 1, 1)
        return x * gates.expand_as(x)


def squeeze_and_excite() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3), Squeeze(8), head(8))


class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 16, 7, 7)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 16))
        self.pos_embed = nn.Parameter(torch.randn(1, 17, 16))
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1) + self.pos_embed
        logits: torch.Tensor = self.head(self.encoder(x)[:, 0])
        return logits


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(8), nn.LayerNorm(8)
        self.tokens = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.channels = nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        mixed: torch.Tensor = x + self.channels(self.norm2(x))
        return mixed


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(1, 8, 7, 7)
        self.blocks = nn.ModuleList([Mixing() for _ in range(2)])
        self.fc = nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x).flatten(2).mT
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.fc(x.mean(dim=1))
        return logits


class RowReader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 16, 2, batch_first=True)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        start = torch.zeros(2, x.size(0), 16, device=x.device)
        out, _ = self.lstm(x.reshape(-1, 28, 28), (start, start))
        logits: torch.Tensor = self.fc(out[:, -1, :])
        return logits


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.merge = nn.Conv2d(8, 4, 3, padding=1)
        self.grow = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.out = head(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = torch.relu(self.down1(x))
        second = torch.relu(self.down2(self.pool(first)))
        merged = self.merge(torch.cat([self.up(second), first], 1))
        logits: torch.Tensor = self.out(self.grow(merged))
        return logits


class Capsules(nn.Module):
    """A network of capsules whose votes are routed once."""

    def __init__(self) -> None:
        super().__init__()
        self.primary = nn.Conv2d(1, 8, 9, stride=6)
        self.votes = nn.Parameter(torch.randn(32, 10, 6, 4) / 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        capsules = self.primary(x).view(x.size(0), 32, 4)
        votes = torch.einsum("noij,bnj->bnoi", self.votes, capsules)
        shares = torch.softmax(torch.zeros_like(votes[..., :1]), 2)
        lengths: torch.Tensor = (shares * votes).sum(1).norm(dim=-1)
        return lengths


class Tied(nn.Module):
    """An autoencoder whose decoder uses the encoder's weight, read off by a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(784, 32), nn.Linear(784, 32, bias=False)
        self.decoder.weight = self.encoder.weight
        self.classify = nn.Linear(784, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        code = torch.relu(self.encoder(x.view(len(x), -1)))
        logits: torch.Tensor = self.classify(torch.sigmoid(functional.linear(code, self.decoder.weight.t())))
        return logits


def constrained() -> nn.Module:
    first = parametrizations.spectral_norm(nn.Linear(784, 32))
    second = parametrizations.orthogonal(nn.Linear(32, 32))
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, parametrizations.weight_norm(nn.Linear(32, 10)))


class OneFunction(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.randn(8, 1, 5, 5)), nn.Parameter(torch.zeros(8))
        self.w2, self.b2 = nn.Parameter(torch.randn(10, 8 * 12 * 12)), nn.Parameter(torch.zeros(10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.max_pool2d(functional.relu(functional.conv2d(x, self.w1, self.b1)), 2)
        return functional.log_softmax(functional.linear(x.flatten(1), self.w2, self.b2), 1)


class Experts(nn.Module):
    """A mixture of experts, weighted by a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleDict({name: nn.Linear(784, 10) for name in "abc"})
        self.gate = nn.Linear(784, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(1)
        weights = self.gate(x).softmax(-1)
        answers = torch.stack([expert(x) for expert in self.experts.values()], 1)
        logits: torch.Tensor = (answers * weights.unsqueeze(-1)).sum(1)
        return logits


class SpatialTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.localise = nn.Linear(784, 6)
        self.fc = nn.Linear(784, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        theta = self.localise(x.flatten(1)).view(-1, 2, 3)
        grid = functional.affine_grid(theta, list(x.size()), align_corners=False)
        logits: torch.Tensor = self.fc(functional.grid_sample(x, grid, align_corners=False).flatten(1))
        return logits


class Dense(nn.Module):
    """A block whose layers see all those before them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(1 + 4 * i, 4, 3, padding=1) for i in range(3)])
        self.out = head(13)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.cat([x, functional.relu(layer(x))], 1)
        logits: torch.Tensor = self.out(x)
        return logits


ENCODER_LAYER = 17 * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 17 * 17 * 16
MIXING = 8 * 2 * 16 * 32 + 16 * 2 * 8 * 32


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize(
    ("make", "rows", "macs"),
    [
        (resnet, 14, 784 * (36 + 2 * 4 * 4 * 9) + 196 * (8 * 4 * 9 + 8 * 8 * 9 + 8 * 4) + 80),
        (vgg, 13, 784 * 36 + 196 * 4 * 8 * 9 + 392 * 32 + 320),
        (separable, 7, 196 * (36 + 4 * 9 + 4 * 8) + 80),
        (squeeze_and_excite, 9, 26 * 26 * 72 + 2 * 8 * 2 + 80),
        (VisionTransformer, 20, 16 * 16 * 49 + 2 * ENCODER_LAYER + 160),
        (Mixer, 18, 16 * 8 * 49 + 2 * MIXING + 80),
        (RowReader, 2, 28 * 4 * 16 * (28 + 16 + 16 + 16) + 160),
        (UNet, 9, 784 * 36 + 196 * 4 * 8 * 9 + 196 * 8 * 4 * 4 + 784 * 8 * 4 * 9 + 40),
        (Capsules, 2, 16 * 8 * 81 + 32 * 10 * 6 * 4 + 32 * 10 * 6),
        (Tied, 2, 2 * 784 * 32 + 7840),
        (constrained, 5, 784 * 32 + 32 * 32 + 320),
        (OneFunction, 1, 24 * 24 * 8 * 25 + 11_520),
        (Experts, 4, 3 * 7840 + 784 * 3 + 30),
        (SpatialTransformer, 2, 784 * 6 + 7840),
        (Dense, 6, 784 * 4 * 9 * (1 + 5 + 9) + 130),
    ],
)
def test_parameters_and_products_of_public_idioms(make: Make, rows: int, macs: int) -> None:
    network = make()
    network(torch.zeros(2, 1, 28, 28))
    table = check(network)
    assert len(table.layers) == rows
    assert all(layer.output_shape for layer in table.layers if layer.type != "Parameter")
    assert macs_per_image(network) == macs
