"""``Part``: something that an algorithm has, such as a league or a replay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Part:
    """Something that an algorithm has; by default, it does nothing at any moment.

    Attributes:
        name: the key of its state in checkpoints.
    """

    name: str

    def built(self) -> None:
        """Env runners and learners have been built."""

    def get_state(self) -> Any:
        """Return what checkpoints store; None if there is nothing."""
        return None

    def set_state(self, state: Any) -> None:
        """Load what ``get_state`` returned; RLlib's own state has been loaded."""

    def before_save(self) -> None:
        """A checkpoint is about to be saved."""

    def saved(self, folder: Path) -> None:
        """RLlib has saved its state into ``folder``: files of this part may be added."""

    def facts(self) -> Mapping[str, Any]:
        """Return what the checkpoint's index says about this part."""
        return {}

    def check(self, folder: Path) -> None:
        """Check that the checkpoint in ``folder`` can be restored, and change nothing."""

    def before_restore(self, folder: Path) -> None:
        """The checkpoint in ``folder`` is about to be restored: forget everything that is under way."""

    def restored(self, folder: Path) -> None:
        """RLlib's state and this part's have been restored from ``folder``."""

    def revived(self, indices: Sequence[int]) -> None:
        """Env runners with these indices were restarted and are back in service."""

    def stopping(self) -> None:
        """The algorithm is about to stop its env runners and learners."""

    def close(self) -> None:
        """The algorithm has stopped."""
