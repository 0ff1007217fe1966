"""Experiments as Argo Workflows, checked without a cluster: keys, references, what runs in which order."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectfour.errors import ExperimentError
from connectfour.experiments.argo import build_workflow
from connectfour.experiments.execution.steps import build_graph
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.reading import read_experiment
from tests.argo_workflows import TAG, Interpreter, Pod, check_strictly, depends_on, strings
from tests.commands import call, call_process
from tests.test_experiment import TINY, receipts, write

PACKED, SHARED_MEMORY = "/tmp/experiment.yaml", "/dev/shm"  # noqa: S108  # in the pod
TEXT = """\
question: Which one?
train: {stop: {minutes: 5}, rollout: {env_runners: 3}}
runs: 4
first_seed: 10
variants:
  Wide_1: {network.width: 64}
  wide-1: {stop.minutes: 7}
evaluate_if: win_rate > 0.5
retries: 2
resources:
  train: {num_gpus: 0.5, memory_gb: 8, tags: {pool/large: 1}}
  evaluate: {num_cpus: 1.5, memory_gb: 2}
  league: {num_cpus: 3}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment file of two variants whose names differ in what Kubernetes does not accept."""
    file = tmp_path_factory.mktemp("argo") / "Both_ways.yaml"
    file.write_text(TEXT)
    return file


@pytest.fixture(scope="module")
def workflow(file: Path) -> dict[str, Any]:
    """Its workflow, as the command prints it."""
    done = call("experiment", "argo", file)
    assert (done.returncode, done.stderr) == (0, "")
    loaded: dict[str, Any] = yaml.safe_load(done.stdout)
    return loaded


def template(workflow: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a template."""
    (found,) = (each for each in workflow["spec"]["templates"] if each["name"] == name)
    return dict(found)


def task(workflow: Mapping[str, Any], dag: str, name: str) -> dict[str, Any]:
    """Return a task of a DAG."""
    (found,) = (each for each in template(workflow, dag)["dag"]["tasks"] if each["name"] == name)
    return dict(found)


def test_every_key_is_in_argos_schema(workflow: dict[str, Any]) -> None:
    """A typo at any level is refused, so that this test can fail."""
    spec, container, tasks = copy.deepcopy(workflow), copy.deepcopy(workflow), copy.deepcopy(workflow)
    spec["spec"]["ttlStrategi"] = {}
    template(container, "prepare")["container"]["imagePulPolicy"] = "Always"
    template(tasks, "main")["dag"]["tasks"][0]["dependson"] = "prepare"
    answers = check_strictly([workflow, spec, container, tasks])
    assert answers[0] == "valid"
    for answer, key in zip(answers[1:], ("ttlStrategi", "imagePulPolicy", "dependson"), strict=True):
        assert f"{key} Extra inputs are not permitted" in answer


def test_every_name_and_every_reference_resolves(workflow: dict[str, Any]) -> None:
    """Templates, tasks, parameters, outputs, volumes: what is named is there, once."""
    assert (workflow["apiVersion"], workflow["kind"]) == ("argoproj.io/v1alpha1", "Workflow")
    assert workflow["metadata"] == {"generateName": "both-ways-"}
    spec = workflow["spec"]
    templates = {each["name"]: each for each in spec["templates"]}
    assert len(templates) == len(spec["templates"])
    assert all(re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name) for name in templates)
    used = {spec["entrypoint"], spec["onExit"]}
    known = {f"workflow.parameters.{each['name']}" for each in spec["arguments"]["parameters"]}
    volumes = {each["name"] for each in spec["volumes"]}
    assert references(spec["volumes"]) <= known
    for each in templates.values():
        inputs = {f"inputs.parameters.{one['name']}" for one in each.get("inputs", {}).get("parameters", [])}
        if "container" in each:
            assert references(each) <= known | inputs, each["name"]
            assert {mount["name"] for mount in each["container"]["volumeMounts"]} <= volumes
            continue
        tasks = {one["name"]: one for one in each["dag"]["tasks"]}
        assert len(tasks) == len(each["dag"]["tasks"])
        assert set(each["dag"].get("target", "").split()) <= tasks.keys()
        for one in tasks.values():
            used.add(one["template"])
            assert depends_on(one) <= tasks.keys()
            outputs = {
                f"tasks.{before}.outputs.parameters.{output['name']}"
                for before in depends_on(one)
                for output in templates[tasks[before]["template"]].get("outputs", {}).get("parameters", [])
            }
            assert references(one) <= known | inputs | outputs | ({"item"} if "withSequence" in one else set())
            wanted = templates[one["template"]].get("inputs", {}).get("parameters", [])
            given = one.get("arguments", {}).get("parameters", [])
            assert {each["name"] for each in given} == {each["name"] for each in wanted}
    assert used == templates.keys()


def references(node: Any) -> set[str]:
    """Return all variables that a part of a workflow names."""
    found = {tag for text in strings(node) for tag in TAG.findall(text)}
    expressions = {tag for tag in found if tag.startswith("=")}
    inside = {name for tag in expressions for name in re.findall(r"workflow\.parameters\.\w+", tag)}
    return (found - expressions) | inside


def test_parameters_have_the_values_of_the_experiment(workflow: dict[str, Any]) -> None:
    """Minutes are those of the variants that do not set their own."""
    values = {each["name"]: each["value"] for each in workflow["spec"]["arguments"]["parameters"]}
    image = values.pop("image")
    assert image.startswith("connectfour-league:")
    assert values == {
        "runs": "4",
        "first_seed": "10",
        "minutes": "5",
        "outdir": "/storage/Both_ways",
        "retries": "2",
        "claim": "connectfour",
    }


def test_steps_ask_for_what_resources_say(workflow: dict[str, Any]) -> None:
    """GPUs, cores, memory and labels of nodes; a training has room for Ray's objects."""
    train = template(workflow, "train-wide-1")
    assert train["container"]["resources"] == {
        "limits": {"nvidia.com/gpu": "1"},
        "requests": {"cpu": "4", "memory": "7630Mi", "nvidia.com/gpu": "1"},
    }
    assert train["nodeSelector"] == {"pool/large": "true"}
    assert train["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert {"name": "memory", "mountPath": SHARED_MEMORY} in train["container"]["volumeMounts"]
    for name in ("record-wide-1", "evaluate-wide-1", "games-wide-1-2", "average", "report"):
        other = template(workflow, name)
        assert other["container"]["resources"] == {"requests": {"cpu": "1.5", "memory": "1908Mi"}}
        assert "nodeSelector" not in other
        assert "tolerations" not in other
    assert template(workflow, "league")["container"]["resources"] == {"requests": {"cpu": "3"}}
    pods = [each for each in workflow["spec"]["templates"] if "container" in each]
    assert len(pods) == 12
    for pod in pods:
        assert pod["container"]["image"] == "{{workflow.parameters.image}}"
        assert {"name": "storage", "mountPath": "/storage"} in pod["container"]["volumeMounts"]


def test_steps_are_retried_and_end_some_day(workflow: dict[str, Any]) -> None:
    """A training's deadline follows from its minutes, which may be given when the workflow is submitted."""
    for each in workflow["spec"]["templates"]:
        if "container" in each:
            assert each["retryStrategy"]["limit"] == "{{workflow.parameters.retries}}"
            assert each["retryStrategy"]["retryPolicy"] == "Always"
    given = "workflow.parameters.minutes"
    assert template(workflow, "train-wide-1")["activeDeadlineSeconds"] == (
        f"{{{{={given} == '' ? 604800 : asInt(asFloat({given}) * 120) + 1800}}}}"
    )
    assert template(workflow, "train-wide-1-2")["activeDeadlineSeconds"] == 7 * 120 + 1800
    others = [template(workflow, name)["activeDeadlineSeconds"] for name in ("evaluate-wide-1", "league", "report")]
    assert all(21600 < seconds < 86400 for seconds in others)


def test_seeds_fan_out_and_the_condition_decides(workflow: dict[str, Any]) -> None:
    """A failed run fails the workflow, but the others are averaged, and the report is written in any case."""
    run = task(workflow, "main", "run-wide-1")
    assert run["withSequence"] == {
        "start": "{{workflow.parameters.first_seed}}",
        "count": "{{workflow.parameters.runs}}",
    }
    for name in ("evaluate", "games"):
        assert task(workflow, "run-wide-1", name)["when"] == "{{tasks.record.outputs.parameters.evaluate}} == yes"
    assert "when" not in task(workflow, "run-wide-1", "record")
    (answer,) = template(workflow, "record-wide-1")["outputs"]["parameters"]
    assert answer == {
        "name": "evaluate",
        "valueFrom": {"path": "{{workflow.parameters.outdir}}/results/Wide_1-{{inputs.parameters.seed}}/evaluate.txt"},
    }
    for name in ("average", "league"):
        for phase in ("Succeeded", "Failed", "Errored"):
            assert f"run-wide-1.{phase}" in task(workflow, "main", name)["depends"]
    dags = [each["dag"] for each in workflow["spec"]["templates"] if "dag" in each]
    assert [dag["failFast"] for dag in dags] == [False] * 3
    assert template(workflow, "main")["dag"]["target"] == "run-wide-1 run-wide-1-2 average league"
    assert workflow["spec"]["onExit"] == "report"
    assert workflow["spec"]["ttlStrategy"] == {"secondsAfterSuccess": 86400, "secondsAfterFailure": 604800}
    assert workflow["spec"]["volumes"][0] == {
        "name": "storage",
        "persistentVolumeClaim": {"claimName": "{{workflow.parameters.claim}}"},
    }


def test_without_a_condition_every_run_is_evaluated(file: Path) -> None:
    """And without minutes, none are given."""
    experiment = read_experiment(
        file, ["evaluate_if=null", "train.stop={env_steps: 4000, minutes: null}", "league.games=0"]
    )
    found = yaml.safe_load(build_workflow(experiment))
    assert "when" not in task(found, "run-wide-1", "evaluate")
    assert {"name": "minutes", "value": ""}.items() <= found["spec"]["arguments"]["parameters"][2].items()
    assert template(found, "main")["dag"]["target"] == "run-wide-1 run-wide-1-2 average"


def test_the_workflow_has_the_steps_of_the_experiment(workflow: dict[str, Any], file: Path) -> None:
    """With other runs and seeds too: the same names, each after those for which it waits; "no" leaves steps out."""
    names: list[str] = []

    def run(pod: Pod) -> dict[str, str]:
        assert pod.command[:2] == ["connectfour", "experiment"]
        if pod.template == "prepare":
            assert pod.command[2:5] == ["prepare", PACKED, "/storage/x"]
            assert pod.command[5:] == ["-p", "runs=2", "-p", "first_seed=3", "-p", "train.stop.minutes=5"]
            assert pod.files.keys() == {PACKED}
            return {}
        assert pod.command[2:4] == ["step", "/storage/x"]
        names.append(pod.command[4])
        return dict.fromkeys(pod.outputs, "no" if "wide-1-4" in pod.command[4] else "yes")

    Interpreter(workflow, run, runs="2", first_seed="3", outdir="/storage/x").run()
    graph = build_graph(read_experiment(file, ["runs=2", "first_seed=3"]), ExperimentFolder(Path()))
    assert set(names) == graph.steps.keys() - {"evaluate-wide-1-4", "games-wide-1-4"}
    for place, name in enumerate(names):
        assert set(graph.predecessors[name]) & set(names) <= set(names[:place]), name


def test_what_argo_cannot_do_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a sentence that says what to do."""
    for override, said in {
        "resources={ray: shared}": "set resources.ray=private",
        "question='{{x}}'": "the experiment contains {{, which Argo would replace",
        "resources.train.tags={'a b': 1}": "the tag 'a b' cannot be a label of Kubernetes nodes",
    }.items():
        with pytest.raises(ExperimentError, match=re.escape(said)):
            build_workflow(read_experiment(file, [override]))
    for name in [each for each in sys.modules if each.partition(".")[0] == "hera"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hera", None)
    monkeypatch.delitem(sys.modules, "connectfour.experiments.argo")
    done = call("experiment", "argo", file)
    assert (done.returncode, done.stderr) == (
        16,
        "connectfour: experiment argo needs hera: pip install 'connectfour-league[argo]'\n",
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_pods_commands_leave_what_experiment_run_leaves(tmp_path: Path) -> None:
    """Each runs as a process of its own, in order; a second submission does only what is missing."""
    file = write(tmp_path, TINY + "evaluate_if: win_rate > -1\n")
    done = call_process("experiment", "argo", file)
    assert done.returncode == 0, done.stderr
    found, outdir, packed = yaml.safe_load(done.stdout), tmp_path / "storage" / "tiny", tmp_path / "experiment.yaml"
    printed: dict[str, str] = {}

    def run(pod: Pod) -> dict[str, str]:
        for text in pod.files.values():
            packed.write_text(text)
        command = [str(packed) if part in pod.files else part for part in pod.command[1:]]
        done = call_process(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        printed[command[3] if command[1] == "step" else "prepare"] = done.stdout
        return {name: Path(path).read_text().removesuffix("\n") for name, path in pod.outputs.items()}

    Interpreter(found, run, outdir=str(outdir)).run()
    assert "$ connectfour train --continue" in printed["train-narrow-0"]
    done = call_process("experiment", "run", file, "--output", tmp_path / "reference")
    assert done.returncode == 0, done.stdout + done.stderr
    assert files_of(outdir) == files_of(tmp_path / "reference")
    before = receipts(outdir)
    Interpreter(found, run, outdir=str(outdir)).run()
    assert receipts(outdir) == before
    assert {name for name, text in printed.items() if "it is up to date" in text} == before.keys()
    (outdir / "results" / "narrow-0" / "match.csv").unlink()
    Interpreter(found, run, outdir=str(outdir)).run()
    after = receipts(outdir)
    assert {name for name in before if after[name] != before[name]} == {"games-narrow-0"}


def files_of(folder: Path) -> set[str]:
    """Return the names of all files in a folder, without locks, hashes and times."""
    names = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    varying = re.compile(r"[0-9a-f]{8,}|[0-9]{4}(-[0-9]{2}){2}_[-0-9]{8}")
    return {varying.sub("", name) for name in names if not name.rpartition("/")[2].startswith(".")}
