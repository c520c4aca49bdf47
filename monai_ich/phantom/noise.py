# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Noise as filtered back-projection leaves it: grainy within a slice, and a little alike in neighbouring slices."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft

from monai_ich.phantom.grids import Array

# Correlation of the noise of neighbouring slices; about .16 was measured at 4.5 mm. Slices further apart share nothing.
NEIGHBOUR_CORRELATION = 0.16
# Noise of the lowest frequencies that a pure ramp filter would remove, as frequency added to the ramp (cycles/mm).
_RAMP_OFFSET = 0.2


def slice_noise(
    shape: tuple[int, int],
    step_mm: float,
    blur_mm: float,
    own: np.random.Generator,
    shared: np.random.Generator,
) -> Array:
    """Noise of one slice on every second pixel; it has unit variance once it is upsampled by two.

    The power spectrum is that of filtered back-projection, the ramp filter times the square of the kernel's transfer
    function (Riederer, Pelc and Chesler, Phys. Med. Biol. 23:446, 1978).

    Args:
        shape: (H, W) of the half-size grid.
        step_mm: distance between its points.
        blur_mm: blur (sigma) of the kernel; more blur makes coarser grains.
        own: generator of this slice's field.
        shared: generator of the next slice's field. Only slice i and i + 1 use it, so they alone are correlated.

    Returns:
        float32 (H, W).
    """
    share = np.float32(_neighbour_share())
    field = own.standard_normal(shape, dtype=np.float32) * np.sqrt(1 - share)
    field += np.sqrt(share) * shared.standard_normal(shape, dtype=np.float32)
    spectrum = fft.rfft2(field)
    spectrum *= _transfer(shape, step_mm, blur_mm)
    noise: Array = fft.irfft2(spectrum, s=shape)
    return noise


def _neighbour_share() -> float:
    """The variance s that comes from the next slice's field: the correlation of neighbours is sqrt(s (1 - s))."""
    return float(0.5 - np.sqrt(0.25 - NEIGHBOUR_CORRELATION**2))


@lru_cache(maxsize=4)
def _transfer(shape: tuple[int, int], step_mm: float, blur_mm: float) -> Array:
    """Amplitude (H, W // 2 + 1) of each frequency that gives unit variance after linear upsampling by two."""
    rows, cols = fft.fftfreq(shape[0], step_mm)[:, None], fft.fftfreq(shape[1], step_mm)[None, :]
    f = np.hypot(rows, cols)
    # Measured grains differ less between kernels than edges do, hence the constant part.
    grain_mm = 0.36 + 0.18 * blur_mm
    amplitude = np.sqrt(f + _RAMP_OFFSET) * np.exp(-2 * (np.pi * grain_mm * f) ** 2)
    kept = np.multiply(*(0.625 + 0.375 * np.cos(2 * np.pi * step_mm * axis) for axis in (rows, cols)))
    amplitude /= np.sqrt(np.mean(amplitude**2 * kept))
    return amplitude[:, : shape[1] // 2 + 1].astype(np.float32)
