"""Decides when a ranking has reached its limits, from the log and the ratings."""

from __future__ import annotations

from collections.abc import Sequence

from connectfour.ranking.leaderboard import posterior_of
from connectfour.ranking.match_log import MatchLog
from connectfour.ranking.plan import Limits
from connectfour.ranking.posterior import JointPosterior

# A ranking with a sigma limit gives up when this many games per player have not lowered sigma to this share.
_GAMES_IN_VAIN = 300
_NOTICEABLE = 0.99


class Stopping:
    """Checks a ranking against its limits.

    Attributes:
        stalled: whether the limit ``sigma`` is out of reach: more games no longer lower the largest sigma.
    """

    def __init__(self, limits: Limits, log: MatchLog) -> None:
        """Watch the ranking that ``log`` records."""
        self.stalled = False
        self._limits, self._log = limits, log
        self._lowest_sigma = float("inf")
        self._games_at_lowest = len(log.games)
        self._order: list[str] | None = None
        self._games_at_order = 0

    @property
    def needs_ratings(self) -> bool:
        """Whether ``reached`` has to be given up-to-date ratings."""
        return self._limits.sigma is not None or self._limits.settled is not None

    def reached(self, playing: Sequence[str], posterior: JointPosterior) -> bool:
        """Return whether a limit is reached; ``playing`` are the players who have not been set aside."""
        matches = self._limits.matches
        if len(playing) < 2 or (matches is not None and len(self._log.games) >= matches):
            return True
        return self._is_certain(playing, posterior) or self._is_settled(posterior)

    def _is_certain(self, playing: Sequence[str], posterior: JointPosterior) -> bool:
        if self._limits.sigma is None:
            return False
        games = len(self._log.games)
        sigma = float(posterior.sigma[[posterior.players.index(name) for name in playing]].max())
        if sigma < _NOTICEABLE * self._lowest_sigma:
            self._lowest_sigma, self._games_at_lowest = sigma, games
        # The sigma of a player who always loses, or whose games only repeat, never falls to the limit.
        self.stalled = games - self._games_at_lowest > _GAMES_IN_VAIN * len(playing)
        return sigma <= self._limits.sigma or self.stalled

    def _is_settled(self, posterior: JointPosterior) -> bool:
        settled = self._limits.settled
        if settled is None:
            return False
        games = len(self._log.games)
        if self._order is None:
            self._find_last_change(settled, posterior)
        if self._order != posterior.order:
            self._order, self._games_at_order = posterior.order, games
        return games - self._games_at_order >= settled

    def _find_last_change(self, settled: int, posterior: JointPosterior) -> None:
        """Find in the log when the order last changed, at most ``settled`` games ago, in steps of a tenth of that."""
        games = len(self._log.games)
        for earlier in range(max(0, games - settled), games, max(1, settled // 10)):
            order = posterior_of(self._log.upto(earlier), posterior).order
            if self._order != order:
                self._order, self._games_at_order = order, earlier
