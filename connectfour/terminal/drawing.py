"""A game as a picture (PNG) or as a film (GIF or MP4) with one frame per move.

Players differ in shape as well as in color. In games with discs, the first player's carry a ring, the second player's a
cross; in games with marks, the first player has X, the second player O.
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
from connectfour.games.picture import Cell, Picture
from connectfour.games.position import Position
from connectfour.system.files import replacing

FORMATS = (".gif", ".mp4", ".png")
_VIDEO_PACKAGES = ("imageio", "imageio_ffmpeg")

_SIZE = (480, 560)  # multiples of 16, as video codecs require
_BOARD = (16, 112, 464, 496)  # where the board may lie: left, top, right, bottom
_SHARPNESS = 3  # factor by which frames are drawn larger and scaled down, to smooth the edges
_COLORS = 64
_SECONDS_PER_MOVE, _SECONDS_AT_THE_END = 0.7, 3.5
_MAKER, _EARLIER_MAKER = b"connectfour:", b"connect_four"
"""How the comment in a GIF of ours begins; earlier releases wrote another one."""

# Colors that can be distinguished with any color vision (Okabe and Ito 2008).
_PAPER, _INK, _FRAME, _HOLE = "#f7f5f0", "#1f2937", "#27496d", "#eef2f7"
_PLAYERS = (("#f0a830", "#8a5a00"), ("#56b4e9", "#0b4a75"))
_LABEL, _HIGHLIGHT = "#8295ab", "#d6006c"

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

    game: Position
    names: tuple[str, str]
    ending: str
    opening: int = 0

    @property
    def length(self) -> int:
        """The number of moves."""
        return len(self.game.actions)

    def picture(self, ply: int) -> Picture:
        """Return the picture of the position after ``ply`` moves.

        Raises:
            PictureError: the game has no picture.
        """
        picture = self.game.upto(ply).picture
        if picture is None:
            raise PictureError(f"{self.game.rules.name} draws no pictures: only games that do become films")
        return picture


def write_film(film: Film, output: Path) -> int:
    """Write ``film`` to ``output``, whole or not at all, and return the number of frames.

    GIF and MP4 show the moves one by one; a PNG shows the last position with the number of the move in each cell.

    Raises:
        PictureError: as ``check_film_file``, or the game has no picture.
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
    last = film.length
    if path.suffix == ".png":
        Image.fromarray(draw_frame(film, last, numbered=True)).save(path)
        return 1
    frames = [draw_frame(film, ply) for ply in range(last + 1)]
    if path.suffix == ".gif":
        _write_gif(frames, path, _MAKER + film.game.rules.name.encode())
    else:
        _write_mp4(frames, path)
    return len(frames)


def _write_gif(frames: Sequence[Frame], path: Path, comment: bytes) -> None:
    """Write frames with a common palette, so that parts that do not change are stored once."""
    palette = Image.fromarray(frames[-1]).quantize(_COLORS, dither=Image.Dither.NONE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    milliseconds = [round(1000 * _SECONDS_PER_MOVE)] * (len(frames) - 1) + [round(1000 * _SECONDS_AT_THE_END)]
    images[0].save(path, save_all=True, append_images=images[1:], duration=milliseconds, loop=0, comment=comment)


def is_film(path: Path) -> bool:
    """Return whether ``path`` is a GIF that ``write_film`` wrote."""
    try:
        with Image.open(path, formats=["GIF"]) as image:
            comment = image.info.get("comment", b"")
            return comment == _EARLIER_MAKER or bytes(comment).startswith(_MAKER)
    except OSError:  # a folder, or no GIF
        return False


def _write_mp4(frames: Sequence[Frame], path: Path) -> None:
    """Write frames at a constant rate, and repeat the last one."""
    import imageio.v3 as iio  # noqa: PLC0415  # only MP4 needs it

    held = [frames[-1]] * round(_SECONDS_AT_THE_END / _SECONDS_PER_MOVE)
    iio.imwrite(path, np.stack([*frames, *held]), fps=1 / _SECONDS_PER_MOVE, output_params=["-loglevel", "error"])


def draw_frame(film: Film, ply: int, *, numbered: bool = False) -> Frame:
    """Draw the position after ``ply`` moves; ``numbered`` writes the number of the move in each cell.

    Raises:
        PictureError: the game has no picture.
    """
    width, height = _SIZE
    image = Image.new("RGB", (width * _SHARPNESS, height * _SHARPNESS), _PAPER)
    pen = _Pen(ImageDraw.Draw(image), film.picture(ply))
    pen.header(film, ply)
    pen.board([film.game.rules.action_name(action) for action in range(film.game.rules.actions)], numbered=numbered)
    note = film.ending if ply == film.length else f"{ply} random opening moves" if 0 < ply == film.opening else ""
    pen.text((width / 2, height - 18), note, 19, anchor="mm")
    return np.asarray(image.resize(_SIZE, Image.Resampling.LANCZOS))


class _Pen:
    """Draws a picture, in units of the final frame."""

    def __init__(self, draw: ImageDraw.ImageDraw, picture: Picture) -> None:
        self._draw, self._picture = draw, picture
        self._drops = picture.kind == "discs"
        left, top, right, bottom = _BOARD
        self._cell = min((right - left) / picture.columns, (bottom - top) / picture.rows)
        self._left = (left + right - picture.columns * self._cell) / 2
        self._top = (top + bottom - picture.rows * self._cell) / 2

    def text(self, at: tuple[float, float], text: str, size: float, *, anchor: str = "lm", color: str = _INK) -> None:
        font = ImageFont.load_default(size * _SHARPNESS)
        self._draw.text((at[0] * _SHARPNESS, at[1] * _SHARPNESS), text, fill=color, font=font, anchor=anchor)

    def header(self, film: Film, ply: int) -> None:
        """Write the players, whose turn it is, and the number and place of the last move."""
        mover = film.game.upto(ply).mover if ply < film.length else None
        for seat, name in enumerate(film.names):
            y = 28 + 36 * seat
            self._piece((34, y), 13, seat)
            if seat == mover:
                self._circle((34, y), 17, outline=_HIGHLIGHT, line=2.5)
            self.text((58, y), name if len(name) <= 26 else f"{name[:25]}…", 21)
        self.text((464, 28), f"move {ply}/{film.length}", 19, anchor="rm")
        if ply:
            action = film.game.rules.action_name(film.game.actions[ply - 1])
            self.text((464, 64), f"{self._picture.place} {action}", 19, anchor="rm")

    def board(self, names: Sequence[str], *, numbered: bool) -> None:
        """Draw the board with the ``names`` of the actions; mark the cell that was filled last, or the winning line."""
        picture, cell = self._picture, self._cell
        right, bottom = self._left + picture.columns * cell, self._top + picture.rows * cell
        frame = (self._left - 8, self._top - 8, right + 8, bottom + 8)
        self._draw.rounded_rectangle(_scaled(frame), radius=14 * _SHARPNESS, fill=_FRAME)
        for row in range(picture.rows):
            for column in range(picture.columns):
                self._hole((row, column))
        for place, name in zip(picture.places, names, strict=True):
            self._label(place, name)
        for number, (place, seat) in enumerate(picture.cells.items(), start=1):
            x, y = self._center(place)
            self._piece((x, y), cell * (13 / 32 if self._drops else 0.3), seat, plain=numbered)
            if numbered and self._drops:
                self.text((x, y), str(number), cell * 11 / 32, anchor="mm")
            elif numbered:
                self.text((x + 0.41 * cell, y + 0.35 * cell), str(number), cell * 0.15, anchor="rm")
        if picture.last and not picture.winning:
            self._emphasize(picture.last, 4)
        for place in picture.winning:
            self._emphasize(place, 6)

    def _label(self, cell: Cell, name: str) -> None:
        """Write the name of an action: below the board for columns, and into empty cells."""
        x, y = self._center(cell)
        if self._drops:
            self.text((x, self._top + self._picture.rows * self._cell + 22), name, 19, anchor="mm")
        elif cell not in self._picture.cells:
            self.text((x, y), name, self._cell * 0.22, anchor="mm", color=_LABEL)

    def _center(self, cell: Cell) -> tuple[float, float]:
        row, column = cell
        return self._left + (column + 0.5) * self._cell, self._top + (row + 0.5) * self._cell

    def _hole(self, cell: Cell) -> None:
        at = self._center(cell)
        if self._drops:
            self._circle(at, self._cell * 13 / 32, fill=_HOLE)
        else:
            self._square(at, fill=_HOLE)

    def _emphasize(self, cell: Cell, line: float) -> None:
        at = self._center(cell)
        if self._drops:
            self._circle(at, self._cell * 7 / 16, outline=_HIGHLIGHT, line=line)
        else:
            self._square(at, outline=_HIGHLIGHT, line=line)

    def _piece(self, at: tuple[float, float], radius: float, seat: int, *, plain: bool = False) -> None:
        """Draw a disc or a mark; a ``plain`` disc leaves room for a number."""
        if self._drops:
            self._disc(at, radius, seat, plain=plain)
        else:
            self._mark(at, radius, seat)

    def _disc(self, at: tuple[float, float], radius: float, seat: int, *, plain: bool) -> None:
        """Draw a disc with its ring or cross."""
        fill, shade = _PLAYERS[seat]
        self._circle(at, radius, fill=fill, outline=shade, line=radius / 9)
        if plain:
            return
        if seat == 0:
            self._circle(at, radius * 0.5, outline=shade, line=radius / 7)
        else:
            self._cross(at, radius * 0.36, shade, radius / 6)

    def _mark(self, at: tuple[float, float], radius: float, seat: int) -> None:
        """Draw an X or an O with an edge in its darker color."""
        for color, less in zip(_PLAYERS[seat][::-1], (0, radius * 0.09), strict=True):
            line = radius * 0.42 - 2 * less
            if seat == 0:
                self._cross(at, radius * 0.8, color, line, round_ends=True)
            else:
                self._circle(at, radius - less, outline=color, line=line)

    def _cross(self, at: tuple[float, float], arm: float, color: str, line: float, *, round_ends: bool = False) -> None:
        x, y = at
        for down in (-arm, arm):
            ends = (x - arm, y - down), (x + arm, y + down)
            self._draw.line(_scaled((*ends[0], *ends[1])), fill=color, width=round(line * _SHARPNESS))
            for end in ends if round_ends else ():
                self._circle(end, line / 2, fill=color)

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

    def _square(
        self, at: tuple[float, float], *, fill: str | None = None, outline: str | None = None, line: float = 1
    ) -> None:
        """Draw a cell, which leaves room for the lines of the board."""
        (x, y), half = at, self._cell / 2 - 3
        box = _scaled((x - half, y - half, x + half, y + half))
        self._draw.rounded_rectangle(
            box, radius=6 * _SHARPNESS, fill=fill, outline=outline, width=max(1, round(line * _SHARPNESS))
        )


def _scaled(numbers: Sequence[float]) -> list[float]:
    return [number * _SHARPNESS for number in numbers]
