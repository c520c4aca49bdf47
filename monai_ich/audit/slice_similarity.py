# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Whether two pictures of slices are one and the same: the correlation of their fine detail inside the head."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

# Of pictures of 128 x 128, on the phantom: three times what strangers reach, and below what re-exports keep
# (docs/audit.md has the figures).
NEAR_IDENTICAL = 0.35
FEWEST_CONTENT_SHARE = 0.05  # of a picture; less of a head looks like any other's: vertex, below the skull base
_DETAIL_SIGMA_PX = 1.0
_SHARED_SHARE = 0.5  # of the smaller inside; another width of the window, or a gap in the skull, changes it
_SHIFTS_PX = tuple((rows, columns) for rows in (-1, 0, 1) for columns in (-1, 0, 1))


def similarity(first: np.ndarray, second: np.ndarray) -> float:
    """How alike two slices are in detail: the correlation of what is left when a blurred copy is subtracted.

    Noise and fine anatomy are a scan's own, so the correlation is high only for one and the same picture, also when it
    was compressed, resampled or shifted in HU. It is taken within the largest region that is neither black nor white,
    without that region's rim: edges of the skull and of the skin are alike in all heads, and are far stronger than
    detail. The best of the nine shifts by up to one pixel counts.

    Args:
        first: uint8 (S,S), the brain window as 0..255.
        second: the same shape.

    Returns:
        -1 to 1; 0 where the slices show too little in common to tell.
    """
    details, regions = zip(*(_detail(picture) for picture in (first, second)), strict=True)
    smaller = min(np.count_nonzero(region) for region in regions)
    fewest = max(FEWEST_CONTENT_SHARE * first.size, _SHARED_SHARE * smaller)
    best = []
    for shift in _SHIFTS_PX:
        shared = regions[0] & np.roll(regions[1], shift, axis=(0, 1))
        if np.count_nonzero(shared) >= fewest:
            moved = np.roll(details[1], shift, axis=(0, 1))
            best.append(_correlation(details[0][shared], moved[shared]))
    return max(best, default=0.0)


def _detail(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """float32 (S,S) what a blur that sees only the head's inside leaves, and bool (S,S) that inside."""
    labels, count = ndimage.label(ndimage.binary_erosion((picture > 0) & (picture < 255), np.ones((3, 3))))
    if count == 0:
        return np.zeros(picture.shape, np.float32), labels > 0
    region = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    values, weight = np.where(region, picture, 0).astype(np.float32), region.astype(np.float32)
    blurred = ndimage.gaussian_filter(values, _DETAIL_SIGMA_PX)
    weight = np.maximum(ndimage.gaussian_filter(weight, _DETAIL_SIGMA_PX), 1e-6)
    return np.where(region, values - blurred / weight, 0), region


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's, of two arrays (n,); 0 where one of them is flat."""
    one, other = (values - values.mean(dtype=np.float64) for values in (first, second))
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / spread if spread > 0 else 0.0
