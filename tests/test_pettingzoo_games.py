"""Environments become games of a league, or are refused with a reason."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from numpy.typing import NDArray
from pettingzoo import AECEnv

from connectfour.errors import GameError
from connectfour.games.moves import play_moves
from connectfour.games.pettingzoo.rules import PettingZooGame
from connectfour.games.registry import make_game
from tests.games import after_random_plies, all_that_boards_tell, assert_same, random_actions


class Race(AECEnv):  # type: ignore[misc]  # PettingZoo has no types
    """Agents take turns to add 1 or 2 to a sum; whoever reaches the goal wins. Tests change what makes it unfit."""

    metadata: Mapping[str, Any] = {"name": "race", "is_parallelizable": False}
    made: list[Race]
    agent_names = ("a", "b")
    rewards_at_end = (1.0, -1.0)
    dtype: Any = np.int8
    mask_in = "observation"
    shape: tuple[int, ...] = (2,)

    def __init__(self, goal: int = 5) -> None:
        super().__init__()
        self.goal, self.seen = goal, 0
        self.possible_agents = list(self.agent_names)
        self.agents: list[str] = []
        self.made.append(self)

    def action_space(self, agent: str) -> Any:
        return spaces.Discrete(2)

    def observation_space(self, agent: str) -> Any:
        box = spaces.Box(0, 100, self.shape, self.dtype)
        return spaces.Dict({"observation": box, "action_mask": spaces.Box(0, 1, (2,), np.int8)})

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.agents = list(self.possible_agents)
        self.sum, self.agent_selection = 0, self.agents[0]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.tell()

    def tell(self) -> None:
        mask = {"action_mask": self.mask()} if self.mask_in == "info" else {}
        self.infos: dict[str, dict[str, Any]] = {agent: dict(mask) for agent in self.agents}

    def mask(self) -> NDArray[np.int8]:
        return np.array([1, self.sum + 2 <= self.goal], np.int8)

    def array(self) -> NDArray[Any]:
        return np.array([self.sum, self.goal], self.dtype)

    def observe(self, agent: str) -> Any:
        self.seen += 1
        if self.mask_in == "observation":
            return {"observation": self.array(), "action_mask": self.mask()}
        return self.array()

    def step(self, action: int | None) -> None:
        if self.terminations[self.agent_selection]:
            self._was_dead_step(action)
            return
        assert action is not None
        self._clear_rewards()
        self.sum += action + 1
        mover, other = self.agent_selection, next(each for each in self.agents if each != self.agent_selection)
        if self.sum >= self.goal:
            self.rewards = {mover: self.rewards_at_end[0], other: self.rewards_at_end[1]}
            self.terminations = dict.fromkeys(self.agents, True)
        self.agent_selection = self.next_agent(mover, other)
        self.tell()

    def next_agent(self, mover: str, other: str) -> str:
        return other


class CardRace(Race):
    """Two more numbers are seen: a card that is dealt to each agent at the start. It decides who moves first."""

    shape = (3,)

    def reset(self, seed: int | None = None, options: Any = None) -> None:
        self.cards = np.random.default_rng(seed).integers(100, size=2)
        super().reset(seed)
        self.agent_selection = self.possible_agents[int(self.cards[0] < self.cards[1])]

    def array(self) -> NDArray[Any]:
        return np.array([self.sum, self.goal, self.cards[self.possible_agents.index(self.agent_selection)]], self.dtype)


class LockedRace(CardRace):
    """It holds something that cannot be copied."""

    def __init__(self, goal: int = 5) -> None:
        super().__init__(goal)
        self.lock = threading.Lock()


class SharedRace(CardRace):
    """Its copies are no copies."""

    def __deepcopy__(self, memo: Any) -> SharedRace:
        return self


Make = Callable[..., PettingZooGame]


@pytest.fixture
def adapt(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a game of an environment's class, after changing attributes of the class."""

    def make(kind: type[Race] = Race, options: Mapping[str, Any] | None = None, **changes: Any) -> PettingZooGame:
        module = ModuleType("race")
        changed = type("Changed", (kind,), {"made": [], **changes})
        module.__dict__.update(env=changed, kind=changed)
        monkeypatch.setitem(sys.modules, "race", module)
        return PettingZooGame("race", options)

    return make


def _envs() -> list[Race]:
    made: list[Race] = sys.modules["race"].kind.made
    return made


UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "three agents": ({"agent_names": ("a", "b", "c")}, r"race has 3 agents \(a, b, c\): choose"),
    "an array as action": (
        {"action_space": lambda self, agent: spaces.Box(0, 1, (2,))},
        r"race has the action space Box.*: number its actions",
    ),
    "actions from 1": (
        {"action_space": lambda self, agent: spaces.Discrete(2, start=1)},
        r"race has the action space Discrete\(2, start=1\): number its actions",
    ),
    "different actions": (
        {"action_space": lambda self, agent: spaces.Discrete(2 + (agent == "b"))},
        r"have the action spaces Discrete\(2\) and Discrete\(3\): give both the same",
    ),
    "a number as observation": (
        {"observation_space": lambda self, agent: spaces.Discrete(7)},
        r"has observations from Discrete\(7\): let agents see an array",
    ),
    "different observations": (
        {"observation_space": lambda self, agent: spaces.Box(0, 1, (2 + (agent == "b"),))},
        r"have observations from Box.* and Box.*: give both the same",
    ),
    "other observations than the space says": (
        {"array": lambda self: np.zeros(3)},
        r"have the shapes \(3,\) and \(2,\): make them \(2,\) and \(2,\)",
    ),
    "no mask": ({"mask_in": "nothing"}, r"race does not tell which actions are legal: add action_mask"),
    "no legal action": (
        {"mask": lambda self: np.array([self.sum < 2, 0], np.int8)},
        r"has no legal action while the game goes on: give it one to pass",
    ),
    "not zero-sum": (
        {"rewards_at_end": (1.0, 0.5)},
        r"ended with returns (1 and 0\.5|0\.5 and 1): they must sum to zero",
    ),
    "no end": (
        {"goal": property(lambda self: 9999, lambda self, goal: None), "dtype": np.float32},
        r"no random game of .* ended within 1000 plies: end games earlier",
    ),
    "an error": ({"next_agent": lambda self, *_: 1 // 0}, "race fails in a random game: ZeroDivisionError"),
    "no seed": ({"reset": lambda self: None}, "race cannot be reset with a seed: TypeError"),
    "chance without a seed": (
        {"array": lambda self: np.random.default_rng().integers(100, size=2)},
        "race plays another game after a reset with the same seed",
    ),
    "a mask that changes its shape": (
        {"mask": lambda self: np.ones(2 + (self.sum > 2), np.int8)},
        r"of pettingzoo:race change their shape during a game: make them \(2,\)",
    ),
}


def test_all_actions_may_be_legal_without_a_mask(adapt: Make) -> None:
    """The option says so; what is no answer to it is refused."""
    game = adapt(mask_in="nothing", options={"always_legal": True})
    boards = game.boards(3)
    assert boards.legal().tolist() == [[True, True]] * 3
    boards.play(np.array([0, 1, 0]))
    assert boards.observe().action_mask.tolist() == [[1, 1]] * 3
    with pytest.raises(GameError, match="option always_legal of pettingzoo:race is 'yes': give true or false"):
        adapt(mask_in="nothing", options={"always_legal": "yes"})


@pytest.mark.parametrize("always_legal", [False, True])
def test_a_mask_that_is_missing_later_is_refused(adapt: Make, always_legal: bool) -> None:
    """Unless all actions are legal without one."""
    mask = lambda self: None if self.sum > 2 else np.ones(2, np.int8)  # noqa: E731  # replaces a method
    if always_legal:
        adapt(mask=mask, options={"always_legal": True})
    else:
        with pytest.raises(GameError, match="change their shape during a game"):
            adapt(mask=mask)


@pytest.mark.parametrize("fault", UNFIT)
def test_unfit_environments_are_refused(fault: str, adapt: Make) -> None:
    """The message names the game, what is wrong, and what to do; without the fault, the game is taken."""
    changes, message = UNFIT[fault]
    with pytest.raises(GameError, match=message) as refused:
        adapt(**changes)
    assert "pettingzoo:race" in str(refused.value)
    assert "\n" not in str(refused.value)
    adapt()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "there is no module own_race: check its name"),
        ("import no_such_package.parts", "needs the package no_such_package, which is not installed"),
        ("raise ImportError('install open_spiel')", "needs a package that is not installed: install open_spiel"),
        ("raise OSError('no file')", "cannot be imported: OSError: no file"),
        ("raw_env = None", r"own_race has no function env: define env\(\*\*options\)"),
        ("def env(): raise ImportError('install rlcard')", "needs a package that is not installed: install rlcard"),
        ("def env(): raise RuntimeError('no luck')", r"cannot be made with options \{\}: RuntimeError: no luck"),
        ("def env(): return 7", "makes an object of type int instead of an AECEnv: return"),
    ],
)
def test_modules_that_make_no_environment_are_refused(
    source: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module is also found in the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.delitem(sys.modules, "own_race", raising=False)
    if source is not None:
        (tmp_path / "own_race.py").write_text(source, encoding="utf-8")
    with pytest.raises(GameError, match=message):
        make_game("pettingzoo:own_race")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goals": 3}, r"cannot be made with options \{'goals': 3\}: .*unexpected keyword argument 'goals'"),
        ({"max_plies": 0}, "option max_plies of pettingzoo:race is 0: give a whole number from 1"),
        ({"max_plies": "many"}, "is 'many': give a whole number"),
        ({"max_plies": 2}, "no random game of pettingzoo:race ended within 2 plies"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str, adapt: Make) -> None:
    """The message shows the option."""
    with pytest.raises(GameError, match=message):
        adapt(options=options)


def test_options_reach_the_environment(adapt: Make) -> None:
    """All but ``max_plies``, which ends games as draws."""
    game = adapt(options={"goal": 9, "max_plies": 6})
    assert (game.max_plies, dict(game.options)) == (6, {"goal": 9, "max_plies": 6})
    boards = game.boards(1)
    for ply in range(6):
        assert boards.observe().planes.tolist() == [[ply, 9]]
        assert not boards.over[0]
        boards.play(np.array([0]))
    assert boards.over[0]
    assert boards.returns.tolist() == [[0, 0]]
    assert not boards.legal().any()


@pytest.mark.parametrize(
    ("declared", "taken"),
    [(np.int8, np.int8), (np.uint8, np.uint8), (np.bool_, np.bool_), (np.float64, np.float32), (np.int64, np.float32)],
)
def test_observations_keep_small_dtypes(declared: Any, taken: Any, adapt: Make) -> None:
    """Everything else becomes float32, packed and expanded too."""
    game = adapt(dtype=declared, observation_space=lambda self, agent: spaces.Box(0, 1, (2,), declared))
    boards = after_random_plies(game, 3, 2)
    assert game.observation_dtype == boards.observe().planes.dtype == taken
    expanded = game.expand(boards.pack())
    assert expanded.planes.dtype == taken
    np.testing.assert_array_equal(boards.observe().planes, expanded.planes)
    np.testing.assert_array_equal(boards.observe().action_mask, expanded.action_mask)


def test_masks_may_stand_in_the_infos(adapt: Make) -> None:
    """Observations are plain arrays then."""
    game = adapt(mask_in="info", observation_space=lambda self, agent: spaces.Box(0, 100, (2,), np.int8))
    boards = play_moves(game, [[1, 1], [0, 0]])
    assert boards.observe().planes.tolist() == [[4, 5], [2, 5]]
    assert boards.legal().tolist() == [[True, False], [True, True]]


def test_an_agent_may_move_several_times_in_a_row(adapt: Make) -> None:
    """The seat to move is that of the agent that the environment selects."""
    game = adapt(next_agent=lambda self, mover, other: mover if self.sum % 2 else other)
    boards = game.boards(1)
    seats = []
    for action in (0, 0, 1, 0):
        seats.append(int(boards.seat[0]))
        boards.play(np.array([action]))
    assert seats == [0, 0, 1, 0]
    assert boards.returns.tolist() == [[1, -1]]


class SlowDeathRace(Race):
    """The loser's part ends before the winner's, which must act once more."""

    def step(self, action: int | None) -> None:
        if action is not None and len(self.agents) == 1:
            self._clear_rewards()
            self.terminations = dict.fromkeys(self.agents, True)
            return
        super().step(action)
        if action is not None and all(self.terminations.values()):
            loser = self.agent_selection
            winner = next(agent for agent in self.agents if agent != loser)
            self.terminations[winner] = False
            self._skip_agent_selection = winner


def test_the_game_goes_on_while_an_agent_is_alive(adapt: Make) -> None:
    """Agents whose part has ended are stepped as PettingZoo demands, and what they lost counts."""
    game = adapt(SlowDeathRace, options={"goal": 3})
    boards = play_moves(game, [[1, 0]])
    assert (bool(boards.over[0]), int(boards.seat[0])) == (False, 1)
    boards.play(np.array([0]))
    assert boards.over[0]
    assert boards.returns.tolist() == [[-1, 1]]


@pytest.mark.parametrize(("kind", "replays"), [(CardRace, False), (LockedRace, True), (SharedRace, True)])
def test_chance_follows_the_seed(kind: type[Race], replays: bool, adapt: Make) -> None:
    """Cards differ between games, copies have the same cards, and seat 0 moves first whoever it is."""
    game = adapt(kind)
    assert game._environments.replays == replays
    game.seed(3)
    first = game.boards(30)
    _envs().clear()
    cards = first.observe().planes[:, 2]
    assert (first.seat == 0).all()
    assert {env.agent_selection for env in _envs()} == {"a", "b"}
    assert len(set(cards.tolist())) > 10
    game.seed(3)
    np.testing.assert_array_equal(cards, game.boards(30).observe().planes[:, 2])
    assert (game.boards(30).observe().planes[:, 2] != cards).any()
    twin = first.copy()
    rng = np.random.default_rng(0)
    for _ in range(2):
        actions = random_actions(first, rng)
        first.play(actions)
        twin.play(actions)
        assert_same(all_that_boards_tell(first), all_that_boards_tell(twin))
    many = first[np.array([7, 7, 7])]
    before = all_that_boards_tell(many[:1])
    np.testing.assert_array_equal(many.observe().planes[0], many.observe().planes[2])
    many[1:].play(np.array([0, 0]))
    assert_same(before, all_that_boards_tell(many[:1]))


def test_environments_are_made_when_needed_and_used_again(adapt: Make) -> None:
    """Boards that nobody looks at cost none; games that are over give theirs back."""
    game = adapt()
    _envs().clear()
    boards = game.boards(1000)
    assert (len(boards), len(boards[:10]), len(_envs())) == (1000, 10, 0)
    boards[:10].observe()
    assert len(_envs()) == 10
    boards = boards[:7]
    assert len(game.boards(10).legal()) == 10
    assert len(_envs()) == 10
    boards.observe()
    before = len(_envs())
    rng = np.random.default_rng(0)
    for _ in range(50):
        boards.play(random_actions(boards, rng))
        boards.assign(boards.over, game.boards(int(boards.over.sum())))
    assert len(_envs()) <= before + 7


def test_an_environment_is_looked_at_once_per_ply(adapt: Make) -> None:
    """Observing, asking for legal actions, packing and playing share one look."""
    boards = adapt().boards(3)
    boards.observe()
    before = sum(env.seen for env in _envs())
    for ply in range(1, 4):
        boards.play(np.array([0, 0, 0]))
        boards.observe()
        boards.legal()
        boards.pack()
        boards[1:].observe()
        boards.copy().observe()
        assert sum(env.seen for env in _envs()) == before + 3 * ply


def test_illegal_actions_and_shared_games_are_noticed(adapt: Make) -> None:
    """They are errors of a program, so they are not played."""
    game = adapt(options={"goal": 3})
    boards = play_moves(game, [[1], [0]])
    with pytest.raises(ValueError, match="1 of 2 actions are illegal, 1 first"):
        boards.play(np.array([1, 1]))
    selected = boards[1:]
    selected.play(np.array([0]))
    with pytest.raises(RuntimeError, match="a game at ply 1 was continued on other boards: copy the boards first"):
        boards.play(np.array([0, 0]))


def test_games_travel_as_their_names(adapt: Make) -> None:
    """Their environments do not."""
    game = adapt(options={"goal": 7})
    twin = copy.deepcopy(game)
    assert (twin.name, dict(twin.options)) == (game.name, {"goal": 7})
    assert twin.boards(1).observe().planes.tolist() == [[0, 7]]
