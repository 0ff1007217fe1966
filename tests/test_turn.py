"""An agent's move in one game, and advice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from connectfour.errors import PlayerError
from connectfour.games.position import Position
from connectfour.players.names import parse_player
from connectfour.players.policy import PolicyPlayer, sample_actions
from connectfour.players.turn import advise, choose_action
from heuristics import AlwaysSame, BeatLast, Linear, Random, State
from tests.runs import make_run


def test_memory_is_rebuilt_from_the_game() -> None:
    """beat_last answers the last disc, and always_same keeps its column, in either seat."""
    assert choose_action(BeatLast(), Position.parse("4436"), seed=0) == 5
    assert choose_action(BeatLast(), Position.parse("44367"), seed=0) == 6
    for seed in range(5):
        game = Position()
        for _ in range(3):
            game = game.play(choose_action(AlwaysSame(), game, seed))
            game = game.play(next(column for column in game.legal if column != game.actions[0]))
        assert len({*game.actions[::2]}) == 1


def test_the_same_moves_get_the_same_answer() -> None:
    """Even after moves were taken back. Another seed or another position gets others."""
    game = Position.parse("44")
    answers = [choose_action(Random(), game, seed) for seed in range(20)]
    assert answers == [choose_action(Random(), game, seed) for seed in range(20)]
    assert len(set(answers)) > 3
    assert len({choose_action(Random(), Position.parse("44" * length), 0) for length in range(3)}) > 1


def test_a_player_without_a_legal_move_is_named() -> None:
    """Here one that always names column 4."""

    class Stubborn(Linear):
        name = "stubborn"

        def choose(self, own, occupied, legal, state, uniform):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            return np.full(len(own), 3), state

    with pytest.raises(PlayerError, match="stubborn chose an illegal move after '444444': choose another opponent"):
        choose_action(Stubborn(), Position.parse("444444"), 0)


def test_advice_of_a_network_is_its_policy_and_value(tmp_path: Path) -> None:
    """The softmax of its logits, the best column, its value; the player's temperature does not matter."""
    network = parse_player(f"snapshot:{make_run(tmp_path / 'run')}/v1")
    advice = advise(Position.parse("444444"), network)
    assert advice.probabilities is not None
    assert advice.value is not None
    assert sum(advice.probabilities) == pytest.approx(1)
    assert advice.probabilities[3] == 0
    assert advice.action == int(np.argmax(advice.probabilities))
    assert isinstance(network, PolicyPlayer)
    logits, value = network.evaluate(Position.parse("444444").observe())
    ratio = np.exp(logits[0, 0] - logits[0, 6])
    assert advice.probabilities[0] / advice.probabilities[6] == pytest.approx(ratio, rel=1e-5)
    assert advice.value == value[0]
    assert advise(Position.parse("444444"), network.at(9.0)) == advice


def test_advice_without_a_network_is_a_search() -> None:
    """It takes a win and prevents one."""
    assert advise(Position.parse("121213")).action == 0
    assert advise(Position.parse("12121"), Linear()).action == 0
    assert advise(Position.parse("1212")).probabilities is None


def test_temperature_spreads_a_policy(tmp_path: Path) -> None:
    """At 0 the best column, higher up worse columns more often, illegal columns never."""
    logits = np.array([[0.0, 1.0, 2.0, np.finfo(np.float32).min]] * 4000, dtype=np.float32)
    uniform = np.random.default_rng(0).random(len(logits))
    shares = {
        temperature: np.bincount(sample_actions(logits, uniform, temperature), minlength=4) / len(logits)
        for temperature in (0.0, 0.5, 1.0, 10.0)
    }
    assert shares[0.0].tolist() == [0, 0, 1, 0]
    expected = np.exp(np.array([0, 1, 2]) / 0.5)
    assert shares[0.5][:3] == pytest.approx(expected / expected.sum(), abs=0.03)
    assert shares[0.5][0] < shares[1.0][0] < shares[10.0][0]
    assert all(share[3] == 0 for share in shares.values())

    player = parse_player(f"snapshot:{make_run(tmp_path / 'run')}/v1", greedy=True)
    assert isinstance(player, PolicyPlayer)
    assert {choose_action(player, Position(), seed) for seed in range(30)} == {advise(Position(), player).action}
    assert len({choose_action(player.at(5.0), Position(), seed) for seed in range(30)}) > 3
    assert player.temperature == 0, "another temperature is another player"
    state: State = player.initial_state(1)
    assert state.size == 0
