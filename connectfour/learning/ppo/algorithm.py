"""``SelfPlayPPO``: RLlib's PPO with a league that is saved and restored with it.

The MultiRLModule is fixed when the algorithm is built: ``main``, one module per heuristic, and ``opponent_count``
slots for snapshots. Freezing copies main's weights into a slot. So nothing has to be added to a running algorithm, a
restored one has every module that it needs, and memory does not grow with the league.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pyarrow.fs import LocalFileSystem
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig, NotProvided
from ray.rllib.algorithms.ppo import PPO, PPOConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from typing_extensions import override

from connectfour.config import RunSettings, validate_settings
from connectfour.errors import ConfigError, SnapshotError
from connectfour.games.connect_four.env import ENV_NAME
from connectfour.grading.grade import GradedPositions, grade, load_positions
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN, Member
from connectfour.league.pool import OpponentPool
from connectfour.league.snapshots import Snapshot, SnapshotStore, Weights, weights_sha256
from connectfour.learning.env_runner import SelfPlayEnvRunner
from connectfour.learning.modules import module_of_agent, module_specs
from connectfour.learning.ppo.learner import SCHEDULE_LENGTH, SelfPlayLearner
from connectfour.learning.ppo.lockstep import LockstepLoop
from connectfour.learning.sync import (
    collect_tallies,
    has_matchmakers,
    load_module,
    module_weights,
    push_roster,
    push_weights,
)
from connectfour.players.network_player import NetworkPlayer, build_network
from connectfour.run_folder import write_checkpoint_index

# A resumed run must not repeat the games of the first iterations: each restart shifts all seeds by a prime.
_SEED_STEP = 10_007


def _schedule(start: float, end: float) -> list[tuple[int, float]]:
    return [(0, start), (SCHEDULE_LENGTH, end)]


class SelfPlayPPOConfig(PPOConfig):  # type: ignore[misc]  # Ray's classes are untyped here
    """Configuration of ``SelfPlayPPO``; build it with ``SelfPlayPPOConfig.from_settings(RunSettings(...))``.

    What RLlib configures may be changed afterwards as usual, with ``training(...)``, ``env_runners(...)`` and so on;
    ``callbacks(SelfPlayCallback)`` is needed: it draws the match-ups and makes the league grow.
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
        rollout, ppo, learners = settings.rollout, settings.ppo, max(1, settings.learners)
        config = cls()
        config.run_settings = settings.model_dump(mode="json")
        config.environment(ENV_NAME)
        config.disable_env_checking = True  # RLlib's check plays a move on every environment; a test does it instead
        config.env_runners(
            env_runner_cls=SelfPlayEnvRunner if rollout.env_runner == "lockstep" else MultiAgentEnvRunner,
            num_env_runners=rollout.env_runners,
            num_envs_per_env_runner=rollout.envs_per_runner,
        )
        config.training(
            lr=_schedule(ppo.learning_rate, ppo.learning_rate_end),
            train_batch_size_per_learner=ppo.batch_size // learners,
            minibatch_size=max(1, ppo.minibatch_size // learners),
            num_epochs=ppo.epochs,
            gamma=ppo.gamma,
            lambda_=ppo.gae_lambda,
            clip_param=ppo.clip,
            entropy_coeff=_schedule(ppo.entropy, ppo.entropy_end),
            vf_loss_coeff=ppo.value_loss,
            vf_clip_param=float("inf"),
            use_kl_loss=False,
            grad_clip=ppo.gradient_norm,
            grad_clip_by="global_norm",
        )
        config.learners(
            learner_class=SelfPlayLearner,
            num_learners=settings.learners,
            num_gpus_per_learner=min(1, torch.cuda.device_count() / learners),
        )
        specs = module_specs(settings)
        config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        config.multi_agent(policies=set(specs), policy_mapping_fn=module_of_agent, policies_to_train=[MAIN])
        config.fault_tolerance(restart_failed_env_runners=True)
        config.debugging(seed=(settings.seed + _SEED_STEP * seed_shift) % 2**31, log_level="ERROR")
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
        self.store = SnapshotStore(Path(self.config.league_folder or self._default_league_folder()))
        self.pool = OpponentPool(self.settings.league, self.settings.seed)
        self._lockstep = LockstepLoop(self)
        super().setup(config)
        if self.eval_env_runner_group and self.settings.rollout.env_runner == "lockstep":
            raise ConfigError(
                "RLlib's evaluation counts episodes, which a lockstep runner has none of: evaluate with "
                "rollout.env_runner=stock, or with connectfour match and grade"
            )
        if not has_matchmakers(self.env_runner_group):
            raise ConfigError("nobody draws the match-ups: add .callbacks(SelfPlayCallback) to the configuration")
        if self.config.restore_from:
            self.load_checkpoint(self.config.restore_from)
        else:
            self._archive_stored_snapshots()
            self.sync_league(self.env_runner_group)

    def _default_league_folder(self) -> Path:
        # The trial's working folder is a temporary one; what has to last belongs where Tune stores the trial.
        if self._storage and isinstance(self._storage.storage_filesystem, LocalFileSystem):
            return Path(self._storage.trial_fs_path) / "league"
        return Path(self.logdir) / "league"

    def _archive_stored_snapshots(self) -> None:
        """Keep snapshots in the folder that this league does not know (of an attempt that failed, or went on)."""
        self.pool.archive(member for member in self.store.members().values() if member.kind == "snapshot")

    @override
    def training_step(self) -> None:
        """Sample with all env runners, learn from main's moves, and send main's new weights back."""
        progress = self.progress

        def advance(learner: Any) -> None:
            learner.progress = progress

        self.learner_group.foreach_learner(advance)
        if self.settings.rollout.env_runner == "stock":
            super().training_step()
        else:
            self._lockstep.step()

    @property
    def progress(self) -> float:
        """The share of the run that is done, in [0, 1], by the first of its limits on time and env steps."""
        limits = self.settings.stop
        of_minutes = self._time_total / 60 / limits.minutes if limits.minutes else 0.0
        of_env_steps = self.env_steps / limits.env_steps if limits.env_steps else 0.0
        return min(1.0, max(of_minutes, of_env_steps))

    @property
    def env_steps(self) -> int:
        """Env steps sampled since the run began, over all its parts."""
        return int(self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0))

    def sync_league(self, group: EnvRunnerGroup, worker_indices: list[int] | None = None) -> None:
        """Bring env runners of ``group`` (default: all) up to date: weights, verified by hash, and the roster.

        Raises:
            TrainingError: an env runner holds other weights afterwards.
        """
        push_weights(self, group, worker_indices=worker_indices)
        push_roster(group, self._roster(), worker_indices)

    def push_roster(self) -> None:
        """Tell all env runners, those for evaluation included, who plays from which module and how often."""
        for group in (self.env_runner_group, self.eval_env_runner_group):
            if group:
                push_roster(group, self._roster())

    def _roster(self) -> Roster:
        return self.pool.roster(self.settings.rollout.mirror_share, self.iteration)

    def freeze_main(self) -> Member:
        """Freeze main into the pool and return the new member.

        The snapshot's file is written, its weights are in their slot on every env runner, verified, and the manifest
        names it, before this returns.

        Raises:
            TrainingError: an env runner did not take the weights.
        """
        saved, snapshot = self._save_main(self.pool.next_snapshot_id, "snapshot")
        member = self.pool.admit(saved)
        load_module(self, member.module, snapshot.weights)
        self._write_manifest()
        return member

    def _save_main(self, member_id: str, kind: Literal["snapshot", "main"]) -> tuple[Member, Snapshot]:
        snapshot = Snapshot(self.settings.network, module_weights(self))
        saved = self.store.save(member_id, kind, snapshot, iteration=self.iteration, env_steps=self.env_steps)
        return saved.model_copy(update={"graded": self._grade(snapshot)}), snapshot

    def grade_main(self) -> float:
        """Return the share of solved positions (the dev half) in which main's best column keeps the result."""
        return self._grade(Snapshot(self.settings.network, module_weights(self)))

    def _grade(self, snapshot: Snapshot) -> float:
        player = NetworkPlayer(MAIN, build_network(snapshot), temperature=0.0)
        share = grade(player, self._graded_positions).overall
        return share.value_preserving / share.positions

    @cached_property
    def _graded_positions(self) -> GradedPositions:
        return load_positions("dev")

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
            self._archive_stored_snapshots()
        self._time_total = state.get("time_total", self._time_total)

    @override
    def restore_from_path(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Restore a checkpoint, and bring every env runner up to date before it samples.

        Raises:
            SnapshotError: the slots do not hold the snapshots that the league names.
            TrainingError: an env runner did not take the weights.
        """
        self._lockstep.discard_samples()
        collect_tallies(self.env_runner_group)
        super().restore_from_path(path, *args, **kwargs)
        for member in self.pool.slots().values():
            weights = module_weights(self, member.module)
            if weights_sha256(weights) != member.weights_sha256:
                raise SnapshotError(
                    f"checkpoint {path} holds other weights of {member.id} than its league names: "
                    "resume from another checkpoint"
                )
            self._mend_file(member, weights)
        self.sync_league(self.env_runner_group)

    def _mend_file(self, member: Member, weights: Weights) -> None:
        """Write a snapshot's file again if it is missing or damaged: its slot holds the same weights."""
        try:
            self.store.load(member)
        except SnapshotError:
            snapshot = Snapshot(self.settings.network, weights)
            saved = self.store.save(
                member.id, "snapshot", snapshot, iteration=member.iteration, env_steps=member.env_steps
            )
            self.pool.members[member.id] = member.model_copy(update={"sha256": saved.sha256})
            self._write_manifest()

    @override
    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return what a checkpoint builds an algorithm with: without the paths of this run."""
        (config, *rest), kwargs = super().get_ctor_args_and_kwargs()
        return ({**config, "league_folder": None, "restore_from": None}, *rest), kwargs

    @override
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save a checkpoint with an index of its files, and main as the run's latest policy."""
        super().save_checkpoint(checkpoint_dir)
        write_checkpoint_index(
            Path(checkpoint_dir),
            iteration=self.iteration,
            env_steps=self.env_steps,
            minutes=self._time_total / 60,
            league_size=len(self.pool),
        )
        self._write_manifest(self._save_main(MAIN, "main")[0])
