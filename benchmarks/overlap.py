"""What Ape-X's learner, actors and shards do at the same time: ``python -m benchmarks.overlap``.

It trains for half a minute with the settings of ``configs/apex.yaml``, prints how much of its time each
process waits, and draws the last seconds as ``benchmarks/overlap.png``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from matplotlib.figure import Figure

from connectfour.apex.timeline import WAITING, Timeline
from connectfour.cluster.session import ray_session
from connectfour.learning.apex.algorithm import SelfPlayApexConfig
from connectfour.settings.reading import load_settings

PICTURE = Path(__file__).parent / "overlap.png"
CONFIG = Path(__file__).parent.parent / "configs" / "apex.yaml"

_SECONDS, _SHOWN_SECONDS = 30.0, 5.0
_COLORS = {
    "learn": "#0072b2",
    "act": "#009e73",
    "sample": "#e69f00",
    "add": "#f0e442",
    "update priorities": "#cc79a7",
    "broadcast": "#56b4e9",
}


def train(overrides: list[str]) -> tuple[Timeline, dict[str, float], float]:
    """Train, and return the timeline, the waiting shares, and the transitions learned from per second."""
    settings = load_settings(CONFIG, ["grading.every=0", *overrides])
    config = SelfPlayApexConfig.from_settings(settings)
    with TemporaryDirectory() as folder:
        algorithm = config.league(folder=folder).build_algo()
        while not algorithm.updates:  # the replay fills
            algorithm.train()
        shares: list[Mapping[str, float]] = []
        updates, start = algorithm.updates, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < _SECONDS:
            shares.append(algorithm.train()["waiting"])
        speed = (algorithm.updates - updates) * algorithm.config.apex.batch_size / elapsed
        timeline = algorithm.timeline
        algorithm.stop()
    names = sorted({name for each in shares for name in each})
    return timeline, {name: float(np.mean([each[name] for each in shares if name in each])) for name in names}, speed


def draw(timeline: Timeline, shares: Mapping[str, float], picture: Path) -> None:
    """Draw the last seconds of each process as bars, waiting left blank."""
    # Actors and shards report a little later than the learner.
    end = min(spans[-1][2] for spans in timeline.latest.values())
    figure = Figure(figsize=(11, 0.9 + 0.7 * len(timeline.latest)), layout="constrained")
    axis = figure.subplots()
    drawn: set[str] = set()
    names = sorted(timeline.latest, reverse=True)
    for row, process in enumerate(names):
        for activity, begin, until in timeline.latest[process]:
            if activity.startswith(WAITING) or until < end - _SHOWN_SECONDS:
                continue
            label = None if activity in drawn else activity
            drawn.add(activity)
            axis.barh(row, until - begin, left=begin - end, height=0.6, color=_COLORS[activity], label=label)
    waits = [f"{name}\nwaits {shares[name.replace(' ', '_')]:.0%}" for name in names]
    axis.set(xlim=(-_SHOWN_SECONDS, 0), yticks=range(len(names)), yticklabels=waits, xlabel="seconds")
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.25), ncols=len(drawn), frameon=False)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    with ray_session(cpus=3):
        timeline, shares, speed = train([each for each in sys.argv[1:] if "=" in each])
    draw(timeline, shares, PICTURE)
    print(f"{speed:,.0f} transitions learned from per second; waiting:")
    for name, share in shares.items():
        print(f"  {name:<10}{share:7.1%}")
    print(f"timeline: {PICTURE}")
