"""The RLlib environment around PettingZoo's."""

from __future__ import annotations

import numpy as np
import pytest
from gymnasium.spaces import Box
from pettingzoo.test import api_test, seed_test
from ray.rllib.env.env_context import EnvContext
from ray.rllib.utils.pre_checks.env import check_multiagent_environments
from ray.tune.registry import ENV_CREATOR, _global_registry

from connectfour.games.connect_four.bitboard import from_planes, has_four
from connectfour.games.connect_four.env import AGENTS, ENV_NAME, ConnectFourEnv


@pytest.mark.filterwarnings("ignore::UserWarning")  # PettingZoo's tests warn about their own advice
def test_wrapped_environment_passes_pettingzoos_tests() -> None:
    """The wrapped environment is PettingZoo's, unharmed."""
    api_test(ConnectFourEnv().aec, num_cycles=200)
    seed_test(lambda: ConnectFourEnv().aec, num_cycles=50)


def test_passes_rllibs_check() -> None:
    """RLlib accepts it as a multi-agent environment."""
    check_multiagent_environments(ConnectFourEnv({"opening_plies": 8}))


def test_registered_by_name() -> None:
    """Any RLlib algorithm finds it."""
    assert isinstance(_global_registry.get(ENV_CREATOR, ENV_NAME)({}), ConnectFourEnv)


def test_keys_and_dtypes_are_pettingzoos() -> None:
    """The observation space holds what is observed, at the start and at the end."""
    env = ConnectFourEnv()
    observations, _ = env.reset(seed=0)
    assert list(observations) == ["player_0"]
    space = env.observation_spaces["player_0"]
    assert isinstance(space["observation"], Box)
    assert space["observation"].dtype == np.int8
    assert env.observation_spaces["player_0"].contains(observations["player_0"])


def _play(env: ConnectFourEnv, columns: list[int]) -> tuple[dict[str, float], bool]:
    env.reset(seed=0)
    rewards: dict[str, float] = {}
    over = False
    for ply, column in enumerate(columns):
        _, rewards, terminated, truncated, _ = env.step({AGENTS[ply % 2]: column})
        assert not truncated["__all__"]
        over = terminated["__all__"]
    return rewards, over


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
def test_the_end_tells_both(columns: list[int], rewards: dict[str, float]) -> None:
    """Winner, loser and offender get PettingZoo's rewards, and both an observation."""
    assert _play(ConnectFourEnv(), columns) == (rewards, True)


def _openings(env: ConnectFourEnv, games: int) -> list[bytes]:
    boards = []
    for game in range(games):
        observations, _ = env.reset(seed=7 if game == 0 else None)
        boards.append(next(iter(observations.values()))["observation"].tobytes())
    return boards


def test_openings_are_seeded_and_differ_between_workers() -> None:
    """The same seed gives the same openings on one worker and others on the next."""
    context = {"opening_plies": 12}
    first = _openings(ConnectFourEnv(EnvContext(context, worker_index=1)), 20)
    again = _openings(ConnectFourEnv(EnvContext(context, worker_index=1)), 20)
    other = _openings(ConnectFourEnv(EnvContext(context, worker_index=2)), 20)
    assert first == again
    assert first != other


def test_openings_vary_in_length_and_leave_a_move() -> None:
    """From none to the limit, and the player to move is told so."""
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


def test_render_gives_a_picture() -> None:
    """A red disc in the middle of the lowest row makes the picture differ from an empty board's."""
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
