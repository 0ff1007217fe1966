"""A Tune callback that says what a training run waits for before it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial
from ray.util import placement_group_table

from connectfour.cluster.offer import Waiting, cluster_offer
from connectfour.errors import ClusterError
from connectfour.system.need import Need
from connectfour.system.observer import Observer

_HELD_UP = {"PENDING", "PREPARED", "RESCHEDULING"}
_SECONDS_PER_LOOK = 1.0


class StartCallback(tune.Callback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Reports while a trial waits for resources that others hold.

    The wait has no end of its own, because nothing is lost by it: Ctrl-C ends it. If nodes go, so that the cluster can
    no longer give what is needed, it ends when none has come for ``patience`` seconds.
    """

    def __init__(
        self,
        needs: Sequence[Need],
        observer: Observer | None = None,
        patience: float = 120.0,
        interrupted: Callable[[], bool] = lambda: False,
        waiting: Waiting | None = None,
    ) -> None:
        """Wait for ``needs``.

        Args:
            needs: what the run needs before it can begin.
            observer: receives what the run waits for.
            patience: seconds to wait for what the cluster does not have.
            interrupted: whether Ctrl-C was pressed.
            waiting: says what the run waits for.
        """
        self._needs, self._patience, self._interrupted = list(needs), patience, interrupted
        self._waiting = waiting or Waiting((observer or Observer()).say)
        self._missing = Waiting(lambda _: None)
        self._look = Waiting(lambda _: None, first=0.0, every=_SECONDS_PER_LOOK)

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable, so that Tune can store the experiment: a copy has no observer."""
        return StartCallback, (self._needs,)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look whether a trial waits; Tune calls this several times a second.

        Raises:
            ClusterError: the cluster has not had what is needed for ``patience`` seconds.
            KeyboardInterrupt: Ctrl-C was pressed; there is no iteration after which training could end.
        """
        if not any(trial.status == Trial.PENDING for trial in trials):
            self._waiting.over()
            self._missing.over()
        elif self._look.go_on(str):
            self._wait()

    def _wait(self) -> None:
        if not any(group["state"] in _HELD_UP for group in placement_group_table().values()):
            self._waiting.over()  # it has what it needs, and its processes start
            return
        if self._interrupted():
            raise KeyboardInterrupt
        offer = cluster_offer()
        refusal = offer.refusal(self._needs)
        if refusal is None:
            self._missing.over()
        elif self._missing.seconds >= self._patience and not offer.grows:
            raise ClusterError(f"the cluster has not had what training needs for {self._patience:g} s: {refusal}")
        self._waiting.go_on(self._reason)

    def _reason(self) -> str:
        offer = cluster_offer()
        lacking = offer.refusal(self._needs)
        shortage = offer.shortage(self._needs, ray.available_resources())
        return f"Training is waiting for the cluster: {lacking or shortage}."
