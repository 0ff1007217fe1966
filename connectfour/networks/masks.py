"""Masked logits: illegal actions get probability zero."""

from __future__ import annotations

import torch
from torch import Tensor

ILLEGAL_LOGIT = torch.finfo(torch.float32).min
"""Logit of an illegal action. It is finite so that a row without a legal action produces no NaN."""


def mask_logits(logits: Tensor, action_mask: Tensor) -> Tensor:
    """Return a copy of ``logits`` (batch, actions) with ``ILLEGAL_LOGIT`` where ``action_mask`` has a 0.

    Args:
        logits: float32.
        action_mask: 1 where an action is legal, same shape, any dtype.
    """
    return torch.where(action_mask != 0, logits, ILLEGAL_LOGIT)
