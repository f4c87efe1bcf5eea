"""Networks as people write them, in forty public idioms: each is legal PyTorch, and a plain loop trains it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint


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


class Tutorial(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 5), nn.Conv2d(4, 8, 5)
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Any:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.view(-1, 128))


class OfficialExample(Tutorial):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Any:
        return F.log_softmax(super().forward(self.drop(x)), dim=1)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, stride=2, padding=1, bias=False)
        self.norm1, self.conv, self.norm2 = (
            nn.BatchNorm2d(4),
            nn.Conv2d(4, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
        )
        self.fc = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.norm1(self.stem(x)))
        return self.fc(F.relu(x + self.norm2(self.conv(x))).mean((2, 3)))


class Separable(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 3, stride=2),
            nn.Conv2d(8, 8, 3, groups=8),
            nn.Conv2d(8, 16, 1),
            nn.ReLU6(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
            nn.Linear(64, 10),
        )


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(1, 8, 5, stride=3), nn.Linear(8, 2), nn.Linear(2, 8)
        self.fc = nn.Linear(8 * 64, 10)

    def forward(self, x: Tensor) -> Any:
        x = F.relu(self.conv(x))
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        return self.fc((x * gate[:, :, None, None]).flatten(1))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(1, 2, size, stride=2, padding=size // 2) for size in (1, 3, 5))
        self.fc = nn.Linear(6 * 14 * 14, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.cat([branch(x) for branch in self.branches], 1).reshape(len(x), -1))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"a": nn.Linear(784, 8), "b": nn.Linear(792, 8)})
        self.fc = nn.Linear(800, 10)

    def forward(self, x: Tensor) -> Any:
        x = x.flatten(1)
        for layer in self.layers.values():
            x = torch.cat([x, torch.relu(layer(x))], 1)
        return self.fc(x)


class Mixer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 7, stride=7)
        self.tokens, self.channels, self.norm = nn.Linear(16, 16), nn.Linear(8, 8), nn.LayerNorm(8)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2)
        x = (x + F.gelu(self.tokens(x))).transpose(1, 2)
        return self.fc((x + F.gelu(self.channels(self.norm(x)))).mean(1))


class VisionTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 7, stride=7)
        self.first, self.place = nn.Parameter(torch.zeros(1, 1, 8)), nn.Parameter(torch.randn(1, 17, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.fc = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.first.expand(len(x), -1, -1), x], 1) + self.place
        return self.fc(self.encoder(x)[:, 0])


class RowsByLSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(28, 16, batch_first=True), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        _outputs, (hidden, _cell) = self.lstm(x.squeeze(1))
        return self.fc(hidden[-1])


class BothWaysByGRU(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru, self.fc = nn.GRU(28, 8, num_layers=2, bidirectional=True), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.gru(x.squeeze(1).transpose(0, 1))[0][-1])


class CellInALoop(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.fc = nn.RNNCell(112, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        hidden = x.new_zeros(len(x), 16)
        for rows in x.reshape(len(x), 7, 112).unbind(1):
            hidden = self.cell(rows, hidden)
        return self.fc(hidden)


class OneDimension(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv1d(28, 8, 3), nn.Linear(208, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.relu(self.conv(x.squeeze(1))).view(len(x), -1))


class ThreeDimensions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = (
            nn.Conv3d(1, 2, (1, 5, 5), stride=(1, 3, 3)),
            nn.BatchNorm3d(2),
            nn.Linear(128, 10),
        )

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.norm(self.conv(x.unsqueeze(2))).flatten(1))


class DownAndUp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 2, 2, stride=2)
        self.last = nn.Conv2d(3, 1, 3, stride=4)
        self.fc = nn.Linear(49, 10)

    def forward(self, x: Tensor) -> Any:
        up = self.up(torch.relu(self.down(x)))
        return self.fc(self.last(torch.cat([x, up], 1)).flatten(1))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.fc = nn.Linear(784, 16), nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Any:
        code = torch.relu(self.encoder(x.flatten(1)))
        return self.fc(F.linear(code, self.encoder.weight.t()))


class SharedLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.fc = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(16, 10)
        self.twin = self.again

    def forward(self, x: Tensor) -> Any:
        x = self.again(torch.relu(self.first(x.flatten(1))))
        return self.fc(torch.relu(self.twin(torch.relu(x))))


class WeightNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = parametrizations.weight_norm(nn.Linear(784, 10))

    def forward(self, x: Tensor) -> Any:
        return self.fc(x.flatten(1))


class SpectralNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = parametrizations.spectral_norm(nn.Linear(784, 16)), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


class OrthogonalLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 8), parametrizations.orthogonal(nn.Linear(8, 8))
        self.fc3 = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc3(torch.relu(self.fc2(self.fc1(x.flatten(1)))))


class Parameters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(784, 8) / 28), nn.Parameter(torch.randn(8, 10) / 3)])
        self.bias = nn.ParameterDict({"out": nn.Parameter(torch.zeros(10))})

    def forward(self, x: Tensor) -> Any:
        return torch.relu(x.flatten(1) @ self.weights[0]) @ self.weights[1] + self.bias["out"]


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return grads[0] * (x.abs() <= 1)


class Binary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc2(_Sign.apply(self.fc1(x.flatten(1))))


class Einsum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(28, 28, 10) / 28)

    def forward(self, x: Tensor) -> Any:
        return torch.einsum("nchw,hwk->nk", x, self.weight)


class Maxout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(784, 32), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc2(self.fc1(x.flatten(1)).unflatten(1, (16, 2)).amax(2))


class Gated(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(784, 32), nn.GLU(), nn.PReLU(16), nn.Linear(16, 10))


class GroupNormed(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 5, stride=3),
            nn.GroupNorm(2, 8),
            nn.SiLU(),
            nn.InstanceNorm2d(8, affine=True),
            nn.Flatten(),
            nn.Linear(512, 10),
        )


class PixelEmbedding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shades, self.fc = nn.Embedding(4, 2), nn.Linear(784 * 2, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.shades((x.flatten(1) * 1.2 + 0.5).long().clamp(0, 3)).flatten(1))


class TwoByTwo(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.both = nn.Linear(392, 8), nn.Linear(392, 8), nn.Bilinear(8, 8, 10)

    def forward(self, x: Tensor) -> Any:
        left, right = x.flatten(1).chunk(2, 1)
        return self.both(self.left(left), self.right(right))


class FrozenFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features, self.never, self.fc = nn.Linear(784, 64), nn.Linear(5, 5), nn.Linear(64, 10)
        self.features.requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        with torch.no_grad():
            x = torch.relu(self.features(x.flatten(1)))
        return self.fc(x)


class Lazy(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.LazyConv2d(4, 3, stride=3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(10))


class Spectrum(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(28 * 15, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.fft.rfft2(x).abs().log1p().flatten(1))


class ComplexWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(784, 10, dtype=torch.cfloat) / 28)

    def forward(self, x: Tensor) -> Any:
        return (x.flatten(1).to(torch.cfloat) @ self.weight).abs()


class Checkpointed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.fc = nn.Sequential(nn.Linear(784, 16), nn.ReLU()), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(checkpoint(self.body, x.flatten(1), use_reentrant=False))


class SpatialTransformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.where, self.fc = nn.Linear(784, 6), nn.Linear(784, 10)
        nn.init.zeros_(self.where.weight)
        self.where.bias.data = torch.tensor([1.0, 0, 0, 0, 1, 0])

    def forward(self, x: Tensor) -> Any:
        grid = F.affine_grid(self.where(x.flatten(1)).view(-1, 2, 3), list(x.shape), align_corners=False)
        return self.fc(F.grid_sample(x, grid, align_corners=False).flatten(1))


class Capsules(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(784, 40)

    def forward(self, x: Tensor) -> Any:
        length = self.fc(x.flatten(1)).view(-1, 10, 4).norm(dim=2)
        return 10 * length.square() / (1 + length.square())


class StochasticDepth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.block, self.fc2 = nn.Linear(784, 16), nn.Linear(16, 16), nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(self.fc1(x.flatten(1)))
        if not self.training or torch.rand(()) < 0.5:
            x = x + torch.relu(self.block(x))
        return self.fc2(x)


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate, self.experts = nn.Linear(784, 3), nn.ModuleList(nn.Linear(784, 10) for _ in range(3))

    def forward(self, x: Tensor) -> Any:
        x = x.flatten(1)
        outputs = torch.stack([expert(x) for expert in self.experts], 1)
        return (self.gate(x).softmax(1)[:, :, None] * outputs).sum(1)


class EverySecond(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter((torch.randn(784, 20) / 28)[:, ::2])

    def forward(self, x: Tensor) -> Any:
        return x.flatten(1) @ self.weight


class Transposed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter((torch.randn(10, 784) / 28).t())

    def forward(self, x: Tensor) -> Any:
        return x.flatten(1) @ self.weight


class SharedMemory(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(784, 16), nn.Linear(16, 784, bias=False)
        self.second.weight = nn.Parameter(self.first.weight.t())
        self.fc = nn.Linear(784, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.relu(self.second(torch.relu(self.first(x.flatten(1))))))


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, stride=2), nn.Linear(4 * 169, 10)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Any:
        return self.fc(self.conv(x.contiguous(memory_format=torch.channels_last)).permute(0, 2, 3, 1).flatten(1))


class Double(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(784, 10).double()

    def forward(self, x: Tensor) -> Any:
        return self.fc(x.flatten(1).double())


class RandomFeatures(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("directions", torch.randn(784, 64) / 28)
        self.fc = nn.Linear(128, 10)

    def forward(self, x: Tensor) -> Any:
        angles = x.flatten(1) @ self.get_buffer("directions")
        return self.fc(torch.cat([angles.sin(), angles.cos()], 1))


class AttentionPooling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(28))
        self.fc = nn.Linear(28, 10)

    def forward(self, x: Tensor) -> Any:
        rows = x.squeeze(1)
        weights = (rows @ self.query / math.sqrt(28)).softmax(1)
        return self.fc((weights[:, None] @ rows).squeeze(1))


class Unfolded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.fc = nn.Linear(16, 4), nn.Linear(4 * 49, 10)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.relu(self.kernel(F.unfold(x, 4, stride=4).transpose(1, 2))).flatten(1))
