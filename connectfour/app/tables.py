"""The leaderboard as HTML, and recorded games as views of a board."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from connectfour.app.bundle import RecordedGame
from connectfour.app.sitting import View, board_view
from connectfour.games.result import Result
from connectfour.standings.table import LeaderboardRow

_EMPTY = "<p>This run has not been ranked: <code>connectfour rank RUN</code> writes a leaderboard.</p>"
_SCORES = {Result.WIN: "1:0", Result.DRAW: "½:½", Result.LOSS: "0:1", None: "-"}


def leaderboard_html(rows: Sequence[LeaderboardRow]) -> str:
    """Return the leaderboard as an HTML table."""
    if not rows:
        return _EMPTY
    header = ("", "player", "skill", "± 95 %", "won/drawn/lost", "first", "second", "solved")
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in _cells(row))}</tr>" for row in rows)
    return (
        f'<div class="standings"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
        "<p>Skill in TrueSkill units, from games between the members of the league. First and second: points per game "
        "when moving first and second. Solved: share of solved positions in which the player's move keeps the best "
        "result.</p>"
    )


def _cells(row: LeaderboardRow) -> list[str]:
    return [
        str(row.rank),
        row.player,
        f"{row.mu:.1f}",
        f"{row.interval:.1f}",
        f"{row.wins}/{row.draws}/{row.losses}",
        _decimals(row.win_rate_first),
        _decimals(row.win_rate_second),
        _decimals(row.graded, 3),
    ]


def _decimals(share: float | None, digits: int = 2) -> str:
    return "-" if share is None else f"{share:.{digits}f}"


def picture_html(picture: bytes | None) -> str:
    """Return a PNG as an HTML image that needs no further request; nothing for None."""
    if picture is None:
        return ""
    data = base64.b64encode(picture).decode()
    return (
        '<div class="standings-picture"><img alt="Skills with 95 % intervals, and points between every two players" '
        f'src="data:image/png;base64,{data}"></div>'
    )


def recorded_label(recorded: RecordedGame) -> str:
    """Return the entry of a recorded game in a list."""
    record, moves = recorded.record, len(recorded.game.actions)
    return f"{record.first} - {record.second}  {_SCORES[record.result]} · {moves} moves · no. {record.id}"


def recorded_view(recorded: RecordedGame) -> View:
    """Return what the board shows of a recorded game; the browser steps through it by itself.

    ``texts`` holds the moves of each position, from the empty board on.
    """
    record, game = recorded.record, recorded.game
    return {
        **board_view(game),
        "recorded": True,
        "texts": [game.upto(ply).moves for ply in range(len(game.actions) + 1)],
        "opening": len(game.rules.parse_actions(record.opening)),
        "over": True,
        "names": [record.first, record.second],
        "status": "A draw." if record.result is Result.DRAW else f"{record.ending}.",
        "turn": record.id,
    }
