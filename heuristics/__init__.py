"""Rule-based players of Connect Four, batched over PettingZoo observations.

They are a league's first opponents and serve as fixed reference points in rankings. ``make_heuristic("minimax:4")``
builds one by name; ``HEURISTICS`` lists them all.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from heuristics.always_same import AlwaysSame
from heuristics.base import Heuristic, State
from heuristics.beat_last import BeatLast
from heuristics.linear import Linear
from heuristics.minimax import Minimax
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


def make_heuristic(name: str) -> Heuristic:
    """Build the heuristic ``name``. The name ``minimax`` may include a search depth, as in "minimax:4".

    Raises:
        ValueError: ``name`` is unknown, or the depth is out of range.
    """
    base, colon, depth = name.partition(":")
    if base not in HEURISTICS or (colon and base != "minimax"):
        raise ValueError(f"unknown heuristic {name!r}: choose one of {', '.join(HEURISTICS)} or minimax:DEPTH")
    if not colon:
        return HEURISTICS[base]()
    if not depth.isdecimal() or not 1 <= int(depth) <= Minimax.MAX_DEPTH:
        raise ValueError(f"invalid search depth in {name!r}: choose minimax:1 to minimax:{Minimax.MAX_DEPTH}")
    return Minimax(int(depth))


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
