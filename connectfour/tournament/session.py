"""Ranks players by games: from their names to a leaderboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectfour.errors import ConfigError, RankingError
from connectfour.match_log.lines import PlaySettings
from connectfour.match_log.log import MatchLog
from connectfour.matches.arena import BoardGame, check_openings
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import is_player, lost_members, read_run
from connectfour.runs.folder import RANKING_FILES, RunFolder
from connectfour.settings.game import GameSettings
from connectfour.settings.resources import MatchDemand
from connectfour.standings.figures import draw_leaderboard
from connectfour.standings.leaderboard import Order, Standing, write_tables
from connectfour.standings.recorded import read_games
from connectfour.storage.address import address_of, is_remote
from connectfour.storage.working_copy import writable
from connectfour.system.observer import ConsoleObserver, Observer
from connectfour.system.signals import stop_signals
from connectfour.tournament.display import LiveRanking, last_line, status_line
from connectfour.tournament.entrants import find_entrants, game_of_specs, named_as_in, register
from connectfour.tournament.outputs import check_folder
from connectfour.tournament.plan import Limits, Plan
from connectfour.tournament.tournament import Progress, Tournament

if TYPE_CHECKING:
    from connectfour.cluster.gauges import Gauges

_GAMES_PER_PLAYER = 100


@dataclass(frozen=True)
class Ranking:
    """A ranking whose tables are on disk.

    Attributes:
        folder: where its log, tables and picture are.
        log: every game.
        standings: the leaderboard, the strongest first.
        unrated: ids of games that the package ``trueskill`` could not rate; they count in everything else.
        order: what the leaderboard is sorted by.
        interrupted: whether Ctrl-C ended it.
    """

    folder: RunFolder
    log: MatchLog
    standings: list[Standing]
    unrated: tuple[int, ...]
    order: Order = "posterior"
    interrupted: bool = False

    @property
    def title(self) -> str:
        """What was ranked, and the number of games."""
        return f"{self.folder.path.resolve().name}: {len(self.log.games):,} games"


def default_output(specs: Sequence[str]) -> Path:
    """Return the first run folder among ``specs``, or ``ranking``."""
    return next((Path(spec) for spec in specs if Path(spec).is_dir() or is_remote(spec)), Path("ranking"))


def rank(
    specs: Sequence[str | Path],
    output: str | Path | None = None,
    limits: Limits | None = None,
    plan: Plan | None = None,
    *,
    order: Order = "posterior",
    deadline: float = 60.0,
    resources: MatchDemand | None = None,
    address: str | None = None,
    dashboard: bool = False,
    observer: Observer | None = None,
) -> Ranking:
    """Rank players and the members of runs, resuming a ranking that is already in ``output``.

    The anchors of the game always take part: random, tactical, minimax:2 and minimax:4 in Connect Four. Ctrl-C ends
    the ranking after the games under way.

    Args:
        specs: run folders, each standing for its members and guests, and players such as ``heuristic:linear``.
        output: folder of the log, the tables and the picture; by default the first run folder, else ``ranking``.
        limits: when to stop; by default after 100 games per player, which is also what ``share`` refers to.
        plan: how to play.
        order: what to sort the leaderboard by: the joint ``posterior``, or the sequential ratings of ``trueskill``.
        deadline: seconds that each player may use in a batch of games; whoever exceeds it loses the game.
        resources: what a batch of games asks Ray for; by default one core.
        address: a Ray cluster, as for ``ray.init``; by default Ray runs on this machine during the ranking.
        dashboard: also start Ray's dashboard and say where it is; a cluster has its own.
        observer: receives progress reports; by default they are printed.

    Raises:
        PlayerError, RunFolderError, SnapshotError: a spec names no player, or a file is damaged.
        ConfigError: ``specs`` is empty, or the dashboard is not installed.
        RankingError: ``output`` cannot be written; its log is damaged, in use, or holds other games or other players
            with the same names; or games cannot be played.
        ClusterError: no cluster answers at ``address``, or none of its nodes has what ``resources`` asks for.
    """
    names = [specs] if isinstance(specs, str) else [str(spec) for spec in specs]
    if not names:
        raise ConfigError("there is nobody to rank: name a run folder or players, for example heuristic:linear")
    if dashboard:
        from connectfour.cluster.dashboard import require_dashboard
        from connectfour.cluster.session import runs_here

        if runs_here(address):
            require_dashboard()
    reporting = observer or ConsoleObserver()
    with _folder_at(output or default_output(names), reporting) as folder:
        demand = resources or MatchDemand()
        return _rank(
            names,
            folder,
            limits or Limits(),
            plan or plan_for(names),
            order,
            deadline,
            demand,
            address,
            reporting,
            dashboard=dashboard,
        )


def plan_for(
    specs: Sequence[str],
    game: GameSettings | None = None,
    *,
    greedy: bool = True,
    opening_plies: int | None = None,
    **others: Any,
) -> Plan:
    """Return a plan for the game of ``specs``.

    Args:
        specs: as in ``rank``.
        game: the game; by default that of the first run or network.
        greedy: networks play their most probable action.
        opening_plies: random plies before each game; by default those of the game.
        others: other attributes of ``Plan``.

    Raises:
        PlayerError, RunFolderError, SnapshotError: as in ``rank``.
    """
    game = game or game_of_specs(specs)
    plies = game.rules.opening_plies if opening_plies is None else opening_plies
    check_openings(game.rules, plies)
    return Plan(BoardGame(greedy=greedy, game=game), opening_plies=plies, **others)


@contextmanager
def _folder_at(place: str | Path, observer: Observer) -> Iterator[RunFolder]:
    """Yield the folder of a ranking, which may be in an object store; its log is written there now and then."""

    def refusal(owner: str) -> RankingError:
        return RankingError(f"{owner} is ranking in {place}: wait for it or stop it")

    with writable(place, "rank", *RANKING_FILES, refusal=refusal, say=observer.say) as folder:
        run = RunFolder(folder, address_of(place))
        check_folder(run)
        yield run


def _rank(
    names: Sequence[str],
    folder: RunFolder,
    limits: Limits,
    plan: Plan,
    order: Order,
    deadline: float,
    demand: MatchDemand,
    address: str | None,
    observer: Observer,
    *,
    dashboard: bool,
) -> Ranking:
    """Rank into a local folder."""
    notes: list[str] = []
    game = plan.rules.game if isinstance(plan.rules, BoardGame) else None
    players = find_entrants(names, notes.append, game)
    if limits.lacks_matches:
        limits = replace(limits, matches=_GAMES_PER_PLAYER * len(players))
    with MatchLog.writing(folder.match_log) as log, observer as reporting:
        settings = PlaySettings(plan.opening_plies, plan.rules.describe())
        if log.settings is not None and log.settings != settings:
            raise RankingError(
                f"the games in {log.path} were played with {log.settings}, not {settings}: choose another --output"
            )
        players = named_as_in(log, players)
        from connectfour.cluster.dashboard import describe_dashboard
        from connectfour.cluster.gauges import Gauges
        from connectfour.cluster.session import ray_session
        from connectfour.matches.runner import MatchRunner, check_workers

        with ray_session(address, dashboard=dashboard) as session:
            reporting.say(f"Ray: {check_workers(demand)}")
            if dashboard:
                reporting.say(describe_dashboard())
            _register(log, settings, players, reporting)
            # A Ray that this command has started serves nobody else.
            busy = Observer().say if session else reporting.say
            tournament = Tournament(
                players, log, MatchRunner(players, deadline=deadline, demand=demand, say=busy), plan
            )
            already = f", {len(log.games):,} games already played" if log.games else ""
            reporting.say(f"{len(players)} players{already}; Ctrl-C stops, and the same command resumes.")
            for run in (read_run(name) for name in names if not is_player(name)):
                notes += [f"{lost} of {run} is left out: its file is lost." for lost in lost_members(run)]
            for note in notes:
                reporting.say(note)
            promise = "Stopping after the games under way; the same command resumes"
            progress = play(tournament, limits, reporting, promise, Gauges(folder.path.resolve().name))
            reporting.show(partial(last_line, progress, limits), urgent=True)
        return _write_results(folder, log, order, tournament)


def play(
    tournament: Tournament, limits: Limits, observer: Observer, promise: str, gauges: Gauges | None = None
) -> Progress:
    """Play a tournament to its limits, or to Ctrl-C, which prints ``promise``; report to ``observer`` and ``gauges``.

    Raises:
        RankingError: games cannot be played.
    """

    def show(progress: Progress) -> None:
        observer.show(partial(status_line, progress, limits), partial(LiveRanking, progress, limits))
        if gauges:
            gauges.publish({"games_per_second": progress.games_per_second})

    with stop_signals(tournament.interrupt, promise):
        return tournament.run(limits, show)


def rebuild_tables(folder: str | Path, order: Order = "posterior") -> Ranking:
    """Rebuild all tables and the picture from the log in ``folder``; ``order`` as in ``rank``.

    Raises:
        RankingError: there is no log, it is damaged, or ``folder`` cannot be written.
    """
    with _folder_at(folder, Observer()) as run:
        return _write_results(run, read_games(run.path), order)


def _write_results(folder: RunFolder, log: MatchLog, order: Order, tournament: Tournament | None = None) -> Ranking:
    leaderboard = write_tables(log, folder.path, order)
    ranking = Ranking(
        folder,
        log,
        leaderboard.standings,
        unrated=leaderboard.unrated,
        order=order,
        interrupted=tournament is not None and tournament.interrupted,
    )
    draw_leaderboard(log, ranking.standings, folder.leaderboard_picture, ranking.title)
    return ranking


def _register(log: MatchLog, settings: PlaySettings, players: Mapping[str, EncodedPlayer], observer: Observer) -> None:
    """Log the settings, and new players with their grades."""
    if log.settings is None:
        log.append([settings])
    new = [player for name, player in players.items() if name not in log.players]
    if new:
        if any(player.graded is None for player in new):
            observer.say(f"Grading {len(new)} players on solved positions ...")
        log.append([register(player) for player in new])
