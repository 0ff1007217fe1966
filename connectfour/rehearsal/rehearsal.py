"""Rehearses rankings: agents with known levels play, and the recovered order is compared with the true one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

from connectfour.cluster.session import ray_session
from connectfour.match_log.lines import RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.matches.runner import MatchRunner, check_workers
from connectfour.rehearsal.figures import draw_accuracy
from connectfour.rehearsal.level_game import Agent, ErrorRates, LevelGame, make_agents, pairwise_accuracy
from connectfour.runs.folder import RunFolder
from connectfour.standings.leaderboard import posterior_of
from connectfour.system.observer import ConsoleObserver, Observer
from connectfour.tournament.display import last_line
from connectfour.tournament.outputs import check_picture
from connectfour.tournament.pairing import Pairing
from connectfour.tournament.plan import Limits, Plan
from connectfour.tournament.session import play
from connectfour.tournament.tournament import Tournament

# Together, two slow agents exceed the time of one, though neither exceeds its own.
_SLOW_SHARE = 0.7


@dataclass(frozen=True)
class Rehearsal:
    """The settings of a rehearsal.

    Attributes:
        agents: number of agents.
        matches: games per ranking.
        rates: how often games meet errors.
        deadline: seconds that each agent may use in a game; whoever exceeds it counts as hanging.
        pairings: pairing schemes to compare.
        seeds: one ranking per scheme and seed; each seed has its own levels.
    """

    agents: int
    matches: int
    rates: ErrorRates
    deadline: float
    pairings: tuple[Pairing, ...]
    seeds: tuple[int, ...]

    @property
    def marks(self) -> tuple[int, ...]:
        """Numbers of games after which accuracy is measured: 10, 30, 100, ... and the end."""
        steps = (mantissa * 10**power for power in range(1, 7) for mantissa in (1, 3))
        return (*(step for step in steps if step < self.matches), self.matches)


@dataclass(frozen=True)
class RehearsedRanking:
    """One ranking of a rehearsal.

    Attributes:
        pairing, seed: its pairing scheme and seed.
        agents: the agents with their levels.
        log: the games.
        accuracy: share of pairs in the right order by number of games, for the marks that were reached.
    """

    pairing: Pairing
    seed: int
    agents: list[Agent]
    log: MatchLog
    accuracy: dict[int, float]


@dataclass(frozen=True)
class RehearsalResult:
    """What a rehearsal found.

    Attributes:
        rankings: in the order in which they were played.
        interrupted: whether Ctrl-C ended it; the last ranking is then incomplete.
    """

    rankings: list[RehearsedRanking]
    interrupted: bool

    @property
    def accuracies(self) -> dict[Pairing, dict[int, list[float]]]:
        """One accuracy per seed, by scheme and number of games."""
        found: dict[Pairing, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for ranking in self.rankings:
            for games, accuracy in ranking.accuracy.items():
                found[ranking.pairing][games].append(accuracy)
        return {pairing: dict(by_games) for pairing, by_games in found.items()}


def rehearse(
    rehearsal: Rehearsal,
    figure: str | Path | None = None,
    *,
    address: str | None = None,
    observer: Observer | None = None,
) -> RehearsalResult:
    """Play all rankings of ``rehearsal``, and unless interrupted, draw accuracy against games into ``figure``, a PNG.

    Args:
        rehearsal: what to play.
        figure: the file to draw into, if any.
        address: a Ray cluster, as for ``ray.init``; by default Ray runs on this machine during the rehearsal.
        observer: receives progress reports; by default they are printed.

    Raises:
        ClusterError: no cluster answers at ``address``.
        RankingError: ``figure`` cannot be written, or games cannot be played.
    """
    if figure:
        check_picture(Path(figure))
    rankings: list[RehearsedRanking] = []
    interrupted = False
    with ray_session(address), observer or ConsoleObserver() as reporting:
        reporting.say(f"Ray: {check_workers()}")
        for pairing, seed in product(rehearsal.pairings, rehearsal.seeds):
            ranking, interrupted = _play_ranking(rehearsal, pairing, seed, reporting)
            rankings.append(ranking)
            if interrupted:
                break
    result = RehearsalResult(rankings, interrupted)
    if figure and not interrupted:
        draw_accuracy(result.accuracies, Path(figure), agents=rehearsal.agents, seeds=len(rehearsal.seeds))
    return result


def _play_ranking(
    rehearsal: Rehearsal, pairing: Pairing, seed: int, observer: Observer
) -> tuple[RehearsedRanking, bool]:
    """Play one ranking, and return it and whether it was interrupted."""
    agents = make_agents(rehearsal.agents, seed)
    limits = Limits(matches=rehearsal.matches)
    rules = LevelGame(rehearsal.rates, slow_seconds=_SLOW_SHARE * rehearsal.deadline)
    plan = Plan(rules, pairing, opening_plies=0, batch_games=1, seed=seed)
    with TemporaryDirectory() as folder, MatchLog.writing(RunFolder(Path(folder)).match_log) as log:
        log.append([RankedPlayer(agent.name, "agent") for agent in agents])
        runner = MatchRunner({agent.name: agent.encoded() for agent in agents}, deadline=rehearsal.deadline)
        tournament = Tournament([agent.name for agent in agents], log, runner, plan)
        progress = play(tournament, limits, observer, "Stopping after the games under way")
    observer.show(lambda: f"{pairing}, seed {seed}: {last_line(progress, limits)}", urgent=True)
    observer.close()
    levels = {agent.name: agent.level for agent in agents}
    accuracy = {
        games: pairwise_accuracy(posterior_of(log.upto(games)).order, levels)
        for games in rehearsal.marks
        if games <= len(log.games)
    }
    return RehearsedRanking(pairing, seed, agents, log, accuracy), tournament.interrupted
