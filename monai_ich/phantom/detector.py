# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What scanner and archive add to the anatomy: holder, kernel blur, noise, HU offset, padding, masking, side letter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from monai_ich.phantom.grids import Array, PlaneGrid, smoothstep, upsample_twice
from monai_ich.phantom.head import Head
from monai_ich.phantom.noise import slice_noise
from monai_ich.phantom.patients import PatientTruth
from monai_ich.phantom.scan import Scan
from monai_ich.phantom.side_letter import burn_in_side_letter

PADDING_STORED = -2000  # Pixel Padding Value (0028,0120) of the hospitals that pad
_LOWEST_HU, _HIGHEST_HU = -1024, 3071
_MASKED_HU = -1024
_SHELL_HU = 190  # of the head rest; blurred by the kernel, a thin bright line in a brain window


def acquire(
    hu: Array,
    truth: PatientTruth,
    scan: Scan,
    head: Head,
    grid: PlaneGrid,
    noise: tuple[np.random.Generator, np.random.Generator],
) -> NDArray[np.int16]:
    """Turns noise-free HU (H, W) into the slice that the hospital would have (2H, 2W), int16 HU.

    Padding pixels hold `PADDING_STORED` + the rescale intercept, which is what rescaling gives for them. `noise` holds
    the generators of this slice's and of the next slice's noise, as `slice_noise` takes them.
    """
    if truth.head_holder:
        _add_holder(hu, scan, head)
    hu = ndimage.gaussian_filter(hu, truth.blur_mm / grid.pixel_mm, mode="nearest", truncate=3)
    scale = 0.35 + 0.65 * smoothstep((hu + 900) / 600)  # less noise in air
    grain = slice_noise(hu.shape, grid.pixel_mm, truth.blur_mm, *noise)
    full = upsample_twice(hu + np.float32(truth.noise_hu) * scale * grain)
    full += np.float32(truth.hu_offset)
    pixels = np.rint(np.clip(full, _LOWEST_HU, _HIGHEST_HU)).astype(np.int16)
    pixels = _mask_background(pixels, truth, head, grid)
    if truth.side_letter:
        burn_in_side_letter(pixels)
    return pixels


def _add_holder(hu: Array, scan: Scan, head: Head) -> None:
    """A U-shaped head rest: a thin shell around foam, fixed to the table, so it does not turn with the head."""
    half = hu.shape[0]
    step = 2 * scan.pixel_mm
    place = ((np.arange(half) - (half - 1) / 2) * step).astype(np.float32)
    y, x = place[:, None], place[None, :]
    reach = head.skull_mm + head.scalp_mm
    tall, wide = head.half_mm[1] + reach + 5, head.half_mm[0] + reach + 14
    ring = (np.sqrt((x / wide) ** 2 + (y / tall) ** 2) - 1) * tall
    free = (hu < -400) & (y > -5 + 0.2 * np.abs(x))
    hu[free & (ring > -9) & (ring < 0)] = -930
    # Of a line one point wide, interpolation leaves a value below 0 HU: a brain window would not show it. So the shell
    # is two points wide at least; at 256 x 256 and above it is as thin as it is.
    hu[free & (np.abs(ring - 1.5) < max(1.8, step))] = _SHELL_HU


def _mask_background(pixels: NDArray[np.int16], truth: PatientTruth, head: Head, grid: PlaneGrid) -> NDArray[np.int16]:
    site, size = truth.site, pixels.shape[0]
    if site.background == "padded":
        place = np.arange(size) - (size - 1) / 2
        outside = place[:, None] ** 2 + place[None, :] ** 2 > (size / 2) ** 2
        pixels[outside] = PADDING_STORED + site.intercept_hu
    elif site.background == "masked":
        outside = head.outline(*head.warp(grid)) > 3
        pixels[np.repeat(np.repeat(outside, 2, 0), 2, 1)] = _MASKED_HU
    return pixels
