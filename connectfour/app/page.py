"""The page: its layout, and the part of a sitting that answers each event."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from importlib import resources
from typing import Any

import gradio as gr

from connectfour.app.bundle import Bundle
from connectfour.app.opponents import Opponents
from connectfour.app.sitting import HIGHEST_TEMPERATURE, Sitting, View, board_view, longest_text
from connectfour.app.tables import leaderboard_html, picture_html, recorded_label, recorded_view
from connectfour.games.contract import Game
from connectfour.games.picture import Picture
from connectfour.games.position import Position

_SEATS = [("Move first", "first"), ("Move second", "second"), ("Watch", "watch")]
_ABOUT = "The server stores nothing of your games."
_ABOUT_CHANCE = """The bar below the board is its estimate of each side's expected points; a draw counts half."""
_MOST_KEYS = 9
_ABOUT_RECORDED = """Games between the strongest players come first. Step through a game with the buttons or the arrow
keys, and play on from any position."""
_SILENT: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}

# Gradio's own themes load fonts from other hosts.
THEME = gr.themes.Soft(
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
)


def _asset(name: str) -> str:
    return (resources.files("connectfour.app") / "static" / name).read_text(encoding="utf-8")


# In the head of the page, because Gradio rewrites the selectors of its own parameter for styles.
HEAD = f"<style>{_asset('page.css')}</style>"


def build_page(bundle: Bundle) -> gr.Blocks:
    """Return the page of a bundle.

    Raises:
        PlayerError: a model or a recorded game is damaged.
        RankingError: the leaderboard is damaged.
    """
    title = f"{bundle.empty.title} league"
    page = gr.Blocks(title=title, analytics_enabled=False)
    with page:
        gr.HTML(f"<h1>{escape(title)}</h1><p>{escape(bundle.title)}</p>", elem_id="title")
        with gr.Tabs(selected="play") as tabs:
            with gr.Tab("Play", id="play"):
                table = _Table(Opponents(bundle), bundle.empty)
            with gr.Tab("Leaderboard", id="leaderboard"):
                gr.HTML(leaderboard_html(bundle.leaderboard), elem_id="standings")
                gr.HTML(picture_html(bundle.picture))
            with gr.Tab("Recorded games", id="games"):
                recorded = _recorded_games(bundle)
        table.listen(page)
        if recorded:
            table.on(
                recorded.take_over, lambda sitting, event: sitting.take_over(event.detail("moves")), changes_seats=True
            )
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
    """Lay out the tab with recorded games, and return its board; None if there are no games."""
    games = {game.record.id: game for game in bundle.games}
    if not games:
        gr.Markdown("No games have been recorded yet: `connectfour rank RUN` plays some.")
        return None
    choices = [(recorded_label(game), number) for number, game in games.items()]
    with gr.Row(elem_classes="table controls-first"):
        with gr.Column(scale=3, min_width=320):
            board = _board("recorded", recorded_view(next(iter(games.values()))))
        with gr.Column(scale=2, min_width=280):
            chosen = gr.Dropdown(choices, value=choices[0][1], label="Game", elem_id="game")
            gr.Markdown(_ABOUT_RECORDED, elem_classes="about-recorded")
    chosen.input(lambda number: recorded_view(games[number]), chosen, board, **_SILENT)
    return board


@dataclass(frozen=True)
class _Event:
    """What a browser sends besides the sitting."""

    moves: str
    data: gr.EventData
    request: gr.Request

    def detail(self, name: str) -> Any:
        """Return a value that the board's script sends with its event, or None."""
        try:
            return getattr(self.data, name)
        except (AttributeError, TypeError):  # the browser may send anything
            return None

    @property
    def linked_moves(self) -> str:
        """The move string in the address of the page, as in ``/?moves=4435``."""
        return str(self.request.query_params.get("moves", ""))


class _Table:
    """The tab in which games are played. Each event sends the whole sitting, and its answer is the next view."""

    def __init__(self, opponents: Opponents, empty: Picture) -> None:
        """Lay out the board, ``empty`` at first, and its controls."""
        self._opponents, rules = opponents, opponents.rules
        strongest = opponents.strongest
        with gr.Row(elem_classes="table"):
            with gr.Column(scale=3, min_width=320):
                self._board = _board("board", {"board": board_view(Position((), rules))["board"]})
            with gr.Column(scale=2, min_width=280):
                self._seat = gr.Radio(_SEATS, value="first", label="You", elem_id="seat")
                self._opponent = gr.Dropdown(
                    opponents.choices,
                    value=strongest,
                    label="Opponent",
                    info="From the weakest to the strongest.",
                    elem_id="opponent",
                )
                self._other = gr.Dropdown(
                    opponents.choices, value=strongest, label="Second player", visible=False, elem_id="other"
                )
                self._temperature = gr.Slider(
                    0,
                    HIGHEST_TEMPERATURE,
                    value=0,
                    step=0.5,
                    label="Temperature",
                    info="At 0, networks always play their best move. Higher temperatures add variety and mistakes.",
                    visible=opponents.analyst is not None,
                    elem_id="temperature",
                )
                self._moves = gr.Textbox(
                    label="Moves",
                    info="Copy them to share this game, or paste some and press Enter.",
                    placeholder=_example(rules),
                    max_length=longest_text(rules),
                    submit_btn="Load",
                    buttons=["copy"],
                    elem_id="moves",
                )
                gr.Markdown(_about(empty, rules, analyzed=opponents.analyst is not None))

    def listen(self, page: gr.Blocks) -> None:
        """Connect the events of this tab. The board sends one at a time."""
        opponents = self._opponents
        self.on(
            page.load,
            lambda sitting, event: replace(sitting, seed=_seed()).paste(event.linked_moves),
            changes_seats=True,
        )
        self.on(self._board.drop, lambda sitting, event: sitting.drop(event.detail("action")))
        self.on(self._board.step, lambda sitting, _: sitting.answered(opponents, watching=True))
        self.on(self._board.undo, lambda sitting, _: sitting.undo())
        self.on(self._board.hint, lambda sitting, _: sitting.advised(opponents))
        self.on(self._board.restart, lambda sitting, _: sitting.restart(_seed()))
        self.on(self._board.swap, lambda sitting, _: sitting.swap(_seed()), changes_seats=True)
        self.on(self._moves.submit, lambda sitting, event: sitting.paste(event.moves), changes_seats=True)
        self.on(self._seat.input, lambda sitting, _: sitting.reseated(_seed()), changes_seats=True)
        for control in (self._opponent, self._other):
            self.on(control.input, lambda sitting, _: sitting.reseated(_seed()))

    def on(
        self, trigger: Callable[..., Any], answer: Callable[[Sitting, _Event], Sitting], *, changes_seats: bool = False
    ) -> None:
        """Answer an event with ``answer``, followed by the agent's move if it is an agent's turn.

        Args:
            trigger: the event of a component.
            answer: returns the sitting after the event.
            changes_seats: also send back who sits where. Other events must not: the visitor may have changed the
                controls in the meantime.
        """
        controls, rules = [self._seat, self._opponent, self._other], self._opponents.rules

        def handle(
            view: View,
            seat: str,
            opponent: str,
            other: str,
            temperature: float,
            moves: str,
            request: gr.Request,
            data: gr.EventData,
        ) -> list[Any]:
            for player in (opponent, other):
                if player not in self._opponents:
                    raise gr.Error(
                        f"There is no player {player!r} here: choose one from the list.", print_exception=False
                    )
            event = _Event(moves or "", data, request)
            sitting = answer(Sitting.of(view, seat, opponent, other, temperature, rules), event)
            seats = _controls(sitting) if changes_seats else []
            sitting = sitting.answered(self._opponents)
            return [sitting.view(self._opponents), sitting.game.moves, *seats]

        trigger(
            handle,
            [self._board, *controls, self._temperature, self._moves],
            [self._board, self._moves, *(controls if changes_seats else [])],
            **_SILENT,
        )


def _controls(sitting: Sitting) -> list[Any]:
    watches = sitting.seat == "watch"
    return [
        gr.update(value=sitting.seat),
        gr.update(value=sitting.opponent, label="First player" if watches else "Opponent"),
        gr.update(value=sitting.other, visible=watches),
    ]


def _about(empty: Picture, rules: Game, *, analyzed: bool) -> str:
    """Return how to play, and what the page shows of the policy if there is one."""
    keys = f" or press 1 to {rules.actions}" if rules.actions <= _MOST_KEYS else ""
    if empty.kind == "discs":
        click, policy = f"Click a column of the board{keys}.", "The bars above the columns are"
    else:
        click, policy = f"Click a cell of the board{keys}.", "The bars in the cells are"
    shown = [f"{policy} the policy of the strongest network.", _ABOUT_CHANCE] if analyzed else []
    return " ".join([click, _ABOUT, *shown])


def _example(rules: Game) -> str:
    """Return a few moves as people write them."""
    game = Position((), rules)
    for _ in range(4):
        game = game if game.over else game.play(game.legal[len(game.legal) // 2])
    return game.moves


def _seed() -> int:
    return secrets.randbelow(2**32)
