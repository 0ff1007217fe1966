"""Where a run is kept, as the command that trains it sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from callbacks.store import StoreCallback
from connectfour.errors import ConfigError, RunFolderError, StorageError
from connectfour.learning.league_config import LeagueConfig
from connectfour.runs.folder import COMMANDS_FILES, LEAGUE_FILES, RunFolder
from connectfour.settings.schema import RunSettings
from connectfour.storage.address import is_remote
from connectfour.storage.mirror import Mirror
from connectfour.storage.nodes import check_shared
from connectfour.storage.working_copy import checked_out


@dataclass(frozen=True)
class Place:
    """Where a run is kept.

    Attributes:
        folder: the run, or this command's copy of a run in an object store.
        mirror: what keeps that copy; None for a path.
    """

    folder: RunFolder
    mirror: Mirror | None = None

    def check(self, settings: RunSettings) -> None:
        """Check that the run can be trained where it is; Ray is running.

        Raises:
            StorageError: a node does not see what it needs, or the trainer cannot be where the run is.
        """
        guests = [guest.partition(":")[2] for guest in settings.league.guests]
        local = [guest for guest in guests if not is_remote(guest)]
        if self.mirror:
            if settings.storage == "shared":
                raise ConfigError(f"storage = shared is about paths, and {self.folder} is none: leave it out")
            if local and self._several_nodes:
                raise StorageError(
                    f"league.opponents names {local[0]}, which other nodes may not see: copy its run to an object "
                    "store and name it by its address"
                )
        elif settings.storage == "shared":
            check_shared(self.folder.path, *(Path(guest).parent for guest in local))

    @property
    def _several_nodes(self) -> bool:
        return bool(sum(node["Alive"] for node in ray.nodes()) > 1)

    def configure(self, config: LeagueConfig, checkpoint: Path | None) -> None:
        """Tell the trainer where the run is, and where to run; it starts from ``checkpoint``, if there is one."""
        if self.mirror:
            config.league(store=self.mirror.remote)
            checkpoint = checkpoint and checkpoint.relative_to(self.folder.path)
        elif config.settings.storage == "machine" and self._several_nodes:
            config.placement(trainer_node=ray.get_runtime_context().get_node_id())
        config.league(folder=self.folder.league, restore_from=checkpoint)

    @property
    def tune(self) -> dict[str, Any]:
        """Where Tune stores checkpoints, as options of its ``RunConfig``."""
        if self.mirror is None:
            return {"storage_path": str(self.folder.path.resolve())}
        return {"storage_path": self.mirror.remote.root, "storage_filesystem": self.mirror.remote.filesystem}

    def written(self) -> None:
        """Write back what the command has changed: before training begins, everything."""
        if self.mirror:
            self.mirror.push()

    def callbacks(self, say: Callable[[str], None]) -> list[StoreCallback]:
        """Return what exchanges files with the trainer while it trains."""
        return [StoreCallback(self.mirror, COMMANDS_FILES, say)] if self.mirror else []

    def trained(self) -> None:
        """Fetch what the trainer has written."""
        if self.mirror:
            self.mirror.pull(*LEAGUE_FILES, "checkpoints/*")

    def finish(self) -> None:
        """Write back what the command has written since."""
        if self.mirror:
            self.mirror.finish(*COMMANDS_FILES)


@contextmanager
def opened(run_dir: str | Path, seconds: float = 0.0) -> Iterator[Place]:
    """Yield the place of a run; one in an object store is held, and copied, for as long as the block lasts.

    Args:
        run_dir: a path, or an address in an object store.
        seconds: how long to wait for another command.

    Raises:
        RunFolderError: another process trains it.
        StorageError: the store does not answer or refuses.
    """
    if not is_remote(run_dir):
        yield Place(RunFolder(Path(run_dir)))
        return

    def refusal(owner: str) -> RunFolderError:
        return RunFolderError(f"{owner} is training in {run_dir}: wait for it or stop it")

    with checked_out(run_dir, "train", refusal, seconds=seconds) as mirror:
        mirror.pull()
        yield Place(RunFolder(mirror.folder, str(mirror.remote)), mirror)
