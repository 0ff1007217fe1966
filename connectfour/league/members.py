"""The members of a league, and the RLlib modules that play them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

MAIN = "main"
"""Id of the policy that learns, as a player and as an RLlib module."""


class Member(BaseModel):
    """A player of the league: a heuristic, a frozen policy of this run or of another one, or main as it was last saved.

    Attributes:
        id: ``"linear"``, ``"v0003"``, ``"main"``; ``"1f2e3d4c-v0003"`` if two leagues with a v0003 have met.
        kind: ``main`` is the latest state of the policy that learns; it is never drawn as an opponent. A ``guest``
            comes from another run or an ONNX model.
        file: name of the weights' file in the league folder; None for a heuristic, and if the file is lost.
        sha256: hash of that file.
        weights_sha256: hash of the weights alone, the same wherever they are stored; None for an ONNX model.
        iteration: training iteration in which it was frozen.
        env_steps: env steps sampled by then.
        created: UTC time of freezing in ISO 8601.
        joined: training iteration in which it joined the pool the last time; 0 at the start.
        retired: training iteration in which it left the pool; None while it is in it, or was never there.
        slot: the opponent slot that it plays from while it is active; a guest has its own module, with this number.
        graded: share of solved positions (dev half) in which its best action keeps the result.
        origin: id of the league that froze it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["heuristic", "snapshot", "guest", "main"]
    file: str | None = None
    sha256: str | None = None
    weights_sha256: str | None = None
    iteration: int = 0
    env_steps: int = 0
    created: str | None = None
    joined: int | None = None
    retired: int | None = None
    slot: int | None = None
    graded: float | None = None
    origin: str | None = None

    @property
    def module(self) -> str:
        """The RLlib module that plays this member."""
        if self.kind == "heuristic":
            return heuristic_module(self.id)
        return guest_module(self.slot) if self.kind == "guest" else slot_module(self.slot)


def slot_module(slot: int | None) -> str:
    """Return the RLlib module of an opponent slot.

    Raises:
        ValueError: ``slot`` is None, as for an inactive snapshot.
    """
    if slot is None:
        raise ValueError("an inactive snapshot has no slot to play from")
    return f"opponent_{slot}"


def guest_module(number: int | None) -> str:
    """Return the RLlib module of a guest."""
    return f"guest_{number}"


def heuristic_module(name: str) -> str:
    """Return the RLlib module of a heuristic (module ids are folder names in checkpoints)."""
    return f"heuristic_{name.replace(':', '_')}"
