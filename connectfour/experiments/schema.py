"""The settings of an experiment, as pydantic models. Field descriptions are the documentation."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectfour.games.contract import Game
from connectfour.games.registry import DEFAULT
from connectfour.settings.base import Settings
from connectfour.settings.game import GameSettings
from connectfour.settings.resources import Demand

NAME = r"[A-Za-z0-9][A-Za-z0-9_.,=+-]*"
"""Names of experiments and variants: they become names of folders."""

EVALUATED = ("value_preserving", "optimal", "score")
"""What is evaluated: moves that keep the result, moves that keep the exact score, points per game against the ladder.

These compare runs; a run's own win rate does not, because it is against its own pool.
"""


class EvaluationSettings(Settings):
    """How runs are evaluated after training."""

    positions: str = Field(
        "test",
        description="graded positions: test or dev, the packaged halves, or a CSV file of moves and a score per action",
    )
    points: int = Field(10, ge=2, le=1000, description="how many policies of main are evaluated, evenly over the run")
    opponents: tuple[str, ...] = Field(
        ("heuristic:minimax:2", "heuristic:minimax:4"),
        min_length=1,
        description="the ladder: players that each policy meets",
    )
    games: int = Field(100, ge=2, description="games against each of them, half of them from each seat")
    opening_plies: int = Field(4, ge=0, le=30, description="random plies before these games")
    metric: str = Field(
        "value_preserving",
        description="what decides between variants: value_preserving, optimal or score (points per game against the "
        "ladder)",
    )


class ExampleSettings(Settings):
    """Example games of each run's main, as films."""

    opponent: str = Field("heuristic:minimax:4", description="whom main meets")
    games: int = Field(2, ge=0, description="games to draw, the first with main to move first; 0: none")


class TableSettings(Settings):
    """The league table in which the best member of each run meets the others."""

    games: int = Field(100, ge=0, description="games per player; 0: no table")


class ResourceSettings(Settings):
    """Where steps run."""

    ray: Literal["private", "shared"] = Field(
        "private",
        description="private: each step starts its own Ray with the cores that it holds; shared: training and the "
        "league table join the experiment's Ray, on many nodes if there are, and their steps hold nothing",
    )
    train: Demand = Field(Demand(), description="a training run")
    evaluate: Demand = Field(Demand(num_cpus=1), description="evaluating a run, and its example games")
    league: Demand = Field(Demand(), description="the league table")

    @model_validator(mode="after")
    def _shared_steps_ask_for_nothing(self) -> ResourceSettings:
        for name, demand in (("train", self.train), ("league", self.league)):
            idle = demand.num_gpus or demand.memory_gb or demand.tags
            if self.ray == "shared" and idle:
                advice = "write them as train: {resources.trainer...}" if name == "train" else "leave them out"
                raise ValueError(
                    f"resources.{name} asks for GPUs, memory or tags, which a step with resources.ray = shared does "
                    f"not hold: {advice}, or set resources.ray=private"
                )
        return self


class ExperimentSettings(Settings):
    """What an experiment file says."""

    game: GameSettings = GameSettings()
    question: str = Field(description="the question that the experiment answers, as a sentence")
    config: Path | None = Field(
        None, description="the runs' configuration, relative to this file; a variant may name another one"
    )
    train: dict[str, Any] = Field({}, description="settings of all runs, which take precedence over config")
    runs: int = Field(4, ge=1, description="number of runs per variant, each with its own seed")
    first_seed: int = Field(0, ge=0, description="seed of each variant's first run")
    variants: dict[str, dict[str, Any]] = Field(
        {}, description="by name, the settings in which a variant differs, and config if it has its own"
    )
    grid: dict[str, tuple[Any, ...]] = Field(
        {}, description="settings with several values each: every combination is a variant, or one of each variant"
    )
    evaluation: EvaluationSettings = EvaluationSettings()
    evaluate_if: str | None = Field(
        None,
        description="condition on a run's last iteration, such as win_rate > 0.7 and league_size >= 8: other runs are "
        "not evaluated",
    )
    examples: ExampleSettings = ExampleSettings()
    league: TableSettings = TableSettings()
    plots: tuple[str, ...] = Field(
        ("value_preserving", "score", "league_size"),
        description="what to plot over env steps and minutes: evaluated metrics, or columns of train.csv",
    )
    storage: Literal["machine", "shared"] = Field(
        "machine",
        description="who sees the experiment's folder. machine: this machine alone, on which all steps then run; "
        "shared: every node of the cluster, so steps run on any of them. A folder in an object store is seen by all",
    )
    retries: int = Field(1, ge=0, description="how often a step that fails is tried again")
    resources: ResourceSettings = ResourceSettings()

    @model_validator(mode="before")
    @classmethod
    def _defaults_follow_the_game(cls, values: Any) -> Any:
        """Fill in what has another default in this game."""
        if not isinstance(values, dict) or values.get("game") in (None, DEFAULT, {}):
            return values
        filled = dict(values)
        for section, defaults in _defaults_of(GameSettings.model_validate(values["game"]).rules).items():
            given = filled.get(section)
            if isinstance(defaults, dict):
                filled[section] = {**defaults, **given} if isinstance(given, dict) else given or defaults
            else:
                filled.setdefault(section, defaults)
        return filled

    @model_validator(mode="after")
    def _game_fits(self) -> ExperimentSettings:
        game, metric = self.game.rules, self.evaluation.metric
        if self.examples.games and game.picture(()) is None:
            raise ValueError(f"examples.games = {self.examples.games}, but {game.name} draws no pictures: set it to 0")
        if metric != "score" and game.name != DEFAULT and not game.solvable:
            raise ValueError(f"evaluation.metric = {metric} needs solved positions, which {game.name} lacks: set score")
        plies = self.evaluation.opening_plies
        if plies and game.has_chance:
            raise ValueError(
                f"evaluation.opening_plies = {plies} is not allowed, because chance plays along in {game.name}: set it "
                "to 0"
            )
        return self

    @field_validator("question")
    @classmethod
    def _question_is_there(cls, question: str) -> str:
        if not question.strip():
            raise ValueError("question is empty: write what the experiment is to find out, as a sentence")
        return " ".join(question.split())

    @field_validator("grid")
    @classmethod
    def _grid_has_values(cls, grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for name, values in grid.items():
            if not values:
                raise ValueError(f"grid.{name} has no values: list some, or leave it out")
        return grid

    @model_validator(mode="after")
    def _metric_compares_runs(self) -> ExperimentSettings:
        if self.evaluation.metric not in EVALUATED:
            raise ValueError(
                f"evaluation.metric = {self.evaluation.metric} cannot compare runs: choose {', '.join(EVALUATED)} "
                "(a run's own win rate is against its own pool)"
            )
        return self

    @property
    def combinations(self) -> list[tuple[str, dict[str, Any]]]:
        """The variants by name, with the settings in which each differs; ``all`` if there is only one."""
        named = list(self.variants.items()) or [("", {})]
        cells = [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]
        found = []
        for name, changes in named:
            for cell in cells:
                label = ",".join(f"{key.rpartition('.')[2]}={_text(value)}" for key, value in cell.items())
                found.append((",".join(filter(None, (name, label))) or "all", {**changes, **cell}))
        return found


def ladder_of(game: Game) -> tuple[str, ...]:
    """Return the opponents that policies meet by default: the anchors of the game but the first, if there are more."""
    if game.name == DEFAULT:
        usual: tuple[str, ...] = EvaluationSettings().opponents
        return usual
    return tuple(f"heuristic:{name}" for name in game.anchors[1:] or game.anchors)


def _defaults_of(game: Game) -> dict[str, Any]:
    """Return the settings of an experiment that have another default in ``game``."""
    if game.name == DEFAULT:
        return {}
    ladder = ladder_of(game)
    evaluation: dict[str, Any] = {"opponents": ladder, "opening_plies": game.opening_plies}
    examples: dict[str, Any] = {"opponent": ladder[-1]}
    if game.picture(()) is None:
        examples["games"] = 0
    found: dict[str, Any] = {"evaluation": evaluation, "examples": examples}
    if not game.solvable:
        evaluation["metric"] = "score"
        found["plots"] = ["score", "league_size"]
    return found


def _text(value: Any) -> str:
    """Return a value as a part of a variant's name."""
    return "+".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
