# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""MONAI dictionary transform from slices in HU to the few numbers that an audit of a data set needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from monai.transforms import Transform
from scipy import fft, ndimage

from monai_ich.transforms.intensity import HUWindowd
from monai_ich.transforms.resizing import FitSquared
from monai_ich.utils.keys import BRAIN_WINDOW_HU, Key

THUMBNAIL_SIDE = 64
PICTURE_SIDE = 128
FREQUENCIES = 16  # of the DCT, per axis; 16 x 16 signs are the fingerprint's 256 bits
FINGERPRINT_WORDS = FREQUENCIES**2 // 64
TISSUE_HU = -300.0  # between air and fat
COARSE_SIDE = 128  # the head is found on a grid of about this many pixels a side

VISIBLE_BRIGHTNESS = 0.1  # of the brain window's 0..1: brighter than air, fat and noise
HEAD_MARGIN = 2  # coarse pixels around the head that count as neither: hair, ears, blur

FEATURES = ("fingerprint", "thumbnail", "pixel_counts", "background")
PICTURES = ("picture",)


class PixelCount(IntEnum):
    """Columns of `pixel_counts`."""

    MASK = 0  # haematoma, in the file's pixels
    MASK_COARSE = 1  # haematoma, on the coarse grid, where a coarse pixel with any haematoma counts
    MASK_OUTSIDE = 2  # of those, outside the head
    CONTENT = 3  # of the thumbnail, neither black nor white in the brain window


class BackgroundMeasure(IntEnum):
    """Columns of `background`, of what the brain window shows on the coarse grid."""

    AREA = 0  # visible outside the head, as a share of the slice
    OBJECTS = 1  # connected visible regions outside the head
    MEAN = 2  # brightness outside the head, 0..1
    SPREAD = 3  # its standard deviation
    APART = 4  # visible pixels that are not of the largest visible region, as a share of the slice


class SlicePictured(Transform):
    """Replaces image (N,H,W) in HU by `picture` uint8 (N,side,side).

    The brain window 0..80 HU is 0..255; slices are padded to a square and area-averaged.

    Args:
        side: of the picture, pixels; a multiple of 32.
    """

    def __init__(self, side: int = PICTURE_SIDE) -> None:
        super().__init__()
        self.window = HUWindowd(keys=Key.IMAGE)
        self.fit = FitSquared(keys=Key.IMAGE, size=side, mode="area")

    def __call__(self, data: Mapping[Any, Any]) -> dict[str, np.ndarray]:
        windowed = self.fit(self.window({Key.IMAGE: data[Key.IMAGE]}))[Key.IMAGE]
        return {"picture": np.rint(np.asarray(windowed) * 255).astype(np.uint8)}


class SliceFeaturesd(Transform):
    """Replaces image (N,H,W) in HU and mask (N,H,W) by four arrays of N entries.

    - `thumbnail` uint8 (N,64,64): a picture (`SlicePictured`) of 64 pixels a side.
    - `fingerprint` uint64 (N,4): a perceptual hash (`fingerprints`).
    - `pixel_counts` int32 (N,4): see `PixelCount`.
    - `background` float32 (N,5): see `BackgroundMeasure`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.picture = SlicePictured(THUMBNAIL_SIDE)

    def __call__(self, data: Mapping[Any, Any]) -> dict[str, np.ndarray]:
        hu, mask = np.asarray(data[Key.IMAGE]), np.asarray(data[Key.MASK])
        thumbnails = self.picture(data)["picture"]
        counts = np.zeros((len(hu), len(PixelCount)), dtype=np.int32)
        counts[:, PixelCount.MASK] = np.count_nonzero(mask, axis=(1, 2))
        counts[:, PixelCount.CONTENT] = content(thumbnails).sum(axis=(1, 2))
        for index in np.flatnonzero(counts[:, PixelCount.MASK]):
            blood, head = _blocks(mask[index], np.max) > 0, head_region(hu[index])
            counts[index, PixelCount.MASK_COARSE] = blood.sum()
            counts[index, PixelCount.MASK_OUTSIDE] = (blood & ~head).sum()
        background = np.array([background_measures(pixels) for pixels in hu], np.float32)
        return {
            "fingerprint": fingerprints(thumbnails),
            "thumbnail": thumbnails,
            "pixel_counts": counts,
            "background": background.reshape(len(hu), len(BackgroundMeasure)),
        }


def content(thumbnails: np.ndarray) -> np.ndarray:
    """Pixels that are neither black nor white, where a slice differs from every other one; bool of the same shape."""
    return (thumbnails > 0) & (thumbnails < 255)


def fingerprints(thumbnails: np.ndarray) -> np.ndarray:
    """A perceptual hash of 256 bits: the signs of the cosine transform's coefficients 1..16 along both axes.

    As in pHash (Zauner, 2010), but of more and higher frequencies: all heads look alike in the lowest ones. It hardly
    changes with compression, resampling, and shifts or scalings of the HU; a head that is moved changes it altogether.

    Args:
        thumbnails: (N,64,64).

    Returns:
        uint64 (N,4). Each 16 bits hold one coefficient of every row and column frequency, so that all of them tell
        slices apart about equally well.
    """
    spectrum = fft.dctn(thumbnails.astype(np.float32), axes=(1, 2), workers=1)
    signs = spectrum[:, 1 : FREQUENCIES + 1, 1 : FREQUENCIES + 1] > 0  # (N, 16, 16)
    row = np.arange(FREQUENCIES)
    bits = np.stack([signs[:, row, (band - row) % FREQUENCIES] for band in range(FREQUENCIES)], axis=1)
    return np.packbits(bits.reshape(len(bits), -1), axis=1).view(np.uint64).reshape(-1, FINGERPRINT_WORDS)


def head_region(hu: np.ndarray) -> np.ndarray:
    """The head, skin to skin, as the largest connected region above -300 HU with its holes filled.

    Args:
        hu: (H,W).

    Returns:
        bool, on a grid of blocks (see `_blocks`), grown by one block for what blurs across the skin.
    """
    tissue = _blocks(hu, np.max) > TISSUE_HU
    labels, count = ndimage.label(tissue)
    if count == 0:
        return tissue
    largest = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    return ndimage.binary_dilation(ndimage.binary_fill_holes(largest))


def background_measures(hu: np.ndarray) -> list[float]:
    """What lies outside the head, in numbers; in the order of `BackgroundMeasure`.

    A network sees the slice through the brain window, so that what is darker than 0 HU is black to it, and here.

    Args:
        hu: (H,W).
    """
    low, high = np.array([-0.5, 0.5]) * BRAIN_WINDOW_HU[1] + BRAIN_WINDOW_HU[0]
    brightness = np.clip((_blocks(hu, np.mean) - low) / (high - low), 0, 1)
    visible = brightness > VISIBLE_BRIGHTNESS
    outside = ~ndimage.binary_dilation(head_region(hu), iterations=HEAD_MARGIN - 1)  # it is grown by one already
    around = brightness[outside] if outside.any() else np.zeros(1)
    regions, _ = ndimage.label(visible)
    sizes = np.bincount(regions.ravel())[1:]
    return [
        float((visible & outside).mean()),
        float(ndimage.label(visible & outside)[1]),
        float(around.mean()),
        float(around.std()),
        float(sizes.sum() - sizes.max(initial=0)) / visible.size,
    ]


def _blocks(pixels: np.ndarray, reduce: Any) -> np.ndarray:
    """Square blocks of a slice reduced to one value each, to about 128 a side; what is left over at the end is cut."""
    side = max(1, max(pixels.shape) // COARSE_SIDE)
    rows, columns = (length // side for length in pixels.shape)
    tiles = pixels[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return reduce(tiles, axis=(1, 3))
