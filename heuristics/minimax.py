"""``Minimax``: full-width search to a fixed depth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from connectfour.games.contract import Actions, Game, Packed
from connectfour.games.observation import Observation
from connectfour.games.registry import make_game
from heuristics.base import Heuristic, State, best_action

_NODES_AT_ONCE = 1 << 20


class Minimax(Heuristic):
    """Negamax that evaluates unfinished games as 0. Ties go to the first action in the game's ``preference``.

    Sooner wins and later losses are worth more, so it does not postpone a win it has found. The search is
    breadth-first: each level expands its positions in chunks, a chunk in one NumPy call.
    """

    MAX_DEPTH = 9

    def __init__(self, depth: int = 2, game: Game | None = None) -> None:
        """Search ``depth`` plies, from 1 to ``MAX_DEPTH``, of ``game`` (default: Connect Four).

        Raises:
            ValueError: the game cannot be searched.
        """
        self.depth = depth
        self.name = f"minimax:{depth}"
        self._game = game or make_game()
        if not self._game.searchable:
            raise ValueError(
                f"minimax cannot search {self._game.name}, whose positions do not tell what follows an action: choose "
                "random"
            )

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        """Play the action with the highest value."""
        rng.random(len(observation))  # as every player does
        game, legal = self._game, observation.action_mask != 0
        packed = game.positions(observation).pack()
        return best_action(self._action_values(packed, self.depth), legal, game.preference), state

    def _action_values(self, packed: Packed, depth: int) -> NDArray[np.int8]:
        """Return the value of each action (N, actions) for the player to move, searching ``depth`` plies.

        A win with the first of these plies is worth ``depth``, a loss as much less than 0; illegal actions are worth
        less than any loss.
        """
        most = max(1, _NODES_AT_ONCE // self._game.actions)
        if len(packed) > most:
            chunks = (packed[start : start + most] for start in range(0, len(packed), most))
            return np.concatenate([self._action_values(chunk, depth) for chunk in chunks])
        after = self._game.children(packed)
        values = np.where(after.legal, np.sign(after.values) * depth, -depth - 1).astype(np.int8)
        if depth > 1 and len(after.packed):
            best = self._action_values(after.packed, depth - 1).max(axis=1)
            values[after.goes_on] = np.where(after.opponent_moves, -best, best)
        return values
