"""Every game keeps the contract, and games that break it are refused with a reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pettingzoo.test import api_test

from connectfour.errors import GameError, NotationError
from connectfour.games.arrays import ArrayBoards, ArrayGame
from connectfour.games.contract import Boards, Game, Symmetry
from connectfour.games.moves import play_moves
from connectfour.games.observation import Observation
from connectfour.games.openings import random_opening_moves, random_openings
from connectfour.games.pettingzoo.rules import PettingZooGame
from connectfour.games.position import Position
from connectfour.games.registry import _make_game, make_game
from connectfour.games.tictactoe.rules import TicTacToe
from connectfour.grading.solved import solve
from connectfour.matches.arena import play_match
from heuristics import Minimax
from tests.doubles import First
from tests.games import Dots, DotsBoards, after_random_plies, all_that_boards_tell, assert_same, random_actions

YOUR_GAME = Path(__file__).resolve().parent.parent / "examples" / "your_game"
CONNECT_FOUR_V3 = "pettingzoo.classic.connect_four_v3"
TICTACTOE_V3 = "pettingzoo.classic.tictactoe_v3"
GO_V5 = "pettingzoo.classic.go_v5"
FINISHED = "games are over"


class Case:
    """A game, how many random games a test plays, and PettingZoo's own environment for the game."""

    def __init__(self, name: str, games: int, reference: str | None, **options: Any) -> None:
        self.name, self.games, self.reference, self.options = name, games, reference, options

    def game(self) -> Game:
        return make_game(self.name, self.options)

    def env(self) -> Any:
        assert self.reference is not None
        return import_module(self.reference).env(**self.options)


CASES = [
    Case("connect_four", 20, CONNECT_FOUR_V3),
    Case("tictactoe", 60, TICTACTOE_V3),
    Case(f"pettingzoo:{TICTACTOE_V3}", 40, TICTACTOE_V3),
    Case(f"pettingzoo:{GO_V5}", 6, GO_V5, board_size=5),
    Case(f"pettingzoo:{CONNECT_FOUR_V3}", 20, CONNECT_FOUR_V3),
    Case("nim:Nim", 100, None, heaps=[3, 4, 5]),
    Case("nim:Nim", 20, None, heaps=[120, 9]),  # more actions than a byte counts
    Case("tests.games:Dots", 50, None),
    Case("tests.games:HighCard", 50, None),
]
WITH_REFERENCE = [case for case in CASES if case.reference]
ADAPTED = [case for case in CASES if case.name.startswith("pettingzoo:")]
SEARCHABLE = [case for case in CASES if case not in ADAPTED and "HighCard" not in case.name]


def _id(case: Case) -> str:
    return case.name


@pytest.fixture(autouse=True)
def _find_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``nim:Nim`` be found, as in a working directory."""
    monkeypatch.syspath_prepend(YOUR_GAME)


def _play_some(boards: Boards, rng: np.random.Generator) -> Boards:
    """Play one random action on every board and return the boards whose games go on."""
    boards.play(random_actions(boards, rng))
    return boards[~boards.over]


def _random_game(boards: Boards, seed: int = 0) -> Iterator[Boards]:
    """Play random games to the end, and yield the boards of unfinished ones before each action."""
    rng = np.random.default_rng(seed)
    while len(boards):
        yield boards
        boards = _play_some(boards, rng)


@pytest.mark.parametrize("case", WITH_REFERENCE, ids=_id)
def test_same_as_pettingzoo(case: Case) -> None:
    """Observations, masks, the agent to move, ends and rewards agree after every action."""
    game, rng = case.game(), np.random.default_rng(0)
    results = set()
    env = case.env()
    for _ in range(case.games):
        env.reset()
        boards, first = game.boards(1), env.agent_selection
        second = next(agent for agent in env.possible_agents if agent != first)
        won = np.zeros(2)
        while not boards.over[0]:
            mover = env.agent_selection
            observation, expected = boards.observe(), env.observe(mover)
            np.testing.assert_array_equal(expected["observation"], observation.planes[0])
            np.testing.assert_array_equal(expected["action_mask"], observation.action_mask[0])
            assert observation.planes.dtype == expected["observation"].dtype == game.observation_dtype
            assert observation.planes.shape[1:] == game.observation_shape
            assert observation.action_mask.dtype == np.int8
            assert boards.seat[0] == [first, second].index(mover)
            assert not boards.returns.any()
            action = random_actions(boards, rng)
            boards.play(action)
            env.step(int(action[0]))
            won += [env.rewards[first], env.rewards[second]]
            assert boards.over[0] == all(env.terminations.values())
        np.testing.assert_array_equal(won, boards.returns[0])
        results.add(tuple(won))
    assert len(results) > 1, "the games must have several results"


@pytest.mark.parametrize("case", ADAPTED, ids=_id)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_environments_pass_the_test_of_pettingzoo(case: Case) -> None:
    """What the adapter is compared with is sound, and its state can be copied: playing games again is slow."""
    api_test(case.env(), num_cycles=20)
    game = case.game()
    assert isinstance(game, PettingZooGame)
    assert not game._environments.replays


@pytest.mark.parametrize("case", CASES, ids=_id)
class TestContract:
    """What the league relies on."""

    def test_a_batch_plays_like_its_boards_one_by_one(self, case: Case) -> None:
        """A board does not depend on the others."""
        game, rng = case.game(), np.random.default_rng(1)
        game.seed(1)
        together = game.boards(6)
        game.seed(1)
        alone = [game.boards(1) for _ in range(6)]
        while len(together):
            actions = random_actions(together, rng)
            together.play(actions)
            for board, action in zip(alone, actions, strict=True):
                board.play(np.array([action]))
            told = all_that_boards_tell(together)
            for row, board in enumerate(alone):
                assert_same(
                    {name: array[row] for name, array in told.items()},
                    {k: v[0] for k, v in all_that_boards_tell(board).items()},
                )
            going = ~together.over
            together, alone = together[going], [board for board, on in zip(alone, going, strict=True) if on]

    def test_packed_positions_expand_to_what_players_see(self, case: Case) -> None:
        """Shape and dtype of what is packed are those that the game tells; no boards are fine, too."""
        game = case.game()
        for boards in _random_game(game.boards(case.games)):
            packed, seen = boards.pack(), boards.observe()
            assert packed.dtype == game.packed.dtype
            assert packed.shape[1:] == game.packed.shape[1:]
            packed.setflags(write=False)
            found = game.expand(packed)
            assert_same({"planes": seen.planes}, {"planes": found.planes})
            assert_same({"mask": seen.action_mask}, {"mask": found.action_mask})
            np.testing.assert_array_equal(seen.action_mask != 0, boards.legal())
        nothing = game.boards(0)
        assert nothing.pack().shape == (0, *game.packed.shape[1:])
        assert nothing.observe().planes.shape == (0, *game.observation_shape)
        assert len(game.expand(nothing.pack())) == 0

    def test_children_are_what_playing_leads_to(self, case: Case) -> None:
        """Every action in every position of random games; games that cannot be searched say so."""
        game = case.game()
        if not game.searchable:
            assert game.unpack(game.boards(1).pack()) is None
            with pytest.raises(TypeError, match="cannot be searched"):
                game.children(game.boards(1).pack())
            return
        for boards in _random_game(game.boards(min(case.games, 20))):
            packed = boards.pack()
            children = game.children(packed)
            np.testing.assert_array_equal(boards.legal(), children.legal)
            assert (children.values[~children.legal] == -1).all()
            assert not children.goes_on[~children.legal].any()
            rows, actions = np.nonzero(children.legal)
            after = boards[rows]
            movers = after.seat
            after.play(actions)
            np.testing.assert_array_equal(~after.over, children.goes_on[rows, actions])
            np.testing.assert_array_equal(after.returns[np.arange(len(rows)), movers], children.values[rows, actions])
            going = after[~after.over]
            np.testing.assert_array_equal(going.pack(), children.packed)
            np.testing.assert_array_equal(going.seat != movers[~after.over], children.opponent_moves)

    def test_an_image_of_a_game_is_the_same_game(self, case: Case) -> None:
        """Each symmetry shows what its boards show, and leads to the same end; two in a row are a third."""
        game = case.game()
        for symmetry in game.symmetries:
            rng = np.random.default_rng(2)
            boards, images = game.boards(case.games), game.boards(case.games)
            while len(boards):
                seen, image = boards.observe(), images.observe()
                flat = seen.planes.reshape(len(boards), -1)
                np.testing.assert_array_equal(flat[:, symmetry.observation], image.planes.reshape(len(boards), -1))
                np.testing.assert_array_equal(seen.action_mask[:, symmetry.actions], image.action_mask)
                actions = random_actions(images, rng)
                images.play(actions)
                boards.play(symmetry.actions[actions])
                np.testing.assert_array_equal(boards.returns, images.returns)
                boards, images = boards[~boards.over], images[~images.over]
        pairs = {(each.observation.tobytes(), each.actions.tobytes()) for each in game.symmetries}
        assert len(pairs) == len(game.symmetries)
        for one in game.symmetries:
            for other in game.symmetries:
                both = one.observation[other.observation], one.actions[other.actions]
                assert tuple(each.tobytes() for each in both) in pairs

    def test_copies_are_independent(self, case: Case) -> None:
        """Each goes its own way, and goes it as the other one would."""
        game = case.game()
        boards = after_random_plies(game, 4, 2)
        before, twin = all_that_boards_tell(boards), boards.copy()
        assert_same(before, all_that_boards_tell(twin))
        actions = random_actions(boards, np.random.default_rng(3))
        boards.play(actions)
        assert_same(before, all_that_boards_tell(twin))
        twin.play(actions)
        assert_same(all_that_boards_tell(boards), all_that_boards_tell(twin))

    def test_a_repeated_index_makes_independent_boards(self, case: Case) -> None:
        """One position can be continued with every action."""
        game = case.game()
        boards = after_random_plies(game, 2, 1)
        actions = np.flatnonzero(boards.legal()[1])
        alone = [boards[1:].copy() for _ in actions]
        many = boards[np.full(len(actions), 1)]
        many.play(actions)
        for row, (board, action) in enumerate(zip(alone, actions, strict=True)):
            board.play(np.array([action]))
            assert_same(all_that_boards_tell(board), all_that_boards_tell(many[row : row + 1]))
        assert len(np.unique(many.pack(), axis=0)) == len(actions)

    def test_assigned_boards_take_over(self, case: Case) -> None:
        """Selected boards are overwritten, by mask, by number and by the mask of finished games, and then go on."""
        game, rng = case.game(), np.random.default_rng(4)
        boards, others = game.boards(5), after_random_plies(game, 2, 2)
        boards.play(random_actions(boards, rng))
        before, expected = all_that_boards_tell(boards), all_that_boards_tell(others)
        boards.assign(np.array([3, 1]), others)
        told = all_that_boards_tell(boards)
        assert_same(
            {name: array[[0, 2, 4]] for name, array in before.items()}, {k: v[[0, 2, 4]] for k, v in told.items()}
        )
        assert_same(expected, {name: array[[3, 1]] for name, array in told.items()})
        while not boards.over.any():
            boards.play(random_actions(boards, rng))
        boards.assign(boards.over, game.boards(int(boards.over.sum())))
        assert not boards.over.any()
        assert (boards.plies == 0).any()
        assert not boards.returns.any()
        boards.play(random_actions(boards, rng))
        assert (boards.plies > 0).all()

    def test_random_openings_have_the_wanted_length(self, case: Case) -> None:
        """They follow the seed."""
        game, plies = case.game(), np.array([0, 1, 2, 3, 2, 1, 2, 3])
        draws = []
        for seed in (0, 0, 1):
            game.seed(seed)
            draws.append(random_openings(game, plies, np.random.default_rng(seed)))
        for boards in draws:
            np.testing.assert_array_equal(plies, boards.plies)
            assert not boards.over.any()
        assert_same(all_that_boards_tell(draws[0]), all_that_boards_tell(draws[1]))
        assert (draws[0].pack() != draws[2].pack()).any()
        moves = random_opening_moves(game, 5, 3, np.random.default_rng(0))
        assert moves.shape == (5, 3)
        played = play_moves(game, moves)
        assert (played.plies == 3).all()
        assert game.has_chance or not played.over.any()

    def test_a_player_can_act_until_the_game_is_over(self, case: Case) -> None:
        """Masks, returns and plies of whole games; a finished one accepts no action."""
        game, rng = case.game(), np.random.default_rng(5)
        boards, results = game.boards(case.games), set()
        plies = 0
        while len(boards):
            assert boards.legal().any(axis=1).all()
            assert not boards.returns.any()
            assert (boards.plies == plies).all()
            boards.play(random_actions(boards, rng))
            plies += 1
            assert not boards.legal()[boards.over].any()
            np.testing.assert_allclose(boards.returns.sum(axis=1), 0, atol=1e-6)
            results |= set(boards.returns[boards.over, 0].tolist())
            if boards.over.any():
                with pytest.raises(ValueError, match=FINISHED):
                    boards.play(np.zeros(len(boards), np.int64))
            boards = boards[~boards.over]
        assert plies <= game.max_plies
        assert len(results) > 1

    def test_actions_can_be_written_and_read(self, case: Case) -> None:
        """In logs, and by people."""
        game = case.game()
        actions = list(range(game.actions))
        assert game.parse_actions(game.format_actions(actions)) == actions
        assert game.parse_actions(game.format_actions([])) == []
        with pytest.raises(NotationError):
            game.parse_actions("nonsense")
        assert sorted(game.preference) == actions

    def test_a_game_has_one_object(self, case: Case) -> None:
        """The same name and options give it; others do not."""
        assert case.game() is case.game()
        assert case.game().name == case.name
        assert dict(case.game().options) == case.options
        assert case.game().boards(1).seat[0] == 0
        drawn = case.game().text(case.game().boards(1))
        assert drawn is None or drawn.strip()


@pytest.mark.parametrize("case", SEARCHABLE, ids=_id)
def test_unpacked_positions_go_on_like_the_original(case: Case) -> None:
    """Playing on them leaves what was packed alone, which may be read-only."""
    game = case.game()
    assert game.searchable
    for count in (1, 20):
        boards = after_random_plies(game, count, 2)
        packed = boards.pack()
        packed.setflags(write=False)
        unpacked = game.unpack(packed)
        assert unpacked is not None
        assert_same(all_that_boards_tell(boards), all_that_boards_tell(unpacked))
        actions = random_actions(boards, np.random.default_rng(2))
        boards.play(actions)
        unpacked.play(actions)
        assert_same(all_that_boards_tell(boards), all_that_boards_tell(unpacked))


@pytest.mark.parametrize("case", [case for case in CASES if "HighCard" not in case.name], ids=_id)
def test_a_player_against_itself_scores_exactly_half(case: Case) -> None:
    """Seats are swapped in every second game, and the player has no chance in it."""
    player = First()
    scores = play_match(player, player, 8, opening_plies=2, game=case.game())
    assert (scores.total.games, scores.total.points) == (8, 4)


def test_whoever_moves_again_is_not_its_own_opponent() -> None:
    """Search and solver agree with a plain recursion over the moves of Dots and boxes."""
    game = Dots()

    def value(board: Boards) -> float:
        """The best return of the player to move."""
        mover, best = int(board.seat[0]), -1.0
        for action in np.flatnonzero(board.legal()[0]):
            after = board.copy()
            after.play(np.array([action]))
            gained = (
                float(after.returns[0, mover])
                if after.over[0]
                else value(after) * (1 if after.seat[0] == mover else -1)
            )
            best = max(best, gained)
        return best

    solved = solve(game)
    known = dict(zip(map(tuple, solved.moves), solved.best.tolist(), strict=True))
    search = Minimax(5, game)
    moves = random_opening_moves(game, 6, 7, np.random.default_rng(0))
    boards = play_moves(game, moves)
    chosen, _ = search.act(boards.observe(), search.initial_state(6), np.random.default_rng(0))
    after, movers = boards.copy(), boards.seat
    after.play(chosen)
    expected = [np.sign(value(boards[row : row + 1])) for row in range(6)]
    for row in range(6):
        reached = value(after[row : row + 1]) * (1 if after.seat[row] == movers[row] else -1)
        assert np.sign(reached) == expected[row]
    packed = {
        each.tobytes(): best for each, best in zip(play_moves(game, list(known)).pack(), known.values(), strict=True)
    }
    assert [np.sign(packed[each.tobytes()]) for each in boards.pack()] == expected
    assert len(set(expected)) > 1


def test_a_game_with_chance_stays_the_same_game_move_by_move() -> None:
    """A position has a seed, and deals the same cards after every move; another seed deals others."""
    game = make_game("tests.games:HighCard")
    cards = {seed: Position((), game, seed).observe().planes[0, 0] for seed in range(8)}
    assert len(set(cards.values())) > 1
    for seed, card in cards.items():
        assert Position((), game, seed).play(0).play(1).observe().planes[0, 0] == card
    assert (game.opening_plies, make_game("tests.games:Dots").opening_plies) == (0, 2)


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "too few plies": ({"max_plies": 5}, "a game of mine:Mine goes on after 5 plies"),
    "no number of actions": ({"actions": 0}, "actions is 0, not a whole number from 1"),
    "no shape": ({"observation_shape": 14}, "observation_shape is 14, not a tuple"),
    "another shape": ({"observation_shape": (9,)}, r"observe shows \(16, 14\) uint8, not \(16, 9\) uint8"),
    "another dtype": ({"observation_dtype": np.int16}, "observation_dtype is not int8, uint8, bool or float32"),
    "another range": ({"observation_range": (0, 0)}, r"outside of observation_range, 0 to 0"),
    "a name instead of names": ({"heuristics": "random"}, "heuristics is 'random', not a tuple"),
    "half an order": ({"preference": np.arange(3)}, "preference is not an order of all actions"),
    "a short symmetry": (
        {"symmetries": (Symmetry(np.arange(3), np.arange(12)),)},
        "symmetry 0 has arrays of the shapes",
    ),
    "no symmetry": (
        {"symmetries": (Symmetry(np.arange(14), np.arange(12)[::-1]),)},
        "symmetry 0 is none: the image shows another position",
    ),
    "one name twice": ({"action_name": lambda self, action: "x"}, "two actions have the same name"),
    "a name with spaces": ({"action_name": lambda self, action: f"edge {action}"}, "has spaces"),
    "an error": ({"expand": lambda self, packed: 1 // 0}, "fails in a random game: ZeroDivisionError"),
    "both win": ({"gain": 1.0}, "returns do not sum to zero"),
    "other numbers": ({"dtype": np.float64}, "returns has the dtype float64 after a move, not float32"),
    "a large margin": ({"scale": 5.0}, "returns are not between -1 and 1"),
    "nothing to play": ({"most": 5}, "has no legal action while the game goes on"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_games_that_break_the_contract_are_refused(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random games find what is wrong; without it, the game is taken."""
    changes, message = BROKEN[fault]

    class Boards(DotsBoards):
        def play(self, actions: NDArray[np.int64]) -> None:
            super().play(actions)
            returns = self.returns * changes.get("scale", 1.0) + changes.get("gain", 0.0) * self.over[:, None]
            self.returns = returns.astype(changes.get("dtype", np.float32))

        def legal(self) -> NDArray[np.bool_]:
            legal: NDArray[np.bool_] = super().legal() & (self.plies < changes.get("most", 99))[:, None]
            return legal

    module = ModuleType("mine")
    module.__dict__["Mine"] = type("Mine", (Dots,), {**changes, "boards": lambda self, count: Boards(count)})
    monkeypatch.setitem(sys.modules, "mine", module)
    with pytest.raises(GameError, match=message) as refused:
        _make_game.__wrapped__("mine:Mine", "{}")
    assert "mine:Mine" in str(refused.value)


def test_a_longer_game_than_the_game_says_is_noticed() -> None:
    """Random games seldom last twelve plies, but a match with such a game ends in a sentence."""
    game: Game = import_module("nim").Nim()
    game.max_plies = 11
    with pytest.raises(
        GameError, match="a game of nim goes on after 11 plies, which max_plies says is the most: raise"
    ):
        play_match(First(), First(), 2, game=game)
    with pytest.raises(GameError, match="a game of nim goes on after 11 plies"):
        solve(game)


def test_the_card_game_of_the_docs_is_a_game(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is printed there."""
    text = (YOUR_GAME.parent.parent / "docs" / "your-game.md").read_text()
    code = text.partition("class HighCardBoards")[1:]
    source = "".join(code).partition("```")[0]
    module = ModuleType("cards")
    names = {"np": np, "ArrayBoards": ArrayBoards, "ArrayGame": ArrayGame, "Observation": Observation}
    module.__dict__.update(names)
    exec(compile(source, "docs/your-game.md", "exec"), module.__dict__)  # noqa: S102  # our own
    monkeypatch.setitem(sys.modules, "cards", module)
    game = _make_game.__wrapped__("cards:HighCard", "{}")
    assert (game.opening_plies, game.searchable) == (0, False)
    boards: Any = game.boards(50)
    assert (game.expand(boards.pack()).planes == boards.observe().planes).all()

    def deal() -> Any:
        boards: Any = game.boards(9)
        return boards.cards

    game.seed(3)
    first = deal()
    game.seed(3)
    game.expand(boards.pack())
    assert (deal() == first).all(), "looking at positions uses up no chance"


def test_a_name_from_a_file_calls_nothing_but_games(tmp_path: Path) -> None:
    """A model or a log may name anything that can be imported."""
    with pytest.raises(GameError, match="game os:mkdir is of type builtin_function_or_method: name a subclass"):
        make_game("os:mkdir", {"path": str(tmp_path / "made")})
    assert not (tmp_path / "made").exists()


def _solve(game: Game) -> tuple[int, int, int]:
    """Return how many unfinished positions can be reached, how many of them have moves of different value, and the
    value of the first one."""
    levels = [game.boards(1).pack()]
    while len(levels[-1]):
        levels.append(np.unique(game.children(levels[-1]).packed, axis=0))
    values: dict[tuple[int, ...], float] = {}
    different = 0
    for level in reversed(levels[:-1]):
        children = game.children(level)
        of_actions = children.values.copy()
        of_actions[children.goes_on] = [-values[tuple(child)] for child in children.packed.tolist()]
        for position, legal, scores in zip(level.tolist(), children.legal, of_actions, strict=True):
            values[tuple(position)] = scores[legal].max()
            different += len(set(scores[legal].tolist())) > 1
    return len(values), different, int(values[tuple(levels[0][0].tolist())])


def test_tic_tac_toe_is_a_draw_over_4520_positions() -> None:
    """In 3,191 of them, the choice of the move matters."""
    assert _solve(TicTacToe()) == (4520, 3191, 0)


def test_tic_tac_toe_is_drawn_like_pettingzoo_draws_it() -> None:
    """Actions count down the columns, and the first player's mark stays the first player's."""
    game = TicTacToe()
    assert game.text(play_moves(game, [game.parse_actions("5 1 3")])) == "O 4 7\n2 X 8\nX 6 9"
    assert game.text(play_moves(game, [game.parse_actions("5 1")])) == "O 4 7\n2 X 8\n3 6 9"
    with pytest.raises(ValueError, match="1 of 1 marks are on occupied cells"):
        play_moves(game, [[4, 4]])


@pytest.mark.parametrize("seat", [0, 1])
def test_tic_tac_toe_is_read_from_planes(seat: int) -> None:
    """Heuristics search positions of which only the observation is at hand."""
    game = TicTacToe()
    boards = after_random_plies(game, 50, 2 + seat)
    seen = game.expand(boards.pack())
    assert seen.boards is None
    np.testing.assert_array_equal(boards.pack(), game.positions(seen).pack())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("checkers", {}, "unknown game 'checkers': choose connect_four, tictactoe, pettingzoo:MODULE, or name a class"),
        ("nim:Checkers", {}, "game nim:Checkers cannot be imported: .*Checkers"),
        ("nim:NimBoards", {"count": 1, "heaps": [1]}, "game nim:NimBoards is NimBoards: name a subclass"),
        ("nim:Nim", {"sticks": 3}, r"cannot be made with options \{'sticks': 3\}: .*unexpected keyword"),
        ("nim:Nim", {"heaps": []}, r"cannot be made with options \{'heaps': \[\]\}: ValueError"),
    ],
)
def test_games_that_cannot_be_made_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    """The message shows the name and the options."""
    with pytest.raises(GameError, match=message):
        make_game(name, options)


def test_the_optimal_player_of_the_template_wins() -> None:
    """Nim with heaps 3, 4, 5 is won by the first player, and after any random opening by whoever finds a nim-sum."""
    game, player = make_game("nim:Nim"), import_module("players").Optimal()
    rng = np.random.default_rng(0)
    boards, state = game.boards(300), player.initial_state(300)
    while len(boards):
        mine = boards.seat[0] == 0
        actions = player.act(boards.observe(), state, rng)[0] if mine else random_actions(boards, rng)
        assert boards.legal()[np.arange(len(boards)), actions].all()
        boards.play(actions)
        assert (boards.returns[boards.over, 0] == 1).all()
        state, boards = state[~boards.over], boards[~boards.over]
    assert _solve(game)[2] == 1
    assert _solve(make_game("nim:Nim", {"heaps": [2, 2]}))[2] == -1


def test_the_encoder_of_the_template_fits_its_game() -> None:
    """It maps observations to ``size`` numbers, whatever the heaps."""
    import torch

    for heaps in ([3, 4, 5], [2, 6]):
        game = make_game("nim:Nim", {"heaps": heaps})
        encoder = import_module("nets").HeapEncoder(game, width=16)
        seen = torch.from_numpy(game.boards(7).observe().planes).float()
        assert encoder(seen).shape == (7, encoder.size)
