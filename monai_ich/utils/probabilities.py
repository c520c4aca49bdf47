# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""From a network's logits to probabilities and masks: the one place that knows which logits go together."""

from __future__ import annotations

import torch


def marker_probabilities(logits: torch.Tensor, num_markers: int) -> torch.Tensor:
    """The probability of each marker, in float32 on the logits' device.

    >>> marker_probabilities(torch.tensor([[0.0, 0.0]]), num_markers=1)
    tensor([[0.5000]])
    >>> marker_probabilities(torch.tensor([[0.0, 0.0]]), num_markers=2)
    tensor([[0.5000, 0.5000]])

    Args:
        logits: of the head `cls`. One marker has two, (B, 2): absent and present, under a softmax. Several markers have
            one each, (B, K), under a sigmoid.
        num_markers: K. The shape does not tell: two logits are one marker or two.

    Returns:
        (B, K).

    Raises:
        ValueError: the logits are not those of so many markers.
    """
    outputs = max(num_markers, 2)
    if logits.ndim != 2 or logits.shape[1] != outputs:
        raise ValueError(f"expected logits (B, {outputs}) of {num_markers} marker(s), got {tuple(logits.shape)}")
    logits = logits.detach().float()
    return logits.softmax(dim=1)[:, 1:] if num_markers == 1 else logits.sigmoid()


def haematoma_probability(logits: torch.Tensor) -> torch.Tensor:
    """The probability of haematoma in each pixel: (B, H, W) from the logits (B, 2, H, W) of the head `seg`."""
    return logits.detach().float().softmax(dim=1)[:, 1]


def haematoma_mask(logits: torch.Tensor) -> torch.Tensor:
    """Where haematoma is more probable than not: bool (B, H, W) from the logits (B, 2, H, W).

    The larger of two logits is the softmax above 0.5, without the rounding of a softmax.
    """
    return logits[:, 1] > logits[:, 0]
