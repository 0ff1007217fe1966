"""Games in a terminal: a human at the keyboard against any player, in any game that is shown as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from connectfour.errors import NotationError, PlayerError
from connectfour.games.picture import MARKS, Picture
from connectfour.games.position import Position
from connectfour.players.contract import Player
from connectfour.players.turn import advise, choose_action

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
            seed: seed of the agent's choices, and of the game's own chance.
        """
        self._agent, self._seat, self._console, self._seed = agent, seat, console, seed
        self.game: Position = replace(game or Position(), chance=seed)

    def run(self, read: Callable[[str], str] = input) -> None:
        """Play until ``q``, the end of the input, or Ctrl-C; ``read`` shows a prompt and returns a line."""
        marks = MARKS if self.game.rules.text(self.game.board) else ("first", "second")
        you, agent = marks[self._seat], marks[1 - self._seat]
        self._say(f"You are {you}, {self._agent.name} is {agent}. {self._help}.")
        self._let_agent_move()
        self._draw()
        try:
            while self._command(line := read(self._prompt()).strip()) != "q":
                self._obey(line)
        except (EOFError, KeyboardInterrupt):
            self._console.print()
        if self.game.actions and not self.game.rules.has_chance:
            self._console.print(f"The game so far: {self.game.moves} (continue it with --moves).", highlight=False)

    @property
    def _drops(self) -> bool:
        """Whether discs drop into columns whose numbers stand below the board."""
        return self.game.picture is not None and self.game.picture.kind == "discs"

    @property
    def _help(self) -> str:
        if self._drops:
            name, actions = self.game.rules.action_name, self.game.rules.actions
            return f"{name(0)} to {name(actions - 1)} drops a disc, {_COMMANDS}"
        return f"a move is one of those that are listed, {_COMMANDS}"

    def _prompt(self) -> str:
        if self.game.over:
            return "n new game, u undo, q quit: "
        if self._drops:
            return "your move: "
        names = [self.game.rules.action_name(action) for action in self.game.legal]
        shown = names if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], "...", names[-1]]
        return f"your move ({' '.join(shown)}): "

    def _obey(self, line: str) -> None:
        """Carry out a line of input. A line that makes no sense changes nothing."""
        command = self._command(line)
        if command == "u":
            before = self.game.take_back(self._seat)
            if before == self.game:
                self._say("You have no move to take back.")
                return
            self.game = before
        elif command == "n":
            self._seed += 1
            self.game = replace(self.game.upto(0), chance=self._seed)
        elif command == "h":
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

    @property
    def _actions(self) -> dict[str, int]:
        """All actions by name."""
        rules = self.game.rules
        return {rules.action_name(action): action for action in range(rules.actions)}

    def _command(self, line: str) -> str | None:
        """Return the command that a line gives; while the game goes on, a move of the same name comes first."""
        if line.lower() not in {"u", "n", "h", "q"} or (line in self._actions and not self.game.over):
            return None
        return line.lower()

    def _action(self, line: str) -> int:
        """Return the action that a line names.

        Raises:
            NotationError: it names none.
        """
        action = self._actions.get(line)
        if action is not None:
            return action
        if self.game.picture and line.isdecimal() and not 0 < int(line) <= self.game.rules.actions:
            return int(line) - 1  # the position says which ones there are
        if not self._drops:
            self.game.rules.parse_actions(line)  # says which names there are
        raise NotationError(f"{line!r} is not a move: {self._help}")

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
        place = f"{self.game.picture.place} " if self.game.picture else ""
        best = place + self.game.rules.action_name(advice.action)
        if advice.value is None:
            return f"Hint: {best}, found by a short search."
        return f"Hint: {best}. {self._agent.name} expects you to score {(1 + advice.value) / 2:.0%}."

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        """Show the position; discs or marks in color, the last one underlined, and the winning line inverted."""
        text = self.game.rules.text(self.game.board)
        if text is not None:
            shown = Text(text)
            if self.game.picture:
                _paint(shown, self.game.picture)
            self._console.print(shown)
        if self.game.over:
            winner = self.game.winner
            self._say(
                "A draw." if winner is None else "You win!" if winner == self._seat else f"{self._agent.name} wins."
            )


def _paint(text: Text, picture: Picture) -> None:
    """Color the text of a board that has one character per cell, with spaces between them; leave others as they are."""
    width = 2 * picture.columns
    lines = text.plain.split("\n")[: picture.rows]
    if len(lines) < picture.rows or any(len(line) != width - 1 for line in lines):
        return
    for (row, column), owner in picture.cells.items():
        at = row * width + 2 * column
        text.stylize(_STYLES[owner], at, at + 1)
        if (row, column) in picture.winning:
            text.stylize("reverse", at, at + 1)
        elif (row, column) == picture.last:
            text.stylize("underline", at, at + 1)
