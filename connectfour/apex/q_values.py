"""Q-values from a state's value and its actions' advantages."""

from __future__ import annotations

from torch import Tensor


def dueling(value: Tensor, advantage: Tensor, legal: Tensor | None = None) -> Tensor:
    """Return Q-values (N, actions) from state values (N, 1) and advantages (N, actions) (Wang et al. 2016).

    Advantages count relative to their mean over the legal actions; ``legal`` (N, actions) is nonzero there.
    """
    if legal is None:
        return value + advantage - advantage.mean(dim=1, keepdim=True)
    weight = (legal != 0).to(advantage.dtype)
    mean = (advantage * weight).sum(dim=1, keepdim=True) / weight.sum(dim=1, keepdim=True).clamp(min=1)
    return value + advantage - mean
