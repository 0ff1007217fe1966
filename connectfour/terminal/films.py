"""A folder of films: the games of a match as GIFs, named ``NUMBER-FIRST-SECOND.gif``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from connectfour.errors import PictureError
from connectfour.games.position import Position
from connectfour.games.registry import DEFAULT, make_game
from connectfour.matches.records import GameRecord
from connectfour.system.outputs import folder_fault
from connectfour.terminal.drawing import Film, is_film, write_film

_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_FILE_NAME = re.compile(r"[1-9]\d*-[A-Za-z0-9._-]+-[A-Za-z0-9._-]+\.gif")
_MOST_CHARACTERS_OF_A_NAME = 60


def check_films_folder(folder: Path) -> None:
    """Check that films can be written into ``folder``, which may not exist yet.

    Raises:
        PictureError: they cannot.
    """
    fault = folder_fault(folder)
    if fault:
        raise PictureError(f"{fault}: name another folder for the films")


def film_of(record: GameRecord, game: str = DEFAULT, options: Mapping[str, Any] | None = None) -> Film:
    """Return the film of a recorded game; ``game`` and ``options`` make the game, as for ``make_game``.

    Raises:
        GameError: there is no such game.
        PictureError: the game has no picture.
    """
    rules = make_game(game, options)
    position = Position.parse(record.moves, rules)
    film = Film(position, (record.first, record.second), record.ending, len(rules.parse_actions(record.opening)))
    film.picture(0)
    return film


def write_films(
    folder: Path, games: Sequence[GameRecord], game: str = DEFAULT, options: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write each game as a GIF into ``folder``, which is created, and return the files.

    Films that an earlier call left there and that this one does not write again are removed, and nothing else is.

    Raises:
        GameError: there is no such game.
        PictureError: the folder cannot be written, or the game has no picture.
    """
    check_films_folder(folder)
    films = [film_of(record, game, options) for record in games]
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, film in enumerate(films, start=1):
        first, second = map(_safe, film.names)
        file = folder / f"{number}-{first}-{second}.gif"
        write_film(film, file)
        files.append(file)
    for file in folder.iterdir():
        if file not in files and _FILE_NAME.fullmatch(file.name) and is_film(file):
            file.unlink()
    return files


def _safe(name: str) -> str:
    """Return a player's name as a part of a file's name."""
    return _UNSAFE.sub("-", name)[:_MOST_CHARACTERS_OF_A_NAME]
