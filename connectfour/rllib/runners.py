"""``Runners``: the remote env runners of an algorithm, called without waiting; those that fail or hang are restarted.

RLlib lets a process that fails sleep and exit, and loses the error on the way. Here a call returns the error, so that
the run can say what it was.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError

from connectfour.cluster.traces import Process, one_line, place_here
from connectfour.errors import ConfigError, ConnectFourError, GameError

if TYPE_CHECKING:
    from ray.rllib.env.env_runner import EnvRunner
    from ray.rllib.env.env_runner_group import EnvRunnerGroup

_FAILURE = "failure_of_a_call"
_SECONDS_PER_LOOK = 0.5
_SECONDS_TO_FINISH = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Failure:
    """What an env runner answers if a call raised an error.

    Attributes:
        error: its type, its message and the node, in one line.
        mistake: the error itself if it is a user's mistake, which would only happen again.
    """

    error: str
    mistake: ConnectFourError | None = None


@dataclass
class _Calls:
    """The calls of one env runner that are under way.

    Attributes:
        count: how many there are.
        since: when the env runner last answered, or was called while it had nothing to do.
    """

    count: int = 0
    since: float = 0.0


class Runners:
    """Calls remote env runners, each with its own queue, and collects what they answer.

    An env runner that raises an error, or does not answer for ``patience`` seconds, is restarted, and is out of service
    until ``PartedAlgorithm.revive`` finds that it is back.
    """

    def __init__(
        self,
        group: Callable[[], EnvRunnerGroup],
        tag: str,
        *,
        patience: float,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call the env runners that ``group`` returns once they are built.

        Args:
            group: returns RLlib's group.
            tag: tells these calls from others.
            patience: seconds after which an env runner that does not answer is restarted.
            say: gets a sentence when one is restarted.
            clock: counts seconds.
        """
        self._group, self._tag, self._patience, self._say, self._clock = group, tag, patience, say, clock
        self._calls: dict[int, _Calls] = {}
        self._faults: dict[int, str] = {}
        self._processes: dict[int, Process | None] = {}

    @property
    def ready(self) -> list[int]:
        """Indices of the env runners that are in service."""
        return list(self._group().healthy_worker_ids())

    def under_way(self, index: int) -> int:
        """Return how many calls an env runner has not answered yet."""
        return self._calls[index].count if index in self._calls else 0

    def silent_for(self, index: int) -> float:
        """Return for how many seconds an env runner has owed an answer; 0 if it owes none."""
        return self._clock() - self._calls[index].since if self.under_way(index) else 0.0

    @property
    def is_waited_for(self) -> bool:
        """Whether any call is under way."""
        return any(calls.count for calls in self._calls.values())

    def call(self, index: int, function: Callable[[EnvRunner], Any]) -> bool:
        """Call an env runner; return False if it is out of service or has too many calls under way."""

        def attempt(env_runner: EnvRunner) -> Any:
            # What was called after a failure would go on from a state that is half old and half new.
            failure = getattr(env_runner, _FAILURE, None)
            if failure is not None:
                return failure
            try:
                return function(env_runner)
            except Exception as error:  # noqa: BLE001  # whatever a user's environment or player raises
                _log.exception("an env runner failed")
                mistake = error if isinstance(error, GameError | ConfigError) else None
                setattr(env_runner, _FAILURE, Failure(f"{one_line(error)}{place_here()}", mistake))
                return getattr(env_runner, _FAILURE)

        sent = self._group().foreach_env_runner_async(attempt, tag=self._tag, remote_worker_ids=[index])
        if sent:
            calls = self._calls.setdefault(index, _Calls())
            if not calls.count:
                calls.since = self._clock()
            calls.count += 1
            if index not in self._processes:  # once it is lost, Ray knows only the one that takes its place
                self._processes[index] = Process.of_actor(self._actors()[index]._actor_id.hex())  # noqa: SLF001
        return bool(sent)

    def answers(self, seconds: float) -> list[tuple[int, Any]]:
        """Return the answers that are there, each with its env runner's index; wait until all are, for ``seconds``.

        Raises:
            GameError, ConfigError: the game, a player or a setting is at fault, so no restart would help.
        """
        found, failed = [], set[int]()
        for index, answer in self._group().fetch_ready_async_reqs(tags=self._tag, timeout_seconds=seconds):
            if index in failed:
                continue
            calls = self._calls.setdefault(index, _Calls(1))
            calls.count, calls.since = max(0, calls.count - 1), self._clock()
            if isinstance(answer, Failure):
                if answer.mistake:
                    raise answer.mistake
                failed.add(index)
                self._restart(index, f"failed: {answer.error}")
            else:
                self._faults.pop(index, None)
                found.append((index, answer))
        in_service = set(self.ready)
        for index in list(self._calls):
            if index not in in_service:
                self._calls.pop(index)
                self._note_death(index)
            elif self.silent_for(index) > self._patience:
                process = self._processes.get(index)
                place = process.place if process else ""
                self._restart(index, f"has not answered for {self._patience:g} s{place}")
        return found

    def finish(self) -> None:
        """Wait for all calls under way, and drop their answers; an env runner that does not answer is restarted."""
        while self.is_waited_for:
            self.answers(_SECONDS_PER_LOOK)

    def back_in_service(self, indices: Iterable[int]) -> None:
        """Note that env runners were restarted: nothing of before is under way."""
        for index in indices:
            if index not in self._faults:
                self._note_death(index)
            self._calls.pop(index, None)
            self._processes.pop(index, None)

    @property
    def trouble(self) -> str:
        """Why nothing comes from the env runners, as half a sentence."""
        faults = "; ".join(f"env runner {index} {fault}" for index, fault in sorted(self._faults.items()))
        if not self.ready:
            return f"no env runner is left ({faults or self._fates()})"
        silent = [self.silent_for(index) for index in self._calls if self.under_way(index)]
        if silent:
            return f"no env runner has answered for {min(silent):.0f} s{f' ({faults})' if faults else ''}"
        return f"no env runner has sampled anything{f' ({faults})' if faults else ''}"

    def _fates(self) -> str:
        """Return what Ray says about env runners that are gone."""
        pings = {index: actor.ping.remote() for index, actor in self._actors().items()}
        answered, _ = ray.wait(list(pings.values()), num_returns=len(pings), timeout=_SECONDS_PER_LOOK)
        fates = []
        for index, ping in sorted(pings.items()):
            try:
                if ping in answered:
                    ray.get(ping)
            except RayError as error:
                fates.append(f"env runner {index}: {one_line(error)}")
        return "; ".join(fates) or "they are starting"

    def _restart(self, index: int, fault: str) -> None:
        """Restart the process of an env runner, and take it out of service until then."""
        self._note(index, fault)
        self._calls.pop(index, None)
        self._processes.pop(index, None)
        ray.kill(self._actors()[index], no_restart=False)
        self._manager.set_actor_state(index, healthy=False)

    def _note_death(self, index: int) -> None:
        """Note that the process of an env runner is gone, where it ran, and how its log ends."""
        process = self._processes.pop(index, None)
        self._note(index, f"died{process.obituary if process else ''}")

    def _note(self, index: int, fault: str) -> None:
        if self._faults.get(index) != fault:
            self._say(f"env runner {index} {fault}; it is restarted")
        self._faults[index] = fault

    def end(self) -> None:
        """End the env runners that do not answer within some seconds: RLlib would wait for them for ever."""
        answers = self._manager.foreach_actor(
            lambda _: None, timeout_seconds=min(_SECONDS_TO_FINISH, self._patience), healthy_only=True
        )
        answered = {answer.actor_id for answer in answers if answer.ok}
        for index, actor in self._actors().items():
            if index not in answered:
                ray.kill(actor)

    @property
    def _manager(self) -> Any:
        return self._group()._worker_manager  # noqa: SLF001  # RLlib offers no other way to one env runner

    def _actors(self) -> dict[int, Any]:
        actors: dict[int, Any] = self._manager.actors()
        return actors
