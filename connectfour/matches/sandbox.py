"""Runs players in a process of their own, so that a player that hangs or dies affects no other.

The process notes in shared memory whose code is running. After a timeout or a crash, the supervisor therefore knows
which player was to blame, even if it sleeps, loops in C, swallows exceptions or segfaults.

    supervisor (Sandbox)                   process (main)
        games, new players      ── pipe ──▶   builds the players
        "ready"                 ◀── pipe ──
        waits for the deadline                 plays; notes the mover in shared memory
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
from connectfour.matches.records import GameRecord, GameSpec, Termination
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer

_START_SECONDS = 120.0
_NOBODY = 255


class Rules(Protocol):
    """A game that can be ranked: Connect Four, or the game of known levels that rehearsals play."""

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
    """The process hung, died, or could not play.

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
            deadline: seconds for the batch, not counting the time to load players.

        Raises:
            SandboxError: the batch did not finish.
        """
        try:
            if self._process is None or self._process.poll() is not None:
                self._start()
            wanted = [encoded[name] for name in batch.names]
            needed = {each.sha256: each.fetch() for each in wanted if each.sha256 not in self._known}
            self._pipe.send((batch, tuple(each.sha256 for each in wanted), needed))
            self._known.update(needed)
            self._receive(batch, _START_SECONDS)
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
            file.write(bytes([_NOBODY]))
            file.flush()
            self._memory = mmap.mmap(file.fileno(), 1)
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

    def _receive(self, batch: Batch, seconds: float) -> Any:
        """Return the next message of the process.

        Raises:
            SandboxError: the process sent nothing in time, sent an error, or died.
        """
        try:
            if not self._pipe.poll(seconds):
                raise self._error("timeout", batch, f"no answer within {seconds:g} s")
            found = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            raise self._error("crash", batch, self._describe_exit()) from None
        if isinstance(found, Exception):
            raise self._error("exception", batch, str(found))
        return found

    def _error(self, kind: Termination, batch: Batch, detail: str) -> SandboxError:
        mover = self._memory[0]
        if mover == _NOBODY:
            return SandboxError("infrastructure", None, detail)
        return SandboxError(kind, batch.names[mover], detail)

    def _describe_exit(self) -> str:
        assert self._process  # noqa: S101  # for the type checker
        code = self._process.wait()
        return (
            f"the process ended by {signal.Signals(-code).name}" if code < 0 else f"the process ended with code {code}"
        )


def main() -> None:
    """Play the batches that the supervisor sends until it exits."""
    _end_with(os.getppid())
    pipe, shared = Connection(int(sys.argv[1])), int(sys.argv[2])
    memory = mmap.mmap(shared, 1)
    known: dict[str, EncodedPlayer] = {}
    built: dict[tuple[Rules, str], Player] = {}

    def note_mover(index: int | None) -> None:
        memory[0] = _NOBODY if index is None else index

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
