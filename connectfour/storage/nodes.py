"""Whether the nodes of a cluster see a folder."""

from __future__ import annotations

import uuid
from pathlib import Path

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from connectfour.errors import StorageError

_SECONDS_TO_LOOK = 60.0


def check_shared(*folders: Path) -> None:
    """Check that every node of the cluster sees folders of this machine, and may write there.

    Raises:
        StorageError: a node does not; the message names it.
    """
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder.absolute() / f".probe-{uuid.uuid4().hex}"
        probe.write_text(probe.name)
        try:
            _check(probe)
        finally:
            for file in probe.parent.glob(f"{probe.name}*"):
                file.unlink(missing_ok=True)


def _check(probe: Path) -> None:
    nodes = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    look = ray.remote(num_cpus=0, max_retries=0)(_look)
    found = {
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(probe, node): node
        for node in nodes
    }
    answers = list(found)
    ready, late = ray.wait(answers, num_returns=len(answers), timeout=_SECONDS_TO_LOOK)
    faults = {nodes[found[answer]]: "does not answer" for answer in late}
    for answer in ready:
        try:
            fault = ray.get(answer)
        except RayError as error:
            fault = f"cannot look ({str(error).strip().splitlines()[-1]})"
        if fault:
            faults[nodes[found[answer]]] = fault
    if faults:
        node, fault = next(iter(faults.items()))
        more = f", and {len(faults) - 1} more like it" if len(faults) > 1 else ""
        raise StorageError(
            f"storage = shared, but node {node} {fault}{more}: mount {probe.parent} on every node, keep the run in an "
            "object store (s3://BUCKET/KEY), or use storage=machine"
        )


def _look(file: Path, node: str) -> str | None:
    """Return why this node cannot use the folder of ``file``; None if it can."""
    try:
        if file.read_text() != file.name:
            return f"has another file at {file}"
        file.with_name(f"{file.name}-{node}").write_text(node)
    except FileNotFoundError:
        return f"does not see {file.parent}"
    except OSError as error:
        return f"cannot write to {file.parent} ({error.strerror})"
    return None
