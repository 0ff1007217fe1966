"""Features of a board: what an encoder reads. Computing them needs no weights.

The line features are the usual expert features of Connect Four: for each of the 69 lines of four, whether it holds one,
two or three discs of one player and none of the other.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from connectfour.games.connect_four.bitboard import CELLS, ROWS, Bits, four_lines, mirror, to_planes

PLANES = 2
"""Planes of an observation: one per player."""

_PLAYER_TO_MOVE, _OPPONENT = 1, 5
# One sum per line identifies what the line holds: with at most four discs, the weights 1 and 5 never collide.
_SUMS = tuple(weight * discs for weight in (_PLAYER_TO_MOVE, _OPPONENT) for discs in (1, 2, 3))
_SIDE_COLUMNS = 3


class LineFeatures(nn.Module):
    """Line features (batch, 6, 69) of planes (batch, 6, 7, 2).

    Rows 0 to 2 mark the lines that hold one, two or three discs of the player to move and none of the opponent. Rows 3
    to 5 swap the two players. Lines come in mirror order: ``MIRROR_PAIRS`` lines, their mirror images, and the
    ``SYMMETRIC`` lines that are their own mirror image.
    """

    COUNT = len(_SUMS)
    MIRROR_PAIRS = 33
    SYMMETRIC = 3

    cells: Tensor
    sums: Tensor

    def __init__(self) -> None:
        """Build the constant matrix of cells by lines. It is not part of the state dict."""
        super().__init__()
        words = _in_mirror_order(four_lines())
        on_line = to_planes(words, words)[..., 0].reshape(len(words), CELLS).T.astype(np.float32)
        cells = np.stack([_PLAYER_TO_MOVE * on_line, _OPPONENT * on_line], axis=1).reshape(PLANES * CELLS, len(words))
        self.register_buffer("cells", torch.from_numpy(cells), persistent=False)
        self.register_buffer("sums", torch.tensor(_SUMS, dtype=torch.int8)[:, None], persistent=False)

    def forward(self, planes: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the features as int8 zeros and ones.

        The sums are computed in ``dtype``. They are integers up to 20 and therefore exact in every float type.
        """
        held = planes.flatten(1).to(dtype) @ self.cells.to(dtype)
        return (held.to(torch.int8)[:, None, :] == self.sums).to(torch.int8)


def _in_mirror_order(lines: Bits) -> Bits:
    """Return one line of each mirror pair, then their images in the same order, then the symmetric lines."""
    images = mirror(lines)
    return np.concatenate([lines[lines < images], images[lines < images], lines[lines == images]])


class RawPlanes(nn.Module):
    """The observation itself."""

    def forward(self, planes: Tensor, dtype: torch.dtype) -> tuple[Tensor]:  # as others have it
        """Return ``planes`` (batch, *observation_shape) as they are: networks of another precision read them, too."""
        return (planes,)


class MirrorFeatures(nn.Module):
    """Planes and line features, split by what mirroring the board does to them.

    The sum of a feature and its mirror image is even: mirroring the board keeps it. Their difference is odd: mirroring
    the board negates it.
    """

    ODD = PLANES * ROWS * _SIDE_COLUMNS + LineFeatures.COUNT * LineFeatures.MIRROR_PAIRS
    EVEN = ODD + PLANES * ROWS + LineFeatures.COUNT * LineFeatures.SYMMETRIC

    def __init__(self) -> None:
        """Build the line features."""
        super().__init__()
        self.lines = LineFeatures()

    def forward(self, planes: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return even features (batch, ``EVEN``) and odd ones (batch, ``ODD``) of planes (batch, 6, 7, 2)."""
        # Arithmetic on bytes takes a fraction of the time it takes on floats, so the conversion comes last.
        planes = planes.to(torch.int8)
        left, center, right = planes.split_with_sizes([_SIDE_COLUMNS, 1, _SIDE_COLUMNS], dim=2)
        line, image, symmetric = self.lines(planes, dtype).split_with_sizes(
            [LineFeatures.MIRROR_PAIRS, LineFeatures.MIRROR_PAIRS, LineFeatures.SYMMETRIC], dim=2
        )
        right = right.flip(2)
        even = _join([left + right, center, line + image, symmetric])
        odd = _join([left - right, line - image])
        return even.to(dtype), odd.to(dtype)


def _join(features: list[Tensor]) -> Tensor:
    return torch.cat([each.flatten(1) for each in features], dim=1)
