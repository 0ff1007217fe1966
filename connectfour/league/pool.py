"""The opponent pool: who is in it, what was played, and when main is frozen into it.

The pool decides and remembers; it uses neither Ray nor Torch. Its state is saved in every checkpoint and in the
run's ``league/manifest.json``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from connectfour.games.result import Result, Score, SeatScores
from connectfour.league.evidence import Evidence
from connectfour.league.manifest import PayoffRow, PoolState
from connectfour.league.matchmaking import Matchmaker, Roster, pfsp_weights
from connectfour.league.members import MAIN, Member
from connectfour.league.recent import RecentResults
from connectfour.settings.league import LeagueSettings, guest_id
from connectfour.settings.schema import RunSettings

_POOL = "pool"
_HEAVIEST = 4.0
_SURPLUS = 10.0
# An opponent that has not played for so long, for example because all its games are repeated, is left out.
_MOST_ITERATIONS_PER_ROUND = 50


class OpponentPool:
    """The members, which of them are active, and the results so far.

    Attributes:
        id: tells this league from others.
        members: the archive by id, in the order of joining.
        active: ids that are drawn as opponents, the longest-standing first.
        freezes: how often main was frozen on the way to its current state.
        payoff: scores of all training games by (first, second) player, from the first player's view.
        recent: main's recent results against each active opponent.
        retired: ids of those who left the pool in the latest freeze.
    """

    def __init__(self, settings: LeagueSettings, seed: int = 0, league_id: str | None = None) -> None:
        """Start with the heuristics and guests of ``settings``, under a new id by default."""
        self.id = league_id or secrets.token_hex(4)
        self.settings = settings
        self._seed = seed
        self.members = {name: Member(id=name, kind="heuristic", joined=0) for name in settings.heuristics}
        for slot, name in enumerate(map(guest_id, settings.guests)):
            self.members[name] = Member(id=name, kind="guest", slot=slot, joined=0)
        self.active = list(self.members)
        self.freezes = 0
        self.payoff: dict[tuple[str, str], Score] = {}
        self.recent = RecentResults(settings.newest_games)
        self.retired: list[str] = []
        self._games_since_freeze = 0
        self._evidence: dict[str, Evidence] = {}
        self._round: dict[str, Score] = {}
        self._iterations_in_round = 0

    def __len__(self) -> int:
        """Return the league's size: the heuristics, guests, and main's freezes, active or not."""
        return len(self.settings.heuristics) + len(self.settings.guests) + self.freezes

    @property
    def snapshots(self) -> list[Member]:
        """All frozen policies, the oldest first."""
        return [member for member in self.members.values() if member.kind == "snapshot"]

    @property
    def guests(self) -> list[Member]:
        """The policies of other runs."""
        return [member for member in self.members.values() if member.kind == "guest"]

    @property
    def next_snapshot_id(self) -> str:
        """Id of the next snapshot: v0001 is the first."""
        numbers = (re.fullmatch(r"v(\d+)", member.id) for member in self.snapshots)
        return f"v{max((int(number[1]) for number in numbers if number), default=0) + 1:04d}"

    @property
    def newest(self) -> list[str]:
        """Ids of the newest active snapshots, at most ``newest_members``: those that main must beat one by one."""
        snapshots = [name for name in self.active if self.members[name].kind == "snapshot"]
        return snapshots[-self.settings.newest_members :]

    @property
    def win_rate(self) -> float:
        """Main's points per game against the active pool: opponents weigh the same, a draw is half a win."""
        return self.recent.mean(self.active)

    @property
    def newest_score(self) -> float:
        """Main's lowest points per game against one of the newest snapshots; ``win_rate`` if there are none."""
        return min((self.recent.estimate(name) for name in self.newest), default=self.win_rate)

    @property
    def league_score(self) -> float:
        """Freezes so far plus the win rate against the pool: grows as main improves."""
        return self.freezes + self.win_rate

    def record(self, results: Mapping[str, SeatScores]) -> None:
        """Record the games of one iteration: main's scores by opponent."""
        self._bet({name: scores.total for name, scores in results.items() if name in self.active})
        for opponent, scores in results.items():
            as_first, as_second = (MAIN, opponent), (opponent, MAIN)
            for pair, score in ((as_first, scores.first), (as_second, scores.second.reversed)):
                if score.games:
                    self.payoff[pair] = self.payoff.get(pair, Score()) + score
            self._games_since_freeze += scores.total.games
        self.recent.add({name: scores for name, scores in results.items() if name in self.active})

    def _bet(self, scores: Mapping[str, Score]) -> None:
        """Add an iteration's games against the active pool to the evidence that main is above the thresholds.

        All opponents weigh the same in the win rate. So main bets on it in rounds, which end when each opponent has
        played, and a game counts the more, the fewer its opponent has played in the round.
        """
        for name in self.newest:
            self._evidence.setdefault(name, self._new_evidence(name)).add([(scores.get(name, Score()), 1.0)])
        for name, score in scores.items():
            self._round[name] = self._round.get(name, Score()) + score
        self._iterations_in_round += 1
        absent = [name for name in self.active if not self._round.get(name, Score()).games]
        if absent and self._iterations_in_round < _MOST_ITERATIONS_PER_ROUND:
            return
        played = {name: score for name, score in self._round.items() if score.games}
        total = sum(score.games for score in played.values())
        weights = {name: total / len(self.active) / score.games for name, score in played.items()}
        scale = min(1.0, _HEAVIEST / max(weights.values(), default=1.0))
        self._evidence.setdefault(_POOL, self._new_evidence(_POOL)).add(
            [(score, scale * weights[name]) for name, score in played.items()]
        )
        self._round, self._iterations_in_round = {}, 0

    def _new_evidence(self, name: str, state: Sequence[float] = ()) -> Evidence:
        settings = self.settings
        most = _SURPLUS / settings.freeze_error
        if name == _POOL:
            return Evidence(settings.win_rate_threshold, largest_weight=_HEAVIEST, most=most, state=state)
        return Evidence(settings.newest_threshold, most=most, state=state)

    def should_freeze(self, env_steps: int) -> bool:
        """Return whether main is due to be frozen.

        Main is due when it beats the pool as it stands now, over at least ``min_games`` games since the last freeze:
        its win rate is above ``win_rate_threshold`` and its score against each of the newest snapshots is above
        ``newest_threshold``, by their estimates and each with a probability of error of at most ``freeze_error`` (see
        ``Evidence``). With ``freeze_every``, main is also due after that many env steps.
        """
        settings = self.settings
        last = max((self.members[name].env_steps for name in self.newest), default=0)
        if settings.freeze_every and env_steps - last >= settings.freeze_every:
            return True
        return (
            self._games_since_freeze >= settings.min_games
            and self.win_rate > settings.win_rate_threshold
            and self.newest_score >= settings.newest_threshold
            and all(self._is_sure_of(name) for name in (_POOL, *self.newest))
        )

    def _is_sure_of(self, name: str) -> bool:
        evidence = self._evidence.get(name)
        return evidence is not None and evidence.capital * self.settings.freeze_error >= 1 - 1e-9

    def admit(self, snapshot: Member) -> Member:
        """Admit a newly frozen snapshot and return it with its slot.

        Sometimes a retired heuristic comes back with it; the oldest members leave until both fit.
        """
        rng = np.random.default_rng((self._seed, len(self.members)))
        before, since = set(self.active), {"joined": snapshot.iteration, "retired": None}
        retired = [name for name, each in self.members.items() if each.kind == "heuristic" and name not in self.active]
        if retired and rng.random() < self.settings.revival_probability:
            revived = retired[rng.integers(len(retired))]
            self.active.append(revived)
            self.members[revived] = self.members[revived].model_copy(update=since)
        while len(self.active) >= self.settings.opponent_count:
            leaving = next(name for name in self.active if self.members[name].kind != "guest")
            self._retire(leaving, snapshot.iteration)
        self.retired = sorted(before - set(self.active))
        taken = self.slots()
        slot = next(slot for slot in range(self.settings.opponent_count) if slot not in taken)
        self.members[snapshot.id] = snapshot.model_copy(update={"slot": slot, "origin": self.id, **since})
        self.active.append(snapshot.id)
        self.freezes += 1
        self._games_since_freeze = 0
        self._evidence, self._round, self._iterations_in_round = {}, {}, 0
        return self.members[snapshot.id]

    def _retire(self, name: str, iteration: int) -> None:
        self.active.remove(name)
        self.recent.forget(name)
        self.members[name] = self.members[name].model_copy(update={"slot": None, "retired": iteration})

    def archive(self, members: Iterable[Member]) -> None:
        """Keep snapshots that the pool does not know, as inactive members.

        If a member of another league has the same id, the id of the archived one says which league froze it.
        """
        for member in members:
            known = self.members.get(member.id, member)
            of_two = known.weights_sha256 != member.weights_sha256
            name = f"{member.origin or self.id}-{member.id}" if of_two else member.id
            self.members.setdefault(name, member.model_copy(update={"id": name, "slot": None}))

    def slots(self) -> dict[int, Member]:
        """Return the active snapshot in each used slot."""
        return {member.slot: member for member in self.snapshots if member.slot is not None}

    def roster(self, mirror_share: float, iteration: int) -> Roster:
        """Return what env runners draw from; ``iteration`` gives each roster its own sequence of draws."""
        modules = {name: self.members[name].module for name in self.active}
        return Roster(modules, self._shares(), mirror_share, (self._seed, iteration))

    def _shares(self) -> tuple[float, ...]:
        """Return each active opponent's share of the games against the pool."""
        if self.settings.matchmaking == "pfsp":
            return pfsp_weights([self.recent.estimate(name) for name in self.active], self.settings.pfsp_floor)
        return tuple(1 / len(self.active) for _ in self.active)

    def to_state(self) -> PoolState:
        """Return everything the pool remembers."""
        return PoolState(
            members=tuple(self.members.values()),
            active=tuple(self.active),
            freezes=self.freezes,
            payoff=tuple(
                PayoffRow(first=first, second=second, **{result.name.lower(): score.count(result) for result in Result})
                for (first, second), score in self.payoff.items()
            ),
            recent={
                name: tuple((score.wins, score.draws, score.losses) for score in scores)
                for name, scores in self.recent.iterations.items()
            },
            games_since_freeze=self._games_since_freeze,
            evidence={name: evidence.state for name, evidence in self._evidence.items()},
            league=self.id,
        )

    def load_state(self, state: PoolState) -> None:
        """Restore what ``to_state`` returned, perhaps that of another league; this one keeps its own id."""
        frozen = {"origin": state.league}
        self.members = {
            member.id: member if member.origin or member.kind != "snapshot" else member.model_copy(update=frozen)
            for member in state.members
        }
        self.active = list(state.active)
        self.freezes = state.freezes
        self.payoff = {(row.first, row.second): Score(row.win, row.draw, row.loss) for row in state.payoff}
        self.recent = RecentResults(
            self.settings.newest_games,
            {name: [Score(*counts) for counts in scores] for name, scores in state.recent.items()},
        )
        self._games_since_freeze = state.games_since_freeze
        self._evidence = {name: self._new_evidence(name, values) for name, values in state.evidence.items()}


def first_matchmaker(settings: RunSettings, stream: Sequence[int]) -> Matchmaker:
    """Return the matchmaker that an env runner begins with; the league sends it newer rosters before it samples."""
    pool = OpponentPool(settings.league, settings.seed)
    return Matchmaker(pool.roster(settings.rollout.mirror_share, 0), stream)
