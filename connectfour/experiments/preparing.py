"""What must be in an experiment's folder before its first step: the experiment and its variants' settings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from connectfour.errors import ExperimentError
from connectfour.experiments.execution.graph import Graph
from connectfour.experiments.execution.picture import draw_graph
from connectfour.experiments.execution.steps import build_graph
from connectfour.experiments.layout import ExperimentFolder
from connectfour.experiments.reading import Experiment
from connectfour.settings.reading import dump_settings
from connectfour.system.files import locked, write_atomically


def prepare(experiment: Experiment, folder: ExperimentFolder) -> Graph:
    """Write what the steps read, the experiment as used and the settings of each variant's runs; return the steps."""
    _write_changed(folder.settings, experiment.dump())
    for variant in experiment.variants:
        file = folder.variant(variant.name)
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_changed(file, dump_settings(variant.settings))
    folder.steps.mkdir(exist_ok=True)
    graph = build_graph(experiment, folder)
    _write_changed(folder.graph, draw_graph(graph.predecessors))
    return graph


def _write_changed(file: Path, text: str) -> None:
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        write_atomically(file, text.encode())


def check_folder(folder: ExperimentFolder, experiment: Experiment) -> None:
    """Refuse a folder that holds something else.

    Raises:
        ExperimentError: it does.
    """
    path = folder.path
    nearest = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not nearest.is_dir():
        raise ExperimentError(f"{nearest} is a file: choose another --output")
    if not path.exists() or all(file.name.startswith(".") for file in path.iterdir()):
        return
    try:
        stored = yaml.safe_load(folder.settings.read_text(encoding="utf-8"))
        name, variants = stored["name"], set(stored["variants"])
    except FileNotFoundError:
        raise ExperimentError(f"{path} is not the folder of an experiment: choose another --output") from None
    except (OSError, ValueError, yaml.YAMLError, TypeError, KeyError):
        raise ExperimentError(f"{folder.settings} is damaged: choose another --output, or restore it") from None
    if name != experiment.name:
        raise ExperimentError(f"{path} is the folder of the experiment {name}: choose another --output")
    if not variants & {variant.name for variant in experiment.variants}:
        raise ExperimentError(
            f"{path} is the folder of another experiment, with the variants {', '.join(sorted(variants))}: choose "
            "another --output"
        )


@contextmanager
def locked_folder(folder: ExperimentFolder) -> Iterator[None]:
    """Hold an experiment's folder, which is created; for whoever writes its settings.

    Raises:
        ExperimentError: another process holds it.
    """

    def refusal(owner: str) -> ExperimentError:
        return ExperimentError(f"{owner} is running {folder.path}: wait for it or stop it")

    folder.path.mkdir(parents=True, exist_ok=True)
    with locked(folder.lock, refusal):
        yield
