"""Decides when a ranking has reached its limits, from the log and the ratings."""

from __future__ import annotations

from collections.abc import Sequence

from connectfour.match_log.lines import Ended
from connectfour.match_log.log import MatchLog
from connectfour.rating.posterior import JointPosterior
from connectfour.standings.leaderboard import posterior_of
from connectfour.tournament.plan import Limits

# A ranking with a sigma limit gives up when this many games per player have not lowered sigma to this share.
_GAMES_IN_VAIN = 300
_NOTICEABLE = 0.99


class Stopping:
    """Checks a ranking against its limits."""

    def __init__(self, limits: Limits, log: MatchLog) -> None:
        """Watch the ranking that ``log`` records."""
        self._limits, self._log = limits, log
        self._lowest_sigma = float("inf")
        self._games_at_lowest = len(log.games)
        self._order: list[str] | None = None
        self._games_at_order = 0

    @property
    def needs_ratings(self) -> bool:
        """Whether ``end`` has to be given up-to-date ratings."""
        return self._limits.sigma is not None or self._limits.settled is not None

    def end(self, playing: Sequence[str], posterior: JointPosterior, seconds: float) -> Ended | None:
        """Return how the ranking ends if a limit is reached.

        Args:
            playing: the players who have not been set aside.
            posterior: the ratings; up to date if ``needs_ratings``.
            seconds: how long games have been played, over all runs of the ranking.

        A ranking that ended stays ended under the same limits. Ratings cannot decide that again: whether an order is
        settled depends on when one looks.
        """
        games, limits = len(self._log.games), self._limits
        if len(playing) < 2:
            return Ended("players")
        if limits.matches is not None and games >= limits.matches:
            return Ended("matches", limits.matches)
        if limits.enough_matches is not None and games >= limits.enough_matches:
            return Ended("share", limits.share)
        if limits.minutes is not None and seconds >= 60 * limits.minutes:
            return Ended("minutes", limits.minutes)
        if self._log.ended and self._still_holds(self._log.ended):
            return self._log.ended
        return self._certain(playing, posterior) or self._settled(posterior)

    def _still_holds(self, ended: Ended) -> bool:
        """Return whether the ranking would have ended like this under the present limits, too."""
        sigma, settled = self._limits.sigma, self._limits.settled
        if ended.limit is None:
            return False
        return (
            (ended.reason == "settled" and settled is not None and settled <= ended.limit)
            or (ended.reason == "sigma" and sigma is not None and sigma >= ended.limit)
            or (ended.reason == "stalled" and sigma is not None and sigma <= ended.limit)
        )

    def _certain(self, playing: Sequence[str], posterior: JointPosterior) -> Ended | None:
        if self._limits.sigma is None:
            return None
        games = len(self._log.games)
        sigma = float(posterior.sigma[[posterior.players.index(name) for name in playing]].max())
        if sigma < _NOTICEABLE * self._lowest_sigma:
            self._lowest_sigma, self._games_at_lowest = sigma, games
        # The sigma of a player who always loses, or whose games only repeat, never falls to the limit.
        stalled = games - self._games_at_lowest > _GAMES_IN_VAIN * len(playing)
        if sigma <= self._limits.sigma:
            return Ended("sigma", self._limits.sigma)
        return Ended("stalled", self._limits.sigma) if stalled else None

    def _settled(self, posterior: JointPosterior) -> Ended | None:
        settled = self._limits.settled
        if settled is None:
            return None
        games = len(self._log.games)
        if self._order is None:
            self._find_last_change(settled, posterior)
        if self._order != posterior.order:
            self._order, self._games_at_order = posterior.order, games
        return Ended("settled", settled) if games - self._games_at_order >= settled else None

    def _find_last_change(self, settled: int, posterior: JointPosterior) -> None:
        """Find in the log when the order last changed, at most ``settled`` games ago, in steps of a tenth of that."""
        games = len(self._log.games)
        for earlier in range(max(0, games - settled), games, max(1, settled // 10)):
            order = posterior_of(self._log.upto(earlier), posterior).order
            if self._order != order:
                self._order, self._games_at_order = order, earlier
