"""Self-play PPO in plain NumPy and Torch, without RLlib: the same work as the league's, as a rival for its speed.

It plays main against itself with the league's own game core and network, and learns with the same epochs and
minibatches, in one process.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from connectfour.config import RunSettings
from connectfour.games.connect_four.bitboard import legal_columns, to_planes
from connectfour.games.connect_four.openings import OpeningStock
from connectfour.learning.rollout import Rollout, advantages
from connectfour.networks.network import ConnectFourNetwork


class BareLoop:
    """One network, N boards, and an optimiser."""

    def __init__(self, settings: RunSettings) -> None:
        """Set up a fresh network and fresh games."""
        torch.manual_seed(settings.seed)
        self._settings = settings
        self._rng = np.random.default_rng(settings.seed)
        self._network = ConnectFourNetwork(settings.network, precision=settings.precision)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=settings.ppo.learning_rate)
        self._openings = OpeningStock(settings.rollout.mirror_opening_plies, self._rng)
        self._boards = self._openings.take(settings.rollout.envs_per_runner)

    def iterate(self) -> int:
        """Sample a batch, learn from it, and return how many samples were learned from."""
        rollout, last_value = self.sample()
        seat = (self._boards.plies % 2).astype(np.int8)
        ppo = self._settings.ppo
        return self._learn(rollout.learnable(advantages(rollout, last_value, seat, ppo.gamma, ppo.gae_lambda)))

    @torch.inference_mode()
    def sample(self) -> tuple[Rollout, np.ndarray]:
        """Play a batch of plies."""
        boards, count = self._boards, len(self._boards)
        rollout = Rollout.empty(self._settings.ppo.batch_size // count, count)
        rollout.by_main[:] = True
        for ply in range(len(rollout.value)):
            rollout.own[ply], rollout.occupied[ply] = boards.own, boards.occupied
            rollout.seat[ply] = boards.plies % 2
            output = self._network(*map(torch.from_numpy, boards.observe()))
            column = (output.logits - torch.empty_like(output.logits).exponential_().log()).argmax(dim=1)
            log_probability = torch.log_softmax(output.logits, dim=1).gather(1, column[:, None])[:, 0]
            rollout.logits[ply], rollout.value[ply] = output.logits.numpy(), output.value.numpy()
            rollout.log_probability[ply], rollout.column[ply] = log_probability.numpy(), column.numpy()
            rollout.outcome[ply] = boards.play(column.numpy())
            ended = np.flatnonzero(boards.outcome)
            boards.assign(ended, self._openings.take(len(ended)))
        last_value: np.ndarray = self._network(*map(torch.from_numpy, boards.observe())).value.numpy()
        return rollout, last_value

    def _learn(self, columns: dict[str, np.ndarray]) -> int:
        ppo = self._settings.ppo
        advantage = columns["advantage"]
        tensors = {
            "observation": to_planes(columns["own"], columns["occupied"]),
            "action_mask": legal_columns(columns["occupied"]),
            "column": columns["column"].astype(np.int64),
            "log_probability": columns["log_probability"],
            "advantage": (advantage - advantage.mean()) / advantage.std(),
            "value_target": columns["value_target"],
        }
        data = {name: torch.from_numpy(array) for name, array in tensors.items()}
        samples = len(advantage)
        for _ in range(ppo.epochs):
            for rows in torch.randperm(samples).tensor_split(samples // ppo.minibatch_size):
                loss = self._loss({name: column[rows] for name, column in data.items()})
                self._optimizer.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(self._network.parameters(), ppo.gradient_norm)
                self._optimizer.step()
        return samples

    def _loss(self, batch: dict[str, Tensor]) -> Tensor:
        ppo = self._settings.ppo
        logits, value = self._network(batch["observation"], batch["action_mask"])
        log_policy = torch.log_softmax(logits, dim=1)
        log_probability = log_policy.gather(1, batch["column"][:, None])[:, 0]
        ratio = (log_probability - batch["log_probability"]).exp()
        clipped = ratio.clamp(1 - ppo.clip, 1 + ppo.clip)
        gain = torch.minimum(ratio * batch["advantage"], clipped * batch["advantage"])
        entropy = -(log_policy.exp() * log_policy.clamp(min=-50)).sum(dim=1)
        loss: torch.Tensor = ppo.value_loss * (value - batch["value_target"]) ** 2 - gain - ppo.entropy * entropy
        return loss.mean()
