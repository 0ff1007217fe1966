"""Rule-based players, batched over observations: some of Connect Four, some of any game.

They are a league's first opponents and serve as fixed reference points in rankings. ``make_heuristic("minimax:4")``
builds one by name; ``HEURISTICS`` lists them all.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from connectfour.games.contract import Game
from connectfour.games.registry import DEFAULT, make_game
from heuristics.always_same import AlwaysSame
from heuristics.base import Heuristic, State
from heuristics.beat_last import BeatLast
from heuristics.linear import Linear
from heuristics.minimax import Minimax
from heuristics.own import is_own, make_own
from heuristics.random import Random
from heuristics.tactical import Tactical

HEURISTICS: Mapping[str, Callable[..., Heuristic]] = MappingProxyType(
    {
        "random": Random,
        "always_same": AlwaysSame,
        "beat_last": BeatLast,
        "linear": Linear,
        "tactical": Tactical,
        "minimax": Minimax,
    }
)
"""All heuristics by name."""


OF_ANY_GAME = ("random", "always_same", "minimax")
"""The heuristics that play every game; ``minimax`` those that can be searched."""


def make_heuristic(name: str, game: Game | None = None) -> Heuristic:
    """Build the heuristic ``name`` for ``game`` (default: Connect Four).

    The name ``minimax`` may include a search depth, as in "minimax:4". A class of your own is named by its import path,
    as in "my_package.rules:Greedy"; see ``heuristics.own``.

    Raises:
        GameError: a class of your own cannot be imported.
        ValueError: ``name`` is unknown or does not play this game, the depth is out of range, or a class of your own is
            no player.
    """
    game = game or make_game()
    if is_own(name):
        return make_own(name, game)
    known = [each for each in HEURISTICS if game.name == DEFAULT or each in OF_ANY_GAME]
    base, colon, depth = name.partition(":")
    if base not in HEURISTICS or (colon and base != "minimax"):
        raise ValueError(f"unknown heuristic {name!r}: choose one of {', '.join(known)} or minimax:DEPTH")
    if base not in known:
        raise ValueError(f"heuristic {name!r} does not play {game.name}: choose one of {', '.join(known)}")
    if base != "minimax":
        return HEURISTICS[base]()
    if not colon:
        return Minimax(game=game)
    if not depth.isdecimal() or not 1 <= int(depth) <= Minimax.MAX_DEPTH:
        raise ValueError(f"invalid search depth in {name!r}: choose minimax:1 to minimax:{Minimax.MAX_DEPTH}")
    return Minimax(int(depth), game)


__all__ = [
    "HEURISTICS",
    "AlwaysSame",
    "BeatLast",
    "Heuristic",
    "Linear",
    "Minimax",
    "Random",
    "State",
    "Tactical",
    "make_heuristic",
]
