"""Results of experiments for tests, made without training."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from connectfour.experiments.analysis.records import write_table
from connectfour.experiments.layout import ExperimentFolder

METRICS = ("value_preserving", "optimal", "score", "score:minimax:2", "score:minimax:4")
LABELS = {"game": "connect_four"}


def write_results(
    folder: Path,
    variants: Mapping[str, float] | Sequence[str],
    seeds: Sequence[int],
    *,
    points: int = 10,
    iterations: int = 60,
    metrics: Sequence[str] = METRICS,
    failed: Sequence[str] = (),
    unmet: Sequence[str] = (),
) -> Path:
    """Write ``train.csv`` and ``eval.csv`` of runs that learn at plausible speeds, in the formats of an experiment.

    Args:
        folder: the experiment's folder.
        variants: names, with the final share of value-preserving moves; by default, each is better than the last.
        seeds: seeds of each variant's runs; they also seed the results.
        points: evaluated policies per run.
        iterations: rows of ``train.csv`` per run.
        metrics: evaluated metrics, some of ``METRICS``.
        failed: names such as "ppo-1" of runs without files.
        unmet: names of runs that did not meet the condition to be evaluated.
    """
    levels = variants if isinstance(variants, Mapping) else {name: 0.9 + 0.02 * i for i, name in enumerate(variants)}
    for number, (variant, level) in enumerate(levels.items()):
        for seed in seeds:
            name = f"{variant}-{seed}"
            if name in failed:
                continue
            _write_run(ExperimentFolder(folder), variant, seed, number, level, points, iterations, metrics)
            if name in unmet:
                files = ExperimentFolder(folder).results(variant, seed)
                files.eval.unlink()
                files.verdict.write_text("no\n")
    return folder


def _write_run(
    folder: ExperimentFolder,
    variant: str,
    seed: int,
    number: int,
    level: float,
    points: int,
    iterations: int,
    metrics: Sequence[str],
) -> None:
    rng = np.random.default_rng([seed, number])
    labels = {**LABELS, "variant": variant, "seed": seed}
    files = folder.results(variant, seed)
    minutes = np.cumsum(rng.uniform(0.9, 1.1, iterations)) * 5 / iterations
    env_steps = (
        np.cumsum(rng.integers(900, 1100, iterations)) * (30_000 + 4_000 * number) * 5 * 60 // (1000 * iterations)
    )
    done = minutes / minutes[-1]
    final = level + rng.normal(0, 0.006)
    grade = final - 0.35 * np.exp(-4 * done) + rng.normal(0, 0.002, iterations)
    size = 5 + np.floor(done * rng.integers(8, 14))
    rows: list[dict[str, Any]] = [
        {
            **labels,
            "iteration": each + 1,
            "minutes": round(float(minutes[each]), 4),
            "env_steps": int(env_steps[each]),
            "env_steps_per_second": round(float(env_steps[each] / minutes[each] / 60), 1),
            "win_rate": round(0.55 + 0.2 * float(rng.random()), 4),
            "newest_score": round(0.5 + 0.2 * float(rng.random()), 4),
            "draw_rate": 0.03,
            "league_size": int(size[each]),
            "league_score": float(size[each]) - 4.3,
            "value_preserving_dev": round(float(grade[each]), 4) if each else "nan",
            "frozen": f"v{int(size[each]) - 5:04d}" if each and size[each] > size[each - 1] else "",
            "entropy": round(1.6 - float(done[each]), 4) if each else "nan",
        }
        for each in range(iterations)
    ]
    write_table(files.train, list(rows[0]), rows)
    kept = np.unique(np.linspace(iterations // points - 1, iterations - 1, points).astype(int))
    evaluated = []
    for each in kept.tolist():
        moment = {
            "player": f"i{each + 1:05d}",
            **{key: rows[each][key] for key in ("iteration", "env_steps", "minutes")},
        }
        values = (grade[each], 0.85 * grade[each], 2 * grade[each] - 1, 2 * grade[each] - 0.9, 2 * grade[each] - 1.1)
        for metric, value in zip(METRICS, np.clip(values, 0, 1).tolist(), strict=True):
            if metric not in metrics:
                continue
            count = 2_000 if metric in METRICS[:2] else 100
            half = 1.96 * (value * (1 - value) / count) ** 0.5
            numbers = {"value": value, "low95": max(0.0, value - half), "high95": min(1.0, value + half)}
            rounded = {key: round(number, 5) for key, number in numbers.items()}
            evaluated.append({**labels, **moment, "metric": metric, **rounded, "count": count})
    write_table(files.eval, list(evaluated[0]), evaluated)


def write_run(
    folder: Path,
    variant: str,
    seed: int,
    train: Sequence[Mapping[str, Any]] = (),
    evaluated: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the files of one run with these rows: metrics besides ``env_steps`` and ``minutes``.

    A file without rows is not written.
    """
    files = ExperimentFolder(folder).results(variant, seed)
    labels = {**LABELS, "variant": variant, "seed": seed}
    if train:
        rows = [{**labels, "iteration": number, **row} for number, row in enumerate(train, start=1)]
        write_table(files.train, list(rows[0]), rows)
    if evaluated:
        moments = [{name: row[name] for name in ("env_steps", "minutes")} for row in evaluated]
        rows = [
            {**labels, **moment, "metric": metric, "value": value}
            for moment, row in zip(moments, evaluated, strict=True)
            for metric, value in row.items()
            if metric not in moment
        ]
        write_table(files.eval, list(rows[0]), rows)


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))
