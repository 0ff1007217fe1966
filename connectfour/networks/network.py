"""Policy and value networks in plain Torch, from PettingZoo's observation to masked logits and a value.

The line features of the default encoder follow the usual expert features of Connect Four: for each of the 69 lines of
four, whether it holds 1, 2 or 3 own discs and none of the opponent's, and the reverse. Connect Four is the same game in
a mirror; this encoder is built so that its policy and value are, too.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from connectfour.config import NetworkSettings
from connectfour.games.connect_four.bitboard import CELLS, COLUMNS, ROWS, Bits, four_lines, mirror, to_planes

ILLEGAL_LOGIT = torch.finfo(torch.float32).min
"""Logit of an illegal column: finite, so that a row without a legal column gives no NaN."""

_PLANES = 2


Prepared = tuple[Tensor, ...]
Precision = Literal["auto", "float32", "bfloat16"]


class NetworkOutput(NamedTuple):
    """What a forward pass returns: ``logits`` (batch, 7) float32 and ``value`` (batch,) float32 in [-1, 1]."""

    logits: Tensor
    value: Tensor


@cache
def multiplies_bfloat16(device_type: str) -> bool:
    """Tell whether a kind of device has instructions for bfloat16, so that it is faster than float32 there."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Torch says publicly only whether bfloat16 can be computed at all, not whether it is fast.
    fast: bool = device_type == "cpu" and torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
    return fast


def mask_logits(logits: Tensor, action_mask: Tensor) -> Tensor:
    """Return ``logits`` (batch, 7) with ``ILLEGAL_LOGIT`` where ``action_mask`` (batch, 7) is 0; inputs stay as are."""
    return torch.where(action_mask != 0, logits, ILLEGAL_LOGIT)


class LineFeatures(nn.Module):
    """Planes (batch, 6, 7, 2) to line features (batch, 6, 69): 1 where a line holds what the row asks for.

    The rows are 1, 2 and 3 discs of the player to move and none of the opponent's, then the same for the opponent. The
    lines are ordered so that ``MIRROR_PAIRS`` lines, then their mirror images, then the symmetric ones follow.
    """

    MIRROR_PAIRS = 33
    SYMMETRIC = 3

    cells: Tensor
    codes: Tensor

    def __init__(self) -> None:
        """Build the constant matrix of cells and lines; it is no weight and not saved."""
        super().__init__()
        words = _mirror_ordered(four_lines())
        on_line = to_planes(words, words)[..., 0].reshape(len(words), CELLS).T.astype(np.float32)
        # An own disc counts 1 and the opponent's 5, so that one product tells apart what a line holds.
        cells = np.stack([on_line, 5 * on_line], axis=1).reshape(_PLANES * CELLS, len(words))
        self.register_buffer("cells", torch.from_numpy(cells), persistent=False)
        codes = torch.tensor([1, 2, 3, 5, 10, 15], dtype=torch.int8)
        self.register_buffer("codes", codes[:, None], persistent=False)

    def forward(self, planes: Tensor, dtype: torch.dtype) -> Tensor:
        """Compare what each line holds with what each row asks for, int8.

        The sums are computed in ``dtype``; they are small whole numbers, exact in any float type.
        """
        held = planes.flatten(1).to(dtype) @ self.cells.to(dtype)
        return (held.to(torch.int8)[:, None, :] == self.codes).to(torch.int8)


def _mirror_ordered(lines: Bits) -> Bits:
    """Return ``lines`` with one of each mirror pair, then the others in the same order, then the symmetric ones."""
    images = mirror(lines)
    return np.concatenate([lines[lines < images], images[lines < images], lines[lines == images]])


class Planes(nn.Module):
    """Planes (batch, 6, 7, 2) as they are."""

    def forward(self, planes: Tensor, dtype: torch.dtype) -> tuple[Tensor]:
        """Return them in ``dtype``."""
        return (planes.to(dtype),)


class MirrorFeatures(nn.Module):
    """Planes (batch, 6, 7, 2) to features that mirroring the board keeps, ``even``, and that it negates, ``odd``.

    A feature and its mirror image are told by their sum and their difference.
    """

    even_size = _PLANES * ROWS * 4 + 6 * (LineFeatures.MIRROR_PAIRS + LineFeatures.SYMMETRIC)
    odd_size = _PLANES * ROWS * 3 + 6 * LineFeatures.MIRROR_PAIRS

    def __init__(self) -> None:
        """Build the line features."""
        super().__init__()
        self.lines = LineFeatures()

    def forward(self, planes: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return even (batch, even_size) and odd (batch, odd_size) features in ``dtype``."""
        # Bytes until the end: they take a fraction of the time of floats.
        planes = planes.to(torch.int8)
        pairs, lines = LineFeatures.MIRROR_PAIRS, self.lines(planes, dtype)
        left, centre, right = planes[:, :, :3], planes[:, :, 3], planes[:, :, 4:].flip(2)
        line, image, symmetric = lines[..., :pairs], lines[..., pairs : 2 * pairs], lines[..., 2 * pairs :]
        even = [(left + right), centre, (line + image), symmetric]
        odd = [(left - right), (line - image)]
        joined = (torch.cat([part.flatten(1) for part in parts], dim=1) for parts in (even, odd))
        even_features, odd_features = (features.to(dtype) for features in joined)
        return even_features, odd_features


class MirrorLayer(nn.Module):
    """A linear map that commutes with mirroring the board, then ReLU, at half the arithmetic of a dense layer.

    In sums and differences of mirrored features such a map falls into two blocks (Schur's lemma for the group of two
    elements; Cohen & Welling 2016 for networks): even ones stay even, odd ones stay odd. ReLU needs the features of the
    board and of its mirror image themselves.
    """

    def __init__(self, even: int, odd: int, out: int) -> None:
        """Map ``even`` and ``odd`` features to ``out`` of each."""
        super().__init__()
        self.even = nn.Linear(even, out)
        self.odd = nn.Linear(odd, out, bias=False)
        for block in (self.even, self.odd):
            nn.init.orthogonal_(block.weight, gain=2**-0.5)
        nn.init.zeros_(self.even.bias)

    def forward(self, even: Tensor, odd: Tensor) -> tuple[Tensor, Tensor]:
        """Return even and odd features (batch, out)."""
        kept, negated = self.even(even), self.odd(odd)
        upright, mirrored = torch.relu_(kept + negated), torch.relu_(kept - negated)
        return upright + mirrored, upright - mirrored


class MirrorEncoder(nn.Module):
    """Line features through mirror layers; the first half of the output is even, the second odd."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Build ``layers`` layers of ``width`` units."""
        super().__init__()
        half = settings.width // 2
        sizes = [(MirrorFeatures.even_size, MirrorFeatures.odd_size), *[(half, half)] * (settings.layers - 1)]
        self.layers = nn.ModuleList(MirrorLayer(even, odd, half) for even, odd in sizes)

    def forward(self, even: Tensor, odd: Tensor) -> Tensor:
        """Map ``MirrorFeatures`` to (batch, width)."""
        for layer in self.layers:
            even, odd = layer(even, odd)
        return torch.cat([even, odd], dim=1)


class MirrorPolicyHead(nn.Module):
    """Logits that are mirrored when the board is."""

    def __init__(self, width: int) -> None:
        """Read a ``MirrorEncoder`` of ``width`` units."""
        super().__init__()
        self.even = nn.Linear(width // 2, COLUMNS // 2 + 1)
        self.odd = nn.Linear(width // 2, COLUMNS // 2, bias=False)
        _start_head(self.even, 0.01)
        _start_head(self.odd, 0.01)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, width) to logits (batch, 7)."""
        even, odd = features.chunk(2, dim=1)
        kept, negated = self.even(even), self.odd(odd)
        sides, centre = kept[:, :-1], kept[:, -1:]
        return torch.cat([sides + negated, centre, (sides - negated).flip(1)], dim=1)


class MirrorValueHead(nn.Module):
    """A value that stays when the board is mirrored."""

    def __init__(self, width: int) -> None:
        """Read a ``MirrorEncoder`` of ``width`` units."""
        super().__init__()
        self.even = nn.Linear(width // 2, 1)
        _start_head(self.even, 0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, width) to values (batch, 1)."""
        value: Tensor = self.even(features[:, : features.shape[1] // 2])
        return value


def _start_head(head: nn.Linear, gain: float) -> None:
    nn.init.orthogonal_(head.weight, gain=gain)
    if head.bias is not None:
        nn.init.zeros_(head.bias)


class DenseEncoder(nn.Sequential):
    """The planes alone through dense layers."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Build ``layers`` layers of ``width`` units."""
        super().__init__(nn.Flatten())
        size = _PLANES * CELLS
        for _ in range(settings.layers):
            linear = nn.Linear(size, settings.width)
            nn.init.orthogonal_(linear.weight, gain=2**0.5)
            nn.init.zeros_(linear.bias)
            self.extend([linear, nn.ReLU()])
            size = settings.width


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a skip connection, without batch statistics (their history would be state)."""

    def __init__(self, channels: int) -> None:
        """Start close to the identity."""
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Map (batch, channels, 6, 7) to the same shape."""
        out: Tensor = torch.relu(features + self.second(torch.relu(self.first(features))))
        return out


class ResidualEncoder(nn.Module):
    """A tower of residual blocks over the planes, flattened to (batch, width * 42)."""

    def __init__(self, settings: NetworkSettings) -> None:
        """Build ``layers`` blocks of ``width`` channels."""
        super().__init__()
        self.stem = nn.Conv2d(_PLANES, settings.width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(settings.width) for _ in range(settings.layers)))

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes (batch, 6, 7, 2) to features."""
        features: Tensor = self.blocks(torch.relu(self.stem(planes.permute(0, 3, 1, 2))))
        return features.flatten(1)


class ConnectFourNetwork(nn.Module):
    """An encoder with a policy head and a value head.

    Attributes:
        settings: what it was built from.
        precision: what the encoder computes in; weights and heads stay float32, and it is no part of a snapshot.
    """

    def __init__(self, settings: NetworkSettings, *, precision: Precision = "float32") -> None:
        """Build the network; its weights come from Torch's global generator."""
        super().__init__()
        self.settings = settings
        self.precision = precision
        self.features: MirrorFeatures | Planes = Planes()
        self.encoder: nn.Module
        self.policy_head: nn.Module
        self.value_head: nn.Module
        if settings.encoder == "lines":
            self.features, self.encoder = MirrorFeatures(), MirrorEncoder(settings)
            self.policy_head, self.value_head = MirrorPolicyHead(settings.width), MirrorValueHead(settings.width)
            return
        if settings.encoder == "resnet":
            self.encoder, size = ResidualEncoder(settings), settings.width * CELLS
        else:
            self.encoder, size = DenseEncoder(settings), settings.width
        policy_head, value_head = nn.Linear(size, COLUMNS), nn.Linear(size, 1)
        _start_head(policy_head, 0.01)
        _start_head(value_head, 1.0)
        self.policy_head, self.value_head = policy_head, value_head

    def forward(self, observation: Tensor, action_mask: Tensor) -> NetworkOutput:
        """Evaluate positions, seen by the player to move.

        Args:
            observation: PettingZoo planes (batch, 6, 7, 2), any dtype.
            action_mask: 1 where a column is legal (batch, 7), any dtype; a row of zeros is allowed.
        """
        return self.evaluate(self.prepare(observation), action_mask)

    def prepare(self, observation: Tensor) -> Prepared:
        """Return what the encoder reads: the same for all networks of one encoder, whatever their weights."""
        prepared: Prepared = self.features(observation, self._dtype(observation.device))
        return prepared

    def evaluate(self, prepared: Prepared, action_mask: Tensor) -> NetworkOutput:
        """Evaluate positions that a network of the same encoder has prepared."""
        features = self._encode(prepared)
        return NetworkOutput(self.policy_logits(features, action_mask), self.value(features))

    def encode(self, observation: Tensor) -> Tensor:
        """Return what both heads read, (batch, features) float32."""
        return self._encode(self.prepare(observation))

    def _encode(self, prepared: Prepared) -> Tensor:
        device = prepared[0].device
        dtype = self._dtype(device)
        with torch.autocast(device.type, dtype, enabled=dtype is torch.bfloat16):
            features: Tensor = self.encoder(*(part.to(dtype) for part in prepared))
        return features.float()

    def _dtype(self, device: torch.device) -> torch.dtype:
        fast = self.precision == "bfloat16" or (self.precision == "auto" and multiplies_bfloat16(device.type))
        return torch.bfloat16 if fast else torch.float32

    def policy_logits(self, features: Tensor, action_mask: Tensor) -> Tensor:
        """Return masked logits (batch, 7) of encoded positions."""
        return mask_logits(self.policy_head(features), action_mask)

    def value(self, features: Tensor) -> Tensor:
        """Return the value (batch,) of encoded positions: the expected result for the player to move."""
        return torch.tanh(self.value_head(features)).squeeze(-1)
