"""The option that names a game, and the command that lists the games."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from connectfour.system.observer import plain_console

if TYPE_CHECKING:
    from connectfour.settings.game import GameSettings

GameOption = Annotated[
    str | None,
    typer.Option(
        "--game",
        help="Game of heuristics: connect_four, tictactoe, pettingzoo:MODULE, or a class as my_package.nim:Nim; "
        "options follow in parentheses, as in pettingzoo:pettingzoo.classic.go_v5(board_size=5).",
        show_default="that of the first network, else connect_four",
    ),
]


def read_game(name: str | None) -> GameSettings | None:
    """Return the game that an option names; None without one.

    Raises:
        GameError: there is no such game.
    """
    from connectfour.settings.game import GameSettings

    if name is None:
        return None
    game = GameSettings.model_validate(name)
    game.rules  # noqa: B018  # refuses what is no game
    return game


def games(
    names: Annotated[
        list[str] | None, typer.Argument(help="Games to describe.", show_default="the built-in ones")
    ] = None,
) -> None:
    """List games: actions, what a player sees, the most plies, and whether lookahead and grades work."""
    import numpy as np
    from rich.table import Table

    from connectfour.games.registry import BUILT_IN, DEFAULT
    from connectfour.settings.game import GameSettings

    table = Table("game", "actions", "observation", "plies", "encoder", "lookahead", "solved")
    for name in names or BUILT_IN:
        game = GameSettings.model_validate(name).rules
        shape = " x ".join(map(str, game.observation_shape))
        table.add_row(
            name,
            str(game.actions),
            f"{shape} {np.dtype(game.observation_dtype).name}",
            str(game.max_plies),
            game.encoder,
            "yes" if game.searchable else "no",
            "partly" if name == DEFAULT else "yes" if game.solvable else "no",
        )
    plain_console().print(table)
