"""``League``: the league that an algorithm has.

The MultiRLModule is fixed when the algorithm is built: ``main``, one module per heuristic and guest, and
``opponent_count`` slots for snapshots. Freezing copies main's weights into a slot. Nothing is ever added to a running
algorithm, so a restored one has every module that it needs, and memory does not grow with the league.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.metrics import ALL_MODULES, ENV_RUNNER_RESULTS, LEARNER_RESULTS, NUM_ENV_STEPS_SAMPLED
from typing_extensions import override

from connectfour.errors import ConfigError, RunFolderError, SnapshotError
from connectfour.grading.grade import grade
from connectfour.grading.positions import GradedPositions
from connectfour.grading.solved import solved_positions
from connectfour.league.history import PolicyHistory
from connectfour.league.manifest import Manifest, PoolState, members_in, read_manifest, write_manifest
from connectfour.league.matchmaking import Roster
from connectfour.league.members import MAIN, Member
from connectfour.league.pool import OpponentPool
from connectfour.league.snapshots import (
    EncodedSnapshot,
    Snapshot,
    SnapshotStore,
    decode_snapshot,
    encode_snapshot,
    weights_sha256,
)
from connectfour.learning.exchange import Exchange, RunnerExchange
from connectfour.learning.guests import read_start
from connectfour.learning.sync import load_module, module_weights, push_roster, push_weights
from connectfour.players.names import encode_player
from connectfour.players.network_player import NetworkPlayer, build_network
from connectfour.rllib.part import Part
from connectfour.rllib.parted_algorithm import PartedAlgorithm
from connectfour.runs.checkpoints import CHECKPOINT_POLICY
from connectfour.runs.folder import HISTORY, LEAGUE_LOCK
from connectfour.settings.network import Architecture
from connectfour.settings.schema import RunSettings
from connectfour.system.allocator import keep_freed_memory
from connectfour.system.files import locked

_MOST_SECONDS_OF_AN_OLD_TRAINER = 60.0


class HasLeague(Protocol):
    """What a league's callback needs of an algorithm."""

    league: League

    @property
    def env_steps(self) -> int:
        """Env steps sampled since training began."""
        ...


class League(Part):
    """Freezes main into a pool of opponents, and is saved and restored with its algorithm.

    Attributes:
        settings: the run's settings.
        pool: the members, and what was played.
        store: the folder of their snapshots, which this object locks.
        history: copies of main over the course of the run.
        exchange: how rosters reach the env runners and results come back.
        value_preserving: main's latest grade (see ``grade_main``); NaN before the first one.
        missing: ids of archived members whose files are lost.
    """

    name = "league"

    def __init__(
        self, algorithm: PartedAlgorithm, settings: RunSettings, folder: Path, start: str | None = None
    ) -> None:
        """Play the league of ``algorithm``, which is not built yet, in ``folder``, from the checkpoint ``start`` on.

        Raises:
            RunFolderError: another process trains in ``folder``.
            SnapshotError: the manifest in ``folder`` is damaged.
        """
        self.settings = settings
        self.store = SnapshotStore(folder)
        self.history = PolicyHistory(folder.parent / HISTORY, settings.checkpoint.history)
        self.exchange: Exchange = RunnerExchange(lambda: self.groups, settings.fault.patience)
        self.value_preserving = math.nan
        self.missing: list[str] = []
        self._algorithm, self._start = algorithm, start
        self._held = ExitStack()
        folder.mkdir(parents=True, exist_ok=True)
        self._held.enter_context(locked(folder / LEAGUE_LOCK, self._refusal, seconds=_MOST_SECONDS_OF_AN_OLD_TRAINER))
        try:
            manifest = read_manifest(self.store.manifest)
        except SnapshotError:
            self._held.close()
            raise
        self.pool = OpponentPool(settings.league, settings.seed, manifest.league if manifest else None)
        keep_freed_memory()
        # Ray gives an actor one thread by default.
        torch.set_num_threads(settings.threads)

    def _refusal(self, owner: str) -> RunFolderError:
        return RunFolderError(f"{owner} is training in {self.store.folder.parent}: wait for it or stop it")

    @property
    def groups(self) -> list[EnvRunnerGroup]:
        """The env runners that sample, and those for evaluation if there are any."""
        algorithm = self._algorithm
        return [group for group in (algorithm.env_runner_group, algorithm.eval_env_runner_group) if group]

    @property
    def roster(self) -> Roster:
        """What env runners draw their games from."""
        return self.pool.roster(self.settings.rollout.mirror_share, self._algorithm.iteration)

    @override
    def built(self) -> None:
        """Begin from the checkpoint if there is one, and bring all env runners up to date.

        Raises:
            ConfigError: the configuration asks for something that a lockstep runner cannot do.
        """
        algorithm = self._algorithm
        if algorithm.eval_env_runner_group and self.settings.rollout.env_runner == "lockstep":
            raise ConfigError(
                "RLlib's evaluation counts episodes, which a lockstep runner does not have: evaluate with "
                "rollout.env_runner=stock, or with connectfour match and grade"
            )
        if self._start:
            algorithm.load_checkpoint(self._start)
        else:
            self._archive_stored_snapshots()
            self._welcome_guests()
            self._start_main()
            self._sync_all()
            self.history.begin(algorithm.share_done, algorithm.iteration)

    def _archive_stored_snapshots(self) -> None:
        """Archive the folder's snapshots unknown to the pool: an earlier attempt or another league left them."""
        members = members_in(self.store.manifest).values()
        self.pool.archive(member for member in members if member.kind == "snapshot")

    def _welcome_guests(self) -> None:
        """Copy the guests' policies into the league's folder, and the weights of networks into their modules."""
        for spec, member in zip(self.settings.league.guests, self.pool.guests, strict=True):
            guest = encode_player(spec, self.settings.game)
            if guest.kind == "onnx":
                saved = self.store.adopt(member, guest.data, suffix=".onnx")
            else:
                snapshot = decode_snapshot(guest.data, spec)
                saved = self.store.save(member.id, "guest", encode_snapshot(snapshot, iteration=0, env_steps=0))
                self._algorithm.learner_group.set_weights({member.module: dict(snapshot.weights)})
            self.pool.members[member.id] = saved.model_copy(update={"slot": member.slot, "joined": 0})
        if self.pool.guests:
            self._write_manifest()

    def _start_main(self) -> None:
        """Load the weights that main starts from, if the settings name some."""
        spec = self.settings.network.start_from
        if spec:
            start = read_start(spec, self.settings.architecture)
            self._algorithm.learner_group.set_weights({MAIN: dict(start.weights)})

    def iteration_done(self, result: dict[str, Any]) -> None:
        """Count an iteration's games, grade main if it is due, and report both in ``result``.

        What RLlib reports about modules that do not learn, which never changes, is dropped.
        """
        learned = {MAIN, ALL_MODULES}
        result[LEARNER_RESULTS] = {
            name: each for name, each in result.get(LEARNER_RESULTS, {}).items() if name in learned
        }
        pool = self.pool
        pool.record(self.exchange.collect())
        every = self.settings.grading.every
        if every and (self._algorithm.iteration % every == 0 or math.isnan(self.value_preserving)):
            self.grade_main()
        # There are no steps if every env runner failed.
        steps = result.get(ENV_RUNNER_RESULTS, {}).get(NUM_ENV_STEPS_SAMPLED, 0)
        missing, self.missing = self.missing, []
        result.update(
            win_rate=pool.win_rate,
            newest_score=pool.newest_score,
            draw_rate=pool.recent.draw_rate(pool.active),
            opponent_scores={name: score.share for name in pool.active if (score := pool.recent.score(name)).games},
            env_steps=self._algorithm.env_steps,
            env_steps_per_second=steps / result["time_this_iter_s"],
            missing=missing,
            frozen=None,
            retired=[],
        )

    def next_iteration(self, result: dict[str, Any]) -> None:
        """Publish the roster of the next iteration, and report the league as it now is in ``result``.

        Main's policy is kept if it is due.
        """
        if self.history.is_due(self._algorithm.share_done):
            self.history.keep(self._encode(self.main))
        self.exchange.publish(self.roster)
        result.update(
            league_size=len(self.pool), league_score=self.pool.league_score, value_preserving=self.value_preserving
        )

    def sync(self, group: EnvRunnerGroup, worker_indices: list[int] | None = None) -> None:
        """Bring env runners of ``group`` (default: all) up to date: weights, verified by hash, and the roster.

        Raises:
            TrainingError: the weights on an env runner still differ.
        """
        push_weights(self._algorithm, group, worker_indices=worker_indices)
        push_roster(group, self.roster, worker_indices, patience=self.settings.fault.patience)

    def _sync_all(self) -> None:
        for group in self.groups:
            self.sync(group)

    def freeze_main(self) -> Member:
        """Freeze main into the pool and return the new member.

        When this returns, the snapshot's file is written, its weights are verified in their slot on every env runner,
        and the manifest names it.

        Raises:
            TrainingError: an env runner did not load the weights.
        """
        snapshot = self.main
        self.grade_main()
        saved = self.store.save(self.pool.next_snapshot_id, "snapshot", self._encode(snapshot))
        member = self.pool.admit(saved.model_copy(update={"graded": self._known_grade}))
        load_module(self._algorithm, self.groups, member.module, snapshot.weights)
        self._write_manifest()
        return member

    @property
    def main(self) -> Snapshot:
        """Main as it now is."""
        return Snapshot(self.settings.architecture, module_weights(self._algorithm))

    def _encode(self, snapshot: Snapshot) -> EncodedSnapshot:
        return encode_snapshot(snapshot, iteration=self._algorithm.iteration, env_steps=self._algorithm.env_steps)

    def grade_main(self) -> float:
        """Return in which share of solved positions (dev half), if any, main's best action keeps the result."""
        if self._graded_positions is None:
            return self.value_preserving
        player = NetworkPlayer(MAIN, build_network(self.main), temperature=0.0)
        self.value_preserving = grade(player, self._graded_positions).overall.value_preserving_share
        return self.value_preserving

    @property
    def _known_grade(self) -> float | None:
        """Main's latest grade; None before the first one, and in a game that is not solved."""
        return None if math.isnan(self.value_preserving) else self.value_preserving

    @cached_property
    def _graded_positions(self) -> GradedPositions | None:
        return solved_positions(self.settings.game.rules, "dev")

    def _write_manifest(self, main: Member | None = None) -> None:
        main = main or members_in(self.store.manifest).get(MAIN)
        write_manifest(self.store.manifest, Manifest(**dict(self.pool.to_state()), game=self.settings.game, main=main))

    def _write_main(self, encoded: EncodedSnapshot) -> None:
        """Write main as the run's latest policy.

        The one before stays until the next save, for readers who have just read the manifest.
        """
        before = members_in(self.store.manifest).get(MAIN)
        main = self.store.save(MAIN, "main", encoded).model_copy(update={"graded": self._known_grade})
        self._write_manifest(main)
        self.store.remove_mains({main.file, before.file if before else None})

    @override
    def get_state(self) -> dict[str, Any]:
        """Return the pool, where its files are, and main's grade."""
        return {
            "pool": self.pool.to_state().model_dump(),
            "folder": str(self.store.folder),
            "value_preserving": self.value_preserving,
        }

    @override
    def set_state(self, state: Mapping[str, Any]) -> None:
        """Load a pool, perhaps of another league, and fetch the files of its archive.

        Snapshots that this folder holds and the pool does not know stay in the archive. The state of earlier releases
        is the pool alone.
        """
        pool = PoolState.model_validate(state.get("pool", state))
        self.value_preserving = state.get("value_preserving", math.nan)
        self.missing = []
        self.pool.load_state(pool)
        self._archive_stored_snapshots()
        origin = SnapshotStore(Path(state.get("folder", self.store.folder)))
        for member in self.pool.snapshots:
            if member.slot is None:
                self.pool.members[member.id] = self._fetch(member, origin)

    def _fetch(self, member: Member, origin: SnapshotStore) -> Member:
        """Return an archived member that names its file in this folder, or no file if it is lost."""
        for store in (self.store, origin):
            try:
                data = store.read(member)
            except (SnapshotError, OSError):  # the folder of another run may not be readable
                continue
            return member if store is self.store else self.store.adopt(member, data)
        self.missing.append(member.id)
        return member.model_copy(update={"file": None, "sha256": None})

    @override
    def before_save(self) -> None:
        """Grade main, so that the checkpoint holds its grade."""
        self.grade_main()

    @override
    def saved(self, folder: Path) -> None:
        """Add main's policy to the checkpoint, and save it as the run's latest policy."""
        encoded = self._encode(self.main)
        (folder / CHECKPOINT_POLICY).write_bytes(encoded.data)
        self._write_main(encoded)

    @override
    def facts(self) -> Mapping[str, Any]:
        """Return the league's size and score."""
        return {"league_size": len(self.pool), "league_score": self.pool.league_score}

    @override
    def check(self, folder: Path) -> None:
        """Check that the checkpoint's policy has this run's network.

        Raises:
            SnapshotError: it is a checkpoint of another algorithm or network.
        """
        policy = folder / CHECKPOINT_POLICY
        if not policy.is_file():  # an older release wrote it
            return
        found = decode_snapshot(policy.read_bytes(), str(policy)).network.model_dump()
        own = self.settings.architecture.model_dump()
        wrong = [f"{name} = {value}" for name, value in found.items() if value != own[name]]
        if wrong:
            raise SnapshotError(
                f"checkpoint {folder} has a network with {', '.join(wrong)}, unlike this run with algorithm="
                f"{self.settings.algorithm}: restore it with the settings of its own run"
            )

    @override
    def before_restore(self, folder: Path) -> None:
        """Drop the results under way."""
        self.exchange.collect()

    @override
    def restored(self, folder: Path) -> None:
        """Verify every slot, write what the folder lacks, and bring every env runner up to date before it samples.

        Raises:
            SnapshotError: the slots do not hold the snapshots that the league names.
            TrainingError: an env runner did not load the weights.
        """
        if len(self.pool.guests) != len(self.settings.league.guests):
            raise SnapshotError(
                f"checkpoint {folder} has {len(self.pool.guests)} guests, unlike this run with "
                f"{len(self.settings.league.guests)}: restore it with the settings of its own run"
            )
        for member in (*self.pool.slots().values(), *self.pool.guests):
            if member.weights_sha256 is None:  # a guest without a network of ours
                continue
            snapshot = Snapshot(self._architecture(member.module), module_weights(self._algorithm, member.module))
            if weights_sha256(snapshot.weights) != member.weights_sha256:
                raise SnapshotError(
                    f"checkpoint {folder} has weights of {member.id} that do not match its league: "
                    "resume from another checkpoint"
                )
            if not self.store.holds(member):
                encoded = encode_snapshot(snapshot, iteration=member.iteration, env_steps=member.env_steps)
                self.pool.members[member.id] = self.store.adopt(member, encoded.data)
        if math.isnan(self.value_preserving):
            self.grade_main()
        self._write_main(self._encode(self.main))
        self._sync_all()
        self.history.begin(self._algorithm.share_done, self._algorithm.iteration)

    def _architecture(self, module_id: str) -> Architecture:
        spec = self._algorithm.config.rl_module_spec.rl_module_specs[module_id]
        return Architecture.model_validate(spec.model_config["network"])

    @override
    def close(self) -> None:
        """Let others train in the folder."""
        self._held.close()
