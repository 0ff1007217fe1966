"""What became of processes on other nodes: their errors in one line, where they ran, and how their logs end.

Ray keeps each process's output in a file on its node. Nothing is streamed to the driver; the last lines are read once a
process is lost, by a task on its node, so a node that is gone takes them along.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ray
from ray._private import state
from ray.core.generated import common_pb2, gcs_pb2
from ray.exceptions import RayActorError, RayError, RayTaskError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

_MOST_CHARACTERS = 300
_MOST_LINES = 3
_MOST_CHARACTERS_OF_A_LINE = 160
_MOST_BYTES = 8192
_SECONDS = 5.0
_SECONDS_OF_DELAY = 2.0
# Ray's own marks in the logs of its processes, such as ":actor_name:Replay".
_MARK = re.compile(r":(job_id|actor_name|task_name):")
# Ray goes on to explain at length what may have killed it.
_SUDDEN_END = "Worker unexpectedly exits with a connection error"
_PLACE = re.compile(r"\(pid=\d+, ip=([^,)\s]+)")


@dataclass(frozen=True)
class Process:
    """A process of Ray's on some node.

    Attributes:
        node: the node's id, in hexadecimal digits.
        pid: its number there.
    """

    node: str
    pid: int

    @classmethod
    def of_actor(cls, actor_id: str) -> Self | None:
        """Return the process in which an actor runs, or ran when it died; None if there was none yet.

        Args:
            actor_id: the actor's id, in hexadecimal digits.
        """
        with suppress(RayError, RuntimeError, ValueError):
            actor = state.state.actor_table(actor_id)
            if actor and actor["Pid"]:
                return cls(actor["Address"]["NodeID"], actor["Pid"])
        return None

    @classmethod
    def lost_since(cls, since: float) -> Self | None:
        """Return the process of this job that was lost last, if it was after ``since``, in seconds of ``time.time``.

        Ray does not say which process a task was running in when it was lost.
        """
        with suppress(RayError, RuntimeError, ValueError):
            accessor = state.state._connect_and_get_accessor()  # noqa: SLF001  # Ray offers it to its dashboard alone
            workers = [gcs_pb2.WorkerTableData.FromString(entry) for entry in accessor.get_worker_table()]
            job = ray.get_runtime_context().get_job_id()
            lost = [
                worker
                for worker in workers
                if not worker.is_alive
                and worker.job_id.hex() == job
                and worker.exit_type == common_pb2.WorkerExitType.Value("SYSTEM_ERROR")
                and worker.end_time_ms >= 1000 * since
            ]
            if lost:
                last = max(lost, key=lambda worker: worker.end_time_ms)
                return cls(last.worker_address.node_id.hex(), last.pid)
        return None

    @property
    def place(self) -> str:
        """Where it ran, as " on node ADDRESS"; empty if Ray has had one node alone."""
        return _place(self.node)

    @property
    def last_words(self) -> str:
        """How its log ends, as half a sentence; empty if it has none, or its node does not answer."""
        lines = self._tail()
        return f"; its log ends: {' | '.join(lines)}" if lines else ""

    @property
    def obituary(self) -> str:
        """Where it ran and how its log ends, to follow a verb."""
        return self.place + self.last_words

    def _tail(self) -> list[str]:
        if self.node == ray.get_runtime_context().get_node_id():
            return tail_of_log(self.pid)
        there = NodeAffinitySchedulingStrategy(self.node, soft=False)
        task = ray.remote(num_cpus=0, max_retries=0)(tail_of_log).options(scheduling_strategy=there)
        try:
            lines: list[str] = ray.get(task.remote(self.pid), timeout=_SECONDS)
        except RayError:  # also when it takes too long
            return []
        return lines


def tail_of_log(pid: int) -> list[str]:
    """Return the last lines that process ``pid`` of this node has printed: errors, or output if there were none."""
    folder = Path(ray._private.worker._global_node.get_logs_dir_path())  # noqa: SLF001  # Ray offers no other way
    for ending in ("err", "out"):
        files = sorted(folder.glob(f"worker-*-{pid}.{ending}"), key=lambda file: file.stat().st_mtime)
        for file in files[-1:]:
            with file.open("rb") as stream:
                stream.seek(max(0, file.stat().st_size - _MOST_BYTES))
                text = stream.read().decode(errors="replace")
            said = [line.strip() for line in text.splitlines() if line.strip() and not _MARK.match(line)]
            lines = [line[:_MOST_CHARACTERS_OF_A_LINE] for line in said]
            if lines:
                return lines[-_MOST_LINES:]
    return []


def describe(error: BaseException, since: float | None = None) -> str:
    """Return an error of a remote process in one line: what it was, on which node, and how the process's log ends.

    Args:
        error: what Ray raised.
        since: when the task began, in seconds of ``time.time``; then a process that was lost is looked for.
    """
    process = None
    if isinstance(error, RayTaskError):
        return one_line(error) + place_of(error)
    if isinstance(error, RayActorError) and error.actor_id:
        process = Process.of_actor(error.actor_id)
    elif isinstance(error, WorkerCrashedError) and since is not None:
        process = _find_lost(since)
    return one_line(error) + (process.obituary if process else "")


def obituary(actor: Any) -> str:
    """Return where an actor ran that is lost, and how its log ends, to follow a verb; empty if Ray does not know."""
    process = Process.of_actor(actor._actor_id.hex())  # noqa: SLF001  # Ray offers no other way to it
    return process.obituary if process else ""


def _find_lost(since: float) -> Process | None:
    """Look for a process that was lost; Ray may tell who waits for it before it has noted its end."""
    until = time.monotonic() + _SECONDS_OF_DELAY
    while True:
        process = Process.lost_since(since)
        if process or time.monotonic() > until:
            return process
        time.sleep(_SECONDS_OF_DELAY / 10)


def one_line(error: BaseException) -> str:
    """Return the type and the message of an error in one line; of a remote one, the last line that it holds."""
    lines = str(error).strip().splitlines()
    if isinstance(error, RayError):
        last = lines[-1].strip() if lines else type(error).__name__
        return "its process died" if _SUDDEN_END in last else last[:_MOST_CHARACTERS]
    return f"{type(error).__name__}: {lines[0] if lines else ''}".rstrip(": ")[:_MOST_CHARACTERS]


def place_of(error: BaseException) -> str:
    """Return where a remote error was raised, as " on node ADDRESS"; empty if Ray has had one node alone."""
    places = _PLACE.findall(str(error))
    return f" on node {places[-1]}" if places and len(ray.nodes()) > 1 else ""


def place_here() -> str:
    """Return on which node this process runs, as " on node ADDRESS"; empty if Ray has had one node alone."""
    return _place(ray.get_runtime_context().get_node_id())


def _place(node_id: str) -> str:
    nodes = {node["NodeID"]: node for node in ray.nodes()}  # those that are gone, too
    return f" on node {label(nodes[node_id], nodes.values())}" if len(nodes) > 1 and node_id in nodes else ""


def label(node: Mapping[str, Any], nodes: Iterable[Mapping[str, Any]]) -> str:
    """Return what a node is called: its address, and the beginning of its id if others have the same address.

    Args:
        node: as ``ray.nodes`` describes it.
        nodes: all of them.
    """
    address = str(node["NodeManagerAddress"])
    same = sum(other["NodeManagerAddress"] == address for other in nodes)
    return address if same == 1 else f"{address} ({node['NodeID'][:8]})"
