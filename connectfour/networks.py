"""Policy and value networks in plain Torch, from PettingZoo's observation to masked logits and a value.

The line features of the default encoder follow the usual expert features of Connect Four: for each of the 69 lines of
four, whether it holds 1, 2 or 3 own discs and none of the opponent's, and the reverse.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from connectfour.config import NetworkSettings
from connectfour.game.bitboard import CELLS, COLUMNS, ROWS, four_lines, to_planes

ILLEGAL_LOGIT = torch.finfo(torch.float32).min
"""Logit of an illegal column: finite, so that a row without a legal column gives no NaN."""

_PLANES = 2


class NetworkOutput(NamedTuple):
    """What a forward pass returns: ``logits`` (batch, 7) float32 and ``value`` (batch,) float32 in [-1, 1]."""

    logits: Tensor
    value: Tensor


def mask_logits(logits: Tensor, action_mask: Tensor) -> Tensor:
    """Return ``logits`` (batch, 7) with ``ILLEGAL_LOGIT`` where ``action_mask`` (batch, 7) is 0; inputs stay as are."""
    return torch.where(action_mask != 0, logits, ILLEGAL_LOGIT)


class LineFeatures(nn.Module):
    """Planes (batch, 6, 7, 2) to the 84 cells and 414 line features, (batch, 498) float32."""

    size = _PLANES * CELLS + 2 * 3 * 69

    lines: Tensor

    def __init__(self) -> None:
        """Build the constant 42 x 69 matrix of cells and lines; it is no weight and not saved."""
        super().__init__()
        words = four_lines()
        cells = to_planes(words, words)[..., 0].reshape(len(words), CELLS)
        self.register_buffer("lines", torch.from_numpy(cells.T.astype(np.float32)), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Count the discs of each side on each line by one matrix product."""
        planes = observation.to(torch.float32).flatten(1, 2)
        own, opponent = planes[..., 0] @ self.lines, planes[..., 1] @ self.lines
        open_own, open_opponent = own * (opponent == 0), opponent * (own == 0)
        counts = [(side == discs).float() for side in (open_own, open_opponent) for discs in (1, 2, 3)]
        return torch.cat([planes.flatten(1), *counts], dim=1)


class FlatPlanes(nn.Module):
    """Planes (batch, 6, 7, 2) as they are, (batch, 84) float32."""

    size = _PLANES * CELLS

    def forward(self, observation: Tensor) -> Tensor:
        """Flatten."""
        return observation.to(torch.float32).flatten(1)


def _dense_encoder(features: LineFeatures | FlatPlanes, settings: NetworkSettings) -> nn.Sequential:
    encoder = nn.Sequential(features)
    size = features.size
    for _ in range(settings.layers):
        linear = nn.Linear(size, settings.width)
        nn.init.orthogonal_(linear.weight, gain=2**0.5)
        nn.init.zeros_(linear.bias)
        encoder.extend([linear, nn.ReLU()])
        size = settings.width
    return encoder


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a skip connection, without batch statistics (their history would be state)."""

    def __init__(self, channels: int) -> None:
        """Start close to the identity."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, channels, 6, 7) to the same shape."""
        out: Tensor = torch.relu(features + self.second(torch.relu(self.first(features))))
        return out


class ResidualEncoder(nn.Module):
    """A tower of residual blocks over the planes, flattened to (batch, width * 42)."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Build ``layers`` blocks of ``width`` channels."""
        super().__init__()
        self.stem = nn.Conv2d(_PLANES, settings.width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(settings.width) for _ in range(settings.layers)))

    def forward(self, observation: Tensor) -> Tensor:
        """Map planes (batch, 6, 7, 2) to features."""
        planes = observation.to(torch.float32).permute(0, 3, 1, 2)
        features: Tensor = self.blocks(torch.relu(self.stem(planes)))
        return features.flatten(1)


class ConnectFourNetwork(nn.Module):
    """An encoder with a policy head and a value head."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Build the network; its weights come from Torch's global generator."""
        super().__init__()
        self.settings = settings
        if settings.encoder == "resnet":
            self.encoder: nn.Module = ResidualEncoder(settings)
            size = settings.width * ROWS * COLUMNS
        else:
            self.encoder = _dense_encoder(LineFeatures() if settings.encoder == "lines" else FlatPlanes(), settings)
            size = settings.width
        self.policy_head = nn.Linear(size, COLUMNS)
        self.value_head = nn.Linear(size, 1)
        for head, gain in ((self.policy_head, 0.01), (self.value_head, 1.0)):
            nn.init.orthogonal_(head.weight, gain=gain)
            nn.init.zeros_(head.bias)

    def forward(self, observation: Tensor, action_mask: Tensor) -> NetworkOutput:
        """Evaluate positions, seen by the player to move.

        Args:
            observation: PettingZoo planes (batch, 6, 7, 2), any dtype.
            action_mask: 1 where a column is legal (batch, 7), any dtype; a row of zeros is allowed.
        """
        features = self.encoder(observation)
        return NetworkOutput(self.policy_logits(features, action_mask), self.value(features))

    def policy_logits(self, features: Tensor, action_mask: Tensor) -> Tensor:
        """Return masked logits (batch, 7) of encoded positions."""
        return mask_logits(self.policy_head(features), action_mask)

    def value(self, features: Tensor) -> Tensor:
        """Return the value (batch,) of encoded positions: the expected result for the player to move."""
        return torch.tanh(self.value_head(features)).squeeze(-1)
