"""Grading: the committed positions are true, the verdicts are right, and bad files are refused in a sentence."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from connectfour.errors import PositionsError
from connectfour.games.connect_four.bitboard import CELLS, CENTER_FIRST, Boards, Outcome, mirror
from connectfour.games.connect_four.notation import format_moves
from connectfour.games.contract import Actions
from connectfour.games.observation import Observation
from connectfour.grading.grade import answer, grade, grade_actions, wilson_interval
from connectfour.grading.positions import FULL, HALVES, GradedPositions, load_positions
from heuristics import BeatLast, Random, State, make_heuristic

HEADER = "moves,s1,s2,s3,s4,s5,s6,s7\n"


@cache
def _score(own: int, occupied: int, plies: int) -> int:
    """Negamax to the end: half the discs that a win leaves unplayed, rounded up; negative for a loss, 0 for a draw."""
    if plies == CELLS:
        return 0
    best = -CELLS
    for column in range(7):
        board = Boards(1)
        board.own[:], board.occupied[:], board.plies[:] = own, occupied, plies
        outcome = board.play(np.array([column]))[0]
        if outcome == Outcome.WIN:
            return (CELLS + 1 - plies) // 2
        if outcome != Outcome.ILLEGAL:
            best = max(best, -_score(int(board.own[0]), int(board.occupied[0]), plies + 1))
    return best


@pytest.mark.slow
@pytest.mark.parametrize("half", HALVES)
def test_committed_scores_are_those_of_an_exhaustive_search(half: str) -> None:
    """The last plies can be searched here, without the solver that made the file."""
    positions = load_positions(half)
    late = positions.select(positions.plies >= 33)
    assert len(late) > 100
    boards = late.boards
    for index in range(0, len(late), 2):
        for column, score in enumerate(late.scores[index].tolist()):
            if score == FULL:
                continue
            board = boards[np.array([index])]
            assert isinstance(board, Boards)
            won = board.play(np.array([column]))[0] == Outcome.WIN
            plies = int(boards.plies[index])
            rest = 0 if won else _score(int(board.own[0]), int(board.occupied[0]), plies + 1)
            assert ((CELLS + 1 - plies) // 2 if won else -rest) == score, format_moves(late.moves[index])


def _keys(positions: GradedPositions) -> set[tuple[int, int]]:
    boards = positions.boards
    assert isinstance(boards, Boards)
    images = zip(
        boards.own.tolist(),
        boards.occupied.tolist(),
        mirror(boards.own).tolist(),
        mirror(boards.occupied).tolist(),
        strict=True,
    )
    return {min((own, occupied), (own_image, occupied_image)) for own, occupied, own_image, occupied_image in images}


def test_the_halves_are_large_different_and_decided_by_the_move() -> None:
    """At least 6,000 positions over plies 0 to 34, none twice, not even mirrored."""
    dev, test = (load_positions(half) for half in HALVES)
    assert len(dev) + len(test) >= 6000
    assert len(_keys(dev) | _keys(test)) == len(dev) + len(test)
    for half in (dev, test):
        assert half.decides.all()
        assert set(half.plies.tolist()) >= set(range(2, 35))
        assert np.bincount(half.plies // 7).min() > 250


def test_verdicts_by_hand(tmp_path: Path) -> None:
    """A win kept, a win kept but later, a win let slip to a draw or a loss; what no move decides is left out."""
    file = tmp_path / "positions.csv"
    # The centre wins soonest, the column before it later, the one behind it draws; one row a verdict, and a position
    # that is lost whatever is played.
    file.write_text(HEADER + "44,-1,-2,3,5,0,-2,-1\n" * 4 + "4444,-1,-2,-3,-5,-3,-2,-1\n")
    positions = load_positions(str(file))
    decided = positions.select(positions.decides)
    assert len(decided) == 4
    grades = grade_actions(decided, np.array([3, 2, 4, 0]))
    assert grades.value_preserving.tolist() == [True, True, False, False]
    assert grades.optimal.tolist() == [True, False, False, False]
    assert list(grades.by_part()) == ["all", "plies 0-6", "won"]
    assert grades.overall.to_json()["value_preserving_share"] == 0.5


def test_a_column_that_is_full_or_none_preserves_nothing(tmp_path: Path) -> None:
    """Even where every legal column would lose."""
    file = tmp_path / "positions.csv"
    file.write_text(HEADER + "444444,1,1,1,,1,1,-2\n")
    positions = load_positions(str(file))
    for column in (3, 7, -1):
        grades = grade_actions(positions, np.array([column]))
        assert not grades.value_preserving.any()
        assert not grades.optimal.any()


def test_deeper_search_grades_better_and_a_seed_repeats() -> None:
    """Random below two plies of search below four; the same seed gives the same grades."""
    positions = load_positions("dev")
    shares = {
        name: grade(make_heuristic(name), positions, seed=1).overall for name in ("random", "minimax:2", "minimax:4")
    }
    assert shares["random"].value_preserving < 0.5 * len(positions)
    assert (
        shares["random"].value_preserving < shares["minimax:2"].value_preserving < shares["minimax:4"].value_preserving
    )
    assert grade(make_heuristic("random"), positions, seed=1).overall == shares["random"]
    assert all(share.optimal <= share.value_preserving for share in shares.values())


def test_the_test_half_is_graded_by_default() -> None:
    """As the command does."""
    player = make_heuristic("linear")
    found = grade(player).overall
    assert found == grade(player, load_positions("test")).overall
    assert found.value_preserving_share == found.value_preserving / len(load_positions("test"))


def test_players_with_a_memory_see_the_game_so_far(tmp_path: Path) -> None:
    """``beat_last`` answers on top of the last disc of the game that led to the position, not of its own invention."""
    file = tmp_path / "positions.csv"
    file.write_text(HEADER + "411,1,1,1,1,1,1,-1\n" + "4166,1,1,1,1,1,1,-1\n" + "44,1,1,1,1,1,1,-1\n")
    positions = load_positions(str(file))
    assert answer(BeatLast(), positions).tolist() == [0, 5, 3]
    assert CENTER_FIRST[0] == 3


class Watcher(Random):
    """Remembers, and notes how many discs it is shown."""

    state_size = 1

    def __init__(self) -> None:
        self.shown: list[list[int]] = []

    def act(self, observation: Observation, state: State, rng: np.random.Generator) -> tuple[Actions, State]:
        self.shown.append(observation.planes.sum(axis=(1, 2, 3)).tolist())
        return super().act(observation, state, rng)


def test_a_player_is_shown_its_own_turns_alone(tmp_path: Path) -> None:
    """Every second position of each game, in order, the one that is graded last."""
    file = tmp_path / "positions.csv"
    file.write_text(HEADER + "4166,1,1,1,1,1,1,-1\n" + "411,1,1,1,1,1,1,-1\n")
    watcher = Watcher()
    answer(watcher, load_positions(str(file)))
    assert watcher.shown == [[0], [1], [2], [4, 3]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("moves,scores\n", "does not begin with the line moves,s1,s2"),
        (HEADER, "holds no positions"),
        (HEADER + "44,1,1\n", "line 2 of .* it has 3 fields instead of 8"),
        (HEADER + "48,1,1,1,1,1,1,1\n", "line 2 of .* move 2 of '48' is '8': write columns as digits 1 to 7"),
        (HEADER + "44,1,1,1,x,1,1,1\n", "line 2 of .* invalid literal"),
        (HEADER + "44,1,1,1,99999999999999999999,1,1,1\n", "line 2 of .* 99999999999999999999 is not a score"),
        (HEADER + f"44,{'1' * 200_000},1,1,1,1,1,1\n", "line 2 of .* field larger than field limit"),
        (HEADER + "44,1,1,1,1,1,1,1\n4444444,1,1,1,,1,1,1\n", "line 3 of .* column 4 is full at move 7"),
        (HEADER + "1212121,1,1,1,1,1,1,1\n", "line 2 of .* the game 1212121 is over"),
        (HEADER + "1212121,,,,,,,\n", "line 2 of .* the game 1212121 is over"),
        (
            HEADER + "444444,1,1,1,1,1,1,1\n",
            r"line 2 of .* exactly the legal moves \(1, 2, 3, 5, 6, 7\) must have scores",
        ),
        (HEADER + "44,1,1,1,,1,1,1\n", "line 2 of .* exactly the legal moves"),
    ],
)
def test_bad_files_are_refused_with_their_line(tmp_path: Path, text: str, message: str) -> None:
    """One sentence that names the file and the line."""
    file = tmp_path / "positions.csv"
    file.write_text(text)
    with pytest.raises(PositionsError, match=message):
        load_positions(str(file))


def test_missing_torn_and_pointless_files_are_refused(tmp_path: Path) -> None:
    """No file, half a gzip file, and positions that no move decides."""
    with pytest.raises(PositionsError, match=r"cannot read .*none\.csv: No such file"):
        load_positions(str(tmp_path / "none.csv"))
    torn = tmp_path / "torn.csv.gz"
    torn.write_bytes(gzip.compress((HEADER + "44,1,1,1,1,1,1,1\n").encode())[:-12])
    with pytest.raises(PositionsError, match="neither text nor a complete gzip file"):
        load_positions(str(torn))
    torn.write_bytes(gzip.compress(b"")[:10] + b"\xff" * 20)  # a header, and no valid block behind it
    with pytest.raises(PositionsError, match="neither text nor a complete gzip file"):
        load_positions(str(torn))
    file = tmp_path / "lost.csv"
    file.write_text(HEADER + "44,-1,-1,-1,-1,-1,-1,-1\n")
    with pytest.raises(PositionsError, match="no position has moves with different results"):
        grade(make_heuristic("random"), load_positions(str(file)))


def test_wilson_interval_is_the_published_one() -> None:
    """Figures of Newcombe (1998), table I, method 3: 81 of 263, and none or all of 29."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(29, 29)[1] == 1.0
