"""``DuelingMLP``: a dueling Q-network over vectors, for environments without a network of their own."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor, nn
from typing_extensions import override

from connectfour.apex.learner import Q_VALUES
from connectfour.apex.q_values import dueling


class DuelingMLP(TorchRLModule):  # type: ignore[misc]  # Ray's classes are untyped here
    """Maps vectors (N, size) to Q-values (N, actions); ``model_config["hidden"]`` lists the layers' widths."""

    @override
    def setup(self) -> None:
        """Build the layers."""
        sizes = [self.observation_space.shape[0], *self.model_config.get("hidden", (256, 256))]
        layers = [
            layer for inputs, outputs in itertools.pairwise(sizes) for layer in (nn.Linear(inputs, outputs), nn.ReLU())
        ]
        self.encoder = nn.Sequential(*layers)
        self.value_head = nn.Linear(sizes[-1], 1)
        self.advantage_head = nn.Linear(sizes[-1], int(self.action_space.n))

    def q_values(self, observation: Tensor) -> Tensor:
        """Return the Q-values (N, actions) of observations (N, size)."""
        features = self.encoder(observation.to(torch.float32))
        return dueling(self.value_head(features), self.advantage_head(features))

    @override
    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        q = self.q_values(batch[Columns.OBS])
        return {Q_VALUES: q, Columns.ACTIONS: q.argmax(dim=1)}
