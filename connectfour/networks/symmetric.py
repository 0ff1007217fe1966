"""Networks that give symmetric positions symmetric answers, whatever their encoder.

The network sees a position in each of its images, and its answers are turned back and averaged (group averaging;
Yarotsky 2022). That costs one pass through the encoder per image.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from connectfour.games.contract import Game


class SymmetricEncoder(nn.Module):
    """Encodes the images of an observation one after the other, the observation itself first."""

    sources: Tensor

    def __init__(self, game: Game, encoder: nn.Module, size: int) -> None:
        """Give ``encoder``, whose output has ``size`` features, all images of an observation of ``game``."""
        super().__init__()
        self.encoder = encoder
        self._shape, self._size = game.observation_shape, size
        self.register_buffer("sources", _indices([each.observation for each in game.symmetries]), persistent=False)

    def forward(self, planes: Tensor) -> Tensor:
        """Map (batch, *observation_shape) to (batch, images * size)."""
        images = planes.flatten(1)[:, self.sources]
        features: Tensor = self.encoder(images.reshape(-1, *self._shape))
        return features.reshape(-1, len(self.sources) * self._size)


class SymmetricPolicyHead(nn.Module):
    """Logits, averaged over the images of a position."""

    sources: Tensor

    def __init__(self, game: Game, head: nn.Linear) -> None:
        """Apply ``head`` to each image of a position of ``game``."""
        super().__init__()
        self.head = head
        self.register_buffer(
            "sources", _indices([np.argsort(each.actions) for each in game.symmetries]), persistent=False
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map the features of a ``SymmetricEncoder`` to logits (batch, actions)."""
        images, actions = self.sources.shape
        logits = self.head(features.reshape(-1, self.head.in_features)).reshape(-1, images, actions)
        rows = self.sources + actions * torch.arange(images, device=features.device)[:, None]
        turned_back: Tensor = logits.flatten(1)[:, rows]
        return turned_back.mean(dim=1)


class SymmetricValueHead(nn.Module):
    """A value, averaged over the images of a position."""

    def __init__(self, game: Game, head: nn.Linear) -> None:
        """Apply ``head`` to each image of a position of ``game``."""
        super().__init__()
        self.head = head
        self._images = len(game.symmetries)

    def forward(self, features: Tensor) -> Tensor:
        """Map the features of a ``SymmetricEncoder`` to values (batch, 1)."""
        values: Tensor = self.head(features.reshape(-1, self.head.in_features)).reshape(-1, self._images, 1)
        return values.mean(dim=1)


def _indices(rows: list[NDArray[np.int64]]) -> Tensor:
    return torch.from_numpy(np.stack(rows))
