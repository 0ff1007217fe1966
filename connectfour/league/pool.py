"""The league's members, the pay-off record, and the rule by which main is frozen into the pool.

The pool decides and remembers; it does not know Ray or Torch. Its state is plain JSON: it travels in every checkpoint
and stands in the run folder's ``league/manifest.json``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from connectfour.config import LeagueSettings
from connectfour.league.matchmaking import MAIN, RESULTS, Result, Roster, Tally, pfsp_weights
from connectfour.league.window import Window

SCHEMA_VERSION = 1

_PRIOR_GAMES = 2


class Member(BaseModel):
    """A player of the league: a heuristic, or main as it was when it was frozen.

    Attributes:
        id: ``"linear"``, ``"v0003"``, ``"main"``.
        kind: ``main`` is the latest state of the policy that learns; it is never drawn as an opponent.
        file: name of the weights' file in the league folder.
        sha256: hash of that file.
        weights_sha256: hash of the weights alone, the same wherever they are.
        iteration: when it was frozen.
        env_steps: the same, in env steps sampled.
        created: the same, as UTC time in ISO 8601.
        slot: the opponent slot that it plays from while it is active.
        graded: the share of solved positions (dev half) in which its best column keeps the result.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["heuristic", "snapshot", "main"]
    file: str | None = None
    sha256: str | None = None
    weights_sha256: str | None = None
    iteration: int = 0
    env_steps: int = 0
    created: str | None = None
    slot: int | None = None
    graded: float | None = None

    @property
    def module(self) -> str:
        """The RLlib module that plays this member."""
        return heuristic_module(self.id) if self.kind == "heuristic" else slot_module(self.slot)


def slot_module(slot: int | None) -> str:
    """Return the RLlib module of an opponent slot.

    Raises:
        ValueError: ``slot`` is None, as of a snapshot that is not active.
    """
    if slot is None:
        raise ValueError("a snapshot that is not active plays from no slot")
    return f"opponent_{slot}"


def heuristic_module(name: str) -> str:
    """Return the RLlib module of a heuristic (module ids are folder names in checkpoints)."""
    return f"heuristic_{name.replace(':', '_')}"


class OpponentPool:
    """Members, the active pool among them, and what was played.

    Attributes:
        members: the archive by id, in the order of joining.
        active: ids that are drawn as opponents, the longest-standing first.
        freezes: how often main was frozen on the way to its present state.
        payoff: games by (who moved first, who second, result as the first saw it).
        window: main's results since the last freeze.
    """

    def __init__(self, settings: LeagueSettings, seed: int = 0) -> None:
        """Start with the heuristics of ``settings``."""
        self.settings = settings
        self._seed = seed
        self.members = {name: Member(id=name, kind="heuristic") for name in settings.heuristics}
        self.active = list(settings.heuristics)
        self.freezes = 0
        self.payoff: Counter[tuple[str, str, Result]] = Counter()
        self.window = Window(settings.min_games)

    def __len__(self) -> int:
        """Return the league's size: the heuristics and main's freezes, active or not."""
        return len(self.settings.heuristics) + self.freezes

    @property
    def snapshots(self) -> list[Member]:
        """All frozen policies, the oldest first."""
        return [member for member in self.members.values() if member.kind == "snapshot"]

    @property
    def next_snapshot_id(self) -> str:
        """Id of the next snapshot: v0001 is the first."""
        return f"v{max((int(member.id[1:]) for member in self.snapshots), default=0) + 1:04d}"

    @property
    def league_score(self) -> float:
        """Freezes so far plus the current score against the pool: grows as main gets better."""
        return self.freezes + self.window.score()

    def record(self, tallies: Sequence[Tally]) -> None:
        """Take in the games of one iteration."""
        for tally in tallies:
            pair = (MAIN, tally.opponent) if tally.main_seat == 0 else (tally.opponent, MAIN)
            self.payoff[(*pair, _seen_by_first(tally))] += tally.games
        self.window.add(tallies)

    def should_freeze(self) -> bool:
        """Tell whether main's score over at least ``min_games`` games since the last freeze passes the threshold.

        The games count as they were played: where matchmaking prefers hard opponents, beating the easy ones again and
        again does not carry main over the threshold.
        """
        return (
            self.window.games() >= self.settings.min_games and self.window.score() >= self.settings.win_rate_threshold
        )

    def admit(self, snapshot: Member) -> Member:
        """Let a freshly frozen snapshot in and return it with its slot.

        Sometimes a retired heuristic comes back with it; the longest-standing leave until both fit. Results since the
        last freeze start anew.
        """
        rng = np.random.default_rng((self._seed, len(self.members)))
        retired = [name for name, each in self.members.items() if each.kind == "heuristic" and name not in self.active]
        if retired and rng.random() < self.settings.revival_probability:
            self.active.append(retired[rng.integers(len(retired))])
        while len(self.active) >= self.settings.opponent_count:
            self._retire(self.active[0])
        taken = self.slots()
        slot = next(slot for slot in range(self.settings.opponent_count) if slot not in taken)
        self.members[snapshot.id] = snapshot.model_copy(update={"slot": slot})
        self.active.append(snapshot.id)
        self.freezes += 1
        self.window = Window(self.settings.min_games)
        return self.members[snapshot.id]

    def _retire(self, name: str) -> None:
        self.active.remove(name)
        self.members[name] = self.members[name].model_copy(update={"slot": None})

    def archive(self, members: Iterable[Member]) -> None:
        """Keep snapshots that the pool does not know, as members that are not active."""
        for member in members:
            self.members.setdefault(member.id, member.model_copy(update={"slot": None}))

    def slots(self) -> dict[int, Member]:
        """Return the active snapshot in each used slot."""
        return {member.slot: member for member in self.members.values() if member.slot is not None}

    def roster(self, mirror_share: float, iteration: int) -> Roster:
        """Return what env runners draw from; ``iteration`` gives each roster its own sequence of draws."""
        if self.settings.matchmaking == "pfsp":
            scores = [self.window.score(name, _PRIOR_GAMES) for name in self.active]
            weights = pfsp_weights(scores, self.settings.pfsp_floor)
        else:
            weights = tuple(1 / len(self.active) for _ in self.active)
        modules = {name: self.members[name].module for name in self.active}
        return Roster(modules, weights, mirror_share, (self._seed, iteration))

    def to_state(self) -> dict[str, Any]:
        """Return everything as plain JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "members": [member.model_dump() for member in self.members.values()],
            "active": list(self.active),
            "freezes": self.freezes,
            "payoff": _payoff_rows(self.payoff),
            "window": [[vars(tally) for tally in tallies] for tallies in self.window.iterations],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Become what ``to_state`` returned."""
        self.members = {each["id"]: Member.model_validate(each) for each in state["members"]}
        self.active = list(state["active"])
        self.freezes = state["freezes"]
        self.payoff = Counter(
            {
                (row["first"], row["second"], result): row[result]
                for row in state["payoff"]
                for result in RESULTS
                if row[result]
            }
        )
        self.window = Window(
            self.settings.min_games, ([Tally(**each) for each in tallies] for tallies in state["window"])
        )


def _seen_by_first(tally: Tally) -> Result:
    if tally.main_seat == 0 or tally.result == "draw":
        return tally.result
    return "loss" if tally.result == "win" else "win"


def _payoff_rows(payoff: Counter[tuple[str, str, Result]]) -> list[dict[str, Any]]:
    """Return one row an ordered pair: who moved first, who second, and the games as the first saw them."""
    pairs = dict.fromkeys((first, second) for first, second, _ in payoff)
    return [
        {"first": first, "second": second, **{result: payoff[first, second, result] for result in RESULTS}}
        for first, second in pairs
    ]
