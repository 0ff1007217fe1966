"""Asks a player for its columns, and tells what is wrong with an answer.

A player may raise, or answer with anything. Where that happens on some boards of many, the others are not harmed: the
player is asked again board by board.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from connectfour.games.connect_four.bitboard import COLUMNS, Columns
from connectfour.games.observation import Observation
from connectfour.matches.records import Termination
from connectfour.players.contract import Player
from heuristics import State

_DETAIL_LENGTH = 120


@dataclass
class Answer:
    """Columns (N,) int64, the player's new state, and the rows whose answer is none, with what it was instead."""

    columns: Columns
    state: State
    faults: dict[int, tuple[Termination, str]] = field(default_factory=dict)


class _InvalidResultError(Exception):
    """An answer that is no array of columns."""


def ask(
    player: Player,
    observation: Observation,
    state: State,
    rng: np.random.Generator,
) -> Answer:
    """Ask ``player`` for its columns on N boards; arguments as of ``Player.act``.

    A column from 0 to 6 is an answer, also if it is full.
    """
    try:
        return _asked(player, observation, state, rng)
    except Exception as error:  # noqa: BLE001  # whatever the player's code raises
        if len(observation) == 1:
            kind: Termination = "invalid_result" if isinstance(error, _InvalidResultError) else "exception"
            text = str(error) if kind == "invalid_result" else f"{type(error).__name__}: {error}"
            return Answer(np.zeros(1, dtype=np.int64), state, {0: (kind, text[:_DETAIL_LENGTH])})
    rows = [slice(row, row + 1) for row in range(len(observation))]
    answers = [ask(player, observation[row], state[row], rng) for row in rows]
    return Answer(
        np.concatenate([answer.columns for answer in answers]),
        np.concatenate([answer.state for answer in answers]),
        {row: fault for row, answer in enumerate(answers) for fault in answer.faults.values()},
    )


def _asked(
    player: Player,
    observation: Observation,
    state: State,
    rng: np.random.Generator,
) -> Answer:
    given = player.act(observation, state, rng)
    try:
        columns, after = given
        columns, after = np.asarray(columns), np.asarray(after)
    except (TypeError, ValueError):
        raise _InvalidResultError(f"answered {given!r}") from None
    fits = columns.shape == (len(observation),) and after.shape == state.shape
    if not fits or columns.dtype.kind not in "iu" or after.dtype.kind not in "iu":
        raise _InvalidResultError(f"answered {columns.tolist()!r}")
    outside = np.flatnonzero((columns < 0) | (columns >= COLUMNS))
    faults: dict[int, tuple[Termination, str]] = {
        row: ("invalid_result", f"answered {columns[row]}") for row in outside.tolist()
    }
    return Answer(columns.astype(np.int64), after, faults)
