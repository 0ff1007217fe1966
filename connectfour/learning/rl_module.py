"""RLModules around networks: a masked policy with a value, and masked Q-values."""

from __future__ import annotations

from typing import Any

import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch import Tensor
from typing_extensions import override

from connectfour.apex.learner import Q_VALUES
from connectfour.games.observation import Observation
from connectfour.networks.network import GameNetwork, PolicyNetwork, QNetwork, make_network
from connectfour.settings.network import Architecture

_PREFIX = "network."


class NetworkRLModule(TorchRLModule):  # type: ignore[misc]  # Ray's classes are untyped here
    """An RLModule around a network.

    ``model_config["network"]`` holds ``Architecture``, ``model_config["precision"]`` the encoder's precision.

    Learners and env runners hold the same weights (nothing is left out for inference), so equal hashes mean equal
    policies. The module reads ``obs["observation"]`` and ``obs["action_mask"]`` and does not change the batch.
    """

    network: GameNetwork

    @override
    def setup(self) -> None:
        """Build the network."""
        settings = Architecture.model_validate(self.model_config["network"])
        self.network = make_network(settings, precision=self.model_config.get("precision", "float32"))

    @override
    def _forward(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        output = self.network(batch[Columns.OBS]["observation"], batch[Columns.OBS]["action_mask"])
        return {Columns.ACTION_DIST_INPUTS: output.logits}

    @override
    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the network's own parameters by name, as a snapshot holds them."""
        return {name.removeprefix(_PREFIX): array for name, array in super().get_state(*args, **kwargs).items()}

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """Load what ``get_state`` returned."""
        super().set_state({_PREFIX + name: array for name, array in state.items()})

    def _features(self, batch: dict[str, Any]) -> Tensor:
        return self.network.encode(batch[Columns.OBS]["observation"])


class ActionMaskingRLModule(NetworkRLModule, ValueFunctionAPI):  # type: ignore[misc]  # Ray's classes are untyped here
    """Maps observations to a policy and a value, by a ``PolicyNetwork``."""

    network: PolicyNetwork

    @override
    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        features = self._features(batch)
        logits = self.network.policy_logits(features, batch[Columns.OBS]["action_mask"])
        return {Columns.ACTION_DIST_INPUTS: logits, Columns.EMBEDDINGS: features}

    @override
    def compute_values(self, batch: dict[str, Any], embeddings: Tensor | None = None) -> Tensor:
        """Return the value (batch,) of ``batch``; ``embeddings`` from a training pass avoid encoding again."""
        return self.network.value(self._features(batch) if embeddings is None else embeddings)


class DuelingRLModule(NetworkRLModule):
    """Maps observations to Q-values, by a ``QNetwork``."""

    network: QNetwork

    def q_values(self, observation: dict[str, Tensor]) -> Tensor:
        """Return the masked Q-values (batch, actions) of an observation's planes and action mask."""
        return self.network.q_values(self.network.encode(observation["observation"]), observation["action_mask"])

    @override
    def _forward_train(self, batch: dict[str, Any], **kwargs: Any) -> dict[str, Tensor]:
        return {Q_VALUES: self.q_values(batch[Columns.OBS])}


def as_tensors(observation: Observation) -> dict[str, Tensor]:
    """Return N positions in the form that modules read."""
    return {
        "observation": torch.from_numpy(observation.planes),
        "action_mask": torch.from_numpy(observation.action_mask),
    }


def module_class(network: Architecture) -> type[NetworkRLModule]:
    """Return the RLModule class for a network."""
    return DuelingRLModule if network.head == "dueling" else ActionMaskingRLModule
