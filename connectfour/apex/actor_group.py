"""``ActorGroup``: the actors as the learner sees them. Orders go out, reports come in, nothing waits for an actor."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from typing_extensions import override

from connectfour.apex.actor import Order, Report
from connectfour.apex.balance import Balance
from connectfour.apex.replay.replay import Replay
from connectfour.apex.timeline import Timeline
from connectfour.rllib.parts import Part

if TYPE_CHECKING:
    from ray.rllib.env.env_runner_group import EnvRunnerGroup

_TAG = "act"
_PATIENCE_S = 0.05
_EPISODES_IN_MEAN = 20


class ActorGroup(Part):
    """Gives orders to the env runners of an algorithm, and collects what they report.

    Attributes:
        order_extra: returns what the next order holds in addition.
        take_extra: takes what a report holds in addition.
        lost: transitions that did not arrive, because their shard died.
    """

    name = "actors"

    def __init__(
        self, group: Callable[[], EnvRunnerGroup], replay: Replay, balance: Balance, timeline: Timeline
    ) -> None:
        """Order as much as ``balance`` allows; ``group`` returns the env runners once they are built."""
        self.order_extra: Callable[[], Any] = lambda: None
        self.take_extra: Callable[[Any], None] = lambda _: None
        self.lost = 0
        self._group, self._replay, self._balance, self._timeline = group, replay, balance, timeline
        self._returns: deque[float] = deque(maxlen=_EPISODES_IN_MEAN)
        self._weights: ray.ObjectRef | None = None
        self._version = 0

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

    def direct(self, order_size: int, *, wait: bool) -> tuple[list[Report], bool]:
        """Collect reports and give new orders, each for ``order_size`` transitions.

        Returns:
            The reports, and whether any order is under way.
        """
        group = self._group()
        found = group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=_PATIENCE_S if wait else 0.0)
        for actor, report in found:
            self._balance.arrived += report.transitions
            self.lost += report.lost
            self._timeline.add(f"actor {actor}", report.spans)
            self._returns.extend(report.returns)
            self.take_extra(report.extra)
        order = Order(tuple(self._replay.shards), self._weights, self._version, self.order_extra())
        while self._balance.may_act(group.num_in_flight_async_reqs(_TAG) * order_size):
            if not group.foreach_env_runner_async(lambda actor: actor.act(order), tag=_TAG):
                break
        return [report for _, report in found], bool(group.num_in_flight_async_reqs(_TAG))

    @override
    def before_restore(self, folder: Path) -> None:
        """Wait for the orders under way and for what they send to the replay, and forget what they report."""
        group = self._group()
        group.fetch_ready_async_reqs(tags=_TAG, timeout_seconds=None)
        group.foreach_env_runner(lambda actor: actor.begin_anew(), local_env_runner=False)
        self._returns.clear()
        self._weights = None

    @override
    def restored(self, folder: Path) -> None:
        """Begin anew with what the replay holds."""
        self._balance.restart(int(self._replay.describe()["size"]))
