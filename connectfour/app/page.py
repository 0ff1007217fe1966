"""The page: what a visitor sees, and which part of a sitting answers to what."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

import gradio as gr

from connectfour.app.bundle import Bundle
from connectfour.app.roster import Roster
from connectfour.app.sitting import HIGHEST_TEMPERATURE, Sitting, View
from connectfour.app.tables import leaderboard_html, picture_html, recorded_label, recorded_view
from connectfour.games.connect_four.bitboard import CELLS

_SEATS = [("Move first", "first"), ("Move second", "second"), ("Watch", "watch")]
_ABOUT = "Click a column of the board or press 1 to 7. Nothing you do here is stored."
_ABOUT_BARS = """ The bars over the board are the policy of the strongest network, the bar below it is what it thinks of
your chances, a draw counting half."""
_SILENT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

# Gradio's own themes load fonts from elsewhere.
THEME = gr.themes.Soft(
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
)


def _asset(name: str) -> str:
    return (resources.files("connectfour.app") / "static" / name).read_text(encoding="utf-8")


# As part of the head: Gradio rewrites the selectors of its own parameter for styles.
HEAD = f"<style>{_asset('page.css')}</style>"


def build_page(bundle: Bundle) -> gr.Blocks:
    """Return the page of a bundle.

    Raises:
        PlayerError: a recorded game is damaged.
    """
    page = gr.Blocks(title="Connect Four", analytics_enabled=False)
    with page:
        gr.Markdown(f"# Connect Four\n{bundle.title}")
        with gr.Tabs(selected="play") as tabs:
            with gr.Tab("Play", id="play"):
                table = _Table(Roster(bundle))
            with gr.Tab("Leaderboard", id="leaderboard"):
                gr.HTML(leaderboard_html(bundle.leaderboard), elem_id="standings")
                gr.HTML(picture_html(bundle.picture))
            with gr.Tab("Recorded games", id="games"):
                recorded = _recorded_games(bundle)
        table.listen(page)
        if recorded:
            table.on(recorded.take_over, lambda sitting, asked: sitting.take_over(asked.told("moves")), seats=True)
            recorded.take_over(lambda: gr.Tabs(selected="play"), None, tabs, **_SILENT)
    return page


def _board(elem_id: str, value: View | None) -> gr.HTML:
    return gr.HTML(
        value,
        html_template=_asset("board.html"),
        css_template=_asset("board.css"),
        js_on_load=_asset("board.js"),
        elem_id=elem_id,
    )


def _recorded_games(bundle: Bundle) -> gr.HTML | None:
    """Lay out the tab that steps through recorded games, and return its board."""
    games = {game.record.id: game for game in bundle.games}
    if not games:
        gr.Markdown("No games were recorded: `connectfour rank RUN` plays some.")
        return None
    choices = [(recorded_label(game.record), number) for number, game in games.items()]
    chosen = gr.Dropdown(choices, value=choices[0][1], label="Game", info="Strongest players first.", elem_id="game")
    board = _board("recorded", recorded_view(next(iter(games.values()))))
    chosen.input(lambda number: recorded_view(games[number]), chosen, board, **_SILENT)
    return board


@dataclass(frozen=True)
class _Asked:
    """What comes with an event, and is not part of the sitting."""

    moves: str
    event: gr.EventData
    request: gr.Request

    def told(self, name: str) -> Any:
        """Return what the board's script tells with its event, or None."""
        try:
            return getattr(self.event, name)
        except (AttributeError, TypeError):  # the browser may send anything
            return None

    @property
    def linked_moves(self) -> str:
        """The move string in the address of the page, as in /?moves=4435."""
        return str(self.request.query_params.get("moves", ""))


class _Table:
    """The tab in which games are played; each event sends the whole sitting and is answered with the next view."""

    def __init__(self, roster: Roster) -> None:
        """Lay it out."""
        self._roster = roster
        strongest = roster.strongest
        with gr.Row(elem_classes="table"):
            with gr.Column(scale=3, min_width=320):
                self._board = _board("board", None)
            with gr.Column(scale=2, min_width=280):
                self._seat = gr.Radio(_SEATS, value="first", label="You", elem_id="seat")
                self._opponent = gr.Dropdown(
                    roster.choices, value=strongest, label="Opponent", info="Weakest to strongest.", elem_id="opponent"
                )
                self._other = gr.Dropdown(
                    roster.choices, value=strongest, label="Second player", visible=False, elem_id="other"
                )
                self._temperature = gr.Slider(
                    0,
                    HIGHEST_TEMPERATURE,
                    value=0,
                    step=0.5,
                    label="Temperature",
                    info="0: networks always play their best column. Higher: they vary, and err.",
                    visible=roster.analyst is not None,
                    elem_id="temperature",
                )
                self._moves = gr.Textbox(
                    label="Moves",
                    info="Copy them to share this game, or paste some and press Enter.",
                    placeholder="4435",
                    max_length=CELLS,
                    submit_btn="Load",
                    buttons=["copy"],
                    elem_id="moves",
                )
                gr.Markdown(_ABOUT + (_ABOUT_BARS if roster.analyst else ""))

    def listen(self, page: gr.Blocks) -> None:
        """Wire the events of this tab; the board asks one after the other, and tells which."""
        self.on(page.load, lambda sitting, asked: replace(sitting, seed=_seed()).paste(asked.linked_moves), seats=True)
        self.on(self._board.drop, lambda sitting, asked: sitting.drop(asked.told("column")))
        self.on(self._board.step, lambda sitting, _: sitting.answered(self._roster, watched=True))
        self.on(self._board.undo, lambda sitting, _: sitting.undo())
        self.on(self._board.hint, lambda sitting, _: sitting.advised(self._roster))
        self.on(self._board.restart, lambda sitting, _: sitting.restart(_seed()))
        self.on(self._board.swap, lambda sitting, _: sitting.swap(_seed()), seats=True)
        self.on(self._moves.submit, lambda sitting, asked: sitting.paste(asked.moves), seats=True)
        self.on(self._seat.input, lambda sitting, _: sitting.settled(_seed()), seats=True)
        for control in (self._opponent, self._other):
            self.on(control.input, lambda sitting, _: sitting.settled(_seed()))

    def on(
        self, event: Callable[..., Any], answer: Callable[[Sitting, _Asked], Sitting], *, seats: bool = False
    ) -> None:
        """Answer an event with ``answer``, and then with the agent's move if the visitor waits for one.

        Only an event that changes ``seats`` answers with who sits where: others would undo what was chosen meanwhile.
        """
        controls = [self._seat, self._opponent, self._other]

        def handle(
            kept: View,
            seat: str,
            opponent: str,
            other: str,
            temperature: float,
            moves: str,
            request: gr.Request,
            told: gr.EventData,
        ) -> list[Any]:
            for player in (opponent, other):
                if player not in self._roster:
                    raise gr.Error(
                        f"Nobody here is called {player!r}: choose somebody of the list.", print_exception=False
                    )
            asked = _Asked(moves or "", told, request)
            sitting = answer(Sitting.of(kept, seat, opponent, other, temperature), asked).answered(self._roster)
            return [sitting.view(self._roster), sitting.game.moves, *(_controls(sitting) if seats else [])]

        event(
            handle,
            [self._board, *controls, self._temperature, self._moves],
            [self._board, self._moves, *(controls if seats else [])],
            **_SILENT,
        )


def _controls(sitting: Sitting) -> list[Any]:
    watches = sitting.seat == "watch"
    return [
        gr.update(value=sitting.seat),
        gr.update(value=sitting.opponent, label="First player" if watches else "Opponent"),
        gr.update(value=sitting.other, visible=watches),
    ]


def _seed() -> int:
    return secrets.randbelow(2**32)
