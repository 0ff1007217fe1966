"""Random moves per second on one core, compared with PettingZoo: ``python -m benchmarks.game_core``."""

from __future__ import annotations

import time

import numpy as np
from pettingzoo.classic.connect_four import connect_four

from connectfour.games.connect_four.bitboard import COLUMNS, Boards
from connectfour.games.moves import pick_legal

_SECONDS = 3.0


def lockstep(boards: int) -> float:
    """Return the moves per second of random games on ``boards`` boards in lockstep."""
    games, rng, plies = Boards(boards), np.random.default_rng(0), 0
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _SECONDS:
        games.play(pick_legal(games.legal(), rng.random(boards)))
        plies += boards
        if games.over.any():
            games.reset(games.over)
    return plies / elapsed


def pettingzoo() -> float:
    """Return the moves per second of random games in PettingZoo's environment, one game at a time."""
    env, rng, plies = connect_four.env(), np.random.default_rng(0), 0
    env.reset()
    start = time.perf_counter()
    while (elapsed := time.perf_counter() - start) < _SECONDS:
        mask = env.observe(env.agent_selection)["action_mask"]
        env.step(int(rng.choice(np.arange(COLUMNS)[mask == 1])))
        plies += 1
        if any(env.terminations.values()):
            env.reset()
    return plies / elapsed


def main() -> None:
    """Measure and print a table."""
    rival = pettingzoo()
    print(f"{'random games':<34}{'moves/s':>12}{'ratio':>9}")
    print(f"{'PettingZoo, one game':<34}{rival:>12,.0f}{1:>9.0f}")
    for boards in (1, 32, 1024, 8192):
        speed = lockstep(boards)
        print(f"{f'lockstep, {boards:,} boards':<34}{speed:>12,.0f}{speed / rival:>9.1f}")


if __name__ == "__main__":
    main()
