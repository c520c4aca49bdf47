# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Where a heat map is hot: its share inside a mask, whether its maximum falls there, and what to compare that with."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F


def energy_share(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The share of each map's sum that lies inside its mask (the energy-based pointing game of arXiv 1910.01279).

    >>> energy_share(np.array([[[3.0, 1.0]]]), np.array([[[1, 0]]]))
    array([0.75])

    Args:
        maps: (N, H, W), not negative.
        masks: the same shape, true inside.

    Returns:
        float64 (N,), from 0 to 1; NaN where the map is zero everywhere or the mask is empty.

    Raises:
        ValueError: the shapes differ, or a map is negative or not finite.
    """
    heat, inside = _checked(maps, masks)
    total = heat.sum(axis=(1, 2))
    known = (total > 0) & inside.any(axis=(1, 2))
    share = (heat * inside).sum(axis=(1, 2)) / np.where(known, total, 1.0)
    return np.where(known, share, np.nan)


def pointing_hits(maps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Whether each map's maximum lies inside its mask (the pointing game of arXiv 1608.00507, without a margin).

    Where several pixels share the maximum, it is the share of them that lies inside: what drawing one of them gives on
    average. So a map without any structure scores the mask's share of the image.

    >>> pointing_hits(np.array([[[3.0, 1.0]], [[2.0, 2.0]]]), np.array([[[1, 0]], [[1, 0]]]))
    array([1. , 0.5])

    Args:
        maps: see `energy_share`.
        masks: see `energy_share`.

    Returns:
        float64 (N,), from 0 to 1; NaN where the map is zero everywhere or the mask is empty.

    Raises:
        ValueError: see `energy_share`.
    """
    heat, inside = _checked(maps, masks)
    highest = heat.max(axis=(1, 2), keepdims=True)
    peak = heat == highest
    known = (highest[:, 0, 0] > 0) & inside.any(axis=(1, 2))
    return np.where(known, (peak & inside).sum(axis=(1, 2)) / peak.sum(axis=(1, 2)), np.nan)


def uniform_share(masks: np.ndarray) -> np.ndarray:
    """What a map without any structure scores in both measures: the mask's share of the image, (N,); NaN if empty."""
    share = np.asarray(masks).astype(bool).mean(axis=(1, 2))
    return np.where(share > 0, share, np.nan)


def ceiling_share(masks: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """The energy share of the mask itself, seen at a layer's resolution and brought back to the image's size.

    A map of 4 x 4 cells cannot be hot in a small haematoma alone: this is what one reaches that is as hot as the cell
    is full of blood.

    Args:
        masks: (N, H, W), true inside.
        cells: height and width of the layer's map.

    Returns:
        float64 (N,), from 0 to 1; NaN where the mask is empty.
    """
    inside = torch.from_numpy(np.asarray(masks).astype(np.float64))[:, None]
    coarse = F.adaptive_avg_pool2d(inside, cells)
    seen = F.interpolate(coarse, size=inside.shape[2:], mode="bilinear", align_corners=False)
    return energy_share(seen[:, 0].numpy(), masks)


def _checked(maps: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    heat, inside = np.asarray(maps, dtype=np.float64), np.asarray(masks).astype(bool)
    if heat.shape != inside.shape or heat.ndim != 3:
        raise ValueError(f"expected maps and masks of one shape (N, H, W), got {heat.shape} and {inside.shape}")
    if not np.isfinite(heat).all() or (heat < 0).any():
        raise ValueError("expected maps of finite numbers from 0 on, got negative or undefined ones")
    return heat, inside
