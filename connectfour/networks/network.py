"""``GameNetwork``: from a player's observation to masked logits and a value.

A ``PolicyNetwork`` has logits and a value. A ``QNetwork`` learns Q-values: the value head gives the value of a
position, the policy head the advantage of each action. Its logits are its Q-values divided by a small temperature, and
its value is the best of them, so it can be used wherever a policy can.

Connect Four is mirror-symmetric. With its default encoder, ``lines``, so are the policy and the value.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from connectfour.apex.q_values import dueling
from connectfour.errors import ConfigError
from connectfour.games.contract import Game
from connectfour.games.registry import load_own
from connectfour.networks.encoders import DenseEncoder, MirrorEncoder, ResidualEncoder
from connectfour.networks.features import MirrorFeatures, RawPlanes
from connectfour.networks.heads import MirrorPolicyHead, MirrorValueHead, linear_heads
from connectfour.networks.masks import mask_logits
from connectfour.networks.symmetric import SymmetricEncoder, SymmetricPolicyHead, SymmetricValueHead
from connectfour.settings.network import Architecture

Prepared = tuple[Tensor, ...]
"""Features of N positions, as ``GameNetwork.prepare`` returns them."""

Q_TEMPERATURE = 0.02
"""Q-values are divided by this to give the logits of a ``QNetwork``.

Q-values lie in [-1, 1], so sampling from them as they are would be nearly random play.
"""

Precision = Literal["auto", "float32", "bfloat16"]
"""Dtype of an encoder's arithmetic; ``auto`` is bfloat16 where the device has instructions for it."""


class NetworkOutput(NamedTuple):
    """Result of a forward pass: ``logits`` (batch, actions) float32 and ``value`` (batch,) float32 in [-1, 1]."""

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


class GameNetwork(nn.Module):
    """An encoder with a policy head and a value head.

    Attributes:
        settings: architecture and sizes, and the game.
        precision: dtype of the encoder's arithmetic. Weights and heads stay float32; it is not stored in snapshots.
        features: computes the encoder's input, which needs no weights.
    """

    features: nn.Module
    encoder: nn.Module
    policy_head: nn.Module
    value_head: nn.Module

    def __init__(self, settings: Architecture, *, precision: Precision = "float32") -> None:
        """Build a network with random weights from Torch's global generator.

        Raises:
            ConfigError, GameError: an encoder of the user's own cannot be built or used.
        """
        super().__init__()
        self.settings = settings
        self.precision = precision
        if settings.encoder == "lines":
            self.features, self.encoder = MirrorFeatures(), MirrorEncoder(settings)
            self.policy_head, self.value_head = MirrorPolicyHead(settings.width), MirrorValueHead(settings.width)
            return
        game = settings.game.rules
        self.features = RawPlanes()
        encoder: Any
        if settings.encoder == "mlp":
            encoder = DenseEncoder(game, settings)
        elif settings.encoder == "resnet":
            encoder = ResidualEncoder(game, settings)
        else:
            encoder = _own_encoder(game, settings)
        policy_head, value_head = linear_heads(encoder.size, game.actions)
        self.encoder, self.policy_head, self.value_head = encoder, policy_head, value_head
        if settings.symmetric:
            self.encoder = SymmetricEncoder(game, encoder, encoder.size)
            self.policy_head = SymmetricPolicyHead(game, policy_head)
            self.value_head = SymmetricValueHead(game, value_head)

    def forward(self, observation: Tensor, action_mask: Tensor) -> NetworkOutput:
        """Evaluate positions as the player to move sees them.

        Args:
            observation: what it sees, (batch, *observation_shape), any dtype.
            action_mask: 1 where an action is legal (batch, actions), any dtype; rows of zeros are allowed.
        """
        return self.evaluate(self.prepare(observation), action_mask)

    def prepare(self, observation: Tensor) -> Prepared:
        """Return the encoder's input: the same for all networks with the same encoder, regardless of weights."""
        prepared: Prepared = self.features(observation, self._dtype(observation.device))
        return prepared

    @abstractmethod
    def evaluate(self, prepared: Prepared, action_mask: Tensor) -> NetworkOutput:
        """Evaluate positions that this network, or another one with the same encoder, has prepared."""

    def encode(self, observation: Tensor) -> Tensor:
        """Return the input of both heads, (batch, features) float32."""
        return self._encode(self.prepare(observation))

    def _encode(self, prepared: Prepared) -> Tensor:
        device = prepared[0].device
        dtype = self._dtype(device)
        with torch.autocast(device.type, dtype, enabled=dtype is torch.bfloat16):
            features: Tensor = self.encoder(*(part.to(dtype) for part in prepared))
        return features.float()

    def _dtype(self, device: torch.device) -> torch.dtype:
        fast = self.precision == "bfloat16" or (self.precision == "auto" and multiplies_bfloat16(device.type))
        return torch.bfloat16 if fast else torch.float32


class PolicyNetwork(GameNetwork):
    """A policy and a value."""

    def evaluate(self, prepared: Prepared, action_mask: Tensor) -> NetworkOutput:
        """Evaluate prepared positions."""
        features = self._encode(prepared)
        return NetworkOutput(self.policy_logits(features, action_mask), self.value(features))

    def policy_logits(self, features: Tensor, action_mask: Tensor) -> Tensor:
        """Return masked logits (batch, actions) of encoded positions."""
        return mask_logits(self.policy_head(features), action_mask)

    def value(self, features: Tensor) -> Tensor:
        """Return the value (batch,) of encoded positions: the expected result for the player to move."""
        return torch.tanh(self.value_head(features)).squeeze(-1)


class QNetwork(GameNetwork):
    """Q-values by a dueling head."""

    def evaluate(self, prepared: Prepared, action_mask: Tensor) -> NetworkOutput:
        """Evaluate prepared positions."""
        q = self.q_values(self._encode(prepared), action_mask)
        # Scaling an illegal action's Q-value would overflow.
        return NetworkOutput(mask_logits(q / Q_TEMPERATURE, action_mask), q.amax(dim=1).clamp(-1, 1))

    def q_values(self, features: Tensor, action_mask: Tensor) -> Tensor:
        """Return the masked Q-values (batch, actions) of encoded positions: expected results by action."""
        return mask_logits(dueling(self.value_head(features), self.policy_head(features), action_mask), action_mask)


def make_network(settings: Architecture, *, precision: Precision = "float32") -> GameNetwork:
    """Build the network with the head that ``settings`` name; see ``GameNetwork`` for arguments and errors."""
    return (QNetwork if settings.head == "dueling" else PolicyNetwork)(settings, precision=precision)


def _own_encoder(game: Game, settings: Architecture) -> nn.Module:
    """Build a user's encoder, and try it on a position.

    Raises:
        ConfigError: it cannot be built, or does not return (batch, size) features.
        GameError: it cannot be imported.
    """
    name = f"network.encoder = {settings.encoder}"
    kind = load_own(settings.encoder, "encoder")
    # Checked before it is called: the name may come from a file of a stranger.
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ConfigError(f"{name} is no torch.nn.Module: name a class that is one, with an attribute size")
    try:
        encoder = kind(game, **settings.options)
    except Exception as error:  # noqa: BLE001  # whatever the user's code raises
        raise ConfigError(
            f"{name} cannot be built with (game, **{settings.options}): {type(error).__name__}: {error}"
        ) from None
    size = getattr(encoder, "size", None)
    if not isinstance(size, int):
        raise ConfigError(f"{name} has no attribute size: set it to its number of features")
    try:
        with torch.no_grad():
            shape = tuple(encoder(torch.zeros(2, *game.observation_shape)).shape)
    except Exception as error:  # noqa: BLE001  # whatever the user's code raises
        raise ConfigError(
            f"{name} fails on float32 observations (batch, {', '.join(map(str, game.observation_shape))}): "
            f"{type(error).__name__}: {error}"
        ) from None
    if shape != (2, size):
        raise ConfigError(f"{name} turns 2 observations into shape {shape}: return (batch, {size}), as size says")
    return encoder
