"""``LeagueAlgorithm``: turns any RLlib algorithm into a league.

The MultiRLModule is fixed when the algorithm is built: ``main``, one module per heuristic, and ``opponent_count`` slots
for snapshots. Freezing copies main's weights into a slot. Nothing is ever added to a running algorithm, so a restored
one has every module that it needs, and memory does not grow with the league.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pyarrow.fs import LocalFileSystem
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.metrics import ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME
from typing_extensions import override

from connectfour.errors import ConfigError, SnapshotError
from connectfour.games.result import SeatScores
from connectfour.grading.grade import grade
from connectfour.grading.positions import GradedPositions, load_positions
from connectfour.league.manifest import Manifest, PoolState, members_in, write_manifest
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN, Member
from connectfour.league.pool import OpponentPool
from connectfour.league.snapshots import (
    EncodedSnapshot,
    Snapshot,
    SnapshotStore,
    Weights,
    decode_snapshot,
    encode_snapshot,
    weights_sha256,
)
from connectfour.learning.guests import read_guest
from connectfour.learning.sync import collect_results, load_module, module_weights, push_roster, push_weights
from connectfour.players.network_player import NetworkPlayer, build_network
from connectfour.runs.checkpoints import CHECKPOINT_POLICY, write_checkpoint_index
from connectfour.runs.folder import RunFolder
from connectfour.settings.schema import RunSettings
from connectfour.system.allocator import keep_freed_memory


class LeagueCallback(RLlibCallback):  # type: ignore[misc]  # Ray's classes are untyped here
    """Base of the callback that lets a league grow; ``callbacks.self_play.SelfPlayCallback`` is the one to use."""


class LeagueAlgorithm(Algorithm):  # type: ignore[misc]  # Ray's classes are untyped here
    """An algorithm with an ``OpponentPool``: freezes main into it, and saves and restores it with every checkpoint.

    Mix it in before the algorithm's own class, which adds ``training_step``.

    Attributes:
        settings: the run's settings.
        pool: the league.
        store: the folder of its snapshots.
        value_preserving: main's latest grade (see ``grade_main``); NaN before the first one.
    """

    settings: RunSettings
    pool: OpponentPool
    store: SnapshotStore
    value_preserving: float = math.nan
    _time_total: float

    @override
    def setup(self, config: AlgorithmConfig) -> None:
        """Build everything, begin from ``restore_from`` if it is set, and bring all env runners up to date."""
        self.settings = self.config.settings
        keep_freed_memory()
        # Ray gives an actor one thread by default.
        torch.set_num_threads(self.settings.threads)
        self.store = SnapshotStore(self._find_league_folder())
        self.pool = OpponentPool(self.settings.league, self.settings.seed)
        super().setup(config)
        if not any(isinstance(callback, LeagueCallback) for callback in self.callbacks):
            raise ConfigError("the league cannot grow without its callback: add .callbacks(SelfPlayCallback)")
        if self.eval_env_runner_group and self.settings.rollout.env_runner == "lockstep":
            raise ConfigError(
                "RLlib's evaluation counts episodes, which a lockstep runner does not have: evaluate with "
                "rollout.env_runner=stock, or with connectfour match and grade"
            )
        if self.config.restore_from:
            self.load_checkpoint(self.config.restore_from)
        else:
            self._archive_stored_snapshots()
            self._welcome_guests()
            self._sync_all()

    def _find_league_folder(self) -> Path:
        if self.config.league_folder:
            return Path(self.config.league_folder)
        # A trial works in a temporary folder; files that must persist belong where Tune stores the trial.
        if self._storage and isinstance(self._storage.storage_filesystem, LocalFileSystem):
            return RunFolder(Path(self._storage.trial_fs_path)).league
        return RunFolder(Path(self.logdir)).league

    @property
    def _groups(self) -> list[EnvRunnerGroup]:
        """The env runners that sample, and those for evaluation if there are any."""
        return [group for group in (self.env_runner_group, self.eval_env_runner_group) if group]

    def _archive_stored_snapshots(self) -> None:
        """Archive the folder's snapshots that this league does not know: an earlier attempt left them."""
        members = members_in(self.store.manifest).values()
        self.pool.archive(member for member in members if member.kind == "snapshot")

    def _welcome_guests(self) -> None:
        """Copy the guests' policies into the league's folder and into their modules."""
        for spec, member in zip(self.settings.league.guests, self.pool.guests, strict=True):
            guest = read_guest(spec)
            saved = self.store.save(member.id, "guest", encode_snapshot(guest, iteration=0, env_steps=0))
            self.pool.members[member.id] = saved.model_copy(update={"slot": member.slot})
            self.learner_group.set_weights({member.module: dict(guest.weights)})
        if self.pool.guests:
            self._write_manifest()

    @property
    def share_done(self) -> float:
        """The share of the run that is done, in [0, 1], by whichever limit (time or env steps) is closer."""
        limits = self.settings.stop
        of_minutes = self._time_total / 60 / limits.minutes if limits.minutes else 0.0
        of_env_steps = self.env_steps / limits.env_steps if limits.env_steps else 0.0
        return min(1.0, max(of_minutes, of_env_steps))

    @property
    def env_steps(self) -> int:
        """Env steps sampled since the run began, over all its parts."""
        return int(self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0))

    def discard_samples(self) -> None:
        """Drop what env runners are sampling in the background; an algorithm that samples ahead overrides this."""

    def sync_league(self, group: EnvRunnerGroup, worker_indices: list[int] | None = None) -> None:
        """Bring env runners of ``group`` (default: all) up to date: weights, verified by hash, and the roster.

        Raises:
            TrainingError: the weights on an env runner still differ.
        """
        push_weights(self, group, worker_indices=worker_indices)
        push_roster(group, self._roster(), worker_indices)

    def _sync_all(self) -> None:
        for group in self._groups:
            self.sync_league(group)

    def collect_results(self) -> dict[str, SeatScores]:
        """Return main's scores by opponent from the games since the last call."""
        return collect_results(self.env_runner_group)

    def push_roster(self) -> None:
        """Send the current roster to all env runners, including those for evaluation."""
        for group in self._groups:
            push_roster(group, self._roster())

    def _roster(self) -> Roster:
        return self.pool.roster(self.settings.rollout.mirror_share, self.iteration)

    def freeze_main(self) -> Member:
        """Freeze main into the pool and return the new member.

        When this returns, the snapshot's file is written, its weights are verified in their slot on every env runner,
        and the manifest names it.

        Raises:
            TrainingError: an env runner did not load the weights.
        """
        snapshot, graded = self._main(), self.grade_main()
        saved = self.store.save(self.pool.next_snapshot_id, "snapshot", self._encode(snapshot))
        member = self.pool.admit(saved.model_copy(update={"graded": graded}))
        load_module(self, self._groups, member.module, snapshot.weights)
        self._write_manifest()
        return member

    def _main(self) -> Snapshot:
        return Snapshot(self.settings.network, module_weights(self))

    def _encode(self, snapshot: Snapshot) -> EncodedSnapshot:
        return encode_snapshot(snapshot, iteration=self.iteration, env_steps=self.env_steps)

    def grade_main(self) -> float:
        """Return the share of solved positions (dev half) in which main's best action keeps the result."""
        player = NetworkPlayer(MAIN, build_network(self._main()), temperature=0.0)
        self.value_preserving = grade(player, self._graded_positions).overall.value_preserving_share
        return self.value_preserving

    @cached_property
    def _graded_positions(self) -> GradedPositions:
        return load_positions("dev")

    def _write_manifest(self, main: Member | None = None) -> None:
        main = main or members_in(self.store.manifest).get(MAIN)
        self.store.folder.mkdir(parents=True, exist_ok=True)
        write_manifest(self.store.manifest, Manifest(**dict(self.pool.to_state()), main=main))

    @override
    def get_state(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return RLlib's state with the league's."""
        state: dict[str, Any] = super().get_state(*args, **kwargs)
        state["league"] = self.pool.to_state().model_dump()
        state["time_total"] = self._time_total
        state["value_preserving"] = self.value_preserving
        return state

    @override
    def set_state(self, state: dict[str, Any]) -> None:
        """Load RLlib's state and the league's.

        Snapshots that were frozen after this state was saved stay in the archive.
        """
        super().set_state(state)
        if "league" in state:
            self.pool.load_state(PoolState.model_validate(state["league"]))
            self._archive_stored_snapshots()
        self._time_total = state.get("time_total", self._time_total)
        self.value_preserving = state.get("value_preserving", self.value_preserving)

    @override
    def restore_from_path(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Restore a checkpoint, and bring every env runner up to date before it samples.

        Raises:
            SnapshotError: it is a checkpoint of another algorithm or network, or its slots do not hold the snapshots
                that its league names.
            TrainingError: an env runner did not load the weights.
        """
        self._check_policy(Path(path))
        self.discard_samples()
        self.collect_results()
        super().restore_from_path(path, *args, **kwargs)
        for member in (*self.pool.guests, *self.pool.slots().values()):
            weights = module_weights(self, member.module)
            if weights_sha256(weights) != member.weights_sha256:
                raise SnapshotError(
                    f"checkpoint {path} has weights of {member.id} that do not match its league: "
                    "resume from another checkpoint"
                )
            self._mend_file(member, weights)
        self._sync_all()

    def _check_policy(self, checkpoint: Path) -> None:
        """Check that a checkpoint's policy has this run's network."""
        policy = checkpoint / CHECKPOINT_POLICY
        if not policy.is_file():  # an older release wrote it
            return
        found = decode_snapshot(policy.read_bytes(), str(policy)).network.model_dump()
        own = self.settings.network.model_dump()
        wrong = [f"{name} = {value}" for name, value in found.items() if value != own[name]]
        if wrong:
            raise SnapshotError(
                f"checkpoint {checkpoint} has a network with {', '.join(wrong)}, unlike this run with algorithm="
                f"{self.settings.algorithm}: restore it with the settings of its own run"
            )

    def _mend_file(self, member: Member, weights: Weights) -> None:
        """Rewrite a snapshot's file if it is missing or damaged: its slot holds the same weights."""
        try:
            self.store.load(member)
        except SnapshotError:
            if member.kind == "guest":
                raise
            snapshot = Snapshot(self.settings.network, weights)
            encoded = encode_snapshot(snapshot, iteration=member.iteration, env_steps=member.env_steps)
            saved = self.store.save(member.id, "snapshot", encoded)
            self.pool.members[member.id] = member.model_copy(update={"sha256": saved.sha256})
            self._write_manifest()

    @override
    def get_ctor_args_and_kwargs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments that rebuild the algorithm from a checkpoint: the configuration without paths."""
        (config, *rest), kwargs = super().get_ctor_args_and_kwargs()
        return ({**config, "league_folder": None, "restore_from": None}, *rest), kwargs

    @override
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Save a checkpoint with main's policy and an index of its files, and main as the run's latest policy."""
        super().save_checkpoint(checkpoint_dir)
        folder, encoded, graded = Path(checkpoint_dir), self._encode(self._main()), self.grade_main()
        (folder / CHECKPOINT_POLICY).write_bytes(encoded.data)
        write_checkpoint_index(
            folder,
            iteration=self.iteration,
            env_steps=self.env_steps,
            minutes=self._time_total / 60,
            league_size=len(self.pool),
        )
        self._write_manifest(self.store.save(MAIN, "main", encoded).model_copy(update={"graded": graded}))
