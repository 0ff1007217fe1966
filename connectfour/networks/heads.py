"""Policy and value heads: from encoded positions to logits (batch, actions) and values (batch, 1) before tanh."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from connectfour.games.connect_four.bitboard import COLUMNS

# Near zero, so that a fresh policy is close to uniform.
_POLICY_GAIN = 0.01


class MirrorPolicyHead(nn.Module):
    """Logits whose order reverses when the board is mirrored."""

    def __init__(self, width: int) -> None:
        """Read a ``MirrorEncoder`` of ``width`` units."""
        super().__init__()
        self.even = nn.Linear(width // 2, COLUMNS // 2 + 1)
        self.odd = nn.Linear(width // 2, COLUMNS // 2, bias=False)
        _initialize(self.even, _POLICY_GAIN)
        _initialize(self.odd, _POLICY_GAIN)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, width) to logits (batch, 7)."""
        even, odd = features.chunk(2, dim=1)
        kept, negated = self.even(even), self.odd(odd)
        sides, center = kept[:, :-1], kept[:, -1:]
        return torch.cat([sides + negated, center, (sides - negated).flip(1)], dim=1)


class MirrorValueHead(nn.Module):
    """A value that does not change when the board is mirrored."""

    def __init__(self, width: int) -> None:
        """Read a ``MirrorEncoder`` of ``width`` units."""
        super().__init__()
        self.even = nn.Linear(width // 2, 1)
        _initialize(self.even, 0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, width) to values (batch, 1)."""
        value: Tensor = self.even(features[:, : features.shape[1] // 2])
        return value


def linear_heads(size: int, actions: int) -> tuple[nn.Linear, nn.Linear]:
    """Return a policy head for ``actions`` actions and a value head that read ``size`` features."""
    policy_head, value_head = nn.Linear(size, actions), nn.Linear(size, 1)
    _initialize(policy_head, _POLICY_GAIN)
    _initialize(value_head, 1.0)
    return policy_head, value_head


def _initialize(head: nn.Linear, gain: float) -> None:
    nn.init.orthogonal_(head.weight, gain=gain)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
