"""What an experiment will need, said before it starts: minutes and bytes."""

from __future__ import annotations

from collections.abc import Iterable

from connectfour.experiments.execution.graph import Step
from connectfour.experiments.reading import Experiment
from connectfour.settings.schema import RunSettings
from connectfour.training.memory import encoder_weights

# Logs of a run in bytes per hour (python -m benchmarks.disk).
_LOG_BYTES_PER_HOUR = 45e6
_COPIES_IN_A_CHECKPOINT = 4  # main, its copy for readers, and two moments of Adam, besides the opponents' slots
_BYTES_OF_RESULTS = 1.5e6
_FREEZES_PER_HOUR = 60


def seconds_needed(steps: Iterable[tuple[Step, float | None]], cores: float) -> float | None:
    """Return how long steps will take on so many cores, roughly; None if one of them is unknown.

    Args:
        steps: the steps with their own seconds.
        cores: what they share.
    """
    total, longest = 0.0, 0.0
    for step, seconds in steps:
        if seconds is None:
            return None
        total += seconds * min(step.demand.num_cpus or 1.0, cores)
        longest = max(longest, seconds)
    return max(total / cores, longest)


def bytes_needed(experiment: Experiment, trainings: Iterable[Step]) -> float:
    """Return the bytes that ``trainings`` and what follows from them will write, roughly."""
    by_variant = {variant.name: variant.settings for variant in experiment.variants}
    total = 0.0
    for step in trainings:
        settings = by_variant[step.name.removeprefix("train-").rpartition("-")[0]]
        total += _run_bytes(settings, (step.seconds or 3600.0) / 3600) + _BYTES_OF_RESULTS
    return total


def _run_bytes(settings: RunSettings, hours: float) -> float:
    weights = 4.0 * encoder_weights(settings.architecture)
    checkpoint = weights * (_COPIES_IN_A_CHECKPOINT + settings.league.opponent_count)
    snapshots = weights * (_FREEZES_PER_HOUR * hours + settings.checkpoint.history + 2)
    return settings.checkpoint.keep * checkpoint + snapshots + _LOG_BYTES_PER_HOUR * hours


def describe_minutes(seconds: float | None) -> str:
    """Return a time in words."""
    if seconds is None:
        return "an unknown time"
    minutes = seconds / 60
    if minutes < 1.5:
        return f"{max(1, round(seconds))} seconds"
    return f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"


def describe_bytes(size: float) -> str:
    """Return a size in words."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}" if size < 10 * unit else f"{size / unit:.0f} {name}"
    return f"{size / 1e3:.0f} kB"
