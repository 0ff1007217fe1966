"""The settings of a league: its opponents, and when main is frozen."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from connectfour.settings.base import Settings
from connectfour.storage.address import is_remote

HEURISTIC = "heuristic:"
"""Prefix of a heuristic's name among players."""

_KINDS_WITH_FILES = ("snapshot", "checkpoint", "onnx")


def guest_id(spec: str) -> str:
    """Return the id of a guest in the league: ``q0-v0003`` for ``snapshot:runs/q0/v0003``, ``rival`` for a model."""
    kind, _, path = spec.partition(":")
    if kind == "onnx":
        return re.sub(r"[^A-Za-z0-9_.-]", "-", PurePosixPath(path).stem)
    return "-".join(path.rstrip("/").split("/")[-2:])


class LeagueSettings(Settings):
    """Who plays whom during training, and when main is frozen.

    Earlier releases named opponents by ``heuristics`` and ``guests``, which are still read.
    """

    opponents: tuple[str, ...] = Field(
        tuple(f"{HEURISTIC}{name}" for name in ("random", "always_same", "beat_last", "linear", "tactical")),
        description="players that the pool starts with; none of them is trained: heuristic:NAME, or your own class as "
        "heuristic:my_package.rules:Greedy, and policies that stay in the pool: snapshot:RUN/vN, checkpoint:PATH or "
        "onnx:FILE",
    )
    opponent_count: int = Field(15, ge=2, description="size of the active pool; when full, the oldest member leaves")
    win_rate_threshold: float = Field(
        0.7,
        gt=0,
        le=1,
        description="points per game against the active pool, all opponents weighted equally, above which main is "
        "frozen",
    )
    min_games: int = Field(1000, ge=1, description="minimum games against the pool between two freezes")
    newest_threshold: float = Field(
        0.62, ge=0, le=1, description="points per game against each of the newest snapshots above which main is frozen"
    )
    newest_games: int = Field(400, ge=1, description="latest games against an opponent that main's score counts")
    newest_members: int = Field(2, ge=1, description="how many snapshots count as the newest")
    freeze_error: float = Field(
        0.05,
        gt=0,
        le=1,
        description="probability that main passes one of these thresholds although its score was never above it; "
        "1: no evidence is asked for",
    )
    freeze_every: int | None = Field(
        None, ge=1, description="env steps after which main is frozen regardless of its win rate; null: never"
    )
    revival_probability: float = Field(1 / 6, ge=0, le=1, description="chance that a freeze brings back a heuristic")
    matchmaking: Literal["uniform", "pfsp"] = Field("pfsp", description="pfsp: harder opponents get more games")
    pfsp_floor: float = Field(0.3, ge=0, le=1, description="share of games that pfsp spreads evenly over the pool")

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_names(cls, values: Any) -> Any:
        """Read ``heuristics`` and ``guests`` of earlier releases."""
        if not isinstance(values, dict) or not values.keys() & {"heuristics", "guests"}:
            return values
        if "opponents" in values:
            raise ValueError(
                "league.opponents takes the place of league.heuristics and league.guests: name all of them in "
                "league.opponents"
            )
        usual = [name.removeprefix(HEURISTIC) for name in cls.model_fields["opponents"].default]
        heuristics, guests = values.get("heuristics", usual), values.get("guests", ())
        if not all(isinstance(names, list | tuple) for names in (heuristics, guests)):
            raise ValueError(f"league.heuristics and league.guests are lists, not {heuristics!r} and {guests!r}")
        others = {name: value for name, value in values.items() if name not in {"heuristics", "guests"}}
        return {**others, "opponents": [*(f"{HEURISTIC}{name}" for name in heuristics), *guests]}

    @field_validator("opponents")
    @classmethod
    def _opponents_are_found_from_anywhere(cls, opponents: tuple[str, ...]) -> tuple[str, ...]:
        """Make paths absolute: processes that train have working directories of their own."""
        found = []
        for name in opponents:
            kind, _, rest = name.partition(":")
            if kind not in {"heuristic", *_KINDS_WITH_FILES} or not rest:
                raise ValueError(
                    f"league.opponents names {name!r}: write heuristic:NAME, snapshot:RUN/vN, checkpoint:PATH or "
                    "onnx:FILE"
                )
            found.append(name if kind == "heuristic" or is_remote(rest) else f"{kind}:{Path(rest).absolute()}")
        return tuple(found)

    @property
    def heuristics(self) -> tuple[str, ...]:
        """Names of the opponents that play by rules."""
        return tuple(name.removeprefix(HEURISTIC) for name in self.opponents if name.startswith(HEURISTIC))

    @property
    def guests(self) -> tuple[str, ...]:
        """The other opponents: frozen policies from files, which stay in the pool."""
        return tuple(name for name in self.opponents if not name.startswith(HEURISTIC))

    @model_validator(mode="after")
    def _pool_holds_the_opponents(self) -> LeagueSettings:
        if not self.opponents:
            raise ValueError("league.opponents is empty: name at least one, whom main meets until the first freeze")
        ids = [*self.heuristics, *map(guest_id, self.guests)]
        taken = next((name for name in ids if name == "main" or re.fullmatch(r"v\d+", name)), None)
        if taken:
            raise ValueError(
                f"league.opponents has one with the name {taken}, which is main's or a snapshot's: rename it"
            )
        twice = next((name for name in ids if ids.count(name) > 1), None)
        if twice:
            raise ValueError(f"league.opponents has two with the name {twice}: remove or rename one")
        if len(self.guests) >= self.opponent_count:
            raise ValueError(
                f"{len(self.guests)} guests leave no room in league.opponent_count = {self.opponent_count}: raise it"
            )
        if len(self.opponents) > self.opponent_count:
            raise ValueError(
                f"{len(self.opponents)} opponents do not fit into league.opponent_count = {self.opponent_count}: "
                "raise it or name fewer"
            )
        return self
