"""Every ``connectfour`` command in ``deploy/`` and ``docs/cluster.md`` can be given as it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectfour.errors import ConfigError
from connectfour.experiments.reading import read_experiment
from connectfour.settings.reading import load_settings
from tests.argo_workflows import strings
from tests.deploy_files import DEPLOY, ROOT, commands_in, documents, parse

PAGE = ROOT / "docs" / "cluster.md"
HOME = "/home/league/"  # in the image


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield every command with the name of its file."""
    for file in (PAGE, *sorted(DEPLOY.glob("*.yaml"))):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".yaml":
            comments = [line for line in text.splitlines() if line.startswith("#")]
            text = "\n".join([*comments, *strings(documents(file.name))])
        for arguments in commands_in(text):
            yield file.name, arguments


def check(arguments: list[str]) -> None:
    """Parse a command, read the files that it names, and check its settings."""
    given = parse(arguments)
    name = " ".join(arguments[:2]) if arguments[0] == "experiment" else arguments[0]
    overrides = given.get("override") or []
    if name == "train":
        config = given["config"]
        load_settings(ROOT / str(config).removeprefix(HOME) if config else None, overrides)
    elif name.startswith("experiment") and given["file"] != Path("FILE"):
        read_experiment(ROOT / given["file"], overrides)


def test_every_command_parses_and_its_settings_exist() -> None:
    """Options, settings and configurations; there are some in each kind of file."""
    found = list(commands())
    for name, arguments in found:
        try:
            check(arguments)
        except Exception as error:
            error.add_note(f"{name}: connectfour {' '.join(arguments)}")
            raise
    assert len(found) > 15
    assert {"cluster.md", "compose.yaml", "rayjob.yaml"} <= {name for name, _ in found}
    assert {"train", "rank", "experiment", "league", "evaluate"} <= {arguments[0] for _, arguments in found}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("`connectfour trian`", Exception),
        ("connectfour train --adress auto\n", Exception),
        ("ray exec x 'connectfour train -p rollout.env_runer=1'", ConfigError),
        ("connectfour train --config configs/strongest.yaml", ConfigError),
    ],
)
def test_a_typo_in_a_command_is_found(text: str, error: type[Exception]) -> None:
    """In backticks, in a block of code, in quotation marks."""
    (arguments,) = commands_in(text)
    with pytest.raises(error):
        check(arguments)
