"""``ActorGroup``: the actors as the learner sees them. Orders go out, reports come in, nothing waits for an actor."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from typing_extensions import override

from connectfour.apex.actor import Actor, Order, Report
from connectfour.apex.balance import Balance
from connectfour.apex.replay.replay import Replay
from connectfour.apex.timeline import Timeline
from connectfour.rllib.part import Part
from connectfour.rllib.runners import Runners

if TYPE_CHECKING:
    from ray.rllib.env.env_runner_group import EnvRunnerGroup

_TAG = "act"
# RLlib waits until all answers are there or this time has passed; with a slow actor it is always the latter.
_SECONDS_PER_LOOK = 0.01
_LEAST_SECONDS_AHEAD = 0.05
_EPISODES_IN_MEAN = 20


class ActorGroup(Part):
    """Gives orders to the env runners of an algorithm, and collects what they report.

    Each actor has a queue of its own, which holds what it plays while the learner is busy with one batch, and two
    orders more. From the budget that all share, a slow actor takes only what it will send in that time.

    Attributes:
        runners: the env runners.
        order_extra: returns what the next order holds in addition.
        take_extra: takes what a report holds in addition.
        lost: transitions that did not arrive, because their shard died.
        refused: transitions that shards refused, because their TD errors were not finite.
    """

    name = "actors"

    def __init__(
        self,
        group: Callable[[], EnvRunnerGroup],
        replay: Replay,
        balance: Balance,
        timeline: Timeline,
        *,
        patience: float,
        say: Callable[[str], None],
    ) -> None:
        """Order as much as ``balance`` allows; ``group`` returns the env runners once they are built."""
        self.order_extra: Callable[[], Any] = lambda: None
        self.take_extra: Callable[[Any], None] = lambda _: None
        self.lost = self.refused = 0
        self.runners = Runners(group, _TAG, patience=patience, say=say)
        self._group, self._replay, self._balance, self._timeline = group, replay, balance, timeline
        self._returns: deque[float] = deque(maxlen=_EPISODES_IN_MEAN)
        self._patience = patience
        self._weights: ray.ObjectRef | None = None
        self._version = 0
        self._seconds_per_order: dict[int, float] = {}
        self._ordered: dict[int, int] = {}
        self._orders = 0
        self._seconds_between_broadcasts = 0.0
        self._broadcast_at: float | None = None

    @property
    def has_weights(self) -> bool:
        """Whether there are weights to act with."""
        return self._weights is not None

    @property
    def return_mean(self) -> float | None:
        """Mean return of the latest episodes in nearly greedy environments; None until there are enough of them."""
        return float(np.mean(self._returns)) if len(self._returns) == _EPISODES_IN_MEAN else None

    def broadcast(self, weights: ray.ObjectRef) -> None:
        """Let the next orders carry ``weights``, by module id."""
        self._weights = weights
        self._version += 1
        now = time.monotonic()
        if self._broadcast_at is not None:
            self._seconds_between_broadcasts = now - self._broadcast_at
        self._broadcast_at = now

    def direct(self, order_size: int, *, wait: bool) -> tuple[list[Report], bool]:
        """Collect reports and give new orders, each for ``order_size`` transitions.

        Returns:
            The reports, and whether more transitions have arrived than ever before.
        """
        found = self.runners.answers(_SECONDS_PER_LOOK if wait else 0.0)
        more = False
        for actor, report in found:
            more |= self._balance.add(report.accepted)
            self.lost += report.lost
            self.refused += report.refused
            self._timeline.add(f"actor {actor}", report.spans)
            self._seconds_per_order[actor] = report.seconds
            self._returns.extend(report.returns)
            self.take_extra(report.extra)
        self._give_orders(order_size)
        return [report for _, report in found], more

    def _give_orders(self, order_size: int) -> None:
        order = Order(tuple(self._replay.shards), self._weights, self._version, self.order_extra())

        def act(actor: Actor) -> Report:
            return actor.act(order)

        actors = set(self.runners.ready)
        while True:
            short = [actor for actor in actors if self.runners.under_way(actor) < self._queue_length(actor)]
            if not short or not self._balance.may_act(round(sum(map(self._expected, actors)) * order_size)):
                return
            # The one that runs dry first; of two, the one whose latest order is longer ago.
            actor = min(short, key=lambda each: (self._seconds_queued(each), self._ordered.get(each, 0)))
            self._orders += 1
            self._ordered[actor] = self._orders
            if not self.runners.call(actor, act):
                actors.remove(actor)

    def _seconds_queued(self, actor: int) -> float:
        return self.runners.under_way(actor) * self._seconds_per_order.get(actor, 0.0)

    def _queue_length(self, actor: int) -> float:
        """Return how many orders an actor may have under way; two until it is known how long they take."""
        return 2 + (self._orders_per_batch(actor) if actor in self._seconds_per_order else 0)

    def _expected(self, actor: int) -> float:
        """Return how many of its orders an actor will have finished when the learner needs the next batch."""
        return min(self.runners.under_way(actor), self._orders_per_batch(actor))

    def _orders_per_batch(self, actor: int) -> float:
        """Return how many orders an actor finishes while the learner is busy with one batch."""
        seconds = max(self._seconds_per_order.get(actor, 0.0), self.runners.silent_for(actor))
        return max(self._seconds_between_broadcasts, _LEAST_SECONDS_AHEAD) / max(seconds, 1e-6)

    @override
    def before_restore(self, folder: Path) -> None:
        """Wait for the orders under way and for what they send to the replay, and forget what they report."""
        self.runners.finish()
        self._group().foreach_env_runner(
            lambda actor: actor.begin_anew(), local_env_runner=False, timeout_seconds=self._patience
        )
        self._returns.clear()
        self._weights = None

    @override
    def restored(self, folder: Path) -> None:
        """Begin anew with what the replay holds."""
        self._balance.restart(int(self._replay.describe()["size"]))

    @override
    def revived(self, indices: Sequence[int]) -> None:
        """Forget the queues of actors that were restarted."""
        self.runners.back_in_service(indices)

    @override
    def stopping(self) -> None:
        """End the actors that no longer answer."""
        self.runners.end()
