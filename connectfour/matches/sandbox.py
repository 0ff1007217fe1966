"""Runs players in a process of their own, so that a player that hangs or dies affects no other.

The process keeps a chess clock in shared memory. After a crash, the supervisor therefore knows whose code was running,
even if it segfaulted. Each player has its own time: whoever has used it up is to blame, even if it sleeps, loops in C
or swallows exceptions, and no matter how long its opponent or the machine took.

    supervisor (Sandbox)                   process (main)
        games, new players      ── pipe ──▶   builds the players, then restarts the clock
        "ready"                 ◀── pipe ──
        watches the clock                      plays, switching the clock to whoever moves
        records                 ◀── pipe ──
"""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import numpy as np

from connectfour.matches.arena import NoteMover
from connectfour.matches.clock import CLOCK_BYTES, RULES, Clock
from connectfour.matches.records import GameRecord, GameSpec, Termination
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer

# For each player to be built, for the process to start, and for the rules to play a batch.
_MOST_SECONDS = 120.0

# How far a player may overrun its time before it is noticed.
_SHORTEST_WAIT = 0.01


def longest_batch(deadline: float) -> float:
    """Return after how many seconds a batch has certainly ended in its sandbox, with loading and starting."""
    return 2 * deadline + 4 * _MOST_SECONDS


class Rules(Protocol):
    """A game that can be ranked: one that a league plays, or the game of known levels that rehearsals play."""

    def describe(self) -> Mapping[str, Any]:
        """Return what games in one log have in common, ``game`` being its name; all values are plain."""
        ...

    def build(self, encoded: EncodedPlayer) -> Player:
        """Build a player of this game."""
        ...

    def play(
        self,
        players: tuple[Player, Player],
        names: tuple[str, str],
        games: Sequence[GameSpec],
        rng: np.random.Generator,
        note_mover: NoteMover,
    ) -> list[GameRecord]:
        """Play ``games`` between ``players`` with these ``names``, and return their records in order."""
        ...


@dataclass(frozen=True)
class Batch:
    """Games between two players that are played together.

    Attributes:
        names: the players.
        games: the games to play.
        rules: the game.
        seed: random seed.
    """

    names: tuple[str, str]
    games: tuple[GameSpec, ...]
    rules: Rules
    seed: tuple[int, ...]


@dataclass(frozen=True)
class OnDemand:
    """A player that is fetched only by processes that do not have it yet."""

    sha256: str
    fetch: Callable[[], EncodedPlayer]


class SandboxError(Exception):
    """A player used up its time, or the process died or could not play.

    Attributes:
        kind: what happened; ``infrastructure`` if no player's code was running.
        mover: the player whose code was running.
        detail: description of what happened.
    """

    def __init__(self, kind: Termination, mover: str | None, detail: str) -> None:
        """Describe what happened while the code of ``mover`` was running."""
        super().__init__(kind, mover, detail)
        self.kind, self.mover, self.detail = kind, mover, detail


class Sandbox:
    """Starts the process when it is needed, and restarts it when it has died."""

    def __init__(self) -> None:
        """Set up without starting the process."""
        self._process: subprocess.Popen[bytes] | None = None

    def play(self, batch: Batch, encoded: Mapping[str, OnDemand], deadline: float) -> list[GameRecord]:
        """Play a batch.

        Args:
            batch: the games.
            encoded: each player of the batch by name; the process keeps players for later batches.
            deadline: seconds that each player may use in the batch, not counting the time to build it.

        Raises:
            SandboxError: the batch did not finish.
        """
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            wanted = [encoded[name] for name in batch.names]
            needed = {each.sha256: each.fetch() for each in wanted if each.sha256 not in self._known}
            self._clock.restart()
            self._pipe.send((batch, tuple(each.sha256 for each in wanted), needed))
            self._known.update(needed)
            self._receive(batch, _MOST_SECONDS)
            records: list[GameRecord] = self._receive(batch, deadline)
        except SandboxError:
            self.close()
            raise
        except OSError as error:  # the process is gone, or cannot be started
            self.close()
            raise SandboxError("infrastructure", None, f"{type(error).__name__}: {error}") from None
        return records

    def close(self) -> None:
        """Kill the process, whatever it is doing."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._pipe.close()
            self._memory.close()

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as file, theirs:
            file.truncate(CLOCK_BYTES)
            self._memory = mmap.mmap(file.fileno(), CLOCK_BYTES)
            self._clock = Clock(self._memory)
            descriptors = (theirs.fileno(), file.fileno())
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-m", "connectfour.matches.sandbox", *map(str, descriptors)],
                pass_fds=descriptors,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        self._pipe = Connection(ours.detach())
        self._known: set[str] = set()

    def _receive(self, batch: Batch, deadline: float, rules_deadline: float = _MOST_SECONDS) -> Any:
        """Return the next message of the process.

        Args:
            batch: the games.
            deadline: seconds that each player may use until then.
            rules_deadline: seconds for everything else.

        Raises:
            SandboxError: a player or the rules have used up their time, or the process sent an error or died.
        """
        limits = left = [deadline, deadline, rules_deadline]
        try:
            while not self._pipe.poll(max(min(left), _SHORTEST_WAIT)):
                used = self._clock.read().used
                left = [limit - seconds for limit, seconds in zip(limits, used, strict=True)]
                if min(left) <= 0:
                    late = left.index(min(left))
                    raise _error("timeout", batch, late, f"used up its {limits[late]:g} s")
            found = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise _error("crash", batch, self._clock.read().running, self._describe_exit()) from None
        if isinstance(found, Exception):
            raise _error("exception", batch, self._clock.read().running, str(found))
        return found

    def _describe_exit(self) -> str:
        assert self._process  # noqa: S101  # for the type checker
        code = self._process.wait()
        return (
            f"the process ended by {signal.Signals(-code).name}" if code < 0 else f"the process ended with code {code}"
        )


def _error(kind: Termination, batch: Batch, account: int, detail: str) -> SandboxError:
    """Return the error that ``account`` of the clock is to blame for."""
    if account == RULES:
        return SandboxError("infrastructure", None, detail)
    return SandboxError(kind, batch.names[account], detail)


def main() -> None:
    """Play the batches that the supervisor sends until it exits."""
    _end_with(os.getppid())
    pipe, shared = Connection(int(sys.argv[1])), int(sys.argv[2])
    clock = Clock(mmap.mmap(shared, CLOCK_BYTES))
    known: dict[str, EncodedPlayer] = {}
    built: dict[tuple[Rules, str], Player] = {}

    def note_mover(index: int | None) -> None:
        clock.switch(RULES if index is None else index)

    with contextlib.suppress(EOFError):
        while True:
            batch, wanted, needed = pipe.recv()
            try:
                known.update(needed)
                for index, sha256 in enumerate(wanted):
                    if (batch.rules, sha256) not in built:
                        note_mover(index)
                        built[batch.rules, sha256] = batch.rules.build(known[sha256])
                        note_mover(None)
                players = (built[batch.rules, wanted[0]], built[batch.rules, wanted[1]])
                clock.restart()
                pipe.send("ready")
                rng = np.random.default_rng(batch.seed)
                records = batch.rules.play(players, batch.names, batch.games, rng, note_mover)
            except Exception as error:  # noqa: BLE001  # the supervisor reads who was to blame, and kills this process
                records = RuntimeError(f"{type(error).__name__}: {error}")
            pipe.send(records)


def _end_with(parent: int) -> None:
    """Have the system kill this process when its parent dies (Linux only; PR_SET_PDEATHSIG of prctl is 1)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl:
        prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    main()
