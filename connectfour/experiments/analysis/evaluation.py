"""``eval.csv``: main's policies over the course of a run, graded on solved positions and matched against a ladder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from connectfour.errors import ExperimentError
from connectfour.experiments.analysis.plots import draw_evaluation
from connectfour.experiments.analysis.records import labels_of, read_progress, write_table
from connectfour.experiments.metrics import score_against
from connectfour.experiments.schema import EvaluationSettings
from connectfour.games.contract import Game
from connectfour.games.result import Score
from connectfour.grading.grade import grade, wilson_interval
from connectfour.grading.positions import HALVES, GradedPositions, load_positions
from connectfour.grading.solved import solved_positions
from connectfour.league.history import kept_policies
from connectfour.league.manifest import read_members
from connectfour.league.members import MAIN
from connectfour.matches.arena import play_match
from connectfour.players.contract import Player
from connectfour.players.encoded import EncodedPlayer
from connectfour.players.names import build_player, encode_kept, encode_player, parse_player
from connectfour.runs.folder import RunFolder
from connectfour.system.observer import ConsoleObserver, Observer

_COLUMNS = (
    *("game", "variant", "seed", "player", "iteration", "env_steps", "minutes"),
    *("metric", "value", "low95", "high95", "count"),
)


def evaluate_run(
    run: RunFolder,
    output: Path,
    evaluation: EvaluationSettings,
    variant: str,
    *,
    picture: Path | None = None,
    observer: Observer | None = None,
) -> list[dict[str, Any]]:
    """Evaluate the policies of main that a run has kept (see ``checkpoint.history``), and its last one.

    Networks play their most probable action. All policies meet the same positions, openings and random numbers.

    Args:
        run: the run.
        output: the table to write.
        evaluation: positions, opponents and games.
        variant: what the run is called in the table.
        picture: a PNG file to draw, if any.
        observer: receives progress reports; by default they are printed.

    Returns:
        The rows of the table, the last policy's last. The intervals are those of one policy over positions or games;
        they say nothing about other seeds.

    Raises:
        RunFolderError: the folder holds no run.
        PlayerError: an opponent does not exist.
        PositionsError: the positions cannot be read.
        SnapshotError: the policy of an iteration is damaged.
        ExperimentError: the run's progress cannot be read.
    """
    labels, moments = labels_of(run, variant), _moments(run)
    game = run.read_settings([]).game
    positions = _positions(game.rules, evaluation.positions)
    opponents = {score_against(name): parse_player(name, greedy=True, game=game) for name in evaluation.opponents}
    policies = _policies(run, moments)
    rows: list[dict[str, Any]] = []
    with observer or ConsoleObserver() as reporting:
        for number, policy in enumerate(policies, start=1):
            moment = {"player": policy.name, "iteration": policy.iteration, **moments[policy.iteration or 0]}
            player = build_player(policy, greedy=True)
            measured = (*_grades(player, positions), *_scores(player, opponents, evaluation, game.rules))
            rows += [{**labels, **moment, **each} for each in measured]
            graded = rows[-len(measured)]["value"]
            line = f"{policy.name}: {graded:.3f} {measured[0]['metric']}, {number} of {len(policies)} policies"
            reporting.show(partial(str, line), urgent=number == len(policies))
    write_table(output, _COLUMNS, rows)
    if picture:
        draw_evaluation(rows, f"{variant}, seed {labels['seed']}", picture)
    return rows


def _moments(run: RunFolder) -> dict[int, dict[str, Any]]:
    """Return, by iteration, how far training was."""
    return {
        int(row["iteration"]): {"env_steps": int(row["env_steps"]), "minutes": float(row["minutes"])}
        for row in read_progress(run)
    }


def _policies(run: RunFolder, moments: dict[int, dict[str, Any]]) -> list[EncodedPlayer]:
    """Return what to evaluate, the earliest first."""
    last = encode_player(f"snapshot:{run.path}/{MAIN}")
    iteration = read_members(run)[MAIN].iteration
    kept = [encode_kept(run, each) for each in kept_policies(run.history) if each in moments and each < iteration]
    if iteration not in moments:
        raise ExperimentError(f"{run.progress} does not know iteration {iteration}, main's last: resume {run.path}")
    return [*kept, last]


def _positions(game: Game, source: str) -> GradedPositions | None:
    """Return the solved positions that ``source`` names; None if the game is not solved."""
    return solved_positions(game, source) if source in HALVES else load_positions(source, game)


def _grades(player: Player, positions: GradedPositions | None) -> Iterator[dict[str, Any]]:
    if positions is None:
        return
    graded = grade(player, positions).overall
    for metric, count in (("value_preserving", graded.value_preserving), ("optimal", graded.optimal)):
        yield _row(metric, count / graded.positions, wilson_interval(count, graded.positions), graded.positions)


def _scores(
    player: Player, opponents: dict[str, Player], evaluation: EvaluationSettings, game: Game
) -> Iterator[dict[str, Any]]:
    """Yield the score against the ladder as a whole, then against each opponent."""
    found = {
        metric: play_match(player, opponent, evaluation.games, opening_plies=evaluation.opening_plies, game=game).total
        for metric, opponent in opponents.items()
    }
    if found:
        # Everyone plays the same number of games, so this is the mean of the scores.
        found = {"score": sum(found.values(), start=Score()), **found}
    for metric, score in found.items():
        yield _row(metric, score.share or 0.0, score.interval or (0.0, 1.0), score.games)


def _row(metric: str, value: float, interval: Sequence[float], count: int) -> dict[str, Any]:
    low, high = interval
    return {
        "metric": metric,
        "value": round(value, 5),
        "low95": round(low, 5),
        "high95": round(high, 5),
        "count": count,
    }
