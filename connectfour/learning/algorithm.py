"""``SelfPlayPPO``: RLlib's PPO with a league that is saved and restored with it.

The MultiRLModule is fixed when the algorithm is built: ``main``, one module per heuristic, and ``opponent_count``
slots for snapshots. Freezing copies main's weights into a slot. So nothing has to be added to a running algorithm, a
restored one has every module that it needs, and memory does not grow with the league.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import gymnasium as gym
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from typing_extensions import override

from connectfour.config import RunSettings, validate_settings
from connectfour.errors import ConfigError, SnapshotError
from connectfour.game.env import AGENTS, ENV_NAME, ConnectFourEnv
from connectfour.league.matchmaking import MAIN, MatchUp
from connectfour.league.pool import Member, OpponentPool, heuristic_module, slot_module
from connectfour.league.snapshots import Snapshot, SnapshotStore, weights_sha256
from connectfour.learning.heuristic_module import HeuristicRLModule
from connectfour.learning.rl_module import ActionMaskingRLModule
from connectfour.learning.run_folder import write_checkpoint_index
from connectfour.learning.sync import load_module, module_weights, push_roster, push_weights
from heuristics import make_heuristic

# A resumed run must not repeat the games of the first iterations: each restart shifts all seeds by a prime.
_SEED_STEP = 10_007


def module_of_agent(agent_id: str, episode: Any, **kwargs: Any) -> str:
    """Map ``player_0`` and ``player_1`` to modules: as the match-up says that was drawn with the episode."""
    try:
        match_up: MatchUp = episode.custom_data["match_up"]
    except AttributeError:
        # While RLlib builds the continuation of a cut episode it asks before the custom data is there. It knows the
        # modules from the first part and does not use the answer.
        return MAIN
    return match_up.module_in(AGENTS.index(agent_id))


class SelfPlayPPOConfig(PPOConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """Configuration of ``SelfPlayPPO``; build it with ``SelfPlayPPOConfig.from_settings(RunSettings(...))``.

    What RLlib configures may be changed afterwards as usual, with ``training(...)``, ``env_runners(...)`` and so on;
    ``callbacks(SelfPlayCallback)`` is what makes the league grow.
    """

    def __init__(self, algo_class: type | None = None) -> None:
        """Start with default settings, without modules: ``from_settings`` completes it."""
        super().__init__(algo_class=algo_class or SelfPlayPPO)
        self.run_settings: dict[str, Any] = RunSettings().model_dump(mode="json")
        self.league_folder: str | None = None
        self.restore_from: str | None = None

    @property
    def settings(self) -> RunSettings:
        """The run's settings."""
        return validate_settings(self.run_settings)

    @classmethod
    def from_settings(cls, settings: RunSettings | None = None, *, seed_shift: int = 0) -> Self:
        """Translate ``settings`` into RLlib's configuration.

        ``seed_shift`` (a resumed run's iteration) gives a run other chance than its earlier parts.

        Raises:
            ConfigError: a heuristic is not known.
        """
        settings = settings or RunSettings()
        rollout, ppo = settings.rollout, settings.ppo
        config = cls()
        config.run_settings = settings.model_dump(mode="json")
        config.environment(ENV_NAME)
        config.disable_env_checking = True  # RLlib's check plays a move on every environment; a test does it instead
        config.env_runners(num_env_runners=rollout.env_runners, num_envs_per_env_runner=rollout.envs_per_runner)
        config.training(
            lr=ppo.learning_rate,
            train_batch_size_per_learner=ppo.batch_size,
            minibatch_size=ppo.minibatch_size,
            num_epochs=ppo.epochs,
            gamma=ppo.gamma,
            lambda_=ppo.gae_lambda,
            clip_param=ppo.clip,
            entropy_coeff=ppo.entropy,
            vf_loss_coeff=ppo.value_loss,
            vf_clip_param=float("inf"),
            use_kl_loss=False,
            grad_clip=ppo.gradient_norm,
            grad_clip_by="global_norm",
        )
        specs = _module_specs(settings)
        config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        config.multi_agent(policies=set(specs), policy_mapping_fn=module_of_agent, policies_to_train=[MAIN])
        config.fault_tolerance(restart_failed_env_runners=True)
        config.debugging(seed=settings.seed + _SEED_STEP * seed_shift, log_level="ERROR")
        return config

    def league(self, *, folder: str | Path | None = NotProvided, restore_from: str | Path | None = NotProvided) -> Self:
        """Say where the league lives.

        Args:
            folder: where snapshots and the manifest are written; by default ``league`` in the trial's folder.
            restore_from: a checkpoint to begin from.
        """
        if folder is not NotProvided:
            self.league_folder = None if folder is None else str(Path(folder).resolve())
        if restore_from is not NotProvided:
            self.restore_from = None if restore_from is None else str(Path(restore_from).resolve())
        return self


def _module_specs(settings: RunSettings) -> dict[str, RLModuleSpec]:
    env = ConnectFourEnv()
    spaces: dict[str, gym.Space[Any]] = {
        "observation_space": env.observation_spaces["player_0"],
        "action_space": env.action_spaces["player_0"],
    }
    network = {"network": settings.network.model_dump()}
    networks = [MAIN, *(slot_module(slot) for slot in range(settings.league.opponent_count))]
    specs = {
        name: RLModuleSpec(module_class=ActionMaskingRLModule, model_config=network, **spaces) for name in networks
    }
    for name in settings.league.heuristics:
        try:
            make_heuristic(name)
        except ValueError as error:
            raise ConfigError(f"league.heuristics: {error}") from None
        specs[heuristic_module(name)] = RLModuleSpec(
            module_class=HeuristicRLModule, model_config={"heuristic": name, "max_seq_len": 42}, **spaces
        )
    return specs


class SelfPlayPPO(PPO):  # type: ignore[misc]  # Ray's classes are untyped here
    """PPO with an ``OpponentPool``: freezes main into it, and saves and restores it with every checkpoint.

    Attributes:
        pool: the league.
        store: the folder of its snapshots.
    """

    pool: OpponentPool
    store: SnapshotStore
    _time_total: float

    @classmethod
    @override
    def get_default_config(cls) -> AlgorithmConfig:
        """Return the default configuration."""
        return SelfPlayPPOConfig()

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        """Build everything, begin from ``restore_from`` if it is set, and bring all env runners up to date."""
        self.settings = self.config.settings
        # Ray gives an actor one thread unless told otherwise.
        torch.set_num_threads(self.settings.threads)
        self.store = SnapshotStore(Path(self.config.league_folder or Path(self.logdir) / "league"))
        self.pool = OpponentPool(self.settings.league, self.settings.seed)
        super().setup(config)
        if self.config.restore_from:
            self.load_checkpoint(self.config.restore_from)
        else:
            self.sync_league()

    @property
    def env_steps(self) -> int:
        """Env steps sampled since the run began, over all its parts."""
        return int(self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0))

    def sync_league(self, worker_indices: list[int] | None = None) -> None:
        """Bring env runners (default: all) up to date: weights of all modules, verified by hash, and the roster.

        Raises:
            TrainingError: an env runner holds other weights afterwards.
        """
        push_weights(self, worker_indices=worker_indices)
        self.push_roster(worker_indices)

    def push_roster(self, worker_indices: list[int] | None = None) -> None:
        """Tell env runners (default: all) who plays from which module and how often."""
        roster = self.pool.roster(self.settings.rollout.mirror_share, self.iteration)
        push_roster(self.env_runner_group, roster, worker_indices)

    def freeze_main(self) -> Member:
        """Freeze main into the pool and return the new member.

        The snapshot's file is written, its weights are in their slot on every env runner, verified, and the manifest
        names it, before this returns.

        Raises:
            TrainingError: an env runner did not take the weights.
        """
        snapshot = Snapshot(self.settings.network, module_weights(self))
        member = self.pool.admit(
            self.store.save(
                self.pool.next_snapshot_id,
                "snapshot",
                snapshot,
                iteration=self.iteration,
                env_steps=self.env_steps,
            )
        )
        load_module(self, member.module, snapshot.weights)
        self._write_manifest()
        return member

    def _write_manifest(self, main: Member | None = None) -> None:
        main = main or self.store.members().get(MAIN)
        self.store.write_manifest({**self.pool.to_state(), "main": main.model_dump() if main else None})

    @override
    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return RLlib's state with the league's."""
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        state["league"] = self.pool.to_state()
        state["time_total"] = self._time_total
        return state

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """Take over RLlib's state and the league's.

        Snapshots that were frozen after this state was saved stay in the archive.
        """
        super().set_state(state)
        if "league" in state:
            self.pool.load_state(state["league"])
            self.pool.archive(member for member in self.store.members().values() if member.kind == "snapshot")
        self._time_total = state.get("time_total", self._time_total)

    @override
    def restore_from_path(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Restore a checkpoint, and bring every env runner up to date before it samples.

        Raises:
            SnapshotError: the slots do not hold the snapshots that the league names.
            TrainingError: an env runner did not take the weights.
        """
        super().restore_from_path(path, *args, **kwargs)
        for member in self.pool.slots().values():
            weights = module_weights(self, member.module)
            if weights_sha256(weights) != member.weights_sha256:
                raise SnapshotError(
                    f"checkpoint {path} holds other weights of {member.id} than its league names: "
                    "resume from another checkpoint"
                )
            if not self.store.has(member):
                # The checkpoint was moved away from its run: its slots hold what the missing files did.
                self.store.save(
                    member.id,
                    "snapshot",
                    Snapshot(self.settings.network, weights),
                    iteration=member.iteration,
                    env_steps=member.env_steps,
                )
        self._write_manifest()
        self.sync_league()

    @override
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save a checkpoint with an index of its files, and main as the run's latest policy."""
        super().save_checkpoint(checkpoint_dir)
        write_checkpoint_index(
            Path(checkpoint_dir), iteration=self.iteration, env_steps=self.env_steps, minutes=self._time_total / 60
        )
        snapshot = Snapshot(self.settings.network, module_weights(self))
        self._write_manifest(
            self.store.save(MAIN, "main", snapshot, iteration=self.iteration, env_steps=self.env_steps)
        )
