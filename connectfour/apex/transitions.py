"""n-step transitions from the steps of N environments in lockstep.

A discount has a sign. With one agent it is positive. In a zero-sum game of two players, the value of a position belongs
to whoever moves there, so the discount of a step is minus gamma where the turn passes to the opponent. An n-step return
is then the player's own discounted rewards minus the opponent's, and the bootstrapped value gets the sign of the player
to move there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from connectfour.apex.replay.shard import Fields

ACTION, RETURN, DISCOUNT = "action", "return", "discount"
"""Fields of a transition, besides the observation's and those of the next observation."""

NEXT = "next."
"""Prefix of the next observation's columns."""

Float32s = NDArray[np.float32]


@dataclass(frozen=True)
class Steps:
    """T steps on N environments; all arrays begin with the axes (T, N).

    Attributes:
        observation: columns of the observation before the action.
        action: the action.
        reward: what the player who acted got for it, float32.
        terminated: whether the action ended the episode, so that nothing follows.
        cut: whether the next step belongs to another episode: it was terminated or truncated.
        seat: the seat that acted, int8; zeros if there is one agent.
        real: whether it was a real step; Gymnasium's vector environments spend a step on each reset.
        q_taken: Q-value of the action, float32.
        q_best: Q-value of the best legal action, float32.
    """

    observation: Fields
    action: NDArray[np.integer]
    reward: Float32s
    terminated: NDArray[np.bool_]
    cut: NDArray[np.bool_]
    seat: NDArray[np.int8]
    real: NDArray[np.bool_]
    q_taken: Float32s
    q_best: Float32s

    def __len__(self) -> int:
        """Return T."""
        return len(self.action)

    def since(self, step: int) -> Steps:
        """Return a copy of the steps from ``step`` on."""
        kept = {field.name: getattr(self, field.name)[step:].copy() for field in fields(self)[1:]}
        return Steps(observation={name: array[step:].copy() for name, array in self.observation.items()}, **kept)

    @classmethod
    def join(cls, parts: Sequence[Steps]) -> Steps:
        """Return consecutive steps as one."""
        joined = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(cls)
            if field.name != "observation"
        }
        names = parts[0].observation
        observation = {name: np.concatenate([part.observation[name] for part in parts]) for name in names}
        return cls(observation=observation, **joined)


@dataclass(frozen=True)
class Transitions:
    """N transitions for the replay.

    Attributes:
        columns: observation, action, n-step return, discount of the next observation's value (0 after the end) and
            next observation.
        td_errors: their TD errors (N,) float32 under the network that acted, from which initial priorities follow.
    """

    columns: Fields
    td_errors: Float32s

    def __len__(self) -> int:
        """Return N."""
        return len(self.td_errors)


class TransitionBuilder:
    """Builds n-step transitions from consecutive rollouts of the same environments.

    A transition is complete when its next observation has been acted on, because its Q-values give the TD error. The
    last n steps of a rollout therefore wait for the next one.
    """

    def __init__(self, n: int, discount: float) -> None:
        """Sum rewards over ``n`` steps, each multiplied by one more factor ``discount``, with the sign given above."""
        self._n = n
        self._discount = np.float32(discount)
        self._waiting: Steps | None = None

    def copy_without_steps(self) -> TransitionBuilder:
        """Return a builder of the same transitions that waits for no earlier steps."""
        return TransitionBuilder(self._n, float(self._discount))

    def build(self, steps: Steps) -> Transitions:
        """Return the transitions that ``steps`` complete."""
        if self._waiting is not None:
            steps = Steps.join([self._waiting, steps])
        count = max(0, len(steps) - self._n)
        self._waiting = steps.since(count)
        if not count:
            return Transitions({}, np.zeros(0, np.float32))
        returns, discount, ahead = self._sum(steps, count)
        taken = np.nonzero(steps.real[:count])
        at_next = (taken[0] + ahead[taken], taken[1])
        columns = {name: array[:count][taken] for name, array in steps.observation.items()}
        columns |= {ACTION: steps.action[:count][taken], RETURN: returns[taken], DISCOUNT: discount[taken]}
        columns |= {NEXT + name: array[at_next] for name, array in steps.observation.items()}
        target = columns[RETURN] + columns[DISCOUNT] * steps.q_best[at_next]
        return Transitions(columns, target - steps.q_taken[:count][taken])

    def _sum(self, steps: Steps, count: int) -> tuple[Float32s, Float32s, NDArray[np.int64]]:
        """Return the n-step returns, the discounts of what follows, and how many steps ahead that is, (count, N)."""
        shape = (count, steps.action.shape[1])
        returns, discount = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        ahead, goes_on = np.zeros(shape, np.int64), np.ones(shape, np.bool_)
        same = steps.seat[1:] == steps.seat[:-1]
        for step in range(self._n):
            rows = slice(step, step + count)
            returns += np.where(goes_on, discount * steps.reward[rows], 0)
            onward = np.where(same[rows], self._discount, -self._discount)
            alive = np.where(steps.terminated[rows], np.float32(0), onward)
            discount = np.where(goes_on, discount * alive, discount)
            ahead += goes_on
            goes_on &= ~steps.cut[rows]
        return returns, discount, ahead
