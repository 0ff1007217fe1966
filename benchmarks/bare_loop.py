"""Self-play PPO in plain NumPy and Torch, without RLlib: a baseline that does the same work as the league.

It plays main against itself with the league's own boards and network, and learns with the same epochs and minibatches,
all in one process.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from connectfour.games.observation import Observation
from connectfour.games.openings import OpeningStock
from connectfour.games.registry import make_game
from connectfour.learning.ppo.advantages import advantages
from connectfour.learning.ppo.rollout import PolicyRollout
from connectfour.learning.ppo.samples import Samples
from connectfour.learning.ppo.settings import PPORunSettings
from connectfour.networks.network import NetworkOutput, make_network
from connectfour.system.allocator import keep_freed_memory

_LOG_OF_NOTHING = -50.0


class BareLoop:
    """One network, N boards, and an optimizer."""

    def __init__(self, settings: PPORunSettings) -> None:
        """Build a new network and start new games, with the memory settings of the league."""
        keep_freed_memory()
        torch.manual_seed(settings.seed)
        self._settings = settings
        self._game = make_game()
        self._rng = np.random.default_rng(settings.seed)
        self._network = make_network(settings.architecture, precision=settings.precision)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=settings.ppo.learning_rate)
        self._openings = OpeningStock(self._game, settings.rollout.mirror_opening_plies, self._rng)
        self._boards = self._openings.take(settings.rollout.envs_per_runner)

    def iterate(self) -> int:
        """Sample a batch, learn from it, and return the number of samples in it."""
        return self._learn(self.sample().standardized())

    @torch.inference_mode()
    def sample(self) -> Samples:
        """Play a batch of moves and return them with their advantages."""
        boards, ppo = self._boards, self._settings.ppo
        rollout = PolicyRollout.empty(self._game, ppo.batch_size // len(boards), len(boards))
        for ply in range(len(rollout.value)):
            rollout.packed[ply], rollout.seat[ply] = boards.pack(), boards.seat
            logits, rollout.value[ply] = self._evaluate(boards.observe())
            action = (logits - torch.empty_like(logits).exponential_().log()).argmax(dim=1)
            rollout.log_probability[ply] = torch.log_softmax(logits, dim=1).gather(1, action[:, None])[:, 0]
            rollout.logits[ply], rollout.action[ply] = logits, action
            boards.play(action.numpy())
            rollout.ended[ply] = boards.over
            ended = np.flatnonzero(boards.over)
            returns, mover = boards.returns[ended], rollout.seat[ply, ended]
            rollout.reward[ply, ended] = returns[np.arange(len(ended)), mover]
            rollout.other_reward[ply, ended] = -rollout.reward[ply, ended]
            boards.assign(ended, self._openings.take(len(ended)))
        last_value = self._evaluate(boards.observe()).value.numpy()
        advantage = advantages(rollout, last_value, boards.seat.astype(np.int8), ppo.gamma, ppo.gae_lambda)
        return Samples(
            packed=rollout.packed.reshape(-1, *rollout.packed.shape[2:]),
            action=rollout.action.ravel(),
            log_probability=rollout.log_probability.ravel(),
            advantage=advantage.ravel(),
            value_target=(rollout.value + advantage).ravel(),
        )

    def _evaluate(self, observation: Observation) -> NetworkOutput:
        output: NetworkOutput = self._network(
            torch.from_numpy(observation.planes), torch.from_numpy(observation.action_mask)
        )
        return output

    def _learn(self, samples: Samples) -> int:
        ppo = self._settings.ppo
        observation = self._game.expand(samples.packed)
        arrays = {
            "planes": observation.planes,
            "action_mask": observation.action_mask,
            "action": samples.action.astype(np.int64),
            "log_probability": samples.log_probability,
            "advantage": samples.advantage,
            "value_target": samples.value_target,
        }
        columns = {name: torch.from_numpy(array) for name, array in arrays.items()}
        for _ in range(ppo.epochs):
            for rows in torch.randperm(len(samples)).tensor_split(len(samples) // ppo.minibatch_size):
                loss = self._loss({name: column[rows] for name, column in columns.items()})
                self._optimizer.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(self._network.parameters(), ppo.gradient_norm)
                self._optimizer.step()
        return len(samples)

    def _loss(self, batch: dict[str, Tensor]) -> Tensor:
        ppo = self._settings.ppo
        logits, value = self._network(batch["planes"], batch["action_mask"])
        log_policy = torch.log_softmax(logits, dim=1)
        log_probability = log_policy.gather(1, batch["action"][:, None])[:, 0]
        ratio = (log_probability - batch["log_probability"]).exp()
        clipped = ratio.clamp(1 - ppo.clip, 1 + ppo.clip)
        gain = torch.minimum(ratio * batch["advantage"], clipped * batch["advantage"])
        entropy = -(log_policy.exp() * log_policy.clamp(min=_LOG_OF_NOTHING)).sum(dim=1)
        loss: Tensor = ppo.value_loss * (value - batch["value_target"]) ** 2 - gain - ppo.entropy * entropy
        return loss.mean()
