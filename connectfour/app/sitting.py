"""A visitor's game, without a server's memory: the browser keeps it and sends it along, and all of it is checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from connectfour.app.roster import Roster
from connectfour.errors import ConnectFourError, NotationError
from connectfour.games.connect_four.bitboard import CELLS
from connectfour.games.connect_four.game import Game
from connectfour.players.turn import advise, choose_column

Seat = Literal["first", "second", "watch"]
View = dict[str, Any]
"""What the board shows, as JSON."""

HIGHEST_TEMPERATURE = 10.0
_SEATS: tuple[Seat, Seat] = ("first", "second")
_SEEDS = 2**32


@dataclass(frozen=True)
class Sitting:
    """A visitor at a board.

    Attributes:
        game: the moves so far.
        seat: whose discs the visitor plays, or ``watch``.
        opponent: id of the agent whom the visitor plays, or who moves first where the visitor watches.
        other: id of the agent who moves second where the visitor watches.
        temperature: of networks.
        seed: of the agents' chance.
        notice: a sentence for the visitor.
        hint: the column that was asked for, 0-based.
        turn: counts answers, so that the browser sees each as a new one.
    """

    game: Game
    seat: Seat
    opponent: str
    other: str
    temperature: float = 0.0
    seed: int = 0
    notice: str = ""
    hint: int | None = None
    turn: int = 0

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None, seat: str, opponent: str, other: str, temperature: float) -> Sitting:
        """Return the sitting that a browser tells of; a game in it that makes no sense is an empty board.

        ``kept`` is what the board showed last, the rest are the attributes.
        """
        kept = kept if isinstance(kept, Mapping) else {}
        try:
            game = Game.parse(str(kept.get("moves", ""))[:CELLS])
        except NotationError:
            game = Game()
        return cls(
            game,
            _seat(seat),
            opponent,
            other,
            min(max(temperature, 0.0), HIGHEST_TEMPERATURE),
            _number(kept.get("seed")),
            turn=_number(kept.get("turn")),
        )

    @property
    def agents(self) -> tuple[str, str]:
        """Ids of the agents by seat; a visitor sits in for one of them."""
        return self.opponent, self.other if self.seat == "watch" else self.opponent

    @property
    def human(self) -> int | None:
        """The visitor's seat, 0 to move first; None who watches."""
        return {"first": 0, "second": 1, "watch": None}[self.seat]

    def agent_to_move(self) -> bool:
        """Tell whether it is an agent's turn."""
        return not self.game.over and self.game.mover != self.human

    def drop(self, column: object) -> Sitting:
        """Return the sitting after the visitor's disc, or with the reason why it cannot be dropped."""
        if self.agent_to_move():
            return replace(self, notice="It is not your turn.")
        try:
            return replace(self, game=self.game.play(column if isinstance(column, int) else -1))
        except NotationError as error:
            return replace(self, notice=_sentence(error))

    def paste(self, moves: str) -> Sitting:
        """Return the sitting at the position of a move string, or with the reason why it is none.

        Whoever plays is to move there; who watches goes on watching.
        """
        try:
            game = Game.parse(moves)
        except NotationError as error:
            return replace(self, notice=_sentence(error))
        return replace(self, game=game, seat="watch" if self.seat == "watch" else _SEATS[game.mover])

    def take_over(self, moves: object) -> Sitting:
        """Return the sitting at a recorded position, with the visitor to move."""
        return replace(self, seat="first").paste(str(moves)[:CELLS])

    def swap(self, seed: int) -> Sitting:
        """Return the sitting with the visitor on the other side, or the agents changed where the visitor watches."""
        if self.seat == "watch":
            swapped = replace(self, opponent=self.other, other=self.opponent)
        else:
            swapped = replace(self, seat="second" if self.seat == "first" else "first")
        return swapped.settled(seed)

    def settled(self, seed: int) -> Sitting:
        """Return the sitting after its players were changed: who has won a game stays who has won it."""
        return self.restart(seed) if self.game.over else self

    def undo(self) -> Sitting:
        """Return the sitting before the visitor's last move; who watches takes one move back."""
        before = self.game.take_back(self.human)
        return replace(self, game=before, notice="" if before != self.game else "There is no move to take back.")

    def restart(self, seed: int) -> Sitting:
        """Return the sitting at an empty board."""
        return replace(self, game=Game(), seed=seed)

    def advised(self, roster: Roster) -> Sitting:
        """Return the sitting with a hint from the strongest network, or from a search where there is none."""
        if self.game.over:
            return replace(self, notice="The game is over.")
        adviser = roster.player(roster.analyst) if roster.analyst else None
        return replace(self, hint=advise(self.game, adviser).column)

    def answered(self, roster: Roster, *, watched: bool = False) -> Sitting:
        """Return the sitting after the agent's move, if a visitor waits for it, or with ``watched`` watches it."""
        if not self.agent_to_move() or (self.seat == "watch" and not watched):
            return self
        try:
            agent = roster.player(self.agents[self.game.mover], self.temperature)
            return replace(self, game=self.game.play(choose_column(agent, self.game, self.seed)))
        except ConnectFourError as error:
            return replace(self, notice=_sentence(error))

    def view(self, roster: Roster) -> View:
        """Return what the board shows.

        The keys ``moves``, ``seed`` and ``turn`` are the sitting's memory; ``policy`` (7,) and ``chance``, that of the
        first player to win, a draw being half of it, are the analyst's opinion.
        """
        game = self.game
        shown: View = {
            "moves": game.moves,
            "seed": self.seed,
            "turn": self.turn + 1,
            "winning": sorted(map(list, game.winning_cells)),
            "over": game.over,
            "open": [] if self.agent_to_move() else list(game.legal),
            "auto": self.seat == "watch" and not game.over,
            "watch": self.seat == "watch",
            "names": [self._name(0), self._name(1)],
            "status": self._status(),
            "notice": self.notice,
            "hint": self.hint,
            "analyst": roster.analyst,
            "policy": None,
            "chance": None,
        }
        if game.over:
            shown["chance"] = 0.5 if game.winner is None else 1.0 - game.winner
        elif roster.analyst:
            advice = advise(game, roster.player(roster.analyst))
            if advice.value is not None and advice.probabilities is not None:
                chance = (1 + advice.value) / 2
                shown["policy"] = [round(probability, 4) for probability in advice.probabilities]
                shown["chance"] = round(chance if game.mover == 0 else 1 - chance, 4)
        return shown

    def _name(self, seat: int) -> str:
        return "You" if seat == self.human else self.agents[seat]

    def _status(self) -> str:
        game = self.game
        if game.winner is not None:
            return "You win!" if game.winner == self.human else f"{self._name(game.winner)} wins."
        if game.over:
            return "A draw."
        return "Your turn." if game.mover == self.human else f"{self._name(game.mover)} is to move."


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."


def _seat(text: str) -> Seat:
    return "second" if text == "second" else "watch" if text == "watch" else "first"


def _number(value: object) -> int:
    return value % _SEEDS if isinstance(value, int) else 0
