"""Argo Workflows without a cluster: a strict check of their keys, and an interpreter of what ours use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

TAG = re.compile(r"\{\{(.+?)\}\}")

# hera's models ignore unknown keys unless this is set before they are defined, so it takes a process of its own.
_STRICT = """\
import json, sys
from hera.shared._pydantic import APIBaseModel
APIBaseModel.model_config["extra"] = "forbid"
from hera.workflows import models
for workflow in json.load(sys.stdin):
    try:
        models.Workflow.model_validate(workflow)
    except ValueError as error:
        print(" ".join(str(error).split()))
    else:
        print("valid")
"""


def check_strictly(workflows: Sequence[Any]) -> list[str]:
    """Return for each workflow "valid", or which key or value is not in Argo's schema."""
    done = subprocess.run(
        [sys.executable, "-c", _STRICT], input=json.dumps(workflows), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def strings(node: Any) -> Iterator[str]:
    """Yield every string in a document, keys excluded."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


@dataclass(frozen=True)
class Pod:
    """A container that is to run.

    Attributes:
        template: the name of its template.
        command: its command line.
        files: by path, the files that it finds.
        outputs: by name, the files whose contents are its output parameters.
    """

    template: str
    command: list[str]
    files: dict[str, str]
    outputs: dict[str, str]


class Interpreter:
    """Runs a workflow, one pod after the other."""

    def __init__(self, workflow: Mapping[str, Any], run: Callable[[Pod], Mapping[str, str]], **parameters: str) -> None:
        """Submit ``workflow`` with ``parameters``; ``run`` runs a pod and returns its output parameters."""
        self._spec = workflow["spec"]
        self._run = run
        self._templates = {template["name"]: template for template in self._spec["templates"]}
        known = {each["name"]: each["value"] for each in self._spec["arguments"]["parameters"]}
        assert parameters.keys() <= known.keys()
        self._values = {f"workflow.parameters.{name}": value for name, value in {**known, **parameters}.items()}

    def run(self) -> None:
        """Run the entry point, and then the exit handler."""
        for name in (self._spec["entrypoint"], self._spec["onExit"]):
            self._template(name, {})

    def _template(self, name: str, inputs: Mapping[str, str]) -> Mapping[str, str]:
        template = self._templates[name]
        values = {**self._values, **{f"inputs.parameters.{key}": value for key, value in inputs.items()}}
        assert inputs.keys() == {each["name"] for each in template.get("inputs", {}).get("parameters", [])}
        if "dag" in template:
            self._dag(template["dag"], values)
            return {}
        container = template["container"]
        artifacts = template.get("inputs", {}).get("artifacts", [])
        outputs = template.get("outputs", {}).get("parameters", [])
        return self._run(
            Pod(
                name,
                [_filled(part, values) for part in (*container["command"], *container["args"])],
                {each["path"]: each["raw"]["data"] for each in artifacts},
                {each["name"]: _filled(each["valueFrom"]["path"], values) for each in outputs},
            )
        )

    def _dag(self, dag: Mapping[str, Any], values: Mapping[str, str]) -> None:
        tasks = {task["name"]: task for task in dag["tasks"]}
        given = dict(values)
        sorter = TopologicalSorter({name: depends_on(task) for name, task in tasks.items()})
        sorter.prepare()
        while sorter.is_active():
            # The other way round: nothing but "depends" puts tasks in order.
            for name in reversed(sorter.get_ready()):
                self._task(tasks[name], given)
                sorter.done(name)

    def _task(self, task: Mapping[str, Any], values: dict[str, str]) -> None:
        """Run a task for each of its items, and add what it says to ``values``."""
        for item in _items(task, values):
            here = {**values, "item": item}
            if not _holds(_filled(task.get("when", "yes == yes"), here)):
                continue
            arguments = task.get("arguments", {}).get("parameters", [])
            filled = {each["name"]: _filled(each["value"], here) for each in arguments}
            for key, value in self._template(task["template"], filled).items():
                values[f"tasks.{task['name']}.outputs.parameters.{key}"] = value


def depends_on(task: Mapping[str, Any]) -> set[str]:
    """Return the tasks that a task's ``depends`` names."""
    return {word.partition(".")[0] for word in re.findall(r"[A-Za-z0-9][-A-Za-z0-9.]*", task.get("depends", ""))}


def _items(task: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    if "withSequence" not in task:
        return [""]
    start, count = (int(_filled(task["withSequence"][key], values)) for key in ("start", "count"))
    return [str(number) for number in range(start, start + count)]


def _filled(text: str, values: Mapping[str, str]) -> str:
    return TAG.sub(lambda tag: values[tag[1]], text)


def _holds(condition: str) -> bool:
    left, _, right = condition.partition(" == ")
    return left == right
