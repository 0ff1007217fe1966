"""The files in ``deploy/`` and the commands in the documentation, taken apart for tests."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
import yaml

from connectfour.cli.entry import app

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"


def documents(name: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML file in ``deploy/``."""
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


def document(name: str) -> dict[str, Any]:
    """Return the only document of a YAML file in ``deploy/``."""
    (found,) = documents(name)
    return found


def policy(name: str) -> dict[str, Any]:
    """Return an IAM policy."""
    found: dict[str, Any] = json.loads((DEPLOY / "aws" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def unknown_keys(node: Any, known: Mapping[str, Any], path: str = "") -> list[str]:
    """Return the paths of keys that are not in a tree of known ones; ``...`` in it stands for anything."""
    if isinstance(node, list):
        return [key for each in node for key in unknown_keys(each, known, path)]
    found = []
    for key, value in node.items():
        here = f"{path}.{key}".removeprefix(".")
        if key not in known:
            found.append(here)
        elif known[key] is not ...:
            found += unknown_keys(value, known[key], here)
    return found


def check_schema(folder: Path, files: Sequence[Any], *schema: str) -> list[str]:
    """Return what the JSON schema that the options name says about each document: "" if it is valid."""
    names = []
    for number, each in enumerate(files):
        names.append(folder / f"{number}.json")
        names[-1].write_text(json.dumps(each))
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--output-format", "json", *schema, *names],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)
    assert not report.get("parse_errors"), report
    said = dict.fromkeys(map(str, names), "")
    for error in report["errors"]:
        said[error["filename"]] += f"{error['path']}: {error['message']} {error.get('best_deep_match', '')}\n"
    return list(said.values())


@dataclass
class Stage:
    """A stage of a Dockerfile.

    Attributes:
        name: what ``AS`` says, or "".
        image: the image that it starts from.
        steps: its instructions in order: the word, and the rest of the line.
    """

    name: str
    image: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        """Return the arguments of all instructions of one kind."""
        return [rest for each, rest in self.steps if each == word]


def read_dockerfile() -> list[Stage]:
    """Return the stages of the Dockerfile."""
    stages: list[Stage] = []
    text = re.sub(r"^\s*#.*\n", "", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            image, _, name = rest.partition(" AS ")
            stages.append(Stage(name, image))
        elif word:
            stages[-1].steps.append((word, rest))
    return stages


def commands_in(text: str) -> Iterator[list[str]]:
    """Yield every ``connectfour`` command in code, comments and backticks of a text, without the program's name."""
    text = text.replace("\\\n", " ")
    for found in re.finditer(r"(?<![-\w./])(?<!serviceaccount )connectfour ([a-z][^`\n|>;&]*)", text):
        # A command for "ray exec" ends where its quotation mark does.
        inside = text[found.start() - 1] == "'"
        yield shlex.split(found[1].partition("'")[0] if inside else found[1], comments=True)


def parse(arguments: Sequence[str]) -> dict[str, Any]:
    """Let the command line parse a command, as far as possible without carrying it out.

    Raises:
        click.UsageError: it does not parse.
    """
    command: Any = typer.main.get_command(app)
    rest, context = list(arguments), None
    while True:
        context = command.make_context(rest[0] if rest else "", rest, parent=context)
        if not hasattr(command, "resolve_command"):
            parameters: dict[str, Any] = context.params
            return parameters
        _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
