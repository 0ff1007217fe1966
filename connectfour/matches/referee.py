"""Asks a player for its actions and checks the answer.

A player may raise or answer with anything. If a call on many boards fails, the player is asked again board by board, so
that only the boards on which it fails are lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from connectfour.games.contract import Actions
from connectfour.games.observation import Observation
from connectfour.matches.records import Fault
from connectfour.players.contract import Player
from heuristics import State

_DETAIL_LENGTH = 120


@dataclass
class Answer:
    """A player's answer on N boards.

    Attributes:
        actions: (N,) int64; arbitrary where the answer is a fault.
        state: the player's new memory, one row per board.
        faults: what is wrong, by row.
    """

    actions: Actions
    state: State
    faults: dict[int, Fault] = field(default_factory=dict)


class _InvalidResultError(Exception):
    """The answer as a whole is not an array of actions with a state."""


def ask(player: Player, observation: Observation, state: State, rng: np.random.Generator) -> Answer:
    """Ask ``player`` for its actions on N boards; arguments as in ``Player.act``.

    Any action of the game is a valid answer: whether it is legal here is up to the rules.
    """
    try:
        return _ask_once(player, observation, state, rng)
    except Exception as error:  # noqa: BLE001  # whatever the player's code raises
        if len(observation) == 1:
            return Answer(np.zeros(1, dtype=np.int64), state, {0: _fault_of(error)})
    boards = [slice(row, row + 1) for row in range(len(observation))]
    answers = [ask(player, observation[board], state[board], rng) for board in boards]
    return Answer(
        np.concatenate([answer.actions for answer in answers]),
        np.concatenate([answer.state for answer in answers]),
        {row: fault for row, answer in enumerate(answers) for fault in answer.faults.values()},
    )


def _ask_once(player: Player, observation: Observation, state: State, rng: np.random.Generator) -> Answer:
    given = player.act(observation, state, rng)
    try:
        actions, new_state = given
        actions, new_state = np.asarray(actions), np.asarray(new_state)
    except (TypeError, ValueError):
        raise _InvalidResultError(f"answered {given!r}") from None
    has_right_shape = actions.shape == (len(observation),) and new_state.shape == state.shape
    if not has_right_shape or actions.dtype.kind not in "iu" or new_state.dtype.kind not in "iu":
        raise _InvalidResultError(f"answered {actions.tolist()!r}")
    count = observation.action_mask.shape[1]
    outside = np.flatnonzero((actions < 0) | (actions >= count)).tolist()
    faults = {row: Fault("invalid_result", f"answered {actions[row]}") for row in outside}
    return Answer(actions.astype(np.int64), new_state, faults)


def _fault_of(error: Exception) -> Fault:
    if isinstance(error, _InvalidResultError):
        return Fault("invalid_result", str(error)[:_DETAIL_LENGTH])
    return Fault("exception", f"{type(error).__name__}: {error}"[:_DETAIL_LENGTH])
