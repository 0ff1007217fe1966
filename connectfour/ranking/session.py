"""``connectfour rank``: from names to a leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from connectfour.errors import RankingError
from connectfour.interrupt import stop_signals
from connectfour.players.packed import PackedPlayer
from connectfour.ranking.display import RankingDisplay, draw_leaderboard, fault_table, standings_table
from connectfour.ranking.entrants import entry, find_entrants
from connectfour.ranking.leaderboard import Standing, write_tables
from connectfour.ranking.matchlog import Matches, MatchLog
from connectfour.ranking.recorded import LOG, read_games
from connectfour.ranking.table import PICTURE
from connectfour.ranking.tournament import Limits, Plan, Tournament

_GAMES_A_PLAYER = 100


def default_output(specs: Sequence[str]) -> Path:
    """Return the folder of the first run among ``specs``, or ``ranking``."""
    return next((Path(spec) for spec in specs if Path(spec).is_dir()), Path("ranking"))


def rank(
    specs: Sequence[str], output: Path, limits: Limits | None, plan: Plan, deadline: float, console: Console
) -> list[Standing]:
    """Rank players and the members of runs into ``output``, going on with what is there.

    Without ``limits``, a hundred games a player are played.

    Raises:
        PlayerError, RunFolderError, SnapshotError: a spec names nobody, or a file is damaged.
        RankingError: the log is damaged, in use, or knows another player of the same name; or games cannot be played.
        ClusterError: there is no Ray cluster where one was named.
    """
    players = find_entrants(specs)
    if len(players) < 2:
        raise RankingError("there is nobody to play against: name at least two players")
    log = MatchLog(output / LOG)
    with log.writing() as matches:
        _agree(plan, log, matches)
        _join(players, log, matches, console)
        limits = limits or Limits(matches=_GAMES_A_PLAYER * len(players))
        _play(players, log, matches, limits, plan, deadline, console)
        return report(matches, output, console)


def replay(output: Path, console: Console) -> list[Standing]:
    """Make all tables and the picture again from the log in ``output``.

    Raises:
        RankingError: there is no log, or it is damaged.
    """
    return report(read_games(output), output, console)


def report(matches: Matches, output: Path, console: Console) -> list[Standing]:
    """Write tables and picture, and print the leaderboard."""
    lines = write_tables(matches, output)
    title = f"{output.resolve().name}: {len(matches.games):,} games"
    draw_leaderboard(matches, lines, output / PICTURE, title)
    console.print(standings_table(lines, title=title))
    if matches.faults:
        console.print(fault_table(matches))
    for name, reason in matches.set_aside.items():
        console.print(f"{name} was set aside: {reason}.", highlight=False)
    if matches.repeated:
        console.print(f"{len(matches.repeated):,} games repeat another one and are not counted.", highlight=False)
    console.print(
        "Skill: of all games at once, in TrueSkill units, the mean of all put at 25. > next: probability of being\n"
        "better than the next one. 1st, 2nd: share of points by seat. graded: share of solved positions kept.\n"
        f"Tables and picture: {output}/leaderboard.csv, crosstable.csv, leaderboard.png; every game: {output}/{LOG}",
        soft_wrap=True,
        highlight=False,
    )
    return lines


def _agree(plan: Plan, log: MatchLog, matches: Matches) -> None:
    """See that all games of a log are played alike: others are games of other players."""
    settings = {"rules": repr(plan.rules), "opening_plies": plan.opening_plies}
    if not matches.settings:
        log.append([settings])
        matches.settings.update(settings)
    elif matches.settings != settings:
        raise RankingError(
            f"the games in {log.path} were played with {_listed(matches.settings)}, not {_listed(settings)}: rank into "
            "another --output"
        )


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _join(players: dict[str, PackedPlayer], log: MatchLog, matches: Matches, console: Console) -> None:
    """Note who is new, with their grades."""
    for name, player in players.items():
        known = matches.players.get(name)
        if known and known.sha256 != player.sha256:
            raise RankingError(f"{log.path} knows another player called {name}: rank into another --output")
    new = [player for name, player in players.items() if name not in matches.players]
    if not new:
        return
    console.print(f"Grading {len(new)} players on solved positions ...", highlight=False)
    entries = [entry(player) for player in new]
    log.append(entries)
    matches.players.update({each.name: each for each in entries})


def _play(
    players: dict[str, PackedPlayer],
    log: MatchLog,
    matches: Matches,
    limits: Limits,
    plan: Plan,
    deadline: float,
    console: Console,
) -> None:
    from connectfour.matches.runner import MatchRunner
    from connectfour.ray_session import ray_session

    with ray_session(cpus=1):
        runner = MatchRunner(players, deadline=deadline)
        tournament = Tournament(players, log, matches, runner, plan)
        played = f", {len(matches.games):,} games are played already" if matches.games else ""
        console.print(f"{len(players)} players{played}; Ctrl-C stops it so that it can go on later.", highlight=False)
        promise = "Stopping after the games that are under way; the same command goes on"
        with stop_signals(tournament.interrupt, promise), RankingDisplay(console, limits) as display:
            tournament.run(limits, display.show)
        if tournament.stalled:
            console.print("Stopped: more games of this kind do not make skills better known.", highlight=False)
