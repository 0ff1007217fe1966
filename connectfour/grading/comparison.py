"""Compares runs: main of each, graded on the same positions, and the difference from the first run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connectfour.errors import ConfigError, RunFolderError
from connectfour.games.intervals import difference_interval
from connectfour.grading.grade import Grade, Grades, grade
from connectfour.grading.positions import GradedPositions
from connectfour.grading.solved import graded_positions
from connectfour.players.names import build_player, encode_player
from connectfour.runs.folder import RunFolder
from connectfour.runs.progress import number_in, read_rows


@dataclass(frozen=True)
class Difference:
    """How many of the same ``positions`` only one of two players got right: the discordant pairs.

    Attributes:
        more: positions in which only this run's move preserved the value.
        fewer: positions in which only the first run's did.
        positions: all positions.
    """

    more: int
    fewer: int
    positions: int

    @property
    def share(self) -> float:
        """This run's grade minus the first run's."""
        return (self.more - self.fewer) / self.positions

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference, for paired verdicts (Tango 1998)."""
        return difference_interval(self.more, self.fewer, self.positions)


@dataclass(frozen=True)
class ComparedRun:
    """A run among others.

    Attributes:
        label: the shortest end of its path that no other run has.
        folder: its folder.
        game: name of its game.
        algorithm: its learning algorithm.
        iteration: training iteration in which main, as it was graded, was saved.
        env_steps: env steps sampled by then.
        minutes: minutes of training by then.
        grade: main's grade.
        difference: its difference from the first run; None for the first.
    """

    label: str
    folder: RunFolder
    game: str
    algorithm: str
    iteration: int
    env_steps: int
    minutes: float
    grade: Grade
    difference: Difference | None


def compare_runs(runs: Sequence[Path], positions: str = "test") -> list[ComparedRun]:
    """Grade main of each run, as of its newest checkpoint, on the same positions; ``positions`` as ``load_positions``.

    Raises:
        ConfigError: there are fewer than two runs, or the settings of one cannot be read.
        RunFolderError: a folder holds no run, two are the same, or a run has no progress.
        SnapshotError: a run has no checkpoint yet, or main's file is damaged.
        PositionsError: the positions cannot be read.
    """
    if len(runs) < 2:
        raise ConfigError("a comparison needs two runs or more: name another one")
    labels = _labels(runs)
    games = [RunFolder(run).read_settings([]).game for run in runs]
    other = next((game for game in games if game != games[0]), None)
    if other is not None:
        raise ConfigError(f"{runs[0]} plays {games[0]}, and another run {other}: compare runs of one game")
    solved = graded_positions(games[0].rules, positions)
    found: list[tuple[ComparedRun, Grades]] = []
    for label, run in zip(labels, runs, strict=True):
        found.append(_graded(label, RunFolder(run), solved, found[0][1] if found else None))
    return [compared for compared, _ in found]


def _graded(
    label: str, folder: RunFolder, positions: GradedPositions, first: Grades | None
) -> tuple[ComparedRun, Grades]:
    """Return a run with its difference from ``first``, and the verdicts on its moves."""
    settings = folder.read_settings([])
    main = encode_player(f"snapshot:{folder.path}/main")
    iteration = main.iteration or 0
    rows = [row for row in read_rows(folder.progress) if int(row["iteration"]) <= iteration]
    if not rows:
        raise RunFolderError(
            f"{folder.progress} has no rows up to main's checkpoint: restore it, or leave out this run"
        )
    grades = grade(build_player(main, greedy=True), positions)
    compared = ComparedRun(
        label,
        folder,
        settings.game.name,
        settings.algorithm,
        iteration,
        int(number_in(rows[-1], "env_steps")),
        number_in(rows[-1], "minutes"),
        grades.overall,
        None if first is None else _difference(grades, first),
    )
    return compared, grades


def _difference(grades: Grades, first: Grades) -> Difference:
    mine, other = grades.value_preserving, first.value_preserving
    return Difference(int((mine & ~other).sum()), int((other & ~mine).sum()), len(mine))


def _labels(runs: Sequence[Path]) -> list[str]:
    """Return a label for each run: the shortest end of its path that no other one has.

    Raises:
        RunFolderError: one of them holds no run, or two are the same.
    """
    paths: list[Path] = []
    for run in runs:
        RunFolder(run).check_run()
        path = run.resolve()
        if path in paths:
            raise RunFolderError(f"{runs[paths.index(path)]} and {run} are the same run: name each run once")
        paths.append(path)
    return [_label(path, [other for other in paths if other != path]) for path in paths]


def _label(path: Path, others: Sequence[Path]) -> str:
    ends = (path.parts[-length:] for length in range(1, len(path.parts) + 1))
    return str(Path(*next(end for end in ends if all(other.parts[-len(end) :] != end for other in others))))
