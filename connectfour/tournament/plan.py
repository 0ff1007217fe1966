"""How a ranking is played, and when it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from connectfour.errors import ConfigError
from connectfour.games.openings import random_opening_moves
from connectfour.matches.arena import BoardGame
from connectfour.matches.sandbox import Rules
from connectfour.tournament.pairing import Pairing


@dataclass(frozen=True)
class Limits:
    """When a ranking ends: when it reaches the first of these.

    Attributes:
        matches: number of games in the log.
        share: share of ``matches`` that is enough, above 0 and at most 1. The other games are begun all the same, so
            that all workers are busy to the end, but those under way at the end count as not played.
        minutes: how long games have been played, over all runs of the ranking.
        sigma: the largest standard deviation of a skill among those who still play, in TrueSkill units.
        settled: number of games during which the order has not changed.

    Raises:
        ConfigError: a limit is not positive, or ``share`` is above 1.
    """

    matches: int | None = None
    sigma: float | None = None
    settled: int | None = None
    minutes: float | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        """Refuse limits that make no sense."""
        for name, limit in vars(self).items():
            if limit is not None and not limit > 0:
                raise ConfigError(f"the limit {name} is {limit:g}: choose a number above 0")
        if self.share is not None and self.share > 1:
            raise ConfigError(f"the limit share is {self.share:g}: choose a number above 0 and at most 1")

    @property
    def lacks_matches(self) -> bool:
        """Whether a number of games has to be chosen: nothing else ends the ranking, or ``share`` refers to it."""
        return self.matches is None and (
            self.share is not None or (self.sigma, self.settled, self.minutes) == (None,) * 3
        )

    @property
    def enough_matches(self) -> int | None:
        """Number of games in the log that ends the ranking: ``share`` of ``matches``, rounded up."""
        if self.matches is None or self.share is None:
            return self.matches
        return math.ceil(round(self.share * self.matches, 6))


@dataclass(frozen=True)
class Plan:
    """How a ranking is played.

    Attributes:
        rules: the game.
        pairing: who plays whom.
        opening_plies: random plies before each game; two games with swapped seats share them.
        batch_games: games per batch; by default, chosen from the number of games and players.
        seed: random seed.
    """

    rules: Rules = field(default_factory=BoardGame)
    pairing: Pairing = "thompson"
    opening_plies: int = 4
    batch_games: int | None = None
    seed: int = 0

    def openings(self, count: int, rng: np.random.Generator) -> list[str]:
        """Return ``count`` random openings, as the game writes them; a game without boards has none.

        Raises:
            ConfigError: games never last that long.
        """
        if not isinstance(self.rules, BoardGame):
            return [""] * count
        game = self.rules.game.rules
        return [game.format_actions(moves) for moves in random_opening_moves(game, count, self.opening_plies, rng)]
