"""``Samples``: what PPO learns from, on its way from env runners to learners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch

from connectfour.games.contract import Packed
from connectfour.league.members import MAIN


@dataclass(frozen=True)
class Samples:
    """N moves that main chose; all arrays begin with the axis (N,).

    Attributes:
        packed: the positions, packed.
        action: the moves.
        log_probability: log-probability of the move when it was sampled, float32.
        advantage: its advantage, float32.
        value_target: target of the value, float32.
        improved_policy: target of the policy, (N, actions) float32, zeros in rows without one; None without lookahead.
    """

    packed: Packed
    action: NDArray[np.signedinteger]
    log_probability: NDArray[np.float32]
    advantage: NDArray[np.float32]
    value_target: NDArray[np.float32]
    improved_policy: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return N."""
        return len(self.action)

    def standardized(self) -> Samples:
        """Return the samples with advantages of mean 0 and standard deviation 1."""
        centered = self.advantage - self.advantage.mean()
        return replace(self, advantage=centered / max(1e-4, float(self.advantage.std())))

    def to_batch(self) -> MultiAgentBatch:
        """Return the samples as the batch that RLlib shards over its learners."""
        columns = {name: array for name, array in vars(self).items() if array is not None}
        return MultiAgentBatch({MAIN: SampleBatch(columns)}, env_steps=len(self))

    @classmethod
    def from_batch(cls, batch: MultiAgentBatch) -> Samples:
        """Return the samples in a batch, or in a learner's shard of it."""
        return cls(**dict(batch.policy_batches[MAIN]))

    @classmethod
    def join(cls, parts: Sequence[Samples]) -> Samples:
        """Return the samples of several env runners as one."""
        names = [name for name, array in vars(parts[0]).items() if array is not None]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
