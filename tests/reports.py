"""Experiments' folders as a finished, a broken or a running experiment leaves them, with made-up figures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from connectfour.experiments.execution.picture import draw_graph
from connectfour.experiments.layout import ExperimentFolder
from connectfour.settings.reading import dump_settings, load_settings

_PARTS = ("train", "record", "evaluate", "games")
_MACHINE = {
    "processor": "AMD EPYC 9R14",
    "cores": 2,
    "bfloat16": True,
    "python": "3.11.7",
    "ray": "2.60.0",
    "torch": "2.13.0",
}


@dataclass
class MadeUp:
    """An experiment to write.

    Attributes:
        variants: by name, the settings in which a variant differs.
        means: by variant, its mean of the primary metric at equal minutes.
        gap: by axis, what the interval of a difference reaches to each side, and the p-value.
        endings: (state, reason) of steps that are not done.
    """

    variants: Mapping[str, Mapping[str, Any]]
    means: Mapping[str, float]
    runs: int = 4
    gap: Mapping[str, tuple[float, float]] = field(
        default_factory=lambda: {"minutes": (0.008, 0.0286), "env_steps": (0.021, 0.486)}
    )
    endings: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    question: str = "Does Ape-X learn Connect Four faster than PPO on two cores?"
    condition: str | None = None

    def ended(self, name: str) -> tuple[str, str]:
        """Return how a step ended, and why."""
        return self.endings.get(name, ("done", ""))


def plan(variants: Sequence[str], runs: int) -> dict[str, list[str]]:
    """Return which step needs which."""
    names = [f"{variant}-{seed}" for variant in variants for seed in range(runs)]
    graph: dict[str, list[str]] = {}
    for name in names:
        graph[f"train-{name}"] = []
        graph[f"record-{name}"] = [f"train-{name}"]
        graph[f"evaluate-{name}"] = [f"record-{name}"]
        graph[f"games-{name}"] = [f"record-{name}"]
    graph["average"] = [f"evaluate-{name}" for name in names]
    graph["league"] = [f"record-{name}" for name in names]
    return graph


def write_made_up(path: Path, made: MadeUp, *, film: bytes | None = None) -> Path:
    """Write all files that a report reads, and return the folder."""
    folder = ExperimentFolder(path)
    for each in (path / "variants", folder.steps, folder.plots, folder.league.path):
        each.mkdir(parents=True)
    _write_settings(folder, made)
    for variant in made.variants:
        for seed in range(made.runs):
            _write_run(folder, made, variant, seed, film)
    _write_statistics(folder, made)
    _write_league(folder, made)
    for metric in ("value_preserving", "score", "league_size"):
        write_png(folder.plots / f"{metric}.png")
    graph = plan(list(made.variants), made.runs)
    _write_steps(folder, made, graph)
    folder.graph.write_text(draw_graph(graph, {name: made.ended(name)[0] for name in graph}))
    return path


def write_png(file: Path) -> None:
    """Write a picture."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(_png())


@cache
def _png() -> bytes:
    data = io.BytesIO()
    Image.new("L", (1100, 420), 235).save(data, "png")
    return data.getvalue()


@cache
def _gif() -> bytes:
    """Return a film of two frames."""
    frames = [Image.new("P", (480, 560), color) for color in (7, 70)]
    data = io.BytesIO()
    frames[0].save(data, "gif", save_all=True, append_images=frames[1:], duration=700, loop=0)
    return data.getvalue()


def write_csv(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same columns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_settings(folder: ExperimentFolder, made: MadeUp) -> None:
    values = {
        "name": folder.path.name,
        "game": "connect_four",
        "question": made.question,
        "train": {"stop.minutes": 30},
        "runs": made.runs,
        "evaluate_if": made.condition,
        "variants": {name: dict(changes) for name, changes in made.variants.items()},
    }
    folder.settings.write_text(yaml.safe_dump(values, sort_keys=False))
    for name, changes in made.variants.items():
        folder.variant(name).write_text(dump_settings(load_settings(None, {"stop.minutes": 30, **changes})))


def _write_run(folder: ExperimentFolder, made: MadeUp, variant: str, seed: int, film: bytes | None) -> None:
    results = folder.results(variant, seed)
    name = f"{variant}-{seed}"
    if made.ended(f"train-{name}")[0] != "done":
        return
    key = {"game": "connect_four", "variant": variant, "seed": seed}
    speed = 9_000 if "apex" in variant else 31_000
    train = [
        {**key, "iteration": i, "minutes": 3.0 * i, "env_steps": 180 * speed * i, "win_rate": 0.6 + 0.01 * i}
        | {"league_size": 6 + i, "value_preserving_dev": "nan" if i == 1 else 0.9, "frozen": "v0001"}
        for i in range(1, 11)
    ]
    write_csv(results.train, train)
    if made.ended(f"evaluate-{name}")[0] == "done":
        key = {"game": "connect_four", "variant": variant, "seed": seed, "player": "main", "iteration": 10}
        at = {"env_steps": train[-1]["env_steps"], "minutes": 30.0}
        grade = made.means.get(variant, 0.9) + 0.004 * (seed - (made.runs - 1) / 2)
        grades = {"value_preserving": grade, "optimal": grade - 0.2, "score": grade - 0.1}
        grades |= {"score:minimax:2": grade, "score:minimax:4": grade - 0.2}
        evaluated = [
            {
                **key,
                **at,
                "metric": metric,
                "value": value,
                "low95": value - 0.01,
                "high95": value + 0.01,
                "count": 3000,
            }
            for metric, value in grades.items()
        ]
        write_csv(results.eval, evaluated)
        write_png(results.eval_picture)
    if made.ended(f"games-{name}")[0] == "done":
        match = {"game": "connect_four", "player": name, "opponent": "minimax:4", "games": 1}
        seats = [
            {**match, "seat": "first", "wins": 1, "draws": 0, "losses": 0, "score": 1.0, "low95": 0.2, "high95": 1.0},
            {**match, "seat": "second", "wins": 0, "draws": 1, "losses": 0, "score": 0.5, "low95": 0.1, "high95": 0.9},
        ]
        write_csv(results.match, seats)
        results.games.mkdir()
        for number in (1, 2):
            (results.games / f"{number}-{name}-minimax.gif").write_bytes(film or _gif())


def _write_statistics(folder: ExperimentFolder, made: MadeUp) -> None:
    left = {
        variant: sum(made.ended(f"evaluate-{variant}-{seed}")[0] == "done" for seed in range(made.runs))
        for variant in made.variants
    }
    evaluated = [variant for variant, runs in left.items() if runs]
    if not evaluated:
        return
    averages, pairs = [], []
    for metric, shift in {"value_preserving": 0.0, "score": -0.1, "league_size": 15.0}.items():
        for axis, ends in {"minutes": (15.0, 30.0), "env_steps": (9e6, 16.2e6)}.items():
            for at in ends:
                for variant in evaluated:
                    mean = made.means[variant] + shift - (0.02 if at == ends[0] else 0)
                    averages.append(
                        {"game": "connect_four", "metric": metric, "axis": axis, "at": at, "variant": variant}
                        | {"runs": left[variant], "of": made.runs, "mean": mean, "sd": 0.005, "iqm": mean + 0.001}
                        | {"mean_low95": mean - 0.006, "mean_high95": mean + 0.005}
                        | {"iqm_low95": mean - 0.007, "iqm_high95": mean + 0.006}
                    )
            half, p_value = made.gap[axis]
            for number, variant in enumerate(evaluated):
                for other in evaluated[number + 1 :]:
                    difference = made.means[variant] - made.means[other]
                    sure = p_value < 0.05 and abs(difference) > half
                    chance = 0.5 + (0.44 if sure else 0.12) * (1 if difference > 0 else -1)
                    pairs.append(
                        {"game": "connect_four", "metric": metric, "axis": axis, "at": ends[1], "variant": variant}
                        | {"other": other, "runs": left[variant], "runs_of_other": left[other]}
                        | {"difference": difference, "difference_low95": difference - half}
                        | {"difference_high95": difference + half, "probability": chance}
                        | {"probability_low95": max(0, chance - 0.2), "probability_high95": min(1, chance + 0.2)}
                        | {"p_value": p_value, "p_value_corrected": p_value if sure else min(1, p_value * 4)}
                    )
    write_csv(folder.average, averages)
    if pairs:
        write_csv(folder.improvement, [row for row in pairs if row["metric"] != "league_size"])


def _write_league(folder: ExperimentFolder, made: MadeUp) -> None:
    names = [
        f"{variant}-{seed}"
        for variant in made.variants
        for seed in range(made.runs)
        if made.ended(f"train-{variant}-{seed}")[0] == "done"
    ]
    if not names or made.ended("league")[0] != "done":
        return
    rows = [
        {"rank": rank, "player": name, "mu": 30 - rank, "high95": 31.4 - rank, "wins": 60, "draws": 10, "losses": 30}
        | {"win_rate_first": 0.7, "win_rate_second": 0.6, "graded": 0.91}
        for rank, name in enumerate(names, start=1)
    ]
    write_csv(folder.league.leaderboard, rows)
    write_png(folder.league.leaderboard_picture)


def _write_steps(folder: ExperimentFolder, made: MadeUp, graph: Mapping[str, object]) -> None:
    outcome = {}
    for number, name in enumerate(graph):
        state, reason = made.ended(name)
        command = ["connectfour", name.partition("-")[0], "--output", f"runs/{name}", "--override", "stop.minutes=30"]
        outcome[name] = {"state": state, "reason": reason, "command": command}
        if state == "done":
            hour, minute = divmod(10 * 60 + number, 60)
            receipt = {
                "game": "connect_four",
                "step": name,
                "command": command,
                "inputs": {},
                "outputs": {},
                "seed": 0,
                "version": "0.1.0",
                "machine": _MACHINE,
                "began": f"2026-11-29T{hour:02d}:{minute:02d}:00+00:00",
                "ended": f"2026-11-29T{hour:02d}:{minute:02d}:50+00:00",
                "seconds": 1812.4 if name.startswith("train") else 34.0,
                "exit_code": 0,
                "attempts": 1,
            }
            (folder.steps / f"{name}.json").write_text(json.dumps(receipt))
        if state == "failed":
            lines = [f"iteration {i}: 100,000 env steps" for i in range(1, 41)]
            lines += ["\x1b[31mTraceback (most recent call last):\x1b[0m", "MemoryError: <cannot> allocate 8 GB"]
            (folder.steps / f"{name}.log").write_text("\n".join(lines))
    again = f"connectfour experiment run experiments/{folder.path.name}.yaml"
    folder.outcome.write_text(json.dumps({"game": "connect_four", "command": again, "steps": outcome}))
