"""Encoders: from the features of a board to what the heads read."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from connectfour.games.contract import Game
from connectfour.networks.features import MirrorFeatures
from connectfour.settings.network import Architecture


class MirrorLayer(nn.Module):
    """A linear map that commutes with mirroring the board, followed by ReLU.

    In the basis of even and odd features, such a map consists of two blocks: even features stay even, and odd features
    stay odd (Schur's lemma for the group of two elements; Cohen & Welling 2016 for networks). This halves the
    arithmetic of a dense layer. ReLU is applied to the features of the board and of its mirror image.
    """

    def __init__(self, even: int, odd: int, out: int) -> None:
        """Map ``even`` even and ``odd`` odd features to ``out`` of each."""
        super().__init__()
        self.even = nn.Linear(even, out)
        self.odd = nn.Linear(odd, out, bias=False)
        for block in (self.even, self.odd):
            nn.init.orthogonal_(block.weight, gain=2**-0.5)
        nn.init.zeros_(self.even.bias)

    def forward(self, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
        """Return even and odd features, (batch, out) each."""
        kept, negated = self.even(even), self.odd(odd)
        upright, mirrored = torch.relu_(kept + negated), torch.relu_(kept - negated)
        return upright + mirrored, upright - mirrored


class MirrorEncoder(nn.Module):
    """Mirror layers over ``MirrorFeatures``. The first half of the output is even, the second half odd."""

    def __init__(self, settings: Architecture) -> None:
        """Build ``layers`` layers of ``width`` units."""
        super().__init__()
        half = settings.width // 2
        sizes = [(MirrorFeatures.EVEN, MirrorFeatures.ODD), *[(half, half)] * (settings.layers - 1)]
        self.layers = nn.ModuleList(MirrorLayer(even, odd, half) for even, odd in sizes)
        self.size = settings.width

    def forward(self, even: Tensor, odd: Tensor) -> Tensor:
        """Map ``MirrorFeatures`` to (batch, width)."""
        for layer in self.layers:
            even, odd = layer(even, odd)
        return torch.cat([even, odd], dim=1)


class DenseEncoder(nn.Sequential):
    """Dense layers over the observation."""

    def __init__(self, game: Game, settings: Architecture) -> None:
        """Build ``layers`` layers of ``width`` units."""
        super().__init__(nn.Flatten())
        inputs = math.prod(game.observation_shape)
        for _ in range(settings.layers):
            linear = nn.Linear(inputs, settings.width)
            nn.init.orthogonal_(linear.weight, gain=2**0.5)
            nn.init.zeros_(linear.bias)
            self.extend([linear, nn.ReLU()])
            inputs = settings.width
        self.size = settings.width


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a skip connection.

    Batch normalization is left out because its running statistics would be state that changes without gradients.
    """

    def __init__(self, channels: int) -> None:
        """Start as the identity."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, channels, rows, columns) to the same shape."""
        out: Tensor = torch.relu(features + self.second(torch.relu(self.first(features))))
        return out


class ResidualEncoder(nn.Module):
    """A tower of residual blocks over planes."""

    def __init__(self, game: Game, settings: Architecture) -> None:
        """Build ``layers`` blocks of ``width`` channels, for observations (rows, columns, planes)."""
        super().__init__()
        rows, columns, planes = game.observation_shape
        self.stem = nn.Conv2d(planes, settings.width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(settings.width) for _ in range(settings.layers)))
        self.size = settings.width * rows * columns

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (batch, rows, columns, planes) to (batch, width * rows * columns)."""
        features: Tensor = self.blocks(torch.relu(self.stem(planes.permute(0, 3, 1, 2))))
        return features.flatten(1)
