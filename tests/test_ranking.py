"""Rankings on a real Ray: to their end, killed, with failing players, with a node that goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from itertools import combinations, cycle, islice
from pathlib import Path
from typing import Any

import pytest

from connectfour.errors import RankingError
from connectfour.games.registry import make_game
from connectfour.games.result import Result
from connectfour.match_log.lines import Ended, RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.matches.arena import BoardGame
from connectfour.matches.records import GameRecord, GameSpec
from connectfour.matches.runner import MatchRunner
from connectfour.matches.sandbox import Batch, Rules
from connectfour.players.names import encode_members, encode_player
from connectfour.rehearsal.level_game import Agent, ErrorRates, LevelGame, make_agents
from connectfour.runs.folder import RunFolder
from connectfour.standings.best import ratings
from connectfour.tournament.entrants import find_entrants
from connectfour.tournament.plan import Limits, Plan
from connectfour.tournament.session import rank
from connectfour.tournament.tournament import Progress, Tournament
from tests.level_games import OneFails, WaitingGame
from tests.runs import make_run

ANCHORS = make_game().anchors


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with two heuristics, two snapshots and a main."""
    return make_run(tmp_path / "demo", heuristics=("random", "linear"))


def play(
    folder: Path, agents: list[Agent], limits: Limits, rules: Rules, deadline: float = 5.0, **plan: Any
) -> tuple[MatchLog, Progress, Tournament]:
    """Rank agents, and return what is in the log afterwards."""
    path = folder / "matches.jsonl"
    with MatchLog.writing(path) as log:
        log.append([RankedPlayer(agent.name, "agent") for agent in agents if agent.name not in log.players])
        runner = MatchRunner({agent.name: agent.encoded() for agent in agents}, deadline=deadline)
        tournament = Tournament([agent.name for agent in agents], log, runner, Plan(rules, opening_plies=0, **plan))
        progress = tournament.run(limits, lambda _: None)
    return MatchLog.read(path), progress, tournament


def test_everybody_of_a_run_is_ranked_with_the_anchors(run: Path) -> None:
    """Frozen policies, heuristics, the newest checkpoint's policy and further players, once each."""
    said: list[str] = []
    found = find_entrants([str(run), "heuristic:minimax:3", f"snapshot:{run}/v1"], said.append)
    assert set(found) == {"random", "linear", "v0001", "v0002", "main@3", "minimax:3", *ANCHORS}
    assert said == ["demo/v0001 is v0001: they have the same weights."]
    twice = find_entrants([str(run), f"{run}/"])
    assert set(twice) == {"random", "linear", "demo/v0001", "demo/v0002", "demo/main@3", *ANCHORS}


def test_guests_are_ranked_with_their_run(run: Path) -> None:
    """As a member of the run that trained it, if that run is ranked too: the same weights are the same player."""
    specs = [f"snapshot:{run}/v1", f"snapshot:{run}/main"]
    host = make_run(run.with_name("host"), heuristics=("random",), networks=("v0001",), guests=specs, first_seed=7)
    assert {player.name for player in encode_members(RunFolder(host))} == {"random", "v0001"}, "the best is one of them"
    found = find_entrants([str(host)])
    assert set(found) == {"v0001", "demo-v1", "demo-main", *ANCHORS}
    assert (found["demo-v1"].kind, found["demo-v1"].iteration) == ("snapshot", None)
    both = find_entrants([str(host), str(run)])
    own = {"demo/v0001", "demo/v0002", "demo/main@3"}
    assert set(both) == {"host/v0001", "linear", *own, *ANCHORS}
    assert both["demo/v0001"].iteration == 1
    named = find_entrants([str(host), f"snapshot:{run}/v1"])
    assert set(named) == {"v0001", "demo/v0001", "demo-main", *ANCHORS}
    other = make_run(run.with_name("other"), networks=("v0001",), guests=specs[:1], first_seed=8)
    two = find_entrants([str(host), str(other)])
    assert [name for name in two if "demo" in name] == ["host/demo-v1", "host/demo-main"]


@pytest.mark.usefixtures("ray_session")
def test_a_guest_keeps_its_name_when_its_own_run_joins(run: Path) -> None:
    """So it is on the leaderboard once."""
    specs = [f"snapshot:{run}/v1"]
    host = make_run(run.with_name("host"), heuristics=("random",), networks=("v0001",), guests=specs, first_seed=7)
    rank([host], limits=Limits(matches=2))
    ranking = rank([host, run], limits=Limits(matches=2))
    names = [line.name for line in ranking.standings]
    assert sorted(names) == sorted(["v0001", "demo-v1", "demo/v0002", "demo/main@3", "linear", *ANCHORS])
    log = MatchLog.read(host / "matches.jsonl")
    assert log.name_of(encode_player(f"snapshot:{run}/v1")) == "demo-v1"
    assert set(ratings(host, encode_members(RunFolder(run)))) == {"random", "linear", "v0001", "v0002", "main@3"}


@pytest.mark.usefixtures("ray_session")
def test_a_ranking_ends_and_goes_on(run: Path) -> None:
    """Each id once, both seats of each pair; a higher limit plays the rest, a lower one nothing."""
    ranking = rank([run], limits=Limits(matches=40))
    assert ranking.folder.path == run
    assert not ranking.interrupted
    first = (run / "matches.jsonl").read_bytes()
    assert sorted(game.id for game in MatchLog.read(run / "matches.jsonl").games) == list(range(1, 41))
    rank([run], limits=Limits(matches=30))
    assert (run / "matches.jsonl").read_bytes() == first
    ranking = rank(str(run), limits=Limits(matches=100))
    log = MatchLog.read(run / "matches.jsonl")
    assert sorted(game.id for game in log.games) == list(range(1, 101))
    assert ranking.log.games == log.games
    assert (run / "matches.jsonl").read_bytes().startswith(first)
    seats = Counter((game.first, game.second) for game in log.games)
    assert all(abs(count - seats[second, first]) <= 1 for (first, second), count in seats.items())
    assert {len(game.opening) for game in log.games} == {4}
    by_opening = Counter((frozenset((game.first, game.second)), game.opening) for game in log.games)
    assert max(by_opening.values()) >= 2, "both seats get the same opening"
    assert ranking.standings[0].name in {"minimax:2", "minimax:4", "tactical"}, "nets that never learned do not win"
    assert all(len(game.seed) == 3 for game in log.games)
    with pytest.raises(RankingError, match=r"were played with .*greedy True.*, not .*greedy False.*another --output"):
        rank([run], plan=Plan(BoardGame(greedy=False)))
    assert log.players["v0001"].graded == 1.0, "as the manifest says"
    assert log.players["minimax:4"].graded == pytest.approx(0.775, abs=0.01)


@pytest.mark.usefixtures("ray_session")
def test_another_player_of_the_same_name_is_refused(run: Path) -> None:
    """Its games would be counted as the first one's."""
    rank([run], limits=Limits(matches=4))
    log = run / "matches.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    for row in rows:
        if row.get("player", {}).get("name") == "v0001":
            row["player"] |= {"sha256": "0" * 64, "weights_sha256": "0" * 64}
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(RankingError, match=r"another player in .* has the name v0001: choose another --output"):
        rank([run], limits=Limits(matches=8))


@pytest.mark.usefixtures("ray_session")
def test_every_kind_of_fault_is_distinguished() -> None:
    """Players lose by their faults; games that the machines spoil are retried under the same ids."""
    agents = make_agents(4, 1)
    rules = LevelGame(ErrorRates(error=0.1, invalid=0.3, crash=0.04, hang=0.03, lost=0.01))
    runner = MatchRunner({agent.name: agent.encoded() for agent in agents}, deadline=1.5)
    for number, (one, other) in enumerate(islice(cycle(combinations(agents, 2)), 150), start=1):
        names = (one.name, other.name)
        runner.submit(Batch(names, (GameSpec(number, *names),), rules, (0, number)))
    games: list[GameRecord] = []
    while runner.pending:
        games += runner.collect(60)
    assert sorted(game.id for game in games) == list(range(1, 151))
    terminations = Counter(game.termination for game in games)
    assert set(terminations) >= {"win", "illegal", "invalid_result", "exception", "crash", "timeout"}
    assert "infrastructure" not in terminations
    assert runner.lost["exception"] > 5
    assert runner.lost["lost worker"] >= 1
    answers = {game.detail for game in games if game.termination == "invalid_result"}
    assert answers >= {"answered ''", "answered -10", "answered {}"}
    for game in games:
        if game.at_fault:
            assert game.result is (Result.LOSS if game.at_fault == game.first else Result.WIN)


@pytest.mark.usefixtures("ray_session")
def test_games_of_a_withdrawn_player_are_not_retried(tmp_path: Path) -> None:
    """Its hanging batch is neither split nor repeated."""
    agents = {agent.name: agent.encoded() for agent in [*make_agents(1, 1), Agent("broken", 50.0)]}
    runner = MatchRunner(agents, deadline=0.5)
    names = ("agent_1", "broken")
    games = tuple(GameSpec(number, *names) for number in range(1, 17))
    runner.submit(Batch(names, games, OneFails(ErrorRates(), "hang"), (0,)))
    runner.withdraw("broken")
    while runner.pending:
        assert runner.collect(1) == []
    assert not runner.lost


@pytest.mark.usefixtures("ray_session")
def test_a_ranking_that_cannot_learn_more_ends(tmp_path: Path) -> None:
    """If one of two players always wins, their skills never become certain to a hundredth."""
    agents = [Agent("a", 0.0), Agent("b", 100.0)]
    log, *_ = play(tmp_path, agents, Limits(sigma=0.01), LevelGame(ErrorRates()), batch_games=100)
    assert 600 < len(log.games) < 20_000
    assert log.ended == Ended("stalled", 0.01)


@pytest.mark.usefixtures("ray_session")
def test_settled_means_settled_all_the_time(tmp_path: Path) -> None:
    """An order that changed and came back in between is not settled."""
    results = [Result.WIN] * 12 + [Result.LOSS] * 16 + [Result.WIN] * 9
    with MatchLog.writing(tmp_path / "matches.jsonl") as log:
        log.append([RankedPlayer("a", "agent"), RankedPlayer("b", "agent")])
        log.append(
            GameRecord.of(GameSpec(number, "a", "b"), "win", result) for number, result in enumerate(results, start=1)
        )
    agents = [Agent("a", 60.0), Agent("b", 0.0)]
    log, *_ = play(tmp_path, agents, Limits(settled=20), LevelGame(ErrorRates()), batch_games=1)
    assert len(log.games) > 37 + 8


@pytest.mark.usefixtures("ray_session")
def test_a_ranking_that_ended_stays_ended(tmp_path: Path) -> None:
    """Whoever looks at its games at other moments finds another last change of the order, but the log says it ended."""
    agents = [Agent("a", 60.0), Agent("b", 0.0)]
    results = [Result.WIN] * 12 + [Result.LOSS] * 16 + [Result.WIN] * 9
    with MatchLog.writing(tmp_path / "matches.jsonl") as log:
        log.append([RankedPlayer("a", "agent"), RankedPlayer("b", "agent")])
        log.append(
            GameRecord.of(GameSpec(number, "a", "b"), "win", result) for number, result in enumerate(results, start=1)
        )
        log.append([Ended("settled", 20)])
    before = (tmp_path / "matches.jsonl").read_bytes()
    for looser in (20, 15):
        play(tmp_path, agents, Limits(settled=looser), LevelGame(ErrorRates()), batch_games=1)
        assert (tmp_path / "matches.jsonl").read_bytes() == before
    log, *_ = play(tmp_path, agents, Limits(settled=21), LevelGame(ErrorRates()), batch_games=1)
    assert len(log.games) > 37
    assert log.ended == Ended("settled", 21)


@pytest.mark.usefixtures("ray_session")
def test_a_share_of_the_planned_games_is_enough(tmp_path: Path) -> None:
    """The other games, here those that wait, count as not played; a higher share plays them."""
    agents, path, log_file = make_agents(4, 1), tmp_path / "waiting", tmp_path / "matches.jsonl"
    path.mkdir()
    rules = WaitingGame(ErrorRates(), str(path))
    log, progress, _ = play(tmp_path, agents, Limits(matches=40, share=0.25), rules, batch_games=1)
    assert sorted(game.id for game in log.games) == list(range(1, 11))
    assert log.ended == Ended("share", 0.25)
    assert progress.pending > 0
    (path / "go").touch()
    before = log_file.read_bytes()
    for limits in (Limits(matches=40, share=0.25), Limits(matches=40, share=0.2), Limits(matches=30, share=1 / 3)):
        play(tmp_path, agents, limits, rules, batch_games=1)
        assert log_file.read_bytes() == before
    log, progress, _ = play(tmp_path, agents, Limits(matches=40, share=1.0), rules, batch_games=1)
    assert sorted(game.id for game in log.games) == list(range(1, 41))
    assert (log.ended, progress.pending) == (Ended("matches", 40), 0)


@pytest.mark.usefixtures("ray_session")
def test_a_ranking_ends_after_so_many_minutes_of_play(tmp_path: Path) -> None:
    """Whatever still runs then counts as not played, and a higher limit goes on for the difference."""
    agents, path, log_file = make_agents(4, 1), tmp_path / "waiting", tmp_path / "matches.jsonl"
    path.mkdir()
    rules = WaitingGame(ErrorRates(), str(path))
    log, progress, _ = play(tmp_path, agents, Limits(minutes=0.02), rules, batch_games=1)
    assert log.ended == Ended("minutes", 0.02)
    assert len(log.games) <= 10
    assert progress.pending > 0
    assert log.seconds >= 1.2
    higher = (log.seconds + 0.6) / 60
    log, *_ = play(tmp_path, agents, Limits(minutes=higher), rules, batch_games=1)
    assert log.ended == Ended("minutes", higher), "even if no game ended in the meantime"
    assert log.seconds >= 60 * higher
    (path / "go").touch()
    before = log_file.read_bytes()
    for minutes in (higher, 0.01):
        play(tmp_path, agents, Limits(minutes=minutes), rules, batch_games=1)
        assert log_file.read_bytes() == before
    resumed, *_ = play(tmp_path, agents, Limits(minutes=(log.seconds + 1) / 60), rules, batch_games=1)
    assert len(resumed.games) > 10
    assert resumed.ended
    assert (resumed.ended.reason, resumed.seconds >= log.seconds + 1) == ("minutes", True)


@pytest.mark.parametrize(
    ("limits", "matches"),
    [
        (Limits(), None),
        (Limits(share=0.9), None),
        (Limits(share=0.9, minutes=5), None),
        (Limits(sigma=2, share=0.9), None),
        (Limits(matches=40), 40),
        (Limits(matches=40, share=0.9), 36),
        (Limits(matches=100, share=0.55), 55),
        (Limits(matches=3, share=0.5), 2),
    ],
)
def test_a_share_refers_to_the_number_of_games(limits: Limits, matches: int | None) -> None:
    """Rounded up; if no number was chosen, the ranking chooses it."""
    assert limits.enough_matches == matches
    assert limits.lacks_matches == (matches is None)
    assert not Limits(minutes=5).lacks_matches


@pytest.mark.usefixtures("ray_session")
def test_of_a_batch_only_the_game_that_hangs_is_lost(tmp_path: Path) -> None:
    """The others are retried, one by one, under their ids."""
    rules = LevelGame(ErrorRates(hang=0.02))
    log, progress, _ = play(tmp_path, make_agents(2, 1), Limits(matches=64), rules, 1.5, batch_games=32)
    assert sorted(game.id for game in log.games) == list(range(1, 65))
    assert progress.lost["split after timeout"] >= 1
    assert log.terminations["timeout"] <= 4


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(("fault", "kind"), [("raise", "exception"), ("hang", "timeout"), ("die", "crash")])
@pytest.mark.slow
def test_a_player_that_keeps_failing_is_set_aside(tmp_path: Path, fault: Any, kind: str) -> None:
    """With the reason; the others play on unharmed, and it stays aside when the ranking is resumed."""
    agents = make_agents(3, 1)
    broken = Agent("broken", 50.0)
    rules, pace = OneFails(ErrorRates(), fault), {"deadline": 0.5, "batch_games": 2}
    log, *_ = play(tmp_path, [*agents, broken], Limits(matches=200), rules, **pace)
    assert set(log.faults) == {"broken"}
    assert set(log.set_aside) == {"broken"}
    assert "games ended by its faults (" in log.set_aside["broken"]
    assert kind in log.set_aside["broken"]
    assert log.played("broken") < 60
    assert len(log.games) == 200
    resumed, *_ = play(tmp_path, [*agents, broken], Limits(matches=220), rules, **pace)
    assert resumed.played("broken") == log.played("broken")


_KILLED = """
import os, signal, sys
from connectfour.match_log.log import MatchLog
from connectfour.tournament.plan import Limits, Plan
from connectfour.tournament.session import rank

append, batches = MatchLog.append, 0

def die(log, lines):
    global batches
    batches += 1
    if batches == 6:
        append(log, lines)
        log._stream.truncate(log._stream.tell() - 10)
        os.kill(os.getpid(), signal.SIGKILL)
    append(log, lines)

MatchLog.append = die
rank([sys.argv[1]], limits=Limits(matches=60), plan=Plan(batch_games=4))
"""


@pytest.mark.usefixtures("ray_session")
@pytest.mark.slow
def test_a_ranking_killed_in_the_middle_of_a_line_resumes(run: Path) -> None:
    """The whole lines stay as they are, the torn one goes, and every game is there once."""
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(run)], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    log = run / "matches.jsonl"
    torn = log.read_bytes()
    assert not torn.endswith(b"\n")
    whole = torn[: torn.rfind(b"\n") + 1]
    games_before = len(MatchLog.read(log).games)
    assert games_before >= 12
    rank([run], limits=Limits(matches=60), plan=Plan(batch_games=4))
    assert log.read_bytes().startswith(whole)
    ids = [json.loads(line)["id"] for line in log.read_text().splitlines() if "first" in line]
    assert len(ids) == len(set(ids)) == 60


_TWO_NODES = """
import contextlib, json, os, signal, sys
from pathlib import Path
from ray.cluster_utils import Cluster
import ray
from connectfour.rehearsal.level_game import ErrorRates, make_agents
from connectfour.match_log.lines import RankedPlayer
from connectfour.match_log.log import MatchLog
from connectfour.matches.runner import MatchRunner
from connectfour.tournament.plan import Limits, Plan
from connectfour.tournament.tournament import Tournament
from tests.level_games import WaitingGame

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
second = cluster.add_node(num_cpus=1)
ray.init(address=cluster.address, log_to_driver=False)
agents = make_agents(6, 1)
removed_at = []
waiting = Path(sys.argv[1]).parent / "waiting"
waiting.mkdir()

def show(progress):
    if removed_at:
        return
    raylet = second.all_processes["raylet"][0].process.pid
    children = [file.read_text() for file in Path(f"/proc/{raylet}/task").glob("*/children")]
    workers = [int(pid) for pid in " ".join(children).split()]
    if any((waiting / str(worker)).exists() for worker in workers):
        removed_at.append(len(progress.log.games))
        cluster.remove_node(second, allow_graceful=False)
        for worker in workers:  # a machine that is gone takes its processes along
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        (waiting / "go").touch()

with MatchLog.writing(Path(sys.argv[1])) as log:
    log.append([RankedPlayer(agent.name, "agent") for agent in agents])
    runner = MatchRunner({agent.name: agent.encoded() for agent in agents}, deadline=120)
    plan = Plan(WaitingGame(ErrorRates(), str(waiting)), opening_plies=0, batch_games=2)
    progress = Tournament([agent.name for agent in agents], log, runner, plan).run(Limits(matches=40), show)
    print(json.dumps({"removed_at": removed_at, "lost": progress.lost}))
ray.shutdown()
cluster.shutdown()
"""


@pytest.mark.slow
def test_a_node_removed_without_grace_loses_nothing(tmp_path: Path) -> None:
    """Its games are retried on the other node under the same ids."""
    log = tmp_path / "matches.jsonl"
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    command = [sys.executable, "-c", _TWO_NODES, str(log)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    assert report["lost"]["lost worker"] >= 1
    assert 10 <= report["removed_at"][0] < 40
    ids = [game.id for game in MatchLog.read(log).games]
    assert sorted(ids) == list(range(1, 41))
    rows = [json.loads(line) for line in log.read_text().splitlines() if '"id"' in line]
    assert len(rows) == 40
    assert {row["termination"] for row in rows} <= {"win", "draw"}
