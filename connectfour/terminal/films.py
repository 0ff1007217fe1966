"""A folder of films: the games of a match as GIFs, named ``NUMBER-FIRST-SECOND.gif``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from connectfour.errors import PictureError
from connectfour.games.connect_four.position import ConnectFourPosition
from connectfour.games.registry import DEFAULT
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


def film_of(record: GameRecord, game: str = DEFAULT) -> Film:
    """Return the film of a recorded game.

    Raises:
        PictureError: the game draws no pictures.
    """
    if game != DEFAULT:
        raise PictureError(f"{game} draws no pictures: only games of {DEFAULT} become films")
    position = ConnectFourPosition.parse(record.moves)
    return Film(position, (record.first, record.second), record.ending, len(record.opening))


def write_films(folder: Path, games: Sequence[GameRecord], game: str = DEFAULT) -> list[Path]:
    """Write each game as a GIF into ``folder``, which is created, and return the files.

    Films that an earlier call left there and that this one does not write again are removed, and nothing else is.

    Raises:
        PictureError: the folder cannot be written, or the game draws no pictures.
    """
    check_films_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, record in enumerate(games, start=1):
        file = folder / f"{number}-{_safe(record.first)}-{_safe(record.second)}.gif"
        write_film(film_of(record, game), file)
        files.append(file)
    for file in folder.iterdir():
        if file not in files and _FILE_NAME.fullmatch(file.name) and is_film(file):
            file.unlink()
    return files


def _safe(name: str) -> str:
    """Return a player's name as a part of a file's name."""
    return _UNSAFE.sub("-", name)[:_MOST_CHARACTERS_OF_A_NAME]
