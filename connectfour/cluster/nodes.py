"""The nodes of a cluster, as far as the driver has to know them: what they are called, and whether they fit it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RuntimeEnvSetupError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from connectfour.cluster.code import fingerprint
from connectfour.cluster.traces import one_line
from connectfour.errors import ClusterError
from connectfour.version import __version__

_SECONDS = 120.0
_LIBRARIES = ("ray", "torch")
_NEEDED = ("gymnasium", "numpy", "onnxruntime", "pettingzoo", "pyarrow", "pydantic", "safetensors", "scipy")


@dataclass(frozen=True)
class Facts:
    """What has to be the same on the driver and on every node.

    Attributes:
        versions: of Python, Ray, Torch and this project, as far as they are there.
        missing: libraries that training or playing imports and that are not installed.
        code: the state of this project's code; empty if it cannot be imported.
        trouble: why it cannot be imported.
    """

    versions: Mapping[str, str]
    missing: tuple[str, ...] = ()
    code: str = ""
    trouble: str = ""


def check_nodes() -> None:
    """Ask every node that is alive what it would run, and compare that with this process.

    Nodes that join later are not asked.

    Raises:
        ClusterError: one has another Python (without its patch number), Ray, Torch (without its build) or other code,
            lacks a library, or does not answer.
    """
    nodes = {node["NodeID"]: node for node in ray.nodes() if node["Alive"]}
    asked = {name: _ask(name) for name in nodes}
    ray.wait(list(asked.values()), num_returns=len(asked), timeout=_SECONDS, fetch_local=True)
    faults = []
    for name, answer in asked.items():
        fault = _fault(name, answer)
        if fault:
            faults.append(f"node {label(nodes[name], list(nodes.values()))} {fault}")
    if faults:
        others = f" ({len(faults) - 1} more of {len(nodes)} nodes do not fit either)" if len(faults) > 1 else ""
        raise ClusterError(f"{faults[0]}{others}")


def label(node: Mapping[str, Any], nodes: list[Mapping[str, Any]]) -> str:
    """Return what a node is called: its address, and the beginning of its id if others have the same address."""
    address = str(node["NodeManagerAddress"])
    same = sum(other["NodeManagerAddress"] == address for other in nodes)
    return address if same == 1 else f"{address} ({node['NodeID'][:8]})"


def _ask(node: str) -> Any:
    """Ask a node for its facts, in a process such as those that will work there.

    The function travels by value: it has to run where this project cannot be imported.
    """
    needed, libraries = _NEEDED, _LIBRARIES

    def look() -> tuple[dict[str, str], tuple[str, ...], str, str]:
        import platform  # noqa: PLC0415  # it runs elsewhere
        from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

        versions, missing = {"python": platform.python_version()}, []
        for library in (*libraries, *needed):
            try:
                found = version(library)
            except PackageNotFoundError:
                missing.append(library)
            else:
                versions |= {library: found} if library in libraries else {}
        code = trouble = ""
        try:
            from connectfour.cluster.code import fingerprint  # noqa: PLC0415
            from connectfour.version import __version__  # noqa: PLC0415

            versions["connectfour"], code = __version__, fingerprint()
        except Exception as error:  # noqa: BLE001  # whatever is in its way there
            trouble = f"{type(error).__name__}: {error}"
        return versions, tuple(missing), code, trouble

    there = NodeAffinitySchedulingStrategy(node, soft=False)
    return ray.remote(num_cpus=0, max_retries=1)(look).options(scheduling_strategy=there).remote()


def own_facts() -> Facts:
    """Return the facts of this process."""
    versions = {"python": platform.python_version(), "connectfour": __version__}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return Facts(versions, code=fingerprint())


def _fault(node: str, answer: Any) -> str:
    """Return what is wrong with a node, as a predicate; empty if it fits, or has left the cluster."""
    try:
        there = Facts(*ray.get(answer, timeout=0))
    except GetTimeoutError:
        return f"has not answered for {_SECONDS:g} s: look at its load and its logs, or take it out of the cluster"
    except RuntimeEnvSetupError as error:
        return f"could not unpack the code that was sent to it: {one_line(error)}"
    except RayError as error:
        alive = {other["NodeID"] for other in ray.nodes() if other["Alive"]}
        return f"cannot work: {one_line(error)}" if node in alive else ""
    return compare(own_facts(), there)


def compare(here: Facts, there: Facts) -> str:
    """Return how a node differs from the driver, with what to do, as a predicate; empty if it fits."""
    for name, shown in (("python", "Python"), ("ray", "Ray"), ("torch", "Torch")):
        own, other = here.versions.get(name), there.versions.get(name)
        if own and other is None:
            return f"has no {shown} and this machine has {own}: install {name}=={_public(own)} there"
        if own and other and _comparable(name, own) != _comparable(name, other):
            return f"has {shown} {other} and this machine {own}: install the same version on both"
    if there.missing:
        return f"lacks {', '.join(there.missing)}, which this machine has: install this project's requirements there"
    return _fault_of_code(here, there)


def _fault_of_code(here: Facts, there: Facts) -> str:
    if there.trouble:
        return f"cannot import this project, which was sent to it ({there.trouble}): remove what hides it there"
    own, other = here.versions["connectfour"], there.versions.get("connectfour")
    if own == other and here.code == there.code:
        return ""
    how = f"connectfour {other} and this machine {own}" if own != other else f"another state of connectfour {other}"
    return f"runs {how}: remove the copy there that hides what was sent to it"


def _comparable(name: str, found: str) -> str:
    """Return the part of a version that has to be the same: a node with GPUs has another build of Torch."""
    return ".".join(found.split(".")[:2]) if name == "python" else _public(found)


def _public(found: str) -> str:
    return found.partition("+")[0]
