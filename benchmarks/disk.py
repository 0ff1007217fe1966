"""How much disk each configuration takes: ``python -m benchmarks.disk``.

It trains each of ``configs/`` for a minute, and prints what logs would grow by in an hour, and the size of a checkpoint
and of a snapshot. The number of snapshots depends on how fast main improves.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from connectfour.runs.checkpoints import find_checkpoints
from connectfour.settings.reading import load_settings
from connectfour.system.observer import Observer
from connectfour.training.train import train

CONFIGS = Path(__file__).parent.parent / "configs"
_MINUTES = 1.0
_MEGABYTE = 1e6


def size_of(path: Path) -> float:
    """Return the size of a file, or of everything in a folder, in MB."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / _MEGABYTE


def measure(config: Path) -> str:
    """Train one configuration, and return its row of the table."""
    with TemporaryDirectory() as folder:
        settings = load_settings(config, [f"stop.minutes={_MINUTES}"])
        run = train(settings, Path(folder) / "run", observer=Observer()).run
        grows = [*run.path.rglob("result.json"), *run.path.rglob("events.*"), *run.path.rglob("progress.csv")]
        per_hour = sum(map(size_of, grows)) * 60 / _MINUTES
        checkpoint = size_of(next(find_checkpoints(run.checkpoints)))
        snapshot = size_of(next(run.league.glob("main-*")))
    return f"| `{config.name}` | {per_hour:.0f} | {settings.checkpoint.keep} of {checkpoint:.0f} | {snapshot:.1f} |"


if __name__ == "__main__":
    print("| configuration | logs, MB per hour | checkpoints, MB | a snapshot, MB |")
    for config in sorted(CONFIGS.glob("*.yaml")):
        print(measure(config), flush=True)
