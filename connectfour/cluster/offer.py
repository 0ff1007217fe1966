"""What a Ray cluster offers: what was found, what it can never give, and what work waits for.

Work that asks for more than a cluster has would wait for ever, and Ray says nothing. A cluster that can start nodes by
itself may give more than it has; there, nothing is refused.
"""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from connectfour.errors import ClusterError
from connectfour.system.need import Amounts, Need, count_of, number, quantity

_NODE_GROUP = "ray.io/node-group"
_BOOTSTRAP = Path("~/ray_bootstrap_config.yaml")
_ENOUGH = 1 - 1e-6  # Ray counts in steps of 1e-4


@dataclass(frozen=True)
class Offer:
    """What a cluster has, whether it is free or not.

    Attributes:
        nodes: what each living node has in all.
        grows: whether an autoscaler may start more nodes.
        is_here: whether the only node is this machine.
    """

    nodes: tuple[Amounts, ...]
    grows: bool = False
    is_here: bool = False

    def total(self, name: str) -> float:
        """Return how much of a resource all nodes have."""
        return sum(node.get(name, 0.0) for node in self.nodes)

    def most(self, name: str) -> float:
        """Return how much of a resource one node has at most."""
        return max((node.get(name, 0.0) for node in self.nodes), default=0.0)

    def copies(self, amounts: Amounts) -> int:
        """Return how many processes that ask for ``amounts``, at least one resource, the nodes can hold at once."""
        asked = {name: amount for name, amount in amounts.items() if amount}
        return sum(
            min(math.floor(node.get(name, 0.0) / (amount * _ENOUGH)) for name, amount in asked.items())
            for node in self.nodes
        )

    def __str__(self) -> str:
        """Return nodes, cores and GPUs in words."""
        words = [count_of(len(self.nodes), "node"), quantity("CPU", self.total("CPU"))]
        gpus = self.total("GPU")
        return ", ".join([*words, quantity("GPU", gpus)] if gpus else [*words, "no GPU"])

    def check(self, needs: Iterable[Need]) -> None:
        """Check that the cluster can give what is needed, if not now then when it is free.

        Raises:
            ClusterError: it never can; the message says how much is asked for and how much there is.
        """
        if not self.grows and (refusal := self.refusal(list(needs))):
            raise ClusterError(refusal)

    def refusal(self, needs: Sequence[Need]) -> str | None:
        """Return why the nodes can never give what is needed, as a sentence; None if they can."""
        found = [*map(self._lack_of_each, needs), self._lack_of_all(needs), *map(self._lack_of_room, needs)]
        return next(filter(None, found), None)

    def _lack_of_each(self, need: Need) -> str | None:
        """Return what no node has enough of for one process."""
        for name, amount in need.amounts.items():
            most = self.most(name)
            if amount * _ENOUGH > most:
                has = "no node has any" if not most else f"no node has more than {quantity(name, most)}"
                node = _NODES.get(name, f"a node that has it (ray start --resources '{{\"{name}\": {amount:g}}}')")
                return (
                    f"{need.each} needs {quantity(name, amount)} and {has} (Ray offers {self}): lower {need.setting}, "
                    f"or start {node}"
                )
        return None

    def _lack_of_all(self, needs: Sequence[Need]) -> str | None:
        """Return what all processes together need more of than all nodes have."""
        names = dict.fromkeys(name for need in needs for name in need.amounts)
        for name in names:
            asking = [need for need in needs if need.amounts.get(name)]
            needed, offered = sum(need.count * need.amounts[name] for need in asking), self.total(name)
            if needed * _ENOUGH > offered:
                parts = ", ".join(f"{need.all}: {quantity(name, need.count * need.amounts[name])}" for need in asking)
                settings = " or ".join(dict.fromkeys(need.setting for need in asking))
                return (
                    f"{quantity(name, needed)} are needed and Ray offers {quantity(name, offered)} in all ({parts}): "
                    f"use fewer processes, lower {settings}, or start more nodes"
                )
        return None

    def _lack_of_room(self, need: Need) -> str | None:
        """Return for how many processes of a kind the nodes have room, if these are too few."""
        copies = self.copies(need.amounts) if any(need.amounts.values()) else need.count
        if copies >= need.count:
            return None
        asked = " and ".join(quantity(name, amount) for name, amount in need.amounts.items())
        if not copies:
            return (
                f"{need.each} needs {asked} on one node and no node has all of it (Ray offers {self}): lower "
                f"{need.setting}, or start a node that has it"
            )
        return (
            f"{need.all} with {asked} each are needed and the nodes have room for {copies} (Ray offers {self}): use "
            f"fewer, lower {need.setting}, or start more nodes"
        )

    def shortage(self, needs: Iterable[Need], free: Amounts) -> str:
        """Return what is needed, and what there is and is free of it, as half a sentence."""
        needed: dict[str, float] = {}
        for need in needs:
            for name, amount in need.amounts.items():
                needed[name] = needed.get(name, 0.0) + need.count * amount
        has = ", ".join(
            f"{number(name, free.get(name, 0.0))} of {quantity(name, self.total(name))} free" for name in needed
        )
        return f"{' and '.join(quantity(name, amount) for name, amount in needed.items())} needed, {has}"


_NODES = {"CPU": "a larger node", "GPU": "a node with GPUs", "memory": "a larger node"}


def cluster_offer() -> Offer:
    """Return what the Ray that this process uses offers."""
    living = [node for node in ray.nodes() if node["Alive"]]
    grouped = any(node.get("Labels", {}).get(_NODE_GROUP) for node in living)
    return Offer(
        tuple(node["Resources"] for node in living),
        # Ray's launcher leaves its configuration on the head node; Tune looks there, too.
        grows=grouped or _BOOTSTRAP.expanduser().exists(),
        is_here=[node["NodeManagerHostname"] for node in living] == [socket.gethostname()],
    )


def node_offer(node_id: str) -> Offer:
    """Return what one node of the cluster offers."""
    return Offer(tuple(node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] == node_id))


def shortage(needs: Iterable[Need]) -> str:
    """Return what is needed, and what the cluster has free of it now, as half a sentence."""
    return cluster_offer().shortage(needs, ray.available_resources())


class Waiting:
    """Says what work waits for: after some seconds, and again every minute."""

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        first: float = 10.0,
        every: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell ``say``, ``first`` seconds of ``clock`` after a wait began, and again after ``every`` seconds."""
        self._say, self._first, self._every, self._clock = say, first, every, clock
        self.over()

    def over(self) -> None:
        """Begin anew: there is nothing to wait for, or something has come."""
        self._since = self._clock()
        self._due = self._since + self._first

    @property
    def seconds(self) -> float:
        """For how long the work has been waiting."""
        return self._clock() - self._since

    def go_on(self, reason: Callable[[], str]) -> bool:
        """Note that the work still waits, because of ``reason``; return whether this was said."""
        if self._clock() < self._due:
            return False
        self._due = self._clock() + self._every
        self._say(reason())
        return True
