"""A game as pictures: one PNG, or a GIF or MP4 with a frame a move.

Discs differ by shape as well as by colour: a ring is cut into those of who moved first, a cross into the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from connectfour.errors import PictureError
from connectfour.files import replacing
from connectfour.games.connect_four.bitboard import COLUMNS, ROWS
from connectfour.games.connect_four.game import Cell, Game

FORMATS = (".gif", ".mp4", ".png")

_SIZE = (480, 560)  # multiples of 16, which video codecs want
_CELL, _LEFT, _TOP = 64, 16, 112
_SHARPNESS = 3  # drawn larger and scaled down, which smooths the edges
_COLOURS = 64
_SECONDS_A_MOVE, _SECONDS_AT_THE_END = 0.7, 3.5

# Colours that are told apart with any colour vision (Okabe and Ito 2008).
_PAPER, _INK, _FRAME, _HOLE = "#f7f5f0", "#1f2937", "#27496d", "#eef2f7"
_DISCS = (("#f0a830", "#8a5a00"), ("#56b4e9", "#0b4a75"))
_MARK = "#d6006c"

Frame = NDArray[np.uint8]
"""A picture, (height, width, 3)."""


@dataclass(frozen=True)
class Film:
    """A game to be shown.

    Attributes:
        game: its moves.
        names: who moved first, and who second.
        ending: how it ended, to be written under its last position.
        opening: how many of its moves were given, not chosen.
    """

    game: Game
    names: tuple[str, str]
    ending: str
    opening: int = 0


def write_film(film: Film, output: Path) -> int:
    """Write ``film`` to ``output``, and return the number of frames; the file is there whole or not at all.

    GIF and MP4 show the moves one by one, a PNG the last position with the numbers of the moves on the discs.

    Raises:
        PictureError: ``output`` has another ending, or its folder does not exist.
    """
    if output.suffix.lower() not in FORMATS:
        raise PictureError(f"{output} is no picture or film: end its name with {', '.join(FORMATS[:-1])} or .png")
    if not output.parent.is_dir():
        raise PictureError(f"{output.parent} is no folder: make it first, or name another one")
    with replacing(output) as temporary:
        return _write(film, temporary)


def _write(film: Film, path: Path) -> int:
    last = len(film.game.columns)
    if path.suffix == ".png":
        iio.imwrite(path, draw_frame(film, last, numbered=True))
        return 1
    frames = [draw_frame(film, ply) for ply in range(last + 1)]
    if path.suffix == ".gif":
        _write_gif(frames, path)
    else:
        held = [frames[-1]] * round(_SECONDS_AT_THE_END / _SECONDS_A_MOVE)
        iio.imwrite(path, np.stack([*frames, *held]), fps=1 / _SECONDS_A_MOVE, output_params=["-loglevel", "error"])
    return len(frames)


def _write_gif(frames: Sequence[Frame], path: Path) -> None:
    """Write frames with one palette: what does not move is then stored once, which imageio does not do."""
    palette = Image.fromarray(frames[-1]).quantize(_COLOURS, dither=Image.Dither.NONE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    milliseconds = [round(1000 * _SECONDS_A_MOVE)] * (len(frames) - 1) + [round(1000 * _SECONDS_AT_THE_END)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0)


def draw_frame(film: Film, ply: int, *, numbered: bool = False) -> Frame:
    """Draw the position after ``ply`` moves; ``numbered`` writes the number of its move on every disc."""
    width, height = _SIZE
    image = Image.new("RGB", (width * _SHARPNESS, height * _SHARPNESS), _PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    game = film.game.upto(ply)
    pen.header(film, ply)
    pen.board(game, numbered=numbered)
    at_end = ply == len(film.game.columns)
    note = film.ending if at_end else f"{ply} moves were given" if 0 < ply == film.opening else ""
    pen.text((width / 2, height - 18), note, 19, anchor="mm")
    return np.asarray(image.resize(_SIZE, Image.Resampling.LANCZOS))


class _Pen:
    """Draws in units of the final picture."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def text(self, at: tuple[float, float], text: str, size: int, *, anchor: str = "lm", colour: str = _INK) -> None:
        font = ImageFont.load_default(size * _SHARPNESS)
        self._draw.text((at[0] * _SHARPNESS, at[1] * _SHARPNESS), text, fill=colour, font=font, anchor=anchor)

    def header(self, film: Film, ply: int) -> None:
        """Write who plays, whose turn it is, the number of the move and its column."""
        total = len(film.game.columns)
        for seat, name in enumerate(film.names):
            y = 28 + 36 * seat
            self.disc((34, y), 13, seat)
            if ply < total and ply % 2 == seat:
                self._circle((34, y), 17, outline=_MARK, line=2.5)
            self.text((58, y), name if len(name) <= 26 else f"{name[:25]}…", 21)
        self.text((464, 28), f"move {ply}/{total}", 19, anchor="rm")
        if ply:
            self.text((464, 64), f"column {film.game.columns[ply - 1] + 1}", 19, anchor="rm")

    def board(self, game: Game, *, numbered: bool) -> None:
        """Draw frame, holes and discs, ring the last disc, and mark a winning four."""
        corners = (_LEFT - 8, _TOP - 8, _LEFT + COLUMNS * _CELL + 8, _TOP + ROWS * _CELL + 8)
        self._draw.rounded_rectangle(_scaled(corners), radius=14 * _SHARPNESS, fill=_FRAME)
        for row in range(ROWS):
            for column in range(COLUMNS):
                self._circle(_centre((row, column)), 26, fill=_HOLE)
        for number, (cell, seat) in enumerate(game.cells.items(), start=1):
            self.disc(_centre(cell), 26, seat, plain=numbered)
            if numbered:
                self.text(_centre(cell), str(number), 22, anchor="mm")
        if game.last and not game.winning_cells:
            self._circle(_centre(game.last), 28, outline=_MARK, line=4)
        for cell in game.winning_cells:
            self._circle(_centre(cell), 28, outline=_MARK, line=6)
        for column in range(COLUMNS):
            self.text((_LEFT + (column + 0.5) * _CELL, _TOP + ROWS * _CELL + 22), str(column + 1), 19, anchor="mm")

    def disc(self, at: tuple[float, float], radius: float, seat: int, *, plain: bool = False) -> None:
        """Draw a disc with its shape; a plain one keeps only the rim, to leave room for a number."""
        fill, shade = _DISCS[seat]
        self._circle(at, radius, fill=fill, outline=shade, line=radius / 9)
        if plain:
            return
        if seat == 0:
            self._circle(at, radius * 0.5, outline=shade, line=radius / 7)
            return
        x, y = at
        arm = radius * 0.36
        for down in (-arm, arm):
            line = _scaled((x - arm, y - down, x + arm, y + down))
            self._draw.line(line, fill=shade, width=round(radius / 6 * _SHARPNESS))

    def _circle(
        self,
        at: tuple[float, float],
        radius: float,
        *,
        fill: str | None = None,
        outline: str | None = None,
        line: float = 1,
    ) -> None:
        x, y = at
        box = _scaled((x - radius, y - radius, x + radius, y + radius))
        self._draw.ellipse(box, fill=fill, outline=outline, width=max(1, round(line * _SHARPNESS)))


def _centre(cell: Cell) -> tuple[float, float]:
    row, column = cell
    return _LEFT + (column + 0.5) * _CELL, _TOP + (row + 0.5) * _CELL


def _scaled(numbers: Sequence[float]) -> list[float]:
    return [number * _SHARPNESS for number in numbers]
