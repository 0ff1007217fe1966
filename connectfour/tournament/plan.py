"""How a ranking is played, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectfour.errors import ConfigError
from connectfour.matches.arena import ConnectFour
from connectfour.matches.sandbox import Rules
from connectfour.tournament.pairing import Pairing


@dataclass(frozen=True)
class Limits:
    """When a ranking ends: when it reaches the first of these.

    Attributes:
        matches: number of games in the log.
        sigma: the largest standard deviation of a skill among those who still play, in TrueSkill units.
        settled: number of games during which the order has not changed.

    Raises:
        ConfigError: a limit is not positive.
    """

    matches: int | None = None
    sigma: float | None = None
    settled: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits that make no sense."""
        for name, limit in vars(self).items():
            if limit is not None and not limit > 0:
                raise ConfigError(f"the limit {name} is {limit:g}: choose a number above 0")


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

    rules: Rules = field(default_factory=ConnectFour)
    pairing: Pairing = "thompson"
    opening_plies: int = 4
    batch_games: int | None = None
    seed: int = 0
