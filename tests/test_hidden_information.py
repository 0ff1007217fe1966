"""Poker: cards that are dealt, and that the opponent does not see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyspiel
import pytest
import torch
from numpy.typing import NDArray
from open_spiel.python import policy as spiel_policy
from open_spiel.python.algorithms import exploitability

from connectfour.errors import ConfigError
from connectfour.games.observation import Observation
from connectfour.games.registry import make_game
from connectfour.learning.ppo.algorithm import SelfPlayPPOConfig
from connectfour.matches.arena import play_match
from connectfour.players.names import parse_player
from connectfour.players.network_player import NetworkPlayer, build_network
from connectfour.players.policy import probabilities
from connectfour.settings.game import GameSettings
from connectfour.settings.reading import load_settings

KUHN = GameSettings(name="pettingzoo:tests.spiel", options={"game_name": "kuhn_poker", "largest_return": 2})


class Policy(spiel_policy.Policy):  # type: ignore[misc]  # OpenSpiel is untyped
    """What a player of the league does, for OpenSpiel."""

    def __init__(self, game: pyspiel.Game, player: NetworkPlayer) -> None:
        super().__init__(game, [0, 1])
        self._player = player

    def action_probabilities(self, state: pyspiel.State, player_id: int | None = None) -> dict[int, float]:
        """Return the probability of each legal action."""
        seen = np.array(state.observation_tensor(state.current_player()), np.float32)[None]
        mask = np.array(state.legal_actions_mask(), np.int8)[None]
        found = probabilities(self._player.evaluate(Observation(seen, mask)).logits)[0]
        return {action: float(found[action]) for action in state.legal_actions()}


def _cards(seen: NDArray[np.float32]) -> set[int]:
    """The cards that observations (N, 7) of Kuhn poker show: the seat, then the card, then the pot."""
    assert (seen[:, 2:5].sum(axis=1) == 1).all(), "a player sees one card: its own"
    return set(seen[:, 2:5].argmax(axis=1).tolist())


def test_a_seat_sees_its_own_card_alone() -> None:
    """Whatever the opponent holds; the learner and heuristics get no more than that."""
    game = KUHN.rules
    assert game.has_chance
    assert not game.searchable
    game.seed(1)
    boards = game.boards(60)
    first = boards.observe()
    assert first.boards is None
    packed = boards.pack()
    np.testing.assert_array_equal(game.expand(packed).planes, first.planes)
    boards.play(np.ones(60, np.int64))
    second = boards.observe()
    assert _cards(first.planes) == _cards(second.planes) == {0, 1, 2}
    mine, other = first.planes[:, 2:5].argmax(axis=1), second.planes[:, 2:5].argmax(axis=1)
    assert (mine != other).all(), "each card is dealt once"
    for card in range(3):
        alike = first.planes[mine == card]
        assert len(set(other[mine == card].tolist())) == 2, "the opponent holds either of the other cards"
        assert (alike == alike[0]).all(), "and the player cannot tell"


def test_cards_differ_between_games_and_repeat_with_the_seed() -> None:
    """Of the boards, and of a match."""
    game = KUHN.rules
    deals = []
    for seed in (1, 1, 2):
        game.seed(seed)
        deals.append(game.boards(40).observe().planes.tolist())
    assert deals[0] == deals[1] != deals[2]
    players = parse_player("heuristic:random", game=KUHN), parse_player("heuristic:random", game=KUHN)
    scores = [play_match(*players, 60, seed=seed, game=game) for seed in (1, 1, 2)]
    assert scores[0] == scores[1] != scores[2]


def test_openings_of_a_game_with_chance_are_refused() -> None:
    """The same actions would lead to another game."""
    players = parse_player("heuristic:random", game=KUHN), parse_player("heuristic:random", game=KUHN)
    with pytest.raises(ConfigError, match="cannot begin with 2 random plies, because chance plays along"):
        play_match(*players, 4, opening_plies=2, game=KUHN.rules)


def test_returns_above_the_largest_are_refused() -> None:
    """With what to set."""
    from connectfour.errors import GameError

    with pytest.raises(GameError, match=r"ended with the return 2: set the option largest_return, now 1"):
        make_game(KUHN.name, {"game_name": "kuhn_poker"})


def test_training_brings_a_policy_closer_to_a_best_response(tmp_path: Path, ray_session: None) -> None:
    """Kuhn poker in a few seconds: the sum of what two best responders would win falls below that of random play.

    Uniformly random play loses 0.917 (NashConv) to best responses; a perfect policy loses nothing.
    """
    settings = load_settings(
        {
            "game": KUHN.model_dump(),
            "network": {"width": 32, "layers": 1},
            "rollout": {"env_runners": 0, "envs_per_runner": 128, "mirror_opening_plies": 0, "pool_opening_plies": 0},
            "ppo": {"batch_size": 2048, "minibatch_size": 512, "entropy": 0.1, "learning_rate": 0.01},
            "stop": {"minutes": None, "env_steps": 40_000},
        }
    )
    algorithm = SelfPlayPPOConfig.from_settings(settings).league(folder=tmp_path / "league").build_algo()
    spiel = pyspiel.load_game("kuhn_poker")

    def distance() -> float:
        player = NetworkPlayer("main", build_network(algorithm.league.main))
        with torch.inference_mode():
            return float(exploitability.nash_conv(spiel, Policy(spiel, player)))

    try:
        before = distance()
        while algorithm.env_steps < 40_000:
            algorithm.train()
        after = distance()
    finally:
        algorithm.stop()
    assert before == pytest.approx(0.917, abs=0.05)
    assert after < 0.6 * before
