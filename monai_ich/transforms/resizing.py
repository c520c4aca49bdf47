# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Fits slices into the network's square, and brings predictions back to the grid of the file they came from."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Resize, ResizeWithPadOrCrop
from monai.utils import ensure_tuple_rep

from monai_ich.reading.geometry import SliceGeometry, volume_shape
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.keys import Key

# Patch size 4 and three patch mergings: the encoders halve a side five times.
SIZE_MULTIPLE = 32


def check_image_size(size: int) -> int:
    """Returns `size`; raises ConfigurationError unless it is a positive multiple of 32."""
    if isinstance(size, bool) or not isinstance(size, int) or size <= 0 or size % SIZE_MULTIPLE:
        near = ""
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            below = max(size // SIZE_MULTIPLE, 1) * SIZE_MULTIPLE
            near = f"; {below} and {below + SIZE_MULTIPLE} are near"
        raise ConfigurationError(f"image_size: expected a multiple of {SIZE_MULTIPLE}, such as 224, got {size!r}{near}")
    return size


class FitSquared(MapTransform):
    """Resizes (N,H,W) to (N,size,size): a plain resize of square slices; others keep their aspect and are padded.

    MONAI's Resize of the longest side, then its ResizeWithPadOrCrop with 0 (air, in a windowed image; no blood, in a
    mask). The type of the array is kept.

    Args:
        keys: what to resize, all of one geometry.
        size: side of the square, pixels; a multiple of 32.
        mode: interpolation for each key; area averages what a smaller pixel covers, nearest-exact keeps labels whole.
        allow_missing_keys: pass over keys that an item lacks.

    Raises:
        ConfigurationError: at construction, when `size` is no multiple of 32.
    """

    def __init__(
        self,
        keys: KeysCollection = (Key.IMAGE, Key.MASK),
        size: int = 224,
        mode: str | Sequence[str] = ("area", "nearest-exact"),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.size = check_image_size(size)
        self.mode = ensure_tuple_rep(mode, len(self.keys))
        self.resize = Resize(spatial_size=size, size_mode="longest")
        self.pad = ResizeWithPadOrCrop(spatial_size=size)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        item = dict(data)
        for key, mode in self.key_iterator(item, self.mode):
            fitted = self.pad(self.resize(item[key], mode=mode))
            item[key] = fitted.to(item[key].dtype) if isinstance(item[key], torch.Tensor) else fitted
        return item


class SourceVolume(NamedTuple):
    """An array in the geometry of the file that a stack was read from.

    Attributes:
        array: of the stack's `source_shape`.
        affine_ras_mm: (4,4), stored index order -> RAS mm; with it `nibabel.Nifti1Image` is complete.
    """

    array: np.ndarray
    affine_ras_mm: np.ndarray


def to_source_slices(prediction: np.ndarray | torch.Tensor, geometry: SliceGeometry) -> np.ndarray:
    """Undoes `FitSquared`: (N,S,S) of the slices of `geometry` -> float32 (N,H,W), still in canonical orientation.

    The padding is cut off, and the rest resized bilinearly. Threshold probabilities afterwards, not before.

    Raises:
        ValueError: when `prediction` is not one square per slice.
    """
    squares = torch.as_tensor(np.asarray(prediction), dtype=torch.float32)
    slices, (rows, columns) = len(geometry.slice_index), geometry.shape_rc
    if squares.ndim != 3 or squares.shape[0] != slices or squares.shape[1] != squares.shape[2]:
        raise ValueError(f"prediction: expected ({slices}, S, S) for {slices} slices, got {tuple(squares.shape)}")
    content = _without_padding(squares, rows, columns)
    full = torch.nn.functional.interpolate(content[None], (rows, columns), mode="bilinear", align_corners=False)[0]
    return np.asarray(full.numpy())


def in_source_volume(slices: np.ndarray, geometry: SliceGeometry) -> SourceVolume:
    """Undoes the reorientation: (N,H,W) slices in canonical orientation -> the input's own grid, a view where possible.

    Slices of the file that `geometry` does not hold are 0. The affine holds for slices on an even grid alone.
    """
    stored_shape = volume_shape(geometry.source_shape)
    canonical = slices
    if geometry.slice_index != tuple(range(stored_shape[geometry.reorientation.axes[0]])):
        canonical = np.zeros([stored_shape[axis] for axis in geometry.reorientation.axes], dtype=slices.dtype)
        canonical[list(geometry.slice_index)] = slices
    array = geometry.reorientation.undo(canonical).reshape(geometry.source_shape)
    return SourceVolume(array, geometry.source_affine_ras_mm)


def to_source_geometry(prediction: np.ndarray | torch.Tensor, geometry: SliceGeometry) -> SourceVolume:
    """Undoes `FitSquared` and the reorientation: (N,S,S) of the slices -> float32 on the input's own grid.

    Raises:
        ValueError: when `prediction` is not one square per slice.
    """
    return in_source_volume(to_source_slices(prediction, geometry), geometry)


def _without_padding(squares: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The part of (N,S,S) that `FitSquared` filled from slices of rows x columns."""
    size = squares.shape[-1]
    scale = size / max(rows, columns)
    height, width = round(rows * scale), round(columns * scale)
    top, left = (size - height) // 2, (size - width) // 2
    return squares[:, top : top + height, left : left + width]
