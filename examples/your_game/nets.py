"""An encoder for Nim: ``network.encoder: nets:HeapEncoder``."""

from __future__ import annotations

from torch import Tensor, nn

from connectfour.games.contract import Game


class HeapEncoder(nn.Module):
    """Looks at every heap with the same weights, then at all heaps together."""

    def __init__(self, game: Game, width: int = 64) -> None:
        """Build an encoder for ``game``; ``size`` tells the league how wide the output is."""
        super().__init__()
        heaps, largest = game.observation_shape
        self.heap = nn.Sequential(nn.Linear(largest, width), nn.ReLU())
        self.all_heaps = nn.Sequential(nn.Linear(heaps * width, width), nn.ReLU())
        self.size = width

    def forward(self, observation: Tensor) -> Tensor:
        """Map observations (batch, heaps, largest) to (batch, width)."""
        encoded: Tensor = self.all_heaps(self.heap(observation).flatten(1))
        return encoded
