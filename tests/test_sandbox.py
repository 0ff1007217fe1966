"""Players that hang, crash and raise, in a process of their own."""

from __future__ import annotations

import copy
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from connectfour.matches.arena import BoardGame
from connectfour.matches.records import GameSpec
from connectfour.matches.sandbox import Batch, OnDemand, Rules, Sandbox, SandboxError
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import encode_heuristic
from connectfour.rehearsal.level_game import ErrorRates, LevelGame, make_agents
from tests.level_games import Paced

AGENTS = make_agents(2, seed=0)
NAMES = (AGENTS[0].name, AGENTS[1].name)

LATE = "36367164462771142112433747746315326522"
"""38 plies after which nobody can win before the 42nd."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox that is closed afterwards."""
    sandbox = Sandbox()
    yield sandbox
    sandbox.close()


def batch(rules: Rules, games: int = 1, names: tuple[str, str] = NAMES, opening: str = "", seed: int = 0) -> Batch:
    """Games between two players, in which the first one moves first."""
    return Batch(names, tuple(GameSpec(number, *names, opening) for number in range(1, games + 1)), rules, (seed,))


def agents() -> dict[str, OnDemand]:
    """The two agents."""
    return {agent.name: OnDemand(agent.encoded().sha256, agent.encoded) for agent in AGENTS}


def process_id(sandbox: Sandbox) -> int:
    """Return the process behind a sandbox."""
    assert sandbox._process
    return sandbox._process.pid


def test_games_come_back(sandbox: Sandbox) -> None:
    """In order, and from the same process each time."""
    found = sandbox.play(batch(LevelGame(ErrorRates()), 20), agents(), 30)
    assert [record.id for record in found] == list(range(1, 21))
    before = process_id(sandbox)
    again = sandbox.play(batch(LevelGame(ErrorRates()), 20), agents(), 30)
    assert [record.result for record in again] == [record.result for record in found], "the batch has the seed"
    assert process_id(sandbox) == before


def test_players_travel_once(sandbox: Sandbox) -> None:
    """The process keeps players, and recognizes them by their hashes rather than by their names."""
    fetched: list[str] = []

    def on_demand(name: str, encoded: EncodedPlayer) -> OnDemand:
        def fetch() -> EncodedPlayer:
            fetched.append(name)
            return encoded

        return OnDemand(encoded.sha256, fetch)

    names = ("one", "two")
    encoded = {
        "one": on_demand("one", encode_heuristic("tactical")),
        "two": on_demand("two", encode_heuristic("random")),
    }
    tactical_wins = [record.result for record in sandbox.play(batch(BoardGame(), 8, names), encoded, 30)]
    sandbox.play(batch(BoardGame(), 2, names), encoded, 30)
    assert fetched == ["one", "two"]
    swapped = {"one": encoded["two"], "two": on_demand("other two", encode_heuristic("tactical"))}
    random_loses = [record.result for record in sandbox.play(batch(BoardGame(), 8, names), swapped, 30)]
    assert sum(filter(None, tactical_wins)) > 4
    assert sum(filter(None, random_loses)) < -4
    assert fetched == ["one", "two"], "two is another player now, and a known one"


@pytest.mark.parametrize(
    ("rates", "kind", "detail"),
    [
        (ErrorRates(hang=1), "timeout", "used up its 0.3 s"),
        (ErrorRates(crash=1), "crash", "the process ended with code 3"),
    ],
    ids=["timeout", "crash"],
)
def test_who_hung_or_died_is_known_and_gone(sandbox: Sandbox, rates: ErrorRates, kind: str, detail: str) -> None:
    """The process is killed, the player named, and the next batch has a fresh process."""
    movers = set()
    for seed in range(4):
        sandbox.play(batch(LevelGame(ErrorRates())), agents(), 30)
        process = os.pidfd_open(process_id(sandbox))
        with pytest.raises(SandboxError) as fault:
            sandbox.play(batch(LevelGame(rates), seed=seed), agents(), 0.3 if kind == "timeout" else 30)
        assert (fault.value.kind, fault.value.detail) == (kind, detail)
        assert select.select([process], [], [], 10)[0], "the process has ended"
        os.close(process)
        movers.add(fault.value.mover)
    assert movers == set(NAMES)
    assert len(sandbox.play(batch(LevelGame(ErrorRates()), 3), agents(), 30)) == 3


def paced(slow: float, fast: float) -> tuple[Rules, dict[str, OnDemand]]:
    """Connect Four between ``slow`` and ``fast``, which take that many seconds for each of their plies."""
    players = {"slow": encode_heuristic("random"), "fast": encode_heuristic("tactical")}
    pace = ((players["slow"].sha256, slow), (players["fast"].sha256, fast))
    encoded = {name: OnDemand(player.sha256, partial(replace, player)) for name, player in players.items()}
    return Paced(pace=pace), encoded


@pytest.mark.parametrize("names", [("slow", "fast"), ("fast", "slow")], ids=["slow first", "fast first"])
def test_players_who_together_exceed_the_deadline_are_both_within_it(sandbox: Sandbox, names: tuple[str, str]) -> None:
    """In the last four plies of a game, slow takes 1.4 s and fast 0.8 s; each of them has 2 s."""
    rules, encoded = paced(0.7, 0.4)
    found = sandbox.play(batch(rules, 3, names, opening=LATE), encoded, 2)
    assert {record.termination for record in found} <= {"win", "draw"}
    assert {len(record.moves) for record in found} == {42}


@pytest.mark.parametrize("names", [("slow", "fast"), ("fast", "slow")], ids=["slow first", "fast first"])
def test_whoever_used_its_own_time_is_to_blame(sandbox: Sandbox, names: tuple[str, str]) -> None:
    """Even if its opponent was nearly as slow, and whoever moves when the time of both would be up."""
    rules, encoded = paced(0.2, 0.15)
    with pytest.raises(SandboxError) as fault:
        sandbox.play(batch(rules, 8, names), encoded, 0.5)
    assert (fault.value.kind, fault.value.mover, fault.value.detail) == ("timeout", "slow", "used up its 0.5 s")


def test_a_process_killed_from_outside_is_nobodys_fault(sandbox: Sandbox) -> None:
    """No player's code was running."""
    sandbox.play(batch(LevelGame(ErrorRates())), agents(), 30)
    os.kill(process_id(sandbox), signal.SIGSTOP)
    with pytest.raises(SandboxError) as stopped:
        sandbox._receive(batch(LevelGame(ErrorRates())), 30, rules_deadline=0.1)
    assert (stopped.value.kind, stopped.value.mover) == ("infrastructure", None)
    os.kill(process_id(sandbox), signal.SIGKILL)
    with pytest.raises(SandboxError) as killed:
        sandbox._receive(batch(LevelGame(ErrorRates())), 10)
    assert (killed.value.kind, killed.value.detail) == ("infrastructure", "the process ended by SIGKILL")


def test_what_the_rules_raise_is_nobodys_fault(sandbox: Sandbox) -> None:
    """Here an opening that cannot be parsed; the error is in the detail."""
    encoded = {name: OnDemand(name, partial(encode_heuristic, name)) for name in ("random", "linear")}
    with pytest.raises(SandboxError) as raised:
        sandbox.play(batch(BoardGame(), 1, ("random", "linear"), opening="x"), encoded, 30)
    assert raised.value.kind == "infrastructure"
    assert "NotationError" in raised.value.detail


def test_a_player_that_cannot_be_built_is_at_fault(sandbox: Sandbox) -> None:
    """A snapshot without a valid file; its opponent is not to blame."""
    broken = EncodedPlayer("broken", "snapshot", b"no weights")
    encoded = {
        "random": OnDemand("random", partial(encode_heuristic, "random")),
        "broken": OnDemand("x", lambda: broken),
    }
    for names in (("random", "broken"), ("broken", "random")):
        with pytest.raises(SandboxError) as raised:
            sandbox.play(batch(BoardGame(), 1, names), encoded, 30)
        assert (raised.value.kind, raised.value.mover) == ("exception", "broken")
        assert "SnapshotError: broken is not a snapshot" in raised.value.detail


def test_an_error_survives_its_way_through_ray() -> None:
    """It can be pickled."""
    error = copy.copy(SandboxError("timeout", "a", "slow"))
    assert (error.kind, error.mover, error.detail) == ("timeout", "a", "slow")


_ORPHANED = """
import sys, threading
from connectfour.matches.clock import RULES
from connectfour.rehearsal.level_game import ErrorRates, LevelGame
from tests.test_sandbox import Sandbox, agents, batch
sandbox = Sandbox()
sandbox.play(batch(LevelGame(ErrorRates())), agents(), 30)


def report():
    while sandbox._clock.read().running == RULES:
        pass
    print(sandbox._process.pid, flush=True)


threading.Thread(target=report, daemon=True).start()
sandbox.play(batch(LevelGame(ErrorRates(hang=1))), agents(), 600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_hung_player_does_not_outlive_its_supervisor() -> None:
    """Even if the supervisor is killed, as Ray kills a worker."""
    with subprocess.Popen([sys.executable, "-c", _ORPHANED], stdout=subprocess.PIPE, text=True) as supervisor:
        assert supervisor.stdout
        process = os.pidfd_open(int(supervisor.stdout.readline()))
        supervisor.kill()
        assert select.select([process], [], [], 30)[0]
        os.close(process)
