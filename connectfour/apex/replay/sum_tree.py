"""``SumTree``: draws indices in proportion to their weights, many at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Float64s = NDArray[np.float64]


class SumTree:
    """A complete binary tree over weights in which each node holds the sum of its children.

    Every operation handles a batch of leaves with one NumPy call per level. Parents are recomputed from their children
    rather than adjusted by differences, so rounding errors do not add up.
    """

    def __init__(self, capacity: int) -> None:
        """Start with ``capacity`` weights of zero."""
        self.capacity = capacity
        self._leaves = 1 << max(1, (capacity - 1).bit_length())
        self._depth = self._leaves.bit_length() - 1
        # Node 1 is the root, and the children of node i are 2 i and 2 i + 1.
        self._nodes = np.zeros(2 * self._leaves, np.float64)

    @property
    def total(self) -> float:
        """Sum of all weights."""
        return float(self._nodes[1])

    def __getitem__(self, indices: Indices | slice) -> Float64s:
        """Return the weights of leaves."""
        return self._nodes[self._leaves : self._leaves + self.capacity][indices]

    def __setitem__(self, indices: Indices, weights: Float64s) -> None:
        """Set the nonnegative weights of leaves; where an index occurs twice, its last weight counts."""
        nodes = indices + self._leaves
        self._nodes[nodes] = weights
        for _ in range(self._depth):
            nodes = nodes >> 1
            if len(nodes) > 1 and (nodes[1:] >= nodes[:-1]).all():
                # Neighboring leaves share their parents: the number of nodes halves with each level.
                nodes = nodes[np.append(True, nodes[1:] != nodes[:-1])]
            self._nodes[nodes] = self._nodes[2 * nodes] + self._nodes[2 * nodes + 1]

    def draw(self, count: int, rng: np.random.Generator) -> Indices:
        """Draw ``count`` leaves with replacement, in proportion to their weights and in random order.

        The draws are stratified: each ``count``-th of the total weight gets one (Schaul et al. 2016, appendix B.2.1).

        Raises:
            ValueError: all weights are zero.
        """
        if self.total <= 0:
            raise ValueError("nothing can be drawn: all weights are zero")
        # Ascending targets visit the nodes of a level in order, which a processor's caches reward.
        target = (np.arange(count) + rng.random(count)) * (self.total / count)
        node = np.ones(count, np.int64)
        for _ in range(self._depth):
            node <<= 1
            left = self._nodes[node]
            # Rounding must not lead into a subtree without weight.
            goes_right = (target >= left) & (self._nodes[node + 1] > 0)
            target -= np.where(goes_right, left, 0.0)
            node += goes_right
        return rng.permutation(node - self._leaves)
