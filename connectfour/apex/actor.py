"""``Actor``: an env runner that explores and sends transitions to the replay."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import ray

from connectfour.apex.exploration import epsilons, nearly_greedy
from connectfour.apex.replay.writer import ReplayWriter
from connectfour.apex.spans import Spans
from connectfour.apex.transitions import TransitionBuilder, Transitions
from connectfour.rllib.module_runner import ModuleRunner


@dataclass(frozen=True)
class Order:
    """What the learner asks of an actor: play on with these weights, and send what you see to these shards.

    Each order carries everything, so actors and shards that were restarted need no other message.

    Attributes:
        shards: handles of the actors that hold the replay.
        weights: reference to the modules' weights by module id.
        version: number of these weights; larger is newer.
        extra: what ``ActorGroup.order_extra`` returned.
    """

    shards: tuple[Any, ...]
    weights: ray.ObjectRef
    version: int
    extra: Any = None


@dataclass(frozen=True)
class Report:
    """What an actor has done.

    Attributes:
        transitions: number of transitions that it sent.
        lost: transitions that did not arrive, because their shard died.
        refused: transitions that shards refused, because their TD errors are not finite.
        metrics: RLlib's metrics.
        seconds: how long the order took, without what it had to wait for the replay.
        spans: how it spent its time since the previous report.
        returns: returns of finished episodes on nearly greedy environments.
        extra: what the actor's ``report`` returned, for ``ActorGroup.take_extra``.
    """

    transitions: int
    lost: int
    refused: int
    metrics: Any
    seconds: float
    spans: Spans
    returns: tuple[float, ...] = ()
    extra: Any = None

    @property
    def accepted(self) -> int:
        """How many of the transitions count; what was refused belongs to an earlier order."""
        return self.transitions - self.refused


class Actor(ModuleRunner):
    """An env runner that explores; its ``sample`` returns ``Transitions``.

    Attributes:
        epsilon: exploration probability of each environment, (N,).
        measured: which environments explore so little that their results measure the policy, (N,).
        transitions: builds n-step transitions.
        returns: returns for the next report.
    """

    def become_actor(self, discount: float) -> None:
        """Prepare for acting; ``discount`` is gamma per step."""
        config, envs = self.config, self.config.num_envs_per_env_runner
        options = config.apex
        runners = max(1, config.num_env_runners)
        position = max(0, (self.worker_index or 1) - 1)
        everywhere = epsilons(runners * envs, options.epsilon, options.epsilon_alpha)
        # Every runner gets the full range of epsilons, so that no runner has only heavily exploring environments.
        self.epsilon = everywhere[position::runners]
        self.measured = nearly_greedy(everywhere)[position::runners]
        self.transitions = TransitionBuilder(options.n_step, discount)
        self.returns: list[float] = []
        self._writer = ReplayWriter(position)
        self._spans = Spans()
        self._version = 0

    def act(self, order: Order) -> Report:
        """Load newer weights, sample, and send the transitions to the replay."""
        start = time.monotonic()
        with self._spans.measure("act"):
            self.follow(order)
            sampled: Transitions = self.sample()
        seconds = time.monotonic() - start
        if len(sampled):
            self._writer.write(order.shards, sampled.columns, sampled.td_errors, self._spans)
        returns, self.returns = tuple(self.returns), []
        return Report(
            transitions=len(sampled),
            lost=self._writer.take_lost(),
            refused=self._writer.take_refused(),
            metrics=self.get_metrics(),
            seconds=seconds,
            spans=self._spans.take(),
            returns=returns,
            extra=self.report(),
        )

    def begin_anew(self) -> None:
        """Forget what other weights have played; wait until all that was sent has arrived in the replay."""
        self._writer.flush()
        self.transitions = self.transitions.copy_without_steps()
        self.returns = []

    def follow(self, order: Order) -> None:
        """Load the weights of ``order`` if they are newer.

        Orders have version numbers of their own: those of RLlib's learner begin elsewhere after a restore.
        """
        if order.version > self._version:
            self.module.set_state(ray.get(order.weights))
            self._version = order.version

    def report(self) -> Any:
        """Return what the report holds in addition."""
        return None
