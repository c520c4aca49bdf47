# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Unsigned 12-bit CT whose negative HU were stored modulo 4096 (seen in RSNA 2019), told from CT with metal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from monai_ich.utils.errors import ImageReadError

_VALUES = 4096
_FIRST_WRAPPED = 3096  # stands for -1000 HU, air
_AIR_VALUES = 200
# The share of a slice that its background has at least, and of the slice's edge.
_LEAST_AREA, _LEAST_EDGE = 0.01, 0.05
_LEAST_PIXELS = 16


def may_be_wrapped(dataset: Dataset, slope: float, intercept: float) -> bool:
    """Whether a header leaves no way to store air: 12 bits without a sign, and an intercept near 0."""
    is_unsigned = dataset.get("BitsStored") == 12 and dataset.get("PixelRepresentation") == 0
    return bool(is_unsigned and intercept > -100 and slope == 1.0)


def unwrapped(stored: np.ndarray, path: Path) -> np.ndarray:
    """Stored values (H,W); where they are wrapped around, 3096..4095 become -1000..-1.

    They are where air, as 3096 and a little more, is the background: it is large and reaches the edge. They are not
    where the background is 0, as a scanner cuts off what it cannot store: then 3096 and more are metal.

    Raises:
        ImageReadError: there are values of 3096 and more, and both hold, or neither.
    """
    if not (stored >= _FIRST_WRAPPED).any():
        return stored
    is_air = (stored >= _FIRST_WRAPPED) & (stored < _FIRST_WRAPPED + _AIR_VALUES)
    edge = np.concatenate([is_air[0], is_air[-1], is_air[:, 0], is_air[:, -1]])
    air_is_background = is_air.mean() >= _LEAST_AREA and edge.mean() >= _LEAST_EDGE
    zeros, ones, twos = (int((stored == value).sum()) for value in range(3))
    # without a cut-off, 0 HU is as frequent as 1 and 2 HU are
    zero_is_background = zeros >= max(_LEAST_PIXELS, _LEAST_AREA * stored.size) and zeros > 4 * max(ones, twos)
    if air_is_background == zero_is_background:
        raise ImageReadError(
            path,
            f"has {int((stored >= _FIRST_WRAPPED).sum())} values of {_FIRST_WRAPPED} and more in 12 bits without a "
            "sign and without an intercept: they are metal, or negative HU that were stored modulo 4096, and its "
            f"background ({edge.mean():.0%} of the edge as wrapped air, {zeros / stored.size:.0%} of the slice 0) does "
            "not tell which",
            "Export the original slice, with sign or intercept.",
        )
    if zero_is_background:
        return stored
    return (stored.astype(np.int32) + (_VALUES - _FIRST_WRAPPED)) % _VALUES - (_VALUES - _FIRST_WRAPPED)
