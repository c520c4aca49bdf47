# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Segmentation metrics from pixel counts, so that they can be pooled over slices, files and processes exactly."""

from __future__ import annotations

import math

import numpy as np


def segmentation_counts(pred_mask: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Pixel counts of each slice.

    Args:
        pred_mask: (N, H, W) or (N, 1, H, W), true where haematoma is predicted.
        mask: the same shape, true where it is.

    Returns:
        `seg_intersection`, `seg_union`, `seg_pred_area`, `seg_area`: int64 (N,), in pixels.

    Raises:
        ValueError: the shapes differ.
    """
    predicted, truth = np.asarray(pred_mask).astype(bool), np.asarray(mask).astype(bool)
    if predicted.shape != truth.shape or predicted.ndim not in (3, 4):
        raise ValueError(f"expected two masks (N, H, W) or (N, 1, H, W), got {predicted.shape} and {truth.shape}")
    slices = tuple(range(1, predicted.ndim))
    return {
        "seg_intersection": (predicted & truth).sum(axis=slices, dtype=np.int64),
        "seg_union": (predicted | truth).sum(axis=slices, dtype=np.int64),
        "seg_pred_area": predicted.sum(axis=slices, dtype=np.int64),
        "seg_area": truth.sum(axis=slices, dtype=np.int64),
    }


def segmentation_metrics(intersection: np.ndarray, union: np.ndarray, area: np.ndarray) -> dict[str, float]:
    """Foreground IoU of annotated slices, pooled and slice by slice.

    >>> segmentation_metrics(np.array([3, 0]), np.array([4, 1]), np.array([3, 0]))
    {'iou': 0.75, 'iou_all_slices': 0.6, 'false_alarms': 1.0, 'n_annotated': 2}

    Args:
        intersection: (N,) pixels predicted and true, of annotated slices only.
        union: (N,) pixels predicted or true.
        area: (N,) true pixels.

    Returns:
        `iou`, the sum of intersections over the sum of unions of the slices with blood, the only ones that have a mask
        in the paper; `iou_all_slices`, the same over all annotated slices, where one without blood counts by its false
        positives; `false_alarms`, the share of slices without blood in which any is predicted; `n_annotated`. What is
        not defined is NaN.
    """
    intersection, union, area = (np.asarray(counts, dtype=float) for counts in (intersection, union, area))
    blood = area > 0
    return {
        "iou": _pooled(intersection[blood], union[blood]),
        "iou_all_slices": _pooled(intersection, union),
        "false_alarms": float((union[~blood] > 0).mean()) if (~blood).any() else math.nan,
        "n_annotated": len(union),
    }


def _pooled(intersection: np.ndarray, union: np.ndarray) -> float:
    return float(intersection.sum() / union.sum()) if union.sum() > 0 else math.nan
