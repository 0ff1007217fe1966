"""``SelfPlayEnvRunner``: all boards in lockstep, one forward pass per module and ply.

RLlib's own runner makes Python objects of every step of every game. This one steps N boards at once and groups them by
the module that is to move. It plays the same league: the same matchmaker, modules, weights and openings. Each
learner has a subclass that chooses the networks' moves, records what it needs of them in a ``Rollout`` of its own, and
turns it into its samples.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.utils.metrics import (
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES,
)
from typing_extensions import override

from connectfour.errors import GameError
from connectfour.games.contract import Actions, Boards, Game
from connectfour.games.moves import pick_legal
from connectfour.games.observation import Observation
from connectfour.games.openings import OpeningStock
from connectfour.games.result import Result
from connectfour.games.spaces import spaces_of
from connectfour.league.matchmaking import MIRROR, MatchUp
from connectfour.league.members import MAIN
from connectfour.league.pool import first_matchmaker
from connectfour.learning.histories import Histories
from connectfour.learning.player_module import PlayerRLModule
from connectfour.learning.rollout import Rollout
from connectfour.networks.network import NetworkOutput, Prepared
from connectfour.rllib.module_runner import ModuleRunner
from connectfour.settings.schema import RunSettings
from connectfour.system.allocator import keep_freed_memory
from heuristics import State

Rows = NDArray[np.int64] | slice
RolloutT = TypeVar("RolloutT", bound=Rollout)

_MAIN = 0


class SelfPlayEnvRunner(ModuleRunner, Generic[RolloutT]):
    """Plays ``num_envs_per_env_runner`` games in lockstep.

    There are no environments and no episodes. Callbacks on them and on samples are therefore not called, and RLlib's
    evaluation, which counts episodes, needs the stock runner.

    Attributes:
        settings: the run's settings.
        game: the game.
        matchmaker: draws match-ups and counts results.
    """

    rollout_class: type[RolloutT]

    def __init__(self, config: AlgorithmConfig, **kwargs: Any) -> None:
        """Build modules and boards as ``config`` says."""
        super().__init__(config=config, **kwargs)
        keep_freed_memory()
        self.settings: RunSettings = config.settings
        self.matchmaker = first_matchmaker(self.settings, self.stream)
        self._rng = np.random.default_rng(self.stream)
        self.game: Game = self.settings.game.rules
        self.game.seed(int(np.random.SeedSequence(self.stream).generate_state(1)[0]))
        self._spaces = spaces_of(self.game)
        self.num_envs: int = config.num_envs_per_env_runner
        self.make_module()
        self._players = [MAIN, *(module_id for module_id in sorted(self.config.policies) if module_id != MAIN)]
        self._index = {module_id: index for index, module_id in enumerate(self._players)}
        self._memory: dict[int, State] = {
            self._index[module_id]: module.player.initial_state(self.num_envs)
            for module_id, module in self.module.items()
            if isinstance(module, PlayerRLModule)
        }
        opening_plies = self.settings.rollout.opening_plies
        self._openings = {
            mirror: OpeningStock(self.game, opening_plies(mirror=mirror), self._rng) for mirror in (True, False)
        }
        self._boards: Boards = self.game.boards(self.num_envs)
        self._match_ups: list[MatchUp] = []
        self._player_in_seat = np.zeros((self.num_envs, 2), dtype=np.int64)
        self._is_mirror = np.zeros(self.num_envs, dtype=np.bool_)
        self._histories = Histories(self.game, self.num_envs)
        self._all_boards = np.arange(self.num_envs)

    @abstractmethod
    def learnable(self, rollout: RolloutT) -> Any:
        """Return what the learner needs from a rollout; ``boards`` hold the positions after its last ply."""

    @property
    def boards(self) -> Boards:
        """The games in progress."""
        return self._boards

    @override
    def get_spaces(self) -> dict[str, tuple[gym.Space[Any], gym.Space[Any]]]:
        """Return the spaces of each module."""
        names = [INPUT_ENV_SPACES, INPUT_ENV_SINGLE_SPACES, *self.config.policies]
        return dict.fromkeys(names, self._spaces)

    @override
    def sample(self, **kwargs: Any) -> Any:
        """Play ``rollout_fragment_length`` plies on every board, and return what the learner needs from them."""
        if not self._match_ups:
            self._match_ups = [MIRROR] * self.num_envs
            self._start_games(self._all_boards)
        plies = int(self.config.get_rollout_fragment_length(self.worker_index or 0))
        rollout = self.rollout_class.empty(self.game, plies, self.num_envs)
        with torch.inference_mode():
            for ply in range(plies):
                self._play_ply(rollout, ply)
            samples = self.learnable(rollout)
        steps = plies * self.num_envs
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum", with_throughput=True)
        self.metrics.log_value(NUM_EPISODES, int(rollout.ended.sum()), reduce="sum")
        return samples

    def restart_games(self) -> None:
        """Start new games at the next ``sample``: other policies have played those under way."""
        self._match_ups = []
        self.matchmaker.drain()

    def _play_ply(self, rollout: RolloutT, ply: int) -> None:
        """Record the positions, let each player choose its moves, and play them."""
        boards, seat = self._boards, self._boards.seat
        player = self._player_in_seat[self._all_boards, seat]
        rollout.packed[ply], rollout.seat[ply], rollout.by_main[ply] = boards.pack(), seat, player == _MAIN
        observation = boards.observe()
        action = self.choose(observation, player, rollout, ply)
        self._ask_players(observation, player, action)
        self._slip(observation, action, rollout, ply)
        rollout.action[ply] = action
        self._histories.add(rollout.packed[ply], action)
        boards.play(action)
        rollout.ended[ply] = boards.over
        ended = np.flatnonzero(boards.over)
        if len(ended):
            returns, mover = boards.returns[ended], seat[ended]
            rows = np.arange(len(ended))
            rollout.reward[ply, ended], rollout.other_reward[ply, ended] = (
                returns[rows, mover],
                returns[rows, 1 - mover],
            )
            self._count_results(ended)
            self._start_games(ended)

    @abstractmethod
    def choose(self, observation: Observation, player: NDArray[np.int64], rollout: RolloutT, ply: int) -> Actions:
        """Return a move (N,) on every board that a network plays, and record what the learner needs of main's."""

    def _evaluator(self, observation: Observation) -> Callable[[int, Rows], NetworkOutput]:
        """Return a function that evaluates rows of ``observation`` by the network of a player."""
        planes, mask = torch.from_numpy(observation.planes), torch.from_numpy(observation.action_mask)
        prepared: dict[type, Prepared] = {}

        def evaluate(index: int, rows: Rows) -> NetworkOutput:
            network = self.module[self._players[index]].network
            # Networks with the same encoder share its features: they are computed once for all boards.
            kind = type(network.features)
            if kind not in prepared:
                prepared[kind] = network.prepare(planes)
            output: NetworkOutput = network.evaluate(tuple(part[rows] for part in prepared[kind]), mask[rows])
            return output

        return evaluate

    def _ask_players(self, observation: Observation, player: NDArray[np.int64], action: Actions) -> None:
        """Overwrite ``action`` on the boards where a player without a network of ours is to move.

        Raises:
            GameError: it chooses an illegal action.
        """
        for index, rows in rows_by_player(player):
            if index not in self._memory:
                continue
            module, memory = self.module[self._players[index]], self._memory[index]
            seen = observation[rows]
            chosen, memory[rows] = module.player.act(seen, memory[rows], module.rng)
            check_legal(module.player.name, chosen, seen)
            action[rows] = chosen

    def _slip(self, observation: Observation, action: Actions, rollout: RolloutT, ply: int) -> None:
        """Replace some of main's moves against itself with random ones."""
        chance = self._rng.random(self.num_envs)
        rollout.slip[ply] = self._is_mirror & (chance < self.settings.rollout.slip_probability)
        slipping = np.flatnonzero(rollout.slip[ply])
        action[slipping] = pick_legal(observation.action_mask[slipping], self._rng.random(len(slipping)))

    def _counts(self, ended: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which of the games that ``ended`` say something about main's strength against the pool."""
        from_pool: NDArray[np.bool_] = ~self._is_mirror[ended]
        return from_pool

    def _count_results(self, ended: NDArray[np.int64]) -> None:
        """Count the games against the pool among ``ended``."""
        ended = ended[self._counts(ended)]
        returns, hashes = self._boards.returns[ended], self._histories.hashes[ended].tolist()
        # Where chance plays along, the same moves are not the same game.
        histories = [None] * len(ended) if self.game.has_chance else hashes
        for row, board in enumerate(ended.tolist()):
            match_up = self._match_ups[board]
            main_result = Result.of(float(returns[row, match_up.main_seat]))
            self.matchmaker.record(match_up, main_result, histories[row])

    def _start_games(self, boards: NDArray[np.int64]) -> None:
        """Draw a match-up and an opening for each of ``boards``."""
        self._histories.restart(boards)
        is_mirror = self.matchmaker.draw_mirrors(len(boards))
        self._is_mirror[boards] = is_mirror
        self._player_in_seat[boards] = _MAIN
        for board in boards[~is_mirror].tolist():
            match_up = self._match_ups[board] = self.matchmaker.draw_from_pool()
            self._player_in_seat[board, 1 - match_up.main_seat] = self._index[match_up.module]
        for index, memory in self._memory.items():
            memory[boards] = self.module[self._players[index]].player.initial_state(len(boards))
        for mirror, openings in self._openings.items():
            rows = boards[is_mirror == mirror]
            self._boards.assign(rows, openings.take(len(rows)))


def check_legal(name: str, actions: Actions, observation: Observation) -> None:
    """Check the actions (N,) of an opponent.

    Raises:
        GameError: one of them is not legal.
    """
    mask = observation.action_mask
    inside = (actions >= 0) & (actions < mask.shape[1])
    wrong = ~inside | (mask[np.arange(len(mask)), np.where(inside, actions, 0)] == 0)
    if wrong.any():
        raise GameError(
            f"{name} chose the illegal action {actions[wrong][0]}: let it choose where the action mask has a 1"
        )


def rows_by_player(players: NDArray[np.int64]) -> Iterator[tuple[int, Rows]]:
    """Yield each player in ``players`` (N,) with its rows."""
    if (players == players[0]).all():
        yield int(players[0]), slice(None)
        return
    # After a stable sort, the rows of one player are next to one another.
    order = np.argsort(players, kind="stable")
    numbers, starts = np.unique(players[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)


def sample_logits(logits: torch.Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Sample an action per row of ``logits`` (N, actions) with the Gumbel-max trick; return its log-probability too."""
    gumbel = -torch.empty_like(logits).exponential_().log()
    action = (logits + gumbel).argmax(dim=1)
    log_probability = torch.log_softmax(logits, dim=1).gather(1, action[:, None])[:, 0]
    return action.numpy(), log_probability.numpy()
