"""Games in a terminal: a human at the keyboard against any player, in any game that is shown as text."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.text import Text

from connectfour.errors import NotationError, PlayerError
from connectfour.games.connect_four.bitboard import COLUMNS
from connectfour.games.connect_four.notation import FIRST_DISC, SECOND_DISC
from connectfour.games.connect_four.position import ConnectFourPosition
from connectfour.games.position import Position
from connectfour.players.contract import Player
from connectfour.players.turn import advise, choose_action

_DISCS = (FIRST_DISC, SECOND_DISC)
_STYLES = ("bold yellow", "bold cyan")
_COMMANDS = "u takes your last move back, h gives a hint, n starts a new game, q quits"
_MOST_NAMES = 12


class TerminalGame:
    """Games against one agent until the human quits."""

    def __init__(
        self, agent: Player, seat: int, console: Console, *, game: Position | None = None, seed: int = 0
    ) -> None:
        """Set up the first game.

        Args:
            agent: the opponent.
            seat: the human's seat, 0 to move first.
            console: where to draw.
            game: the position to start from; the empty board of Connect Four by default.
            seed: seed of the agent's chance.
        """
        self._agent, self._seat, self._console, self._seed = agent, seat, console, seed
        self.game: Position = game or ConnectFourPosition()

    def run(self, read: Callable[[str], str] = input) -> None:
        """Play until ``q``, the end of the input, or Ctrl-C; ``read`` shows a prompt and returns a line."""
        marks = _DISCS if self.game.rules.text(self.game.board) else ("first", "second")
        you, agent = marks[self._seat], marks[1 - self._seat]
        self._say(f"You are {you}, {self._agent.name} is {agent}. {self._help}.")
        self._let_agent_move()
        self._draw()
        try:
            while (line := read(self._prompt()).strip().lower()) != "q":
                self._obey(line)
        except (EOFError, KeyboardInterrupt):
            self._console.print()
        if self.game.actions:
            self._console.print(f"The game so far: {self.game.moves} (continue it with --moves).", highlight=False)

    @property
    def _help(self) -> str:
        if isinstance(self.game, ConnectFourPosition):
            return f"1 to {COLUMNS} drops a disc, {_COMMANDS}"
        return f"a move is one of those that are listed, {_COMMANDS}"

    def _prompt(self) -> str:
        if self.game.over:
            return "n new game, u undo, q quit: "
        if isinstance(self.game, ConnectFourPosition):
            return "your move: "
        names = [self.game.rules.action_name(action) for action in self.game.legal]
        shown = names if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], "...", names[-1]]
        return f"your move ({' '.join(shown)}): "

    def _obey(self, line: str) -> None:
        """Carry out a line of input. A line that makes no sense changes nothing."""
        if line == "u":
            before = self.game.take_back(self._seat)
            if before == self.game:
                self._say("You have no move to take back.")
                return
            self.game = before
        elif line == "n":
            self.game = self.game.upto(0)
            self._seed += 1
        elif line == "h":
            self._say("The game is over." if self.game.over else self._hint())
            return
        else:
            try:
                self.game = self.game.play(self._action(line))
            except NotationError as error:
                self._say(f"{error}.")
                return
        self._let_agent_move()
        self._draw()

    def _action(self, line: str) -> int:
        """Return the action that a line names.

        Raises:
            NotationError: it names none.
        """
        if isinstance(self.game, ConnectFourPosition):
            if line.isdecimal():
                return int(line) - 1
            raise NotationError(f"{line!r} is not a move: {self._help}")
        actions = self.game.rules.parse_actions(line)
        if len(actions) != 1:
            raise NotationError(f"{line!r} is not a move: {self._help}")
        return actions[0]

    def _let_agent_move(self) -> None:
        while not self.game.over and self.game.mover != self._seat:
            action = choose_action(self._agent, self.game, self._seed)
            self.game = self.game.play(action)
            self._say(f"{self._agent.name} plays {self.game.rules.action_name(action)}.")

    def _hint(self) -> str:
        try:
            advice = advise(self.game, self._agent)
        except PlayerError as error:
            return f"There is no hint: {error}."
        column = "column " if isinstance(self.game, ConnectFourPosition) else ""
        best = column + self.game.rules.action_name(advice.action)
        if advice.value is None:
            return f"Hint: {best}, found by a short search."
        return f"Hint: {best}. {self._agent.name} expects you to score {(1 + advice.value) / 2:.0%}."

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        """Show the position; discs in color, the last one underlined, and the winning line inverted."""
        text = self.game.rules.text(self.game.board)
        if text is not None:
            picture = Text(text)
            if isinstance(self.game, ConnectFourPosition):
                _paint(picture, self.game)
            self._console.print(picture)
        if self.game.over:
            winner = self.game.winner
            self._say(
                "A draw." if winner is None else "You win!" if winner == self._seat else f"{self._agent.name} wins."
            )


def _paint(picture: Text, game: ConnectFourPosition) -> None:
    width = 2 * COLUMNS
    for (row, column), owner in game.cells.items():
        at = row * width + 2 * column
        picture.stylize(_STYLES[owner], at, at + 1)
        if (row, column) in game.winning_cells:
            picture.stylize("reverse", at, at + 1)
        elif (row, column) == game.last:
            picture.stylize("underline", at, at + 1)
