"""How rosters reach the env runners of a league, and how results come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ray.rllib.env.env_runner_group import EnvRunnerGroup

from connectfour.games.result import SeatScores
from connectfour.league.matchmaking import Roster
from connectfour.learning.sync import collect_results, push_roster


class Exchange(Protocol):
    """Carries rosters to the env runners, and results back."""

    def publish(self, roster: Roster) -> None:
        """Let env runners draw their next games from ``roster``."""
        ...

    def collect(self) -> dict[str, SeatScores]:
        """Return main's scores by opponent from the games since the last call."""
        ...


class RunnerExchange:
    """Calls the env runners between iterations, and waits for them."""

    def __init__(self, groups: Callable[[], Sequence[EnvRunnerGroup]], patience: float) -> None:
        """Call the env runners in ``groups()``, and wait for each call up to ``patience`` seconds.

        Those that sample come first, those for evaluation may follow.
        """
        self._groups, self._patience = groups, patience

    def publish(self, roster: Roster) -> None:
        """Send ``roster`` to all env runners, including those for evaluation."""
        for group in self._groups():
            push_roster(group, roster, patience=self._patience)

    def collect(self) -> dict[str, SeatScores]:
        """Ask all env runners that sample for their results."""
        return collect_results(self._groups()[0], patience=self._patience)
