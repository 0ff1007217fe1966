"""Games in a terminal: a human at the keyboard against any player."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from connectfour.errors import NotationError
from connectfour.games.connect_four.bitboard import COLUMNS
from connectfour.games.connect_four.game import Game
from connectfour.games.connect_four.notation import FIRST_DISC, SECOND_DISC, ascii_board
from connectfour.players.contract import Player
from connectfour.players.turn import advise, choose_column

_DISCS = (FIRST_DISC, SECOND_DISC)
_STYLES = ("bold yellow", "bold cyan")
_HELP = f"1 to {COLUMNS} drops a disc, u takes your last move back, h gives a hint, n starts a new game, q quits"


class TerminalGame:
    """Games against one agent until the human quits."""

    def __init__(self, agent: Player, seat: int, console: Console, *, game: Game | None = None, seed: int = 0) -> None:
        """Set up the first game.

        Args:
            agent: the opponent.
            seat: the human's seat, 0 to move first.
            console: where to draw.
            game: the position to start from; the empty board by default.
            seed: seed of the agent's chance.
        """
        self._agent, self._seat, self._console, self._seed = agent, seat, console, seed
        self.game = game or Game()

    def run(self, read: Callable[[str], str] = input) -> None:
        """Play until ``q``, the end of the input, or Ctrl-C; ``read`` shows a prompt and returns a line."""
        you, agent = _DISCS[self._seat], _DISCS[1 - self._seat]
        self._console.print(f"You are {you}, {self._agent.name} is {agent}. {_HELP}.", highlight=False, soft_wrap=True)
        self._let_agent_move()
        self._draw()
        try:
            while (line := read(self._prompt()).strip().lower()) != "q":
                self._obey(line)
        except (EOFError, KeyboardInterrupt):
            self._console.print()
        if self.game.columns:
            self._console.print(f"The game so far: {self.game.moves} (continue it with --moves).", highlight=False)

    def _prompt(self) -> str:
        return "n new game, u undo, q quit: " if self.game.over else "your move: "

    def _obey(self, line: str) -> None:
        """Carry out a line of input. A line that makes no sense changes nothing."""
        if line == "u":
            before = self.game.take_back(self._seat)
            if before == self.game:
                self._say("You have no move to take back.")
                return
            self.game = before
        elif line == "n":
            self.game = Game()
            self._seed += 1
        elif line == "h":
            self._say("The game is over." if self.game.over else self._hint())
            return
        elif line.isdecimal():
            try:
                self.game = self.game.play(int(line) - 1)
            except NotationError as error:
                self._say(f"{error}.")
                return
        else:
            self._say(f"{line!r} is not a move: {_HELP}.")
            return
        self._let_agent_move()
        self._draw()

    def _let_agent_move(self) -> None:
        if self.game.over or self.game.mover == self._seat:
            return
        column = choose_column(self._agent, self.game, self._seed)
        self.game = self.game.play(column)
        self._say(f"{self._agent.name} plays {column + 1}.")

    def _hint(self) -> str:
        advice = advise(self.game, self._agent)
        if advice.value is None:
            return f"Hint: column {advice.column + 1}, found by a short search."
        return (
            f"Hint: column {advice.column + 1}. {self._agent.name} expects you to score {(1 + advice.value) / 2:.0%}."
        )

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        """Show the board in color, with the last disc underlined or the winning line inverted."""
        picture = Text(ascii_board(self.game.board))
        width = 2 * COLUMNS
        for (row, column), owner in self.game.cells.items():
            at = row * width + 2 * column
            picture.stylize(_STYLES[owner], at, at + 1)
            if (row, column) in self.game.winning_cells:
                picture.stylize("reverse", at, at + 1)
            elif (row, column) == self.game.last:
                picture.stylize("underline", at, at + 1)
        self._console.print(picture)
        if self.game.over:
            winner = self.game.winner
            self._say(
                "A draw." if winner is None else "You win!" if winner == self._seat else f"{self._agent.name} wins."
            )
