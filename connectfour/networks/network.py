"""``ConnectFourNetwork``: from PettingZoo's observation to masked logits and a value.

A network with the head ``dueling`` learns Q-values: the value head gives the value of a position, the policy head the
advantage of each column. Its logits are its Q-values divided by a small temperature, and its value is the best of them,
so it can be used wherever a policy can.

Connect Four is mirror-symmetric. With the default encoder, ``lines``, so are the policy and the value.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from connectfour.apex.q_values import dueling
from connectfour.networks.encoders import DenseEncoder, MirrorEncoder, ResidualEncoder
from connectfour.networks.features import MirrorFeatures, RawPlanes
from connectfour.networks.heads import MirrorPolicyHead, MirrorValueHead, linear_heads
from connectfour.networks.masks import mask_logits
from connectfour.settings.schema import Architecture

Prepared = tuple[Tensor, ...]
"""Features of N positions, as ``ConnectFourNetwork.prepare`` returns them."""

Q_TEMPERATURE = 0.02
"""Q-values are divided by this to give the logits of a dueling network.

Q-values lie in [-1, 1], so sampling from them as they are would be nearly random play.
"""

Precision = Literal["auto", "float32", "bfloat16"]
"""Dtype of an encoder's arithmetic; ``auto`` is bfloat16 where the device has instructions for it."""


class NetworkOutput(NamedTuple):
    """Result of a forward pass: ``logits`` (batch, 7) float32 and ``value`` (batch,) float32 in [-1, 1]."""

    logits: Tensor
    value: Tensor


@cache
def multiplies_bfloat16(device_type: str) -> bool:
    """Return whether devices of this type have bfloat16 instructions, which makes it faster than float32 there."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Torch's public API says whether a processor can compute in bfloat16, but not whether it has instructions for it.
    fast: bool = device_type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
    return fast


class ConnectFourNetwork(nn.Module):
    """An encoder with a policy head and a value head.

    Attributes:
        settings: architecture and sizes.
        precision: dtype of the encoder's arithmetic. Weights and heads stay float32; it is not stored in snapshots.
    """

    def __init__(self, settings: Architecture, *, precision: Precision = "float32") -> None:
        """Build a network with random weights from Torch's global generator."""
        super().__init__()
        self.settings = settings
        self.precision = precision
        self.features: MirrorFeatures | RawPlanes
        self.encoder: MirrorEncoder | ResidualEncoder | DenseEncoder
        self.policy_head: nn.Module
        self.value_head: nn.Module
        if settings.encoder == "lines":
            self.features, self.encoder = MirrorFeatures(), MirrorEncoder(settings)
            self.policy_head, self.value_head = MirrorPolicyHead(settings.width), MirrorValueHead(settings.width)
        else:
            self.features = RawPlanes()
            self.encoder = ResidualEncoder(settings) if settings.encoder == "resnet" else DenseEncoder(settings)
            self.policy_head, self.value_head = linear_heads(self.encoder.size)

    def forward(self, observation: Tensor, action_mask: Tensor) -> NetworkOutput:
        """Evaluate positions as the player to move sees them.

        Args:
            observation: PettingZoo's planes (batch, 6, 7, 2), any dtype.
            action_mask: 1 where a column is legal (batch, 7), any dtype; rows of zeros are allowed.
        """
        return self.evaluate(self.prepare(observation), action_mask)

    def prepare(self, observation: Tensor) -> Prepared:
        """Return the encoder's input: the same for all networks with the same encoder, regardless of weights."""
        prepared: Prepared = self.features(observation, self._dtype(observation.device))
        return prepared

    def evaluate(self, prepared: Prepared, action_mask: Tensor) -> NetworkOutput:
        """Evaluate positions that this network, or another one with the same encoder, has prepared."""
        features = self._encode(prepared)
        if self.settings.head == "dueling":
            q = self.q_values(features, action_mask)
            # Scaling an illegal action's Q-value would overflow.
            return NetworkOutput(mask_logits(q / Q_TEMPERATURE, action_mask), q.amax(dim=1).clamp(-1, 1))
        return NetworkOutput(self.policy_logits(features, action_mask), self.value(features))

    def encode(self, observation: Tensor) -> Tensor:
        """Return the input of both heads, (batch, features) float32."""
        return self._encode(self.prepare(observation))

    def policy_logits(self, features: Tensor, action_mask: Tensor) -> Tensor:
        """Return masked logits (batch, 7) of encoded positions."""
        return mask_logits(self.policy_head(features), action_mask)

    def value(self, features: Tensor) -> Tensor:
        """Return the value (batch,) of encoded positions: the expected result for the player to move."""
        return torch.tanh(self.value_head(features)).squeeze(-1)

    def q_values(self, features: Tensor, action_mask: Tensor) -> Tensor:
        """Return a dueling network's masked Q-values (batch, 7) of encoded positions: expected results by column."""
        return mask_logits(dueling(self.value_head(features), self.policy_head(features), action_mask), action_mask)

    def _encode(self, prepared: Prepared) -> Tensor:
        device = prepared[0].device
        dtype = self._dtype(device)
        with torch.autocast(device.type, dtype, enabled=dtype is torch.bfloat16):
            features: Tensor = self.encoder(*(part.to(dtype) for part in prepared))
        return features.float()

    def _dtype(self, device: torch.device) -> torch.dtype:
        fast = self.precision == "bfloat16" or (self.precision == "auto" and multiplies_bfloat16(device.type))
        return torch.bfloat16 if fast else torch.float32
