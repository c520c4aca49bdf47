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
        `seg_intersection`, `seg_union`, `seg_pred_area`, `seg_area`, and `seg_pixels` of the whole slice: int64 (N,).

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
        "seg_pixels": np.full(len(truth), math.prod(truth.shape[1:]), dtype=np.int64),
    }


def segmentation_metrics(
    intersection: np.ndarray, union: np.ndarray, area: np.ndarray, pixels: np.ndarray | None = None
) -> dict[str, float]:
    """IoU of annotated slices by five definitions; publications often do not say which one is theirs.

    >>> intersection, union, area, pixels = np.array([3, 1, 0]), np.array([4, 2, 1]), np.array([3, 2, 0]), np.full(3, 8)
    >>> metrics = segmentation_metrics(intersection, union, area, pixels)
    >>> [metrics[name] for name in ("iou_per_image", "iou_macro")]
    [0.625, 0.75]

    Args:
        intersection: (N,) pixels predicted and true, of annotated slices only.
        union: (N,) pixels predicted or true.
        area: (N,) true pixels.
        pixels: (N,) pixels of the slice; without them `iou_macro` is not defined.

    Returns:
        Over the slices with blood, the only ones that have a mask in the paper:

        - `iou`: of the haematoma, pooled: the sum of intersections over the sum of unions.
        - `iou_per_image`: the mean of the slices' IoUs.
        - `iou_macro`: the mean of the pooled IoUs of haematoma and background.

        Over all annotated slices:

        - `iou_all_slices`: pooled; a slice without blood counts by its false positives.
        - `iou_per_image_all_slices`: the mean of the slices' IoUs; without blood, 1 if none is predicted, else 0.

        Then `false_alarms`, the share of slices without blood in which any is predicted, and `n_annotated`. What is not
        defined is NaN.
    """
    intersection, union, area = (np.asarray(counts, dtype=float) for counts in (intersection, union, area))
    blood = area > 0
    each = np.divide(intersection, union, out=np.ones_like(union), where=union > 0)
    iou, background = _ratio(intersection[blood], union[blood]), math.nan
    if pixels is not None:
        whole = np.asarray(pixels, dtype=float)[blood]
        background = _ratio(whole - union[blood], whole - intersection[blood])
    return {
        "iou": iou,
        "iou_per_image": _mean(each[blood]),
        "iou_macro": (iou + background) / 2,
        "iou_all_slices": _ratio(intersection, union),
        "iou_per_image_all_slices": _mean(each),
        "false_alarms": _mean(union[~blood] > 0),
        "n_annotated": len(union),
    }


def _ratio(parts: np.ndarray, wholes: np.ndarray) -> float:
    return float(parts.sum() / wholes.sum()) if wholes.sum() > 0 else math.nan


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan
