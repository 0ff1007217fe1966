"""Measures how fast players are ranked, each figure as a ratio to a baseline in the same run: ``make bench``.

It compares games of two snapshots with a loop over PettingZoo's environment (one forward pass per move), and the time
of log and ratings with that of the games, all on one core. ``python -m benchmarks.ranking`` prints a table and writes
``benchmarks/ranking.json``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pettingzoo.classic import connect_four_v3
from rich.console import Console
from rich.table import Table

from connectfour.games.observation import Observation
from connectfour.match_log.lines import RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.matches.arena import BoardGame
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.matches.sandbox import Batch
from connectfour.networks.network import Precision, make_network
from connectfour.players.contract import Player
from connectfour.players.network_player import NetworkPlayer
from connectfour.settings.network import Architecture
from connectfour.tournament.plan import Limits, Plan
from connectfour.tournament.tournament import Tournament

RESULTS = Path(__file__).parent / "ranking.json"

_SECONDS = 6.0
_BATCHES = (20, 256, 2048)
"""Games at once: in a ranking of a hundred games per player, at most in any ranking, and in a large match."""


def seconds_per_unit(*work: Callable[[], int]) -> list[float]:
    """Return the seconds per unit of each of ``work``; they take turns, so that noise affects all of them."""
    done, seconds = [0] * len(work), [0.0] * len(work)
    for each in work:
        each()
    while sum(seconds) < _SECONDS * len(work):
        for index, each in enumerate(work):
            start = time.perf_counter()
            done[index] += each()
            seconds[index] += time.perf_counter() - start
    return [spent / units for spent, units in zip(seconds, done, strict=True)]


def snapshots(precision: Precision) -> tuple[Player, Player]:
    """Return two players with networks of the default size."""
    torch.manual_seed(0)
    networks = [make_network(Architecture(), precision=precision) for _ in range(2)]
    return NetworkPlayer("one", networks[0]), NetworkPlayer("other", networks[1])


def pettingzoo_game(players: tuple[Player, Player], rng: np.random.Generator) -> int:
    """Play one game in PettingZoo's environment, with one forward pass per move."""
    env = connect_four_v3.env()
    env.reset(seed=int(rng.integers(2**31)))
    by_agent = dict(zip(env.possible_agents, players, strict=True))
    states = {agent: player.initial_state(1) for agent, player in by_agent.items()}
    for agent in env.agent_iter():
        seen, _, terminated, truncated, _ = env.last()
        if terminated or truncated:
            env.step(None)
            continue
        observation = Observation(seen["observation"][None], seen["action_mask"][None])
        columns, states[agent] = by_agent[agent].act(observation, states[agent], rng)
        env.step(int(columns[0]))
    return 1


class DirectRunner:
    """Plays the batches of a ranking in this process, without Ray, and measures the time of the games."""

    def __init__(self, players: dict[str, Player]) -> None:
        """Play ``players``."""
        self.pending: list[Batch] = []
        self.lost: dict[str, int] = {}
        self.capacity = 4
        self.seconds = 0.0
        self._players = players

    def submit(self, batch: Batch) -> None:
        """Queue a batch."""
        self.pending.append(batch)

    def collect(self, timeout: float) -> list[GameRecord]:
        """Play the oldest batch."""
        batch = self.pending.pop(0)
        start = time.perf_counter()
        players = (self._players[batch.names[0]], self._players[batch.names[1]])
        rng = np.random.default_rng(batch.seed)
        records = batch.rules.play(players, batch.names, batch.games, rng, lambda _: None)
        self.seconds += time.perf_counter() - start
        return records

    def withdraw(self, name: str) -> None:
        """Do nothing: no player fails here."""

    def stop(self) -> None:
        """Do nothing: no batch is in flight."""


def overhead() -> float:
    """Return the time of log, ratings and pairing relative to that of 2,000 games between ten snapshots."""
    torch.manual_seed(1)
    players: dict[str, Player] = {
        f"p{number}": NetworkPlayer(f"p{number}", make_network(Architecture(), precision="auto"))
        for number in range(10)
    }
    with TemporaryDirectory() as folder, MatchLog.writing(Path(folder) / "matches.jsonl") as log:
        log.append([RankedPlayer(name, "snapshot") for name in players])
        runner: Any = DirectRunner(players)
        start = time.perf_counter()
        Tournament(players, log, runner, Plan()).run(Limits(matches=2000), lambda _: None)
        total = time.perf_counter() - start
    seconds: float = runner.seconds
    return total / seconds - 1


def main() -> None:
    """Measure everything, print the table and write the results."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    players, rng = snapshots("auto"), np.random.default_rng(0)
    rules = BoardGame(greedy=False)
    single = snapshots("float32")  # the faster one for a single board

    def lockstep(count: int) -> Callable[[], int]:
        seats = (("one", "other"), ("other", "one"))
        games = [GameSpec(number, *seats[number % 2]) for number in range(count)]
        return lambda: len(rules.play(players, ("one", "other"), games, rng, lambda _: None))

    theirs, *ours = seconds_per_unit(lambda: pettingzoo_game(single, rng), *map(lockstep, _BATCHES))
    rows = [
        (
            f"games per second of two snapshots, {count:,} at once, against one forward pass per move on PettingZoo",
            theirs / seconds,
            ">= 50" if count == max(_BATCHES) else "",
        )
        for count, seconds in zip(_BATCHES, ours, strict=True)
    ]
    rows.append(("log, ratings and pairing, as a share of the games' time", overhead(), "< 0.1"))
    table = Table("figure", "ratio", "required", title="ranking")
    for name, ratio, required in rows:
        table.add_row(name, f"{ratio:.3g}", required)
    Console().print(table)
    measured = {
        **{
            f"games per second, {count} at once": round(1 / each, 1) for count, each in zip(_BATCHES, ours, strict=True)
        },
        "games per second on PettingZoo": round(1 / theirs, 1),
    }
    sys.stdout.write(json.dumps(measured, indent=1) + "\n")
    figures = [{"figure": name, "ratio": round(ratio, 3), "required": required} for name, ratio, required in rows]
    RESULTS.write_text(json.dumps({"figures": figures, "measured": measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
