"""``connectfour rehearse``: rankings of agents whose levels are known, to see what a ranking is worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from connectfour.interrupt import stop_signals
from connectfour.matches.runner import MatchRunner
from connectfour.ranking.display import RankingDisplay, fault_table, save_figure, status_line
from connectfour.ranking.leaderboard import posterior_of, standings
from connectfour.ranking.level_game import Agent, ErrorRates, LevelGame, make_agents, pairwise_accuracy
from connectfour.ranking.matchlog import Entry, Matches, MatchLog
from connectfour.ranking.schedule import Pairing
from connectfour.ranking.tournament import Limits, Plan, Tournament
from connectfour.ray_session import cluster_size, ray_session

_COLOURS: dict[Pairing, str] = {"thompson": "#0072b2", "round_robin": "#d55e00", "random": "#999999"}


@dataclass(frozen=True)
class Rehearsal:
    """What is rehearsed.

    Attributes:
        agents: how many.
        matches: games of each ranking.
        rates: of errors.
        deadline: seconds after which an agent counts as hanging.
        pairings: schemes to play.
        seeds: rankings of each scheme, each with levels of its own.
    """

    agents: int
    matches: int
    rates: ErrorRates
    deadline: float
    pairings: tuple[Pairing, ...]
    seeds: tuple[int, ...]

    @property
    def marks(self) -> tuple[int, ...]:
        """After how many games accuracy is measured: 10, 30, 100, ... and at the end."""
        steps = (mantissa * 10**power for power in range(1, 7) for mantissa in (1, 3))
        return (*(step for step in steps if step < self.matches), self.matches)


Accuracies = dict[Pairing, dict[int, list[float]]]
"""By scheme and number of games, one of each seed."""


def rehearse(rehearsal: Rehearsal, figure: Path | None, console: Console) -> Accuracies:
    """Play all rankings, print what came of them, and draw accuracy against games into ``figure``.

    Raises:
        ClusterError: there is no Ray cluster where one was named.
        RankingError: games cannot be played.
    """
    found: Accuracies = {pairing: {mark: [] for mark in rehearsal.marks} for pairing in rehearsal.pairings}
    with ray_session(cpus=1):
        nodes, cores = cluster_size()
        console.print(f"Ray: {nodes} node{'s' * (nodes > 1)}, {cores:g} cores", highlight=False)
        for pairing in rehearsal.pairings:
            for seed in rehearsal.seeds:
                levels, matches = _play(rehearsal, pairing, seed, console)
                if matches is None:
                    return found
                for mark in rehearsal.marks:
                    order = posterior_of(matches.upto(mark)).order
                    found[pairing][mark].append(pairwise_accuracy(order, levels))
    seeds = len(rehearsal.seeds)
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    console.print(f"Share of pairs in the right order, {rehearsal.agents} agents{mean}:", highlight=False)
    console.print(_accuracy_table(found, rehearsal))
    if figure:
        _draw(found, rehearsal, figure)
        console.print(f"Accuracy against games: {figure}", highlight=False, soft_wrap=True)
    return found


def _play(
    rehearsal: Rehearsal, pairing: Pairing, seed: int, console: Console
) -> tuple[dict[str, float], Matches | None]:
    """Play one ranking and return the agents' levels and its log, or None if it was interrupted."""
    agents = make_agents(rehearsal.agents, seed)
    limits = Limits(matches=rehearsal.matches)
    plan = Plan(LevelGame(rehearsal.rates), pairing, opening_plies=0, batch_games=1, seed=seed)
    with TemporaryDirectory() as folder:
        log = MatchLog(Path(folder) / "matches.jsonl")
        with log.writing() as matches:
            entries = [Entry(agent.name, "agent") for agent in agents]
            log.append(entries)
            matches.players.update({each.name: each for each in entries})
            runner = MatchRunner({agent.name: agent.packed() for agent in agents}, deadline=rehearsal.deadline)
            tournament = Tournament([agent.name for agent in agents], log, matches, runner, plan)
            with (
                stop_signals(tournament.interrupt, "Stopping after the games that are under way"),
                RankingDisplay(console, limits) as display,
            ):
                progress = tournament.run(limits, display.show)
    games_seconds = progress.seconds - progress.rating_seconds
    console.print(
        f"{pairing}, seed {seed}: {status_line(progress, limits)}; {games_seconds:.1f} s for games, "
        f"{progress.rating_seconds:.1f} s for log and ratings",
        soft_wrap=True,
        highlight=False,
    )
    if len(rehearsal.seeds) * len(rehearsal.pairings) == 1:
        console.print(_truth_table(matches, agents))
        console.print(fault_table(matches))
    return {agent.name: agent.level for agent in agents}, None if tournament.interrupted else matches


def _truth_table(matches: Matches, agents: Sequence[Agent]) -> Table:
    levels = {agent.name: agent.level for agent in agents}
    truth = sorted(levels, key=lambda name: -levels[name])
    table = Table("rank", "agent", "true rank", "level", "skill", "95 %", "games", title="recovered order")
    for line in standings(matches):
        cells = (str(line.rank), line.player, str(truth.index(line.player) + 1), f"{levels[line.player]:.1f}")
        table.add_row(*cells, f"{line.mu:.1f}", f"{line.low95:.1f} to {line.high95:.1f}", str(line.games))
    return table


def _accuracy_table(found: Accuracies, rehearsal: Rehearsal) -> Table:
    table = Table()
    table.add_column("games", justify="right")
    for pairing in rehearsal.pairings:
        table.add_column(pairing, justify="right")
    for mark in rehearsal.marks:
        table.add_row(f"{mark:,}", *(f"{fmean(found[pairing][mark]):.3f}" for pairing in rehearsal.pairings))
    return table


def _draw(found: Accuracies, rehearsal: Rehearsal, picture: Path) -> None:
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for pairing, by_mark in found.items():
        means = [fmean(by_mark[mark]) for mark in rehearsal.marks]
        axes.plot(rehearsal.marks, means, marker="o", color=_COLOURS[pairing], label=pairing)
        lows, highs = ([pick(by_mark[mark]) for mark in rehearsal.marks] for pick in (min, max))
        axes.fill_between(rehearsal.marks, lows, highs, color=_COLOURS[pairing], alpha=0.1, linewidth=0)
    axes.set_xscale("log")
    axes.set_xlabel("games")
    axes.set_ylabel("share of pairs in the right order")
    seeds = len(rehearsal.seeds)
    axes.set_title(f"{rehearsal.agents} agents of known levels, {seeds} seeds: mean, and from worst to best")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    picture.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, picture)
