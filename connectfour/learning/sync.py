"""Weights and rosters for every env runner, pushed synchronously and verified.

RLlib's own synchronization is asynchronous and drops weights whose sequence number is not newer. Env runners do not see
a snapshot that was loaded into a module until a later sync includes it; until then each of them plays its own random
network. So the league pushes without a sequence number, waits, and compares hashes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

import ray
from ray.rllib.core import COMPONENT_RL_MODULE

from connectfour.errors import TrainingError
from connectfour.games.result import SeatScores
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN
from connectfour.league.snapshots import Weights, weights_sha256

if TYPE_CHECKING:
    from ray.rllib.algorithms.algorithm import Algorithm
    from ray.rllib.env.env_runner import EnvRunner
    from ray.rllib.env.env_runner_group import EnvRunnerGroup


def module_weights(algorithm: Algorithm, module_id: str = MAIN) -> Weights:
    """Return a copy of a module's weights on the learner, as NumPy arrays by parameter name."""
    weights = algorithm.learner_group.get_weights([module_id])[module_id]
    return {name: array.copy() for name, array in weights.items()}


def load_module(algorithm: Algorithm, groups: Iterable[EnvRunnerGroup], module_id: str, weights: Weights) -> None:
    """Copy ``weights`` into a module on every learner, and on every env runner of ``groups``.

    Raises:
        TrainingError: an env runner holds other weights afterwards.
    """
    algorithm.learner_group.set_weights({module_id: dict(weights)})
    found = [hashes for group in groups for hashes in push_weights(algorithm, group, [module_id])]
    for hashes in found:
        # The runners got their weights from the learner; comparing them with the source also verifies the learner.
        if hashes[module_id] != weights_sha256(weights):
            raise TrainingError(f"the learner did not load the weights of {module_id}: resume the run")


def push_weights(
    algorithm: Algorithm,
    group: EnvRunnerGroup,
    module_ids: Collection[str] | None = None,
    worker_indices: list[int] | None = None,
) -> list[dict[str, str]]:
    """Copy the learner's weights of ``module_ids`` (default: all) to env runners of ``group`` (default: all).

    An env runner that hangs is not waited for: if it ever goes on, it loads the weights before it does anything else.

    Returns:
        The hashes of these modules on each env runner that answered, which equal the learner's.

    Raises:
        TrainingError: an env runner holds other weights afterwards.
    """
    weights = algorithm.learner_group.get_weights(module_ids)
    expected = {module_id: weights_sha256(state) for module_id, state in weights.items() if state}
    reference = ray.put({COMPONENT_RL_MODULE: weights})

    def load(env_runner: EnvRunner) -> dict[str, str]:
        env_runner.set_state(ray.get(reference))
        return runner_hashes(env_runner, expected)

    found: list[dict[str, str]] = _foreach(group, load, worker_indices, algorithm.config.patience)
    for hashes in found:
        wrong = sorted(module_id for module_id in expected if hashes[module_id] != expected[module_id])
        if wrong:
            raise TrainingError(f"an env runner did not load the weights of {', '.join(wrong)}: resume the run")
    return found


def runner_hashes(env_runner: EnvRunner, module_ids: Iterable[str]) -> dict[str, str]:
    """Return the hashes of the weights that an env runner plays with, by module."""
    return {module_id: weights_sha256(env_runner.module[module_id].get_state()) for module_id in module_ids}


def push_roster(
    group: EnvRunnerGroup, roster: Roster, worker_indices: list[int] | None = None, *, patience: float
) -> None:
    """Let env runners draw their next games from ``roster``; wait for them for ``patience`` seconds."""

    def follow(env_runner: EnvRunner) -> None:
        env_runner.matchmaker.follow(roster)

    _foreach(group, follow, worker_indices, patience)


def collect_results(group: EnvRunnerGroup, *, patience: float) -> dict[str, SeatScores]:
    """Return main's scores by opponent from the games that all env runners counted since the last call.

    An env runner that does not answer for ``patience`` seconds is left out.
    """

    def drain(env_runner: EnvRunner) -> dict[str, SeatScores]:
        results: dict[str, SeatScores] = env_runner.matchmaker.drain()
        return results

    total: dict[str, SeatScores] = {}
    for results in _foreach(group, drain, None, patience):
        for opponent, scores in results.items():
            total[opponent] = total.get(opponent, SeatScores()) + scores
    return total


def _foreach(group: EnvRunnerGroup, function: Any, worker_indices: list[int] | None, patience: float) -> list[Any]:
    """Call ``function`` on every env runner that samples: the local one only if there is no other."""
    return list(
        group.foreach_env_runner(
            function,
            local_env_runner=group.num_remote_env_runners() == 0,
            remote_worker_ids=worker_indices,
            timeout_seconds=patience,
        )
    )
