"""PettingZoo's environment, wrapped for RLlib."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box
from pettingzoo.test import api_test, seed_test
from ray.rllib.env.env_context import EnvContext
from ray.rllib.utils.pre_checks.env import check_multiagent_environments
from ray.tune.registry import ENV_CREATOR, _global_registry

from connectfour.games.connect_four.bitboard import from_planes, has_four
from connectfour.games.connect_four.env import ENV_NAME, ConnectFourEnv
from connectfour.games.env import AGENTS


@pytest.mark.filterwarnings("ignore::UserWarning")  # PettingZoo's tests advise against its own environment
def test_the_wrapped_environment_passes_pettingzoos_tests() -> None:
    """Wrapping leaves PettingZoo's environment intact."""
    api_test(ConnectFourEnv().aec, num_cycles=200)
    seed_test(lambda: ConnectFourEnv().aec, num_cycles=50)


def test_the_environment_passes_rllibs_check() -> None:
    """RLlib accepts it as a multi-agent environment."""
    check_multiagent_environments(ConnectFourEnv({"opening_plies": 8}))


def test_the_environment_is_registered_by_name() -> None:
    """Any RLlib algorithm can find it."""
    assert isinstance(_global_registry.get(ENV_CREATOR, ENV_NAME)({}), ConnectFourEnv)


def test_observations_have_pettingzoos_keys_and_dtypes() -> None:
    """The first observation goes to the first player and lies in the observation space."""
    env = ConnectFourEnv()
    observations, _ = env.reset(seed=0)
    assert list(observations) == ["player_0"]
    space = env.observation_spaces["player_0"]
    assert isinstance(space["observation"], Box)
    assert space["observation"].dtype == np.int8
    assert env.observation_spaces["player_0"].contains(observations["player_0"])


def _play(env: ConnectFourEnv, columns: list[int]) -> tuple[dict[str, float], set[str], bool]:
    """Play a game; return the last rewards, who got the last observation, and whether the game is over."""
    observations, _ = env.reset(seed=0)
    rewards: dict[str, float] = {}
    over = False
    for ply, column in enumerate(columns):
        observations, rewards, terminated, truncated, _ = env.step({AGENTS[ply % 2]: column})
        assert not truncated["__all__"]
        over = terminated["__all__"]
    return rewards, set(observations), over


@pytest.mark.parametrize(
    ("columns", "rewards"),
    [
        ([0, 1, 0, 1, 0, 1, 0], {"player_0": 1.0, "player_1": -1.0}),
        ([6, 0, 1, 0, 1, 0, 1, 0], {"player_0": -1.0, "player_1": 1.0}),
        ([0, 0, 0, 0, 0, 0, 0], {"player_0": -1.0, "player_1": 0.0}),
    ],
    ids=["first wins", "second wins", "illegal"],
)
@pytest.mark.filterwarnings("ignore:.*Illegal move.*")
def test_both_agents_learn_how_the_game_ended(columns: list[int], rewards: dict[str, float]) -> None:
    """Winner, loser and offender get PettingZoo's rewards, and both agents get a last observation."""
    assert _play(ConnectFourEnv(), columns) == (rewards, set(rewards), True)


def _openings(env: ConnectFourEnv, games: int) -> list[bytes]:
    boards = []
    for game in range(games):
        observations, _ = env.reset(seed=7 if game == 0 else None)
        boards.append(next(iter(observations.values()))["observation"].tobytes())
    return boards


def test_openings_are_seeded_and_differ_between_workers() -> None:
    """The same seed repeats the openings on one worker, and gives different ones on another."""
    context = {"opening_plies": 12}
    worker, same_worker, other_worker = (
        _openings(ConnectFourEnv(EnvContext(context, worker_index=index)), 20) for index in (1, 1, 2)
    )
    assert worker == same_worker
    assert worker != other_worker


def test_openings_vary_in_length_and_leave_a_move() -> None:
    """Lengths run from zero to the limit, and the observation goes to the agent whose turn it is."""
    env = ConnectFourEnv({"opening_plies": 30})
    lengths = set()
    for game in range(300):
        observations, _ = env.reset(seed=game)
        ((agent, observation),) = observations.items()
        discs = int(observation["observation"].sum())
        lengths.add(discs)
        assert agent == AGENTS[discs % 2]
        assert observation["action_mask"].any()
        own, occupied = from_planes(observation["observation"][None])
        assert not has_four(own)[0]
        assert not has_four(own ^ occupied)[0]
    assert min(lengths) == 0
    assert max(lengths) >= 25


def test_render_returns_a_picture() -> None:
    """A disc in the center of the bottom row changes the picture there."""
    env = ConnectFourEnv({"render_mode": "rgb_array"})
    env.reset()
    empty = env.render()
    env.step({"player_0": 3})
    one = env.render()
    assert empty is not None
    assert one is not None
    assert empty.ndim == 3
    assert empty.shape[2] == 3
    changed = np.argwhere((empty != one).any(axis=2)).mean(axis=0) / empty.shape[:2]
    assert changed[0] > 0.8
    assert 0.4 < changed[1] < 0.6
    env.close()


@pytest.mark.parametrize("plies", [-1, 42])
def test_openings_that_leave_no_move_are_refused(plies: int) -> None:
    """The message gives the range."""
    with pytest.raises(ValueError, match=f"opening_plies = {plies} leaves no move to play: choose 0 to 41"):
        ConnectFourEnv({"opening_plies": plies})
