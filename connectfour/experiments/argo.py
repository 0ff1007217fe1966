"""An experiment as an Argo Workflow: the same steps, each in a pod of its own, with their files on a shared volume.

The variants are fixed when the workflow is made, and the seeds fan out when it runs::

    main:         prepare ── run-VARIANT (for each seed) ── average, league
    run-VARIANT:  train ── record ── evaluate, games        (when record says that the run is to be evaluated)
    at the end:   report

A pod runs ``connectfour experiment step``, which finds the step by its name in the prepared folder and does nothing if
its receipt holds. So a workflow that is submitted again does only what is missing, and a training that is retried
resumes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import ceil
from pathlib import Path
from typing import Any

from hera.workflows import DAG, Container, Parameter, RawArtifact, Resources, RetryStrategy, Task, Workflow
from hera.workflows import models as argo

from connectfour.errors import ExperimentError
from connectfour.experiments.execution.graph import PROGRAM, Graph, Step
from connectfour.experiments.execution.steps import build_graph
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.reading import Experiment
from connectfour.settings.resources import Demand
from connectfour.version import __version__

_STORAGE = "/storage"
_GROUP = 1000  # of the image's user, who writes to the volume
_EXPERIMENT = "/tmp/experiment.yaml"  # noqa: S108  # in the pod
_SEED = "{{inputs.parameters.seed}}"
_LABEL = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_ENDED = ("Succeeded", "Failed", "Errored")
_PREPARING = Demand(num_cpus=1)
_DAY = 86_400
_WEEK = 7 * _DAY


def build_workflow(experiment: Experiment) -> str:
    """Return an Argo Workflow that runs an experiment, as YAML.

    Raises:
        ExperimentError: the experiment asks for something that Argo does not have.
    """
    if experiment.settings.resources.ray == "shared":
        raise ExperimentError(
            "resources.ray = shared joins the Ray of connectfour experiment run, and Argo runs each step in a pod of "
            "its own: set resources.ray=private"
        )
    text = _Builder(experiment).workflow().to_yaml()
    return f"# argo submit FILE --name {_slug(experiment.name)} -p outdir={_STORAGE}/{experiment.name}\n{text}"


class _Builder:
    """Builds the workflow from the steps of each variant's first run and from those that are about all runs."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._graph: Graph = build_graph(experiment, ExperimentFolder(Path()))
        self._slugs = _unique_slugs(variant.name for variant in experiment.variants)

    def workflow(self) -> Workflow:
        """Return the whole workflow."""
        last = next(step for step in self._graph.steps.values() if step.is_last)
        arguments = self._arguments()
        with Workflow(
            api_version="argoproj.io/v1alpha1",
            kind="Workflow",
            generate_name=f"{_slug(self._experiment.name)}-",
            entrypoint="main",
            on_exit=last.name,
            arguments=[
                Parameter(name=name, value=str(value), description=text) for name, (value, text) in arguments.items()
            ],
            volumes=[
                argo.Volume(
                    name="storage",
                    persistent_volume_claim=argo.PersistentVolumeClaimVolumeSource(claim_name=_parameter("claim")),
                ),
                argo.Volume(name="memory", empty_dir=argo.EmptyDirVolumeSource(medium="Memory")),
            ],
            security_context=argo.PodSecurityContext(fs_group=_GROUP, fs_group_change_policy="OnRootMismatch"),
            ttl_strategy=argo.TTLStrategy(seconds_after_success=_DAY, seconds_after_failure=_WEEK),
        ) as workflow:
            self._prepare()
            for variant in self._slugs:
                self._run(variant)
            self._main()
            given = " ".join(f"-p {name}={_parameter(name)}" for name in arguments)
            self._container(last, last.name, "--command", f"argo submit workflow.yaml {given}")
        return workflow

    def _arguments(self) -> dict[str, tuple[object, str]]:
        """Return the parameters of the workflow by name: the experiment's values, and what they mean."""
        settings = self._experiment.settings
        limits = {
            each.settings.stop.minutes for each in self._experiment.variants if "stop.minutes" not in each.changes
        }
        minutes = limits.pop() if len(limits) == 1 else None
        return {
            "runs": (settings.runs, "number of runs per variant, each with its own seed"),
            "first_seed": (settings.first_seed, "seed of each variant's first run"),
            "minutes": (
                "" if minutes is None else f"{minutes:g}",
                "limit of each run, unless its variant sets one; empty: as the experiment says",
            ),
            "outdir": (f"{_STORAGE}/{self._experiment.name}", f"the experiment's folder, below {_STORAGE}"),
            "image": (f"connectfour-league:{__version__}", "image with connectfour"),
            "retries": (settings.retries, "how often a step that fails is tried again"),
            "claim": ("connectfour", f"persistent volume claim that all pods mount at {_STORAGE} (ReadWriteMany)"),
        }

    def _prepare(self) -> None:
        packed = self._experiment.pack()
        if "{{" in packed:
            raise ExperimentError("the experiment contains {{, which Argo would replace: write it without")
        overrides = {
            "runs": _parameter("runs"),
            "first_seed": _parameter("first_seed"),
            "train.stop.minutes": _parameter("minutes"),
        }
        given = [part for key, value in overrides.items() for part in ("-p", f"{key}={value}")]
        Container(
            name="prepare",
            inputs=[RawArtifact(name="experiment", path=_EXPERIMENT, data=packed)],
            args=["experiment", "prepare", _EXPERIMENT, _parameter("outdir"), *given],
            **_pod(_PREPARING, deadline=3600, uses_ray=False),
        )

    def _run(self, variant: str) -> None:
        """Define the templates for one run of a variant, whose seed is their parameter."""
        slug, first = self._slugs[variant], self._experiment.seeds[0]
        steps = [each for each in self._graph.steps.values() if (each.variant, each.seed) == (variant, first)]
        writers = {file: step for step in steps for file in step.outputs}
        asked = {step.condition for step in steps if step.condition}
        seed = Parameter(name="seed")
        for step in steps:
            answers = [
                Parameter(name=_answer(file), value_from=argo.ValueFrom(path=f"{_parameter('outdir')}/{path}"))
                for file in sorted(asked & set(step.outputs))
                for path in [file.replace(f"/{variant}-{first}/", f"/{variant}-{_SEED}/")]
            ]
            name = f"{step.kind}-{variant}-{_SEED}"
            self._container(step, name, template=f"{step.kind}-{slug}", inputs=[seed], outputs=answers)
        with DAG(name=f"run-{slug}", inputs=[Parameter(name="seed")], fail_fast=False):
            for step in steps:
                before = [self._graph.steps[name].kind for name in self._graph.predecessors[step.name]]
                when = None
                if step.condition:
                    writer = writers[step.condition].kind
                    when = f"{{{{tasks.{writer}.outputs.parameters.{_answer(step.condition)}}}}} == yes"
                Task(
                    name=step.kind,
                    template=f"{step.kind}-{slug}",
                    arguments=[Parameter(name="seed", value=_SEED)],
                    depends=" && ".join(before) or None,
                    when=when,
                )

    def _main(self) -> None:
        """Define how the runs follow from the first step, and the steps that are about all runs from the runs."""
        common = [each for each in self._graph.steps.values() if each.variant is None and not each.is_last]
        for step in common:
            self._container(step, step.name)
        runs = {variant: f"run-{slug}" for variant, slug in self._slugs.items()}
        # A failed run fails the workflow, even though what follows makes do with the others.
        target = " ".join([*runs.values(), *(step.name for step in common)])
        with DAG(name="main", fail_fast=False, target=target):
            Task(name="prepare", template="prepare")
            for task in runs.values():
                Task(
                    name=task,
                    template=task,
                    arguments=[Parameter(name="seed", value="{{item}}")],
                    with_sequence=argo.Sequence(start=_parameter("first_seed"), count=_parameter("runs")),
                    depends="prepare",
                )
            for step in common:
                before = (self._graph.steps[name] for name in self._graph.predecessors[step.name])
                names = dict.fromkeys(runs[each.variant] if each.variant else each.name for each in before)
                ended = (f"({' || '.join(f'{name}.{phase}' for phase in _ENDED)})" for name in names)
                Task(name=step.name, template=step.name, depends=" && ".join(ended))

    def _container(self, step: Step, name: str, *options: str, template: str | None = None, **ports: Any) -> None:
        """Define a template that carries out a step."""
        Container(
            name=template or name,
            args=["experiment", "step", _parameter("outdir"), name, *options],
            **_pod(step.demand, self._deadline(step), uses_ray=step.ray != "none"),
            **ports,
        )

    def _deadline(self, step: Step) -> int | str:
        """Return after how many seconds a pod is taken for hung: generous, for a training twice its limit."""
        if step.kind != "train":
            return _DAY // 4 + 10 * ceil(step.seconds or 0)
        (variant,) = (each for each in self._experiment.variants if each.name == step.variant)
        if "stop.minutes" in variant.changes:
            minutes = variant.settings.stop.minutes
            return _WEEK if minutes is None else ceil(120 * minutes) + 1800
        given = "workflow.parameters.minutes"
        return f"{{{{={given} == '' ? {_WEEK} : asInt(asFloat({given}) * 120) + 1800}}}}"


def _pod(demand: Demand, deadline: int | str, *, uses_ray: bool) -> dict[str, Any]:
    """Return what a container needs besides its arguments."""
    mounts = [argo.VolumeMount(name="storage", mount_path=_STORAGE)]
    if uses_ray:  # Ray keeps its objects there, and Kubernetes offers 64 MB
        mounts.append(argo.VolumeMount(name="memory", mount_path="/dev/shm"))  # noqa: S108  # in the pod
    gpus = ceil(demand.num_gpus)
    tolerated = [argo.Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")]
    return {
        "image": _parameter("image"),
        "command": [PROGRAM],
        "resources": Resources(
            cpu_request=f"{demand.num_cpus or 1:g}",
            memory_request=f"{ceil(demand.memory_gb * 1e9 / 2**20)}Mi" if demand.memory_gb else None,
            gpus=gpus or None,
        ),
        "node_selector": _node_selector(demand.tags) or None,
        "tolerations": tolerated if gpus else None,
        "retry_strategy": RetryStrategy(
            limit=_parameter("retries"),
            retry_policy="Always",  # a node that is lost is an error, a command that fails a failure
            backoff=argo.Backoff(duration="30s", factor=2),
        ),
        "active_deadline_seconds": deadline,
        "volume_mounts": mounts,
    }


def _node_selector(tags: Mapping[str, float]) -> dict[str, str]:
    """Return the labels that a node must have: each tag, as true."""
    for tag in tags:
        if not _LABEL.fullmatch(tag):
            raise ExperimentError(f"the tag {tag!r} cannot be a label of Kubernetes nodes: rename it in resources")
    return dict.fromkeys(tags, "true")


def _parameter(name: str) -> str:
    return f"{{{{workflow.parameters.{name}}}}}"


def _answer(file: str) -> str:
    """Return the name of the output parameter with what a file says: ``evaluate`` for ``evaluate.txt``."""
    return file.rpartition("/")[2].partition(".")[0]


def _slug(name: str) -> str:
    """Return a name as Argo and Kubernetes accept it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-") or "experiment"


def _unique_slugs(names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        slug = _slug(name)
        while slug in found.values():
            slug = f"{slug}-{len(found) + 1}"
        found[name] = slug
    return found
