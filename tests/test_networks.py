"""Networks: shapes, masks, mirror symmetry, precision, and no illegal move in ten thousand."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from ray.rllib.core.columns import Columns
from ray.rllib.core.distribution.torch.torch_distribution import TorchCategorical

from connectfour.games.connect_four.bitboard import Boards, Outcome, four_lines
from connectfour.games.connect_four.env import ConnectFourEnv
from connectfour.games.connect_four.notation import parse_board
from connectfour.games.contract import Boards as AnyBoards
from connectfour.games.moves import pick_legal
from connectfour.games.openings import random_openings
from connectfour.learning.rl_module import ActionMaskingRLModule
from connectfour.networks.features import LineFeatures, MirrorFeatures
from connectfour.networks.masks import ILLEGAL_LOGIT
from connectfour.networks.network import GameNetwork, Precision, make_network
from connectfour.players.network_player import NetworkPlayer
from connectfour.settings.network import Architecture

ENCODERS = [
    Architecture(encoder="lines"),
    Architecture(encoder="mlp"),
    Architecture(encoder="resnet", width=8),
]
IDS = ["lines", "mlp", "resnet"]

PARAMETERS = {
    "lines": """
        encoder.layers.0.even.weight encoder.layers.0.even.bias encoder.layers.0.odd.weight
        policy_head.even.weight policy_head.even.bias policy_head.odd.weight
        value_head.even.weight value_head.even.bias
    """,
    "mlp": """
        encoder.1.weight encoder.1.bias policy_head.weight policy_head.bias value_head.weight value_head.bias
    """,
    "resnet": """
        encoder.stem.weight encoder.stem.bias
        encoder.blocks.0.first.weight encoder.blocks.0.first.bias
        encoder.blocks.0.second.weight encoder.blocks.0.second.bias
        policy_head.weight policy_head.bias value_head.weight value_head.bias
    """,
}
"""Parameters of each encoder with one layer."""


def _tensors(boards: AnyBoards) -> tuple[torch.Tensor, torch.Tensor]:
    observation = boards.observe()
    return torch.from_numpy(observation.planes), torch.from_numpy(observation.action_mask)


def _positions(count: int) -> Boards:
    rng = np.random.default_rng(0)
    boards = Boards(count)
    for _ in range(15):
        boards.play(pick_legal(boards.legal(), rng.random(len(boards))))
        boards.reset(boards.over)
    return boards


@pytest.mark.parametrize("settings", ENCODERS, ids=IDS)
def test_logits_are_masked_and_values_bounded(settings: Architecture) -> None:
    """Illegal columns have the float32 minimum and probability zero; values lie between -1 and 1."""
    boards = _positions(500)
    observation, mask = _tensors(boards)
    logits, value = make_network(settings)(observation, mask)
    assert logits.shape == (500, 7)
    assert value.shape == (500,)
    assert (logits[mask == 0] == ILLEGAL_LOGIT).all()
    assert (torch.softmax(logits, dim=1)[mask == 0] == 0).all()
    assert (value.abs() <= 1).all()


@pytest.mark.parametrize("head", ["policy", "dueling"])
@pytest.mark.parametrize(
    "shape",
    [{"encoder": "mlp", "width": 32}, {"encoder": "resnet", "width": 4}, {"encoder": "mlp", "game": "tictactoe"}],
    ids=["mlp", "resnet", "tictactoe"],
)
def test_a_symmetric_network_answers_alike_in_all_images(shape: dict[str, Any], head: str) -> None:
    """Whatever its encoder and its head; without the setting, it does not."""
    settings = Architecture.model_validate({**shape, "head": head})
    game = settings.game.rules
    boards = random_openings(game, np.full(50, 3), np.random.default_rng(0))
    observation, mask = _tensors(boards)

    def differences(network: GameNetwork) -> list[float]:
        logits, value = (each.detach() for each in network(observation, mask))
        found = []
        for symmetry in game.symmetries:
            flat = observation.flatten(1)[:, symmetry.observation]
            image = network(flat.reshape(observation.shape), mask[:, symmetry.actions])
            wrong = (image.logits - logits[:, symmetry.actions]).abs().max(), (image.value - value).abs().max()
            found += [each.item() for each in wrong]
        return found

    assert len(game.symmetries) == (8 if "game" in shape else 2)
    assert max(differences(make_network(settings.model_copy(update={"symmetric": True})))) < 1e-4
    assert max(differences(make_network(settings))) > 1e-3


@pytest.mark.parametrize("settings", ENCODERS, ids=IDS)
def test_a_forward_pass_does_not_modify_its_inputs(settings: Architecture) -> None:
    """Observation and mask keep their contents."""
    observation, mask = _tensors(_positions(50))
    before = observation.clone(), mask.clone()
    make_network(settings)(observation, mask)
    assert torch.equal(before[0], observation)
    assert torch.equal(before[1], mask)


def test_a_mask_of_zeros_yields_no_nan() -> None:
    """Positions without a legal column have finite probabilities, entropy and gradients."""
    network = make_network(Architecture(width=8))
    observation, mask = _tensors(_positions(4))
    mask = torch.zeros_like(mask)
    logits, value = network(observation, mask)
    policy = TorchCategorical.from_logits(logits)
    loss = (policy.entropy() + policy.logp(torch.zeros(4)) + value).sum()
    torch.autograd.backward(loss)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_line_features_count_open_lines(dtype: torch.dtype) -> None:
    """The numbers of lines are those counted one by one over the 69 lines."""
    board = parse_board("44555")
    observation, _ = _tensors(board)
    features = LineFeatures()(observation, dtype)[0]
    own, opponent = board.own[0], board.opponent[0]
    expected = [
        sum(int(mine & line).bit_count() == discs and not int(other & line) for line in four_lines())
        for mine, other in ((own, opponent), (opponent, own))
        for discs in (1, 2, 3)
    ]
    assert features.sum(dim=1).int().tolist() == expected
    assert expected[4] == 3, "the opponent has two discs on three lines of the bottom row"


def test_mirrored_boards_keep_even_features_and_negate_odd_ones() -> None:
    """Sums and differences together have as many features as planes and lines, so nothing is lost."""
    observation, _ = _tensors(_positions(200))
    features = MirrorFeatures()
    even, odd = features(observation, torch.float32)
    mirrored_even, mirrored_odd = features(observation.flip(2), torch.float32)
    assert torch.equal(even, mirrored_even)
    assert torch.equal(odd, -mirrored_odd)
    assert even.shape[1] + odd.shape[1] == 84 + 6 * 69
    assert (odd != 0).any()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_mirrored_board_has_mirrored_logits_and_the_same_value(precision: Precision) -> None:
    """The symmetry of the encoder ``lines`` is exact, not approximate."""
    torch.manual_seed(0)
    network = make_network(Architecture(width=32, layers=3), precision=precision)
    observation, mask = _tensors(_positions(200))
    seen, mirrored = network(observation, mask), network(observation.flip(2), mask.flip(1))
    assert torch.equal(seen.value, mirrored.value)
    assert torch.equal(seen.logits, mirrored.logits.flip(1))
    assert seen.logits[mask.bool()].std() > 0


@pytest.mark.parametrize("settings", ENCODERS, ids=IDS)
def test_bfloat16_changes_the_output_only_slightly(settings: Architecture) -> None:
    """With the same weights, an encoder in bfloat16 gives nearly the same output, in float32."""
    exact, fast = make_network(settings), make_network(settings, precision="bfloat16")
    fast.load_state_dict(exact.state_dict())
    observation, mask = _tensors(_positions(100))
    expected, found = exact(observation, mask), fast(observation, mask)
    assert found.value.dtype == found.logits.dtype == torch.float32
    torch.testing.assert_close(expected.value, found.value, atol=0.05, rtol=0)
    assert not torch.equal(expected.value, found.value)


@pytest.mark.parametrize("settings", ENCODERS, ids=IDS)
def test_networks_with_the_same_encoder_share_prepared_features(settings: Architecture) -> None:
    """One network can evaluate what another one has prepared."""
    observation, mask = _tensors(_positions(20))
    network, other = make_network(settings), make_network(settings)
    expected, found = network(observation, mask), network.evaluate(other.prepare(observation), mask)
    assert torch.equal(expected.logits, found.logits)
    assert torch.equal(expected.value, found.value)
    assert not torch.equal(expected.value, other(observation, mask).value)


@pytest.mark.parametrize("encoder", ["lines", "mlp", "resnet"])
def test_parameters_keep_their_names(encoder: Literal["lines", "mlp", "resnet"]) -> None:
    """Snapshots on disk refer to these names; with other names, snapshots of earlier runs could not be loaded."""
    network = make_network(Architecture(encoder=encoder, width=8, layers=1))
    assert list(network.state_dict()) == PARAMETERS[encoder].split()


def _play_legally(player: NetworkPlayer, plies: int) -> None:
    rng = np.random.default_rng(0)
    boards = Boards(200)
    state = player.initial_state(len(boards))
    for _ in range(plies // len(boards)):
        columns, state = player.act(boards.observe(), state, rng)
        outcome = boards.play(columns)
        assert not (outcome == Outcome.ILLEGAL).any()
        boards.reset(boards.over)


@pytest.mark.parametrize("greedy", [False, True], ids=["sampled", "greedy"])
@pytest.mark.parametrize("trained", [False, True], ids=["fresh", "trained"])
def test_no_illegal_move_in_ten_thousand(greedy: bool, trained: bool) -> None:
    """Neither a fresh network nor one trained to prefer column 1 plays an illegal move, sampled or greedy."""
    torch.manual_seed(0)
    network = make_network(Architecture(width=32))
    if trained:
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        observation, mask = _tensors(_positions(256))
        playable = mask[:, 0] == 1
        for _ in range(50):
            logits = network(observation[playable], mask[playable]).logits
            loss = torch.nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
        assert loss.item() < 0.1
    _play_legally(NetworkPlayer("net", network, temperature=0.0 if greedy else 1.0), 10_000)


def _module() -> ActionMaskingRLModule:
    env = ConnectFourEnv()
    return ActionMaskingRLModule(
        observation_space=env.observation_spaces["player_0"],
        action_space=env.action_spaces["player_0"],
        model_config={"network": Architecture(width=8).model_dump()},
    )


def test_the_rl_module_returns_the_networks_output_and_leaves_the_batch_alone() -> None:
    """Inference, training and value passes can read the same batch in any order."""
    module = _module()
    observation, mask = _tensors(_positions(30))
    batch = {Columns.OBS: {"observation": observation, "action_mask": mask}}
    assert set(module.get_state()) == set(module.network.state_dict())
    value = module.compute_values(batch)
    train = module.forward_train(batch)
    inference = module.forward_inference(batch)
    assert set(batch) == {Columns.OBS}
    assert set(batch[Columns.OBS]) == {"observation", "action_mask"}
    expected = module.network(observation, mask)
    torch.testing.assert_close(expected.logits, train[Columns.ACTION_DIST_INPUTS])
    torch.testing.assert_close(expected.logits, inference[Columns.ACTION_DIST_INPUTS])
    torch.testing.assert_close(expected.value, value)
    torch.testing.assert_close(value, module.compute_values(batch, embeddings=train[Columns.EMBEDDINGS]))
