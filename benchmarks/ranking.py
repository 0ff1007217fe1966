"""How fast players are ranked, each figure a ratio against a rival of the same run: ``make bench``.

Games of two snapshots against a loop over PettingZoo's environment with one forward pass a move; one TrueSkill update
against the ``trueskill`` package with its scipy backend; log and ratings against the games themselves. All on one core.
``python -m benchmarks.ranking`` prints a table and writes ``benchmarks/ranking.json``.
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
import trueskill
from pettingzoo.classic import connect_four_v3
from rich.console import Console
from rich.table import Table

from connectfour.config import NetworkSettings
from connectfour.matches.arena import ConnectFour
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.matches.sandbox import Batch
from connectfour.networks.network import ConnectFourNetwork, Precision
from connectfour.players.contract import Player
from connectfour.players.network_player import NetworkPlayer
from connectfour.ranking.matchlog import Entry, MatchLog
from connectfour.ranking.tournament import Limits, Plan, Tournament
from connectfour.ranking.trueskill import Rating, update

RESULTS = Path(__file__).parent / "ranking.json"

_SECONDS = 6.0
_BATCHES = (20, 256, 2048)
"""Games at once: what a ranking of a hundred games a player plays, the most that a ranking plays, and a large match."""


def seconds_a_unit(*work: Callable[[], int]) -> list[float]:
    """Return the seconds that each of ``work`` takes for a unit; they take turns, so that noise strikes all of them."""
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
    networks = [ConnectFourNetwork(NetworkSettings(), precision=precision) for _ in range(2)]
    return NetworkPlayer("one", networks[0]), NetworkPlayer("other", networks[1])


def pettingzoo_game(players: tuple[Player, Player], rng: np.random.Generator) -> int:
    """Play one game in PettingZoo's environment, one forward pass a move."""
    env = connect_four_v3.env()
    env.reset(seed=int(rng.integers(2**31)))
    by_agent = dict(zip(env.possible_agents, players, strict=True))
    states = {agent: player.initial_state(1) for agent, player in by_agent.items()}
    for agent in env.agent_iter():
        seen, _, terminated, truncated, _ = env.last()
        if terminated or truncated:
            env.step(None)
            continue
        columns, states[agent] = by_agent[agent].act(
            seen["observation"][None], seen["action_mask"][None], states[agent], rng
        )
        env.step(int(columns[0]))
    return 1


class DirectRunner:
    """Plays the batches of a ranking in this process, without Ray, and notes how long the games took."""

    def __init__(self, players: dict[str, Player]) -> None:
        """Play ``players``."""
        self.pending: list[Batch] = []
        self.lost: dict[str, int] = {}
        self.capacity = 4
        self.seconds = 0.0
        self._players = players

    def submit(self, batch: Batch) -> None:
        """Keep a batch for later."""
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
        """Nobody fails here."""

    def stop(self) -> None:
        """Nothing runs."""


def overhead() -> float:
    """Return the time of log, ratings and pairing as a share of the time of the games, 2,000 of ten snapshots."""
    torch.manual_seed(1)
    players: dict[str, Player] = {
        f"p{number}": NetworkPlayer(f"p{number}", ConnectFourNetwork(NetworkSettings(), precision="auto"))
        for number in range(10)
    }
    with TemporaryDirectory() as folder:
        log = MatchLog(Path(folder) / "matches.jsonl")
        with log.writing() as matches:
            entries = [Entry(name, "snapshot") for name in players]
            log.append(entries)
            matches.players.update({entry.name: entry for entry in entries})
            runner: Any = DirectRunner(players)
            start = time.perf_counter()
            Tournament(players, log, matches, runner, Plan(ConnectFour())).run(Limits(matches=2000), lambda _: None)
            total = time.perf_counter() - start
    seconds: float = runner.seconds
    return total / seconds - 1


def main() -> None:
    """Measure everything, print the table and write the results."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    players, rng = snapshots("auto"), np.random.default_rng(0)
    rules = ConnectFour(greedy=False)
    single = snapshots("float32")  # the faster one for a single board

    def lockstep(count: int) -> Callable[[], int]:
        seats = (("one", "other"), ("other", "one"))
        games = [GameSpec(number, *seats[number % 2]) for number in range(count)]
        return lambda: len(rules.play(players, ("one", "other"), games, rng, lambda _: None))

    theirs, *ours = seconds_a_unit(lambda: pettingzoo_game(single, rng), *map(lockstep, _BATCHES))
    environment = trueskill.TrueSkill(tau=0, draw_probability=0.1, backend="scipy")
    margin = trueskill.calc_draw_margin(0.1, 2, environment)
    ratings = [(Rating(*pair[:2]), Rating(*pair[2:])) for pair in rng.uniform([20, 1, 20, 1], [30, 8, 30, 8], (300, 4))]
    results = rng.choice([1, 0], p=[0.9, 0.1], size=len(ratings)).tolist()

    def closed_form() -> int:
        for (first, second), result in zip(ratings, results, strict=True):
            update(first, second, result, margin)
        return len(ratings)

    packaged = [[environment.create_rating(*rating) for rating in pair] for pair in ratings]

    def package() -> int:
        for (first, second), result in zip(packaged, results, strict=True):
            environment.rate_1vs1(first, second, drawn=result == 0)
        return len(ratings)

    our_update, their_update = seconds_a_unit(closed_form, package)
    rows = [
        (
            f"games a second of two snapshots, {count:,} at once, against one forward pass a move on PettingZoo",
            theirs / seconds,
            ">= 50" if count == max(_BATCHES) else "",
        )
        for count, seconds in zip(_BATCHES, ours, strict=True)
    ]
    rows += [
        ("TrueSkill updates a second, against the package", their_update / our_update, ">= 50"),
        ("log, ratings and pairing, as a share of the games' time", overhead(), "< 0.1"),
    ]
    table = Table("figure", "ratio", "required", title="ranking")
    for name, ratio, required in rows:
        table.add_row(name, f"{ratio:.3g}", required)
    Console().print(table)
    measured = {
        **{f"games a second, {count} at once": round(1 / each, 1) for count, each in zip(_BATCHES, ours, strict=True)},
        "games a second on PettingZoo": round(1 / theirs, 1),
        "updates a second": round(1 / our_update),
        "updates a second of the package": round(1 / their_update),
    }
    sys.stdout.write(json.dumps(measured, indent=1) + "\n")
    figures = [{"figure": name, "ratio": round(ratio, 3), "required": required} for name, ratio, required in rows]
    RESULTS.write_text(json.dumps({"figures": figures, "measured": measured}, indent=1) + "\n")


if __name__ == "__main__":
    main()
