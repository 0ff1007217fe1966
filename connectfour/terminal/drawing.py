"""A game as a picture (PNG) or as a film (GIF or MP4) with one frame per move.

Discs differ in shape as well as in color: the first player's discs carry a ring, the second player's a cross.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from connectfour.errors import PictureError
from connectfour.games.connect_four import GAME
from connectfour.games.connect_four.bitboard import COLUMNS, ROWS
from connectfour.games.connect_four.position import Cell, ConnectFourPosition
from connectfour.system.files import replacing

FORMATS = (".gif", ".mp4", ".png")
_VIDEO_PACKAGES = ("imageio", "imageio_ffmpeg")

_SIZE = (480, 560)  # multiples of 16, as video codecs require
_CELL, _LEFT, _TOP = 64, 16, 112
_SHARPNESS = 3  # factor by which frames are drawn larger and scaled down, to smooth the edges
_COLORS = 64
_SECONDS_PER_MOVE, _SECONDS_AT_THE_END = 0.7, 3.5
_COMMENT = GAME.encode()

# Colors that can be distinguished with any color vision (Okabe and Ito 2008).
_PAPER, _INK, _FRAME, _HOLE = "#f7f5f0", "#1f2937", "#27496d", "#eef2f7"
_DISCS = (("#f0a830", "#8a5a00"), ("#56b4e9", "#0b4a75"))
_MARK = "#d6006c"

Frame = NDArray[np.uint8]
"""A picture, (height, width, 3) uint8 RGB."""


@dataclass(frozen=True)
class Film:
    """A game to draw.

    Attributes:
        game: all moves.
        names: the players, the one who moved first before the other.
        ending: how the game ended; written below the last position.
        opening: number of moves at the start that were drawn at random.
    """

    game: ConnectFourPosition
    names: tuple[str, str]
    ending: str
    opening: int = 0


def write_film(film: Film, output: Path) -> int:
    """Write ``film`` to ``output``, whole or not at all, and return the number of frames.

    GIF and MP4 show the moves one by one; a PNG shows the last position with the number of its move on each disc.

    Raises:
        PictureError: as ``check_film_file``.
    """
    check_film_file(output)
    with replacing(output) as temporary:
        return _write(film, temporary)


def check_film_file(output: Path) -> None:
    """Check that a film can be written to ``output``.

    Raises:
        PictureError: the format is not supported, a package for it is missing, or the file cannot be written.
    """
    suffix = output.suffix.lower()
    if suffix not in FORMATS:
        raise PictureError(f"{output} has an unsupported format: use {', '.join(FORMATS[:-1])} or {FORMATS[-1]}")
    missing = [name for name in _VIDEO_PACKAGES if find_spec(name) is None]
    if suffix == ".mp4" and missing:
        raise PictureError(
            f"writing {output} needs {missing[0]}: pip install 'connectfour-league[video]', or write a .gif"
        )
    if not output.parent.is_dir():
        raise PictureError(f"{output.parent} does not exist: create it, or name another folder")
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        raise PictureError(f"{output} cannot be written: name a file in a writable folder")


def _write(film: Film, path: Path) -> int:
    last = len(film.game.columns)
    if path.suffix == ".png":
        Image.fromarray(draw_frame(film, last, numbered=True)).save(path)
        return 1
    frames = [draw_frame(film, ply) for ply in range(last + 1)]
    if path.suffix == ".gif":
        _write_gif(frames, path)
    else:
        _write_mp4(frames, path)
    return len(frames)


def _write_gif(frames: Sequence[Frame], path: Path) -> None:
    """Write frames with a common palette, so that parts that do not change are stored once."""
    palette = Image.fromarray(frames[-1]).quantize(_COLORS, dither=Image.Dither.NONE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    milliseconds = [round(1000 * _SECONDS_PER_MOVE)] * (len(frames) - 1) + [round(1000 * _SECONDS_AT_THE_END)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0, comment=_COMMENT)


def is_film(path: Path) -> bool:
    """Return whether ``path`` is a GIF that ``write_film`` wrote."""
    try:
        with Image.open(path, formats=["GIF"]) as image:
            return image.info.get("comment") == _COMMENT
    except OSError:  # a folder, or no GIF
        return False


def _write_mp4(frames: Sequence[Frame], path: Path) -> None:
    """Write frames at a constant rate, and repeat the last one."""
    import imageio.v3 as iio  # noqa: PLC0415  # only MP4 needs it

    held = [frames[-1]] * round(_SECONDS_AT_THE_END / _SECONDS_PER_MOVE)
    iio.imwrite(path, np.stack([*frames, *held]), fps=1 / _SECONDS_PER_MOVE, output_params=["-loglevel", "error"])


def draw_frame(film: Film, ply: int, *, numbered: bool = False) -> Frame:
    """Draw the position after ``ply`` moves; ``numbered`` writes the number of its move on each disc."""
    width, height = _SIZE
    image = Image.new("RGB", (width * _SHARPNESS, height * _SHARPNESS), _PAPER)
    pen = _Pen(ImageDraw.Draw(image))
    game = film.game.upto(ply)
    pen.header(film, ply)
    pen.board(game, numbered=numbered)
    at_end = ply == len(film.game.columns)
    note = film.ending if at_end else f"{ply} random opening moves" if 0 < ply == film.opening else ""
    pen.text((width / 2, height - 18), note, 19, anchor="mm")
    return np.asarray(image.resize(_SIZE, Image.Resampling.LANCZOS))


class _Pen:
    """Draws in units of the final picture."""

    def __init__(self, draw: ImageDraw.ImageDraw) -> None:
        self._draw = draw

    def text(self, at: tuple[float, float], text: str, size: int, *, anchor: str = "lm", color: str = _INK) -> None:
        font = ImageFont.load_default(size * _SHARPNESS)
        self._draw.text((at[0] * _SHARPNESS, at[1] * _SHARPNESS), text, fill=color, font=font, anchor=anchor)

    def header(self, film: Film, ply: int) -> None:
        """Write the players, whose turn it is, and the number and column of the last move."""
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

    def board(self, game: ConnectFourPosition, *, numbered: bool) -> None:
        """Draw the frame, holes and discs; mark the last disc or the winning line."""
        corners = (_LEFT - 8, _TOP - 8, _LEFT + COLUMNS * _CELL + 8, _TOP + ROWS * _CELL + 8)
        self._draw.rounded_rectangle(_scaled(corners), radius=14 * _SHARPNESS, fill=_FRAME)
        for row in range(ROWS):
            for column in range(COLUMNS):
                self._circle(_center((row, column)), 26, fill=_HOLE)
        for number, (cell, seat) in enumerate(game.cells.items(), start=1):
            self.disc(_center(cell), 26, seat, plain=numbered)
            if numbered:
                self.text(_center(cell), str(number), 22, anchor="mm")
        if game.last and not game.winning_cells:
            self._circle(_center(game.last), 28, outline=_MARK, line=4)
        for cell in game.winning_cells:
            self._circle(_center(cell), 28, outline=_MARK, line=6)
        for column in range(COLUMNS):
            self.text((_LEFT + (column + 0.5) * _CELL, _TOP + ROWS * _CELL + 22), str(column + 1), 19, anchor="mm")

    def disc(self, at: tuple[float, float], radius: float, seat: int, *, plain: bool = False) -> None:
        """Draw a disc with its ring or cross; a ``plain`` disc leaves room for a number."""
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


def _center(cell: Cell) -> tuple[float, float]:
    row, column = cell
    return _LEFT + (column + 0.5) * _CELL, _TOP + (row + 0.5) * _CELL


def _scaled(numbers: Sequence[float]) -> list[float]:
    return [number * _SHARPNESS for number in numbers]
