"""``SelfPlayEnvRunner``: all boards in lockstep, one forward pass per module and ply, columns out.

RLlib's stock runner makes Python objects of every step of every game. This one steps N bitboards at once, groups them
by the module that is to move, and returns the columns of main's moves alone. It plays the same league: the same
matchmaker, modules, weights and openings.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import ray
import torch
from numpy.typing import NDArray
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.utils import make_callback
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils import force_list
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import (
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES,
    WEIGHTS_SEQ_NO,
)
from typing_extensions import override

from connectfour.games.connect_four.bitboard import COLUMNS, Bits, Boards, Columns, gain_of_mover, pick_legal, to_planes
from connectfour.games.connect_four.env import ConnectFourEnv
from connectfour.games.connect_four.openings import OpeningStock
from connectfour.league.matchmaking import MIRROR, Matchmaker, MatchUp, Result
from connectfour.league.members import MAIN
from connectfour.learning.heuristic_module import HeuristicRLModule
from connectfour.learning.ppo.lookahead import action_values, improved_policy
from connectfour.learning.rollout import Floats, Rollout, advantages
from heuristics import State

Rows = Columns | slice

_MAIN = 0
_RESULT_OF_FIRST: dict[int, Result] = {1: "win", 0: "draw", -1: "loss"}


class SelfPlayEnvRunner(EnvRunner, Checkpointable):  # type: ignore[misc]  # Ray's classes are untyped here
    """Plays ``num_envs_per_env_runner`` games in lockstep.

    There are no episodes, so callbacks on episodes and samples are not called, and RLlib's evaluation, which counts
    episodes, needs the stock runner.

    Attributes:
        module: the MultiRLModule, as in the stock runner.
        matchmaker: draws match-ups and counts results; the callback ``on_environment_created`` provides it.
    """

    matchmaker: Matchmaker
    num_env_steps_sampled_lifetime: int

    def __init__(self, config: AlgorithmConfig, **kwargs: Any) -> None:
        """Build modules and boards as ``config`` says."""
        super().__init__(config=config, **kwargs)
        self._weights_seq_no = 0
        rollout = config.settings.rollout
        self._slip_probability = rollout.slip_probability
        self._lookahead = config.settings.lookahead
        self._rng = np.random.default_rng((self._seed or 0, self.worker_index or 0))
        env = ConnectFourEnv()
        self._spaces = (env.observation_spaces["player_0"], env.action_spaces["player_0"])
        self.num_envs: int = config.num_envs_per_env_runner
        self.make_module()
        self._players = [MAIN, *(module_id for module_id in sorted(self.config.policies) if module_id != MAIN)]
        self._index = {module_id: index for index, module_id in enumerate(self._players)}
        self._memory: dict[int, State] = {
            self._index[module_id]: module.heuristic.initial_state(self.num_envs)
            for module_id, module in self.module.items()
            if isinstance(module, HeuristicRLModule)
        }
        make_callback(
            "on_environment_created",
            callbacks_objects=[callback() for callback in force_list(config.callbacks_class)],
            callbacks_functions=config.callbacks_on_environment_created,
            kwargs={"env_runner": self, "metrics_logger": self.metrics, "env": None, "env_context": {}},
        )
        self._openings = {
            is_mirror: OpeningStock(rollout.opening_plies(mirror=is_mirror), self._rng) for is_mirror in (True, False)
        }
        self._boards = Boards(self.num_envs)
        self._match_ups: list[MatchUp] = []
        self._player_in_seat = np.zeros((self.num_envs, 2), dtype=np.int64)
        self._is_mirror = np.zeros(self.num_envs, dtype=np.bool_)
        self._board_numbers = np.arange(self.num_envs)

    @override
    def make_module(self) -> None:
        """Build the MultiRLModule."""
        spec = self.config.get_multi_rl_module_spec(spaces=self.get_spaces(), inference_only=True)
        self.module = spec.build()

    @override
    def get_spaces(self) -> dict[str, tuple[gym.Space[Any], gym.Space[Any]]]:
        """Return the spaces of each module."""
        names = [INPUT_ENV_SPACES, INPUT_ENV_SINGLE_SPACES, *self.config.policies]
        return dict.fromkeys(names, self._spaces)

    @override
    def sample(self, **kwargs: Any) -> dict[str, NDArray[Any]]:
        """Play ``rollout_fragment_length`` plies on every board and return main's moves as columns.

        Returns:
            The columns of ``Rollout.learnable``, and, if main looks ahead, ``improved_policy`` (samples, 7) with rows
            of zeros where there is no such target.
        """
        if not self._match_ups:
            self._match_ups = [MIRROR] * self.num_envs
            self._start_games(self._board_numbers)
        plies = int(self.config.get_rollout_fragment_length(self.worker_index or 0))
        rollout = Rollout.empty(plies, self.num_envs)
        with torch.inference_mode():
            for ply in range(plies):
                self._step(rollout, ply)
        last_value = self._value_of(self._boards.own, self._boards.occupied)
        last_seat = (self._boards.plies % 2).astype(np.int8)
        steps = plies * self.num_envs
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED, steps, reduce="sum")
        self.metrics.log_value(NUM_ENV_STEPS_SAMPLED_LIFETIME, steps, reduce="lifetime_sum", with_throughput=True)
        self.metrics.log_value(NUM_EPISODES, int((rollout.outcome != 0).sum()), reduce="sum")
        config = self.config
        columns = rollout.learnable(advantages(rollout, last_value, last_seat, config.gamma, config.lambda_))
        self._look_ahead(columns)
        return columns

    def _look_ahead(self, columns: dict[str, NDArray[Any]]) -> None:
        """Add the column ``improved_policy`` and mend the value targets of the positions that are looked ahead in."""
        settings = self._lookahead
        if not settings.share:
            return
        chosen = np.flatnonzero(self._rng.random(len(columns["own"])) < settings.share)
        own, occupied, logits = (columns[name][chosen] for name in ("own", "occupied", "logits"))
        values = action_values(own, occupied, self._value_of, self.config.gamma)
        columns["improved_policy"] = np.zeros_like(columns["logits"])
        columns["improved_policy"][chosen] = improved_policy(logits, values, settings.temperature)
        columns["value_target"][chosen] *= 1 - settings.value_share
        columns["value_target"][chosen] += settings.value_share * values.max(axis=1)

    @torch.inference_mode()
    def _value_of(self, own: Bits, occupied: Bits) -> Floats:
        network = self.module[MAIN].network
        value: Floats = network.value(network.encode(torch.from_numpy(to_planes(own, occupied)))).numpy()
        return value

    def _step(self, rollout: Rollout, ply: int) -> None:
        boards = self._boards
        seat = boards.plies % 2
        mover = self._player_in_seat[self._board_numbers, seat]
        rollout.own[ply], rollout.occupied[ply], rollout.seat[ply] = boards.own, boards.occupied, seat
        rollout.by_main[ply] = mover == _MAIN
        column = self._choose(rollout, ply, mover)
        rollout.column[ply] = column
        rollout.outcome[ply] = boards.play(column)
        ended = np.flatnonzero(boards.outcome)
        if len(ended):
            self._end_games(ended, seat[ended])
            self._start_games(ended)

    def _choose(self, rollout: Rollout, ply: int, mover: NDArray[np.int64]) -> Columns:
        """Return a column for each board, chosen by the player ``mover`` (N,) on it."""
        observation, mask = self._boards.observe()
        prepared = self.module[MAIN].network.prepare(torch.from_numpy(observation))
        logits = np.zeros((self.num_envs, COLUMNS), np.float32)
        by_heuristics: list[tuple[Rows, Columns]] = []
        for player, here in _group(mover):
            if player in self._memory:
                memory, module = self._memory[player], self.module[self._players[player]]
                chosen, memory[here] = module.heuristic.act(observation[here], mask[here], memory[here], module.rng)
                by_heuristics.append((here, chosen))
                continue
            network = self.module[self._players[player]].network
            output = network.evaluate(tuple(part[here] for part in prepared), torch.from_numpy(mask[here]))
            logits[here] = output.logits.numpy()
            if player == _MAIN:
                rollout.value[ply, here] = output.value.numpy()
        rollout.logits[ply] = logits
        column, rollout.log_probability[ply] = _sample(torch.from_numpy(logits))
        for here, chosen in by_heuristics:
            column[here] = chosen
        rollout.slip[ply] = self._is_mirror & (self._rng.random(self.num_envs) < self._slip_probability)
        slipping = np.flatnonzero(rollout.slip[ply])
        column[slipping] = pick_legal(mask[slipping], self._rng.random(len(slipping)))
        return column

    def _end_games(self, ended: Columns, seat: NDArray[np.int64]) -> None:
        """Count the results of games against the pool; ``seat`` (ended,) made the last move."""
        of_pool = ~self._is_mirror[ended]
        ended, seat = ended[of_pool], seat[of_pool]
        gain = gain_of_mover(self._boards.outcome[ended])
        gain_of_first = np.where(seat == 0, gain, -gain)
        for board, first in zip(ended.tolist(), gain_of_first.tolist(), strict=True):
            match_up = self._match_ups[board]
            self.matchmaker.record(match_up, _RESULT_OF_FIRST[first if match_up.main_seat == 0 else -first])

    def _start_games(self, boards: Columns) -> None:
        """Draw a match-up and an opening for each of ``boards``."""
        is_mirror = self.matchmaker.draw_mirrors(len(boards))
        self._is_mirror[boards] = is_mirror
        self._player_in_seat[boards] = _MAIN
        for board in boards[~is_mirror].tolist():
            match_up = self._match_ups[board] = self.matchmaker.draw_from_pool()
            self._player_in_seat[board, 1 - match_up.main_seat] = self._index[match_up.module]
        for player, memory in self._memory.items():
            memory[boards] = self.module[self._players[player]].heuristic.initial_state(len(boards))
        for kind, openings in self._openings.items():
            here = boards[is_mirror == kind]
            self._boards.assign(here, openings.take(len(here)))

    @override
    def get_metrics(self) -> Any:
        """Return what was logged since the last call."""
        return self.metrics.reduce()

    @override
    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Return the modules' weights and the count of env steps."""
        state: dict[str, Any] = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.num_env_steps_sampled_lifetime}
        if self._check_component(COMPONENT_RL_MODULE, components, not_components):
            state[COMPONENT_RL_MODULE] = self.module.get_state(
                components=self._get_subcomponents(COMPONENT_RL_MODULE, components),
                not_components=self._get_subcomponents(COMPONENT_RL_MODULE, not_components),
                **kwargs,
            )
            state[WEIGHTS_SEQ_NO] = self._weights_seq_no
        return state

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """Take over weights, unless their sequence number says that they are not newer, as the stock runner does."""
        if COMPONENT_RL_MODULE in state:
            weights_seq_no = state.get(WEIGHTS_SEQ_NO, 0)
            if weights_seq_no == 0 or self._weights_seq_no < weights_seq_no:
                weights = state[COMPONENT_RL_MODULE]
                self.module.set_state(ray.get(weights) if isinstance(weights, ray.ObjectRef) else weights)
            self._weights_seq_no = weights_seq_no or self._weights_seq_no
        self.num_env_steps_sampled_lifetime = state.get(
            NUM_ENV_STEPS_SAMPLED_LIFETIME, self.num_env_steps_sampled_lifetime
        )

    @override
    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """Return the modules."""
        return [(COMPONENT_RL_MODULE, self.module)]

    @override
    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what it is built with."""
        return (), {"config": self.config}

    @override
    def assert_healthy(self) -> None:
        """Fail if there is no module to play with."""
        if not self.module:
            raise RuntimeError("the env runner has no module to play with")


def _group(players: NDArray[np.int64]) -> Iterator[tuple[int, Rows]]:
    """Yield each player of ``players`` (N,) with the rows that are its own."""
    if (players == players[0]).all():
        yield int(players[0]), slice(None)
        return
    # In a stable sort by player, one run is one player's rows.
    order = np.argsort(players, kind="stable")
    numbers, starts = np.unique(players[order], return_index=True)
    yield from zip(numbers.tolist(), np.split(order, starts[1:]), strict=True)


def _sample(logits: torch.Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Draw a column from each row of ``logits`` (N, 7) by the Gumbel trick, and return it with its log-probability."""
    gumbel = -torch.empty_like(logits).exponential_().log()
    column = (logits + gumbel).argmax(dim=1)
    log_probability = torch.log_softmax(logits, dim=1).gather(1, column[:, None])[:, 0]
    return column.numpy(), log_probability.numpy()
