"""Pool and matchmaking: decisions without Ray or Torch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from connectfour.games.result import Result, Score, SeatScores
from connectfour.league.manifest import PoolState
from connectfour.league.matchmaking import Matchmaker, MatchUp, Roster, pfsp_weights
from connectfour.league.members import MAIN, Member
from connectfour.league.pool import OpponentPool
from connectfour.settings.league import LeagueSettings

SETTINGS = LeagueSettings(
    opponents=("heuristic:random", "heuristic:linear"),
    opponent_count=4,
    min_games=120,
    win_rate_threshold=0.6,
    newest_threshold=0.6,
    newest_games=20,
    newest_members=1,
    revival_probability=0.0,
)


def results(opponent: str, wins: int, draws: int = 0, losses: int = 0, seat: int = 0) -> dict[str, SeatScores]:
    """Main's games of one iteration against one opponent."""
    return {opponent: SeatScores.of(seat, Score(wins, draws, losses))}


def freeze(pool: OpponentPool, env_steps: int = 0) -> Member:
    """Let the next snapshot in, without weights."""
    return pool.admit(Member(id=pool.next_snapshot_id, kind="snapshot", env_steps=env_steps))


class TestPromotion:
    """When main is frozen."""

    def test_needs_the_minimum_of_games(self) -> None:
        """119 games since the last freeze are not enough, 120 are."""
        pool = OpponentPool(SETTINGS)
        pool.record(results("random", 60) | results("linear", 59))
        assert not pool.should_freeze(0)
        pool.record(results("linear", 1))
        assert pool.should_freeze(0)

    def test_draws_are_half_a_point(self) -> None:
        """The win rate is points per game, with two draws per opponent as a prior."""
        pool = OpponentPool(SETTINGS)
        pool.record(results("random", 2, 6) | results("linear", 0, 8))
        assert pool.win_rate == pytest.approx(((2 + 3 + 1) / 10 + 0.5) / 2)

    def test_every_opponent_counts_the_same(self) -> None:
        """A thousand wins against one opponent do not hide the losses against the other."""
        pool = OpponentPool(SETTINGS)
        pool.record(results("random", 1000) | results("linear", 0, 0, 30))
        assert pool.win_rate == pytest.approx(0.5, abs=0.02)
        assert not pool.should_freeze(0)

    def test_an_opponent_that_main_never_met_counts_as_its_equal(self) -> None:
        """Nothing is known of it, so nothing speaks for main."""
        pool = OpponentPool(SETTINGS)
        pool.record(results("random", 1000))
        assert pool.win_rate == pytest.approx(0.75, abs=0.01)

    def test_the_newest_snapshot_must_be_beaten_for_sure(self) -> None:
        """Whatever the pool as a whole says: a few wins may be luck."""
        pool = OpponentPool(SETTINGS)
        freeze(pool)
        easy = results("random", 100) | results("linear", 100)
        pool.record(easy | results("v0001", 6))
        assert pool.newest_score > SETTINGS.newest_threshold
        assert not pool.should_freeze(0), "six wins may be luck"
        pool.record(easy | results("v0001", 30))
        assert pool.should_freeze(0)
        for _ in range(10):
            pool.record(easy | results("v0001", 10, 0, 20))
        assert not pool.should_freeze(0), "it no longer beats the newest"

    def test_an_opponent_that_seldom_plays_is_not_left_out(self) -> None:
        """Otherwise the win rate would seem higher than it is: main never beats the rare one."""
        pool = OpponentPool(SETTINGS.model_copy(update={"min_games": 1, "win_rate_threshold": 0.7}))
        rng = np.random.default_rng(0)
        for iteration in range(200):
            wins = int(rng.binomial(30, 0.9))
            rare = results("linear", 0, 0, 1) if iteration % 7 == 0 else {}
            pool.record(results("random", wins, 0, 30 - wins) | rare)
            assert not pool._is_sure_of("pool")

    def test_a_good_time_long_ago_does_not_hide_a_bad_one(self) -> None:
        """Main must beat the newest snapshot now."""
        pool = OpponentPool(SETTINGS)
        freeze(pool)
        easy = results("random", 100) | results("linear", 100)
        for _ in range(50):
            pool.record(easy | results("v0001", 20))
        for _ in range(3):
            pool.record(easy | results("v0001", 0, 0, 20))
        assert not pool.should_freeze(0)

    def test_evidence_begins_anew_with_a_freeze(self) -> None:
        """The pool is another one then, and so is the newest snapshot."""
        pool = OpponentPool(SETTINGS)
        pool.record(results("random", 100) | results("linear", 100))
        assert pool.should_freeze(0)
        freeze(pool)
        pool.record(results("v0001", 2) | results("random", 40))
        assert not pool.should_freeze(0)

    @pytest.mark.parametrize("threshold", ["win_rate_threshold", "newest_threshold"])
    @pytest.mark.slow
    def test_looking_often_does_not_help(self, threshold: str) -> None:
        """With a score 0.02 below a threshold there is hardly a freeze in 300 iterations, at 0.04 above soon one."""
        other = {"win_rate_threshold", "newest_threshold"} - {threshold}
        settings = SETTINGS.model_copy(update={threshold: 0.68, **dict.fromkeys(other, 0.01), "newest_members": 2})
        rng = np.random.default_rng(0)

        def iterations_until_a_freeze(score: float) -> float:
            pool = OpponentPool(settings)
            freeze(pool)
            freeze(pool)
            for iteration in range(1, 301):
                games = int(rng.poisson(40))
                wins = {name: int(rng.binomial(games, score)) for name in pool.active}
                pool.record({name: SeatScores.of(0, Score(won, 0, games - won)) for name, won in wins.items()})
                if pool.should_freeze(0):
                    return iteration
            return np.inf

        assert np.mean([iterations_until_a_freeze(0.66) < np.inf for _ in range(60)]) <= 0.05
        assert np.median([iterations_until_a_freeze(0.72) for _ in range(20)]) <= 60

    def test_as_many_of_the_newest_as_the_settings_say(self) -> None:
        """With two, beating the newest alone is not enough."""
        pool = OpponentPool(SETTINGS.model_copy(update={"newest_members": 2}))
        pool.record(results("random", 100) | results("linear", 100))
        freeze(pool)
        freeze(pool)
        easy = results("random", 100) | results("linear", 100)
        pool.record(easy | results("v0002", 30) | results("v0001", 10, 0, 20))
        assert pool.newest == ["v0001", "v0002"]
        assert not pool.should_freeze(0)
        pool.record(easy | results("v0002", 30) | results("v0001", 60))
        assert pool.should_freeze(0)

    def test_what_is_known_of_an_opponent_outlasts_a_freeze(self) -> None:
        """Main is the same policy before and after: only the new member is unknown, and gets most of the games."""
        pool = OpponentPool(SETTINGS)
        pool.record(results("random", 100) | results("linear", 90, 0, 10))
        before = pool.recent.estimate("linear")
        freeze(pool)
        assert pool.recent.estimate("linear") == before
        share = dict(zip(pool.active, pool.roster(0.0, 0).weights, strict=True))
        assert share["v0001"] > 0.7

    def test_no_twin_follows_a_freeze(self) -> None:
        """The sequence that used to freeze every snapshot twice: easy opponents carry the score right after a freeze.

        Main beats heuristics and old snapshots, and is the equal of the one just frozen; then it learns slowly.
        """
        pool = OpponentPool(LeagueSettings(revival_probability=0.0), seed=1)
        rng = np.random.default_rng(0)
        strength, iterations = 0.0, list[int]()
        frozen_at: dict[str, float] = {}
        for iteration in range(400):
            strength += 0.01
            true_score = dict.fromkeys(pool.settings.heuristics, 0.97)
            true_score |= {name: 1 / (1 + np.exp(at - strength)) for name, at in frozen_at.items()}
            roster = pool.roster(0.0, iteration)
            played = {}
            for name, weight in zip(roster.modules, roster.weights, strict=True):
                games = int(rng.poisson(230 * weight))
                wins = int(rng.binomial(games, true_score[name]))
                played[name] = SeatScores.of(0, Score(wins, 0, games - wins))
            pool.record(played)
            if pool.should_freeze(0):
                frozen_at[freeze(pool).id] = strength
                iterations.append(iteration)
        gaps = np.diff(list(frozen_at.values()))
        assert len(gaps) >= 4, "main goes on being frozen"
        assert gaps.min() > 0.4, "each snapshot is beaten clearly before the next joins"

    def test_freezes_after_a_number_of_env_steps_if_asked_to(self) -> None:
        """Whatever the score; counted from the last snapshot."""
        pool = OpponentPool(SETTINGS.model_copy(update={"freeze_every": 1000}))
        pool.record(results("random", 0, 0, 50))
        assert not pool.should_freeze(999)
        assert pool.should_freeze(1000)
        freeze(pool, env_steps=1000)
        assert not pool.should_freeze(1999)
        assert pool.should_freeze(2000)
        pool.archive([Member(id="v0009", kind="snapshot", env_steps=5000)])
        assert pool.should_freeze(2000), "snapshots of another attempt do not count"

    def test_old_results_give_way_to_new_ones(self) -> None:
        """Each opponent's latest iterations count, as few as hold the games that are asked for."""
        pool = OpponentPool(SETTINGS)
        pool.record(results("random", 0, 0, 20))
        for _ in range(5):
            pool.record(results("random", 5))
        assert pool.recent.score("random") == Score(20, 0, 0)
        assert pool.payoff[MAIN, "random"] == Score(25, 0, 20), "the record forgets nothing"


class TestPayoff:
    """Who moved first decides where a game is counted."""

    def test_is_kept_by_ordered_pair_as_the_first_saw_it(self) -> None:
        """A win of main in second seat is a loss of the opponent who moved first."""
        pool = OpponentPool(SETTINGS)
        pool.record({"linear": SeatScores(Score(wins=3), Score(wins=2, draws=1))})
        assert pool.payoff == {(MAIN, "linear"): Score(wins=3), ("linear", MAIN): Score(draws=1, losses=2)}


class TestActivePool:
    """Who is drawn as an opponent."""

    def test_the_oldest_leave_and_the_archive_keeps_all(self) -> None:
        """Heuristics are the oldest, then the first snapshots."""
        pool = OpponentPool(SETTINGS)
        for _ in range(5):
            freeze(pool)
        assert pool.active == ["v0002", "v0003", "v0004", "v0005"]
        assert list(pool.members) == ["random", "linear", "v0001", "v0002", "v0003", "v0004", "v0005"]
        assert len(pool) == 7

    def test_slots_are_distinct_and_reused(self) -> None:
        """Each active snapshot has a slot of its own, and nobody else has one."""
        pool = OpponentPool(SETTINGS)
        for _ in range(11):
            freeze(pool)
            slots = pool.slots()
            assert sorted(slots) == sorted(set(slots))
            assert {member.id for member in slots.values()} == {name for name in pool.active if name.startswith("v")}
            assert max(slots) < SETTINGS.opponent_count

    def test_retired_heuristics_come_back_with_the_given_probability(self) -> None:
        """With one sixth, about one freeze in six brings one back; it then leaves again in its turn."""
        settings = SETTINGS.model_copy(update={"revival_probability": 1 / 6, "opponent_count": 3})
        revived = freezes = 0
        for seed in range(60):
            pool = OpponentPool(settings, seed)
            for _ in range(3):
                freeze(pool)
            for _ in range(10):
                before = set(pool.active)
                newest = freeze(pool)
                back = set(pool.active) - before - {newest.id}
                assert back <= {"random", "linear"}
                revived += len(back)
                freezes += 1
                assert len(pool.active) <= 3
                assert pool.active[-1] == newest.id
        assert 0.10 < revived / freezes < 0.20

    def test_state_survives_json(self) -> None:
        """What is saved is what comes back: members, slots, pay-off, recent results."""
        pool = OpponentPool(SETTINGS, seed=3)
        pool.record(results("random", 7, seat=1) | results("linear", 0, 2))
        freeze(pool)
        pool.record(results("v0001", 0, 0, 3))
        other = OpponentPool(SETTINGS, seed=3, league_id=pool.id)
        other.load_state(PoolState.model_validate_json(pool.to_state().model_dump_json()))
        assert other.to_state() == pool.to_state()
        assert other.roster(0.5, 4) == pool.roster(0.5, 4)

    def test_archived_snapshots_are_not_played(self) -> None:
        """A snapshot that a checkpoint does not know stays, and its name is not given again."""
        pool = OpponentPool(SETTINGS)
        size = len(pool)
        pool.archive([Member(id="v0004", kind="snapshot", slot=2)])
        assert (len(pool), pool.league_score) == (size, 0.5)
        assert "v0004" not in pool.active
        assert pool.slots() == {}
        assert pool.next_snapshot_id == "v0005"


class TestMatchmaking:
    """One (opponent, seat) per game."""

    roster = Roster({"random": "heuristic_random", "v0001": "opponent_0"}, (0.75, 0.25), 0.2, (7, 1))

    def test_shares_are_the_rosters(self) -> None:
        """A fifth of the games are mirrors; the rest goes by weight."""
        matchmaker = Matchmaker(self.roster)
        drawn = Counter(matchmaker.draw().opponent for _ in range(20_000))
        assert abs(drawn[MAIN] / 20_000 - 0.2) < 0.01
        assert abs(drawn["random"] / 16_000 - 0.75) < 0.02

    def test_seats_are_balanced_per_opponent(self) -> None:
        """Never more than one game apart, and not in strict alternation."""
        matchmaker = Matchmaker(self.roster)
        seats: dict[str, list[int]] = {"random": [], "v0001": []}
        for _ in range(2_000):
            match_up = matchmaker.draw()
            if not match_up.is_mirror:
                seats[match_up.opponent].append(match_up.main_seat)
                lead = 2 * sum(seats[match_up.opponent]) - len(seats[match_up.opponent])
                assert abs(lead) <= 1
        assert any(first == second for first, second in zip(seats["random"], seats["random"][1:], strict=False))

    def test_seats_stay_balanced_when_the_roster_changes(self) -> None:
        """A new roster after every few games, as in training."""
        matchmaker = Matchmaker(self.roster)
        seats = []
        for iteration in range(300):
            matchmaker.follow(Roster(self.roster.modules, self.roster.weights, 0.0, (7, iteration)))
            seats += [match_up.main_seat for match_up in (matchmaker.draw(), matchmaker.draw())]
        assert abs(2 * sum(seats) - len(seats)) <= 2

    def test_seeded_and_different_for_each_worker(self) -> None:
        """The same seed repeats the draws; another worker draws others."""

        def draws(worker: int) -> list[MatchUp]:
            matchmaker = Matchmaker(self.roster, (0, worker))
            return [matchmaker.draw() for _ in range(50)]

        assert draws(1) == draws(1)
        assert draws(1) != draws(2)

    def test_both_agents_get_the_modules_of_one_match_up(self) -> None:
        """Main in its seat, the opponent in the other, main in both seats of a mirror."""
        match_up = MatchUp("v0001", "opponent_0", 1)
        assert [match_up.module_in(seat) for seat in (0, 1)] == ["opponent_0", MAIN]
        assert [MatchUp(MAIN, MAIN, 0).module_in(seat) for seat in (0, 1)] == [MAIN, MAIN]

    def test_counts_pool_games_of_present_opponents_only(self) -> None:
        """Mirrors and games whose opponent was swapped midway do not count; draining empties the count."""
        matchmaker = Matchmaker(self.roster)
        matchmaker.record(MatchUp("random", "heuristic_random", 0), Result.WIN, "end")
        matchmaker.record(MatchUp("random", "heuristic_random", 1), Result.LOSS, "end")
        matchmaker.record(MatchUp(MAIN, MAIN, 0), Result.WIN, "end")
        matchmaker.record(MatchUp("v0000", "opponent_0", 1), Result.LOSS, "end")
        assert matchmaker.drain() == {"random": SeatScores(Score(wins=1), Score(losses=1))}
        assert matchmaker.drain() == {}

    def test_a_repeated_game_counts_once(self) -> None:
        """Two players without chance would otherwise seem to meet a hundred times; memory is bounded."""
        matchmaker = Matchmaker(self.roster)
        game = MatchUp("random", "heuristic_random", 0)
        for position in [1, 1, 2, 1]:
            matchmaker.record(game, Result.WIN, position)
        matchmaker.follow(Roster(self.roster.modules, self.roster.weights, 0.0, (7, 1)))
        matchmaker.record(game, Result.WIN, 2)
        assert matchmaker.drain() == {"random": SeatScores(Score(wins=2))}
        for position in range(1000):
            matchmaker.record(game, Result.WIN, position + 3)
        matchmaker.drain()
        matchmaker.record(game, Result.WIN, 1)
        assert matchmaker.drain() == {"random": SeatScores(Score(wins=1))}

    def test_pfsp_prefers_hard_opponents_and_forgets_none(self) -> None:
        """Shares by (1 - score)^2 above an even floor."""
        weights = pfsp_weights([0.0, 0.5, 1.0], floor=0.3)
        assert sum(weights) == pytest.approx(1)
        assert weights == pytest.approx((0.1 + 0.7 * 0.8, 0.1 + 0.7 * 0.2, 0.1))
        assert pfsp_weights([1.0, 1.0], floor=0.0) == pytest.approx((0.5, 0.5))

    def test_uniform_and_pfsp_rosters(self) -> None:
        """Uniform ignores the scores; pfsp plays the one that beats main more often."""
        uniform = OpponentPool(SETTINGS.model_copy(update={"matchmaking": "uniform"}))
        pfsp = OpponentPool(SETTINGS.model_copy(update={"matchmaking": "pfsp"}))
        for pool in (uniform, pfsp):
            pool.record(results("random", 50) | results("linear", 0, 0, 50))
        assert uniform.roster(0.0, 0).weights == (0.5, 0.5)
        easy, hard = pfsp.roster(0.0, 0).weights
        assert hard > 4 * easy > 0
