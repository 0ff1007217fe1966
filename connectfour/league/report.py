"""``LeagueReport``: who is in a run's pool now, main's score against each, and who has left it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from connectfour.errors import RunFolderError
from connectfour.games.result import Score
from connectfour.league.manifest import Manifest, read_manifest
from connectfour.league.members import MAIN, Member
from connectfour.runs.folder import RunFolder


class MemberReport(BaseModel):
    """What is known of a member.

    Attributes:
        id: its name in the league.
        kind: heuristic, snapshot or guest.
        iteration: training iteration in which it was frozen; None unless it is a snapshot.
        env_steps: env steps sampled by then.
        joined: iteration in which it joined the pool the last time; 0 for those who were there from the start; None if
            an earlier release did not note it.
        retired: iteration in which it left the pool; None while it is in it, or if that was not noted.
        games: training games that the score counts: the latest ones while it is in the pool, else all of them.
        score: main's points per game against it, None without games.
        graded: share of solved positions in which its best action keeps the result.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    kind: str
    iteration: int | None
    env_steps: int | None
    joined: int | None
    retired: int | None
    games: int
    score: float | None
    graded: float | None


class LeagueReport(BaseModel):
    """A run's league as its manifest describes it: as of the latest freeze or checkpoint.

    Attributes:
        run: the run's folder.
        iteration: training iteration of main's latest checkpoint; None before the first one.
        env_steps: env steps sampled by then.
        graded: main's grade.
        freezes: how often main was frozen.
        active: the pool, the longest-standing first.
        retired: those who have left it, the latest first, and snapshots of other leagues that were never in it.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    iteration: int | None
    env_steps: int | None
    graded: float | None
    freezes: int
    active: tuple[MemberReport, ...]
    retired: tuple[MemberReport, ...]


def report_league(run: Path) -> LeagueReport:
    """Return who is in the pool of the run in folder ``run``, and who has left it.

    Raises:
        RunFolderError: the folder holds no run, or its league has not begun.
        SnapshotError: the league's manifest is damaged.
    """
    folder = RunFolder(run)
    folder.check_run()
    manifest = read_manifest(folder.manifest)
    if manifest is None:
        raise RunFolderError(f"{run} has no league yet: wait for its first checkpoint")
    active, main = set(manifest.active), manifest.main
    members = {member.id: member for member in manifest.members}
    gone = [member for member in manifest.members if member.id not in active]
    gone.sort(key=lambda member: (member.retired or 0, member.iteration), reverse=True)
    return LeagueReport(
        run=str(run),
        iteration=main.iteration if main else None,
        env_steps=main.env_steps if main else None,
        graded=main.graded if main else None,
        freezes=manifest.freezes,
        active=tuple(_report(members[name], _recent(manifest, name)) for name in manifest.active),
        retired=tuple(_report(member, _total(manifest, member.id)) for member in gone),
    )


def _report(member: Member, score: Score) -> MemberReport:
    is_snapshot = member.kind == "snapshot"
    return MemberReport(
        id=member.id,
        kind=member.kind,
        iteration=member.iteration if is_snapshot else None,
        env_steps=member.env_steps if is_snapshot else None,
        joined=member.iteration if is_snapshot and member.joined is None else member.joined,
        retired=member.retired,
        games=score.games,
        score=score.share,
        graded=member.graded,
    )


def _recent(manifest: Manifest, name: str) -> Score:
    """Return main's score in its latest games against a member of the pool."""
    return sum((Score(*counts) for counts in manifest.recent.get(name, ())), Score())


def _total(manifest: Manifest, name: str) -> Score:
    """Return main's score in all games against a member."""
    total = Score()
    for row in manifest.payoff:
        score = Score(row.win, row.draw, row.loss)
        if (row.first, row.second) == (MAIN, name):
            total += score
        elif (row.first, row.second) == (name, MAIN):
            total += score.reversed
    return total
