# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A mask's own grid in the patient: which slices it reaches, whether it shares their pixels, and its values there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from monai_ich.importers.mask_labels import blood_of
from monai_ich.importers.mask_segment_files import blood_of_segments, names_segments
from monai_ich.importers.pictures import read_array, read_picture
from monai_ich.reading.dicom_frames import Frame
from monai_ich.reading.geometry import volume_shape
from monai_ich.reading.size_limits import refuse_too_many_voxels
from monai_ich.reading.slice_reading import frames_affine
from monai_ich.reading.volumes import read_volume
from monai_ich.utils.errors import ImageReadError

# How far a pixel may lie from a voxel of its mask, in voxels: affines agree only after rounding.
GRID_TOLERANCE = 0.25
# What `MaskVolume.sample` gives for pixels that lie outside the volume.
OUTSIDE = 255
# The share of a slice that must lie between a volume's first and last plane; the corners of a tilted one may stick out.
REACHED_SHARE = 0.9

Masks = list[np.ndarray | None]  # one uint8 (rows, columns) a slice, as stored; None where nobody annotated


@dataclass(frozen=True)
class PlacedMasks:
    """The masks of a series' slices, and how they came onto them.

    Attributes:
        masks: one a slice.
        is_resampled: whether the file has another grid than the slices, so that each pixel took the nearest voxel.
        notes: what was mended or assumed, in words.
    """

    masks: Masks
    is_resampled: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class MaskVolume:
    """A mask as its file stores it.

    Attributes:
        path: the file.
        values: uint8 (A,B,C), 0 or 1.
        affine_ras_mm: (4,4), voxel (a, b, c, 1) -> RAS mm.
        is_cropped: there is no blood beyond its voxels; without this, nobody knows.
    """

    path: Path
    values: np.ndarray
    affine_ras_mm: np.ndarray
    is_cropped: bool = False

    def way_from(self, frame: Frame) -> np.ndarray:
        """(4,4): pixel (column, row, 0, 1) of a slice -> voxel (a, b, c, 1), not rounded."""
        return np.linalg.inv(self.affine_ras_mm) @ frames_affine([frame])[0]

    def across(self, frame: Frame) -> int:
        """The axis that is nearest to the slice's normal."""
        steps = self.affine_ras_mm[:3, :3]
        return int(np.argmax(np.abs(frames_affine([frame])[0][:3, 2] @ (steps / np.linalg.norm(steps, axis=0)))))

    def reached_share(self, frame: Frame) -> float:
        """The share of a slice's pixels that lie between the first and the last plane of the volume, 0..1."""
        way, across = self.way_from(frame), self.across(frame)
        rows, columns = frame.shape_rc
        depth = way[across, 3] + way[across, 0] * np.arange(columns) + way[across, 1] * np.arange(rows)[:, None]
        depth = np.rint(depth)
        return float(((depth >= 0) & (depth < self.values.shape[across])).mean())

    def reaches(self, frame: Frame) -> bool:
        """Whether the volume says something of the slice, rather than ending within it, above or below."""
        return self.reached_share(frame) >= REACHED_SHARE

    def offset_voxels(self, frame: Frame) -> float:
        """How far the slice's pixels lie from voxels of their own; infinite where grids differ in steps or extent.

        Both are linear in the pixel's row and column, so the corners tell of every pixel.
        """
        way = self.way_from(frame)
        steps = np.rint(way[:3, :2])
        if (np.abs(steps).sum(axis=0) != 1).any() or np.abs(steps).sum(axis=1).max() > 1:
            return np.inf  # a column and a row of the slice are no steps along two axes of the volume
        rows, columns = frame.shape_rc
        corners = np.array([[0, columns - 1, 0, columns - 1], [0, 0, rows - 1, rows - 1]])
        start = np.rint(way[:3, 3])[:, None]
        nearest = steps @ corners + start
        if (nearest < 0).any() or (nearest >= np.array(self.values.shape)[:, None]).any():
            return np.inf
        return float(np.abs(way[:3, :2] @ corners + way[:3, 3:] - nearest).max())

    def has_pixels_of(self, frame: Frame) -> bool:
        """Whether every pixel of the slice is a voxel of the volume, but for a permutation and flips of the axes."""
        return self.offset_voxels(frame) <= GRID_TOLERANCE

    def sample(self, frame: Frame) -> np.ndarray:
        """The voxel nearest to each pixel of a slice -> uint8 (rows, columns), `OUTSIDE` beyond the volume."""
        way = self.way_from(frame)
        rows, columns = frame.shape_rc
        # pixels half-way between two voxels all go to one side, whatever the last digits of the affine are
        offset = way[:3, 3] + 1e-6
        sampled = ndimage.affine_transform(
            self.values, way[:3, :3], offset, (columns, rows, 1), order=0, mode="grid-constant", cval=OUTSIDE
        )
        return np.ascontiguousarray(sampled[..., 0].T)


def read_mask_volume(path: Path, chosen: Sequence[str] = ()) -> MaskVolume:
    """Reads a NIfTI, NRRD or MetaImage mask.

    Args:
        path: the file. 3D Slicer cuts a segmentation to what was drawn, so beyond its voxels there is no blood.
        chosen: names or numbers of the labels that are blood, see `mask_labels`.

    Raises:
        ImageReadError: it cannot be read, holds no mask or labels of which none was chosen, or its affine is
            degenerate.
    """
    is_segmentation = names_segments(path)
    array, affine = blood_of_segments(path, chosen) if is_segmentation else read_volume(path)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise ImageReadError(path, "its affine is degenerate, so it lies nowhere", "Export it with its geometry.")
    if is_segmentation:
        return MaskVolume(path, array, affine, is_cropped=True)
    return MaskVolume(path, blood_of(array.reshape(volume_shape(array.shape)), path, chosen), affine)


def grown_to(volume: MaskVolume, frames: Sequence[Frame]) -> MaskVolume:
    """The volume with empty voxels added on every side, so that it reaches every pixel of the slices.

    Raises:
        ImageReadError: that would take more voxels than one volume may have.
    """
    corners = []
    for frame in frames:
        rows, columns = frame.shape_rc
        pixels = np.array([[0, columns - 1, 0, columns - 1], [0, 0, rows - 1, rows - 1], [0] * 4, [1] * 4])
        corners.append((volume.way_from(frame) @ pixels)[:3])
    reach = np.concatenate(corners, axis=1)  # (3, 4 * slices)
    size = np.array(volume.values.shape)
    before = np.maximum(0, -np.rint(reach.min(axis=1))).astype(int)
    after = np.maximum(0, np.rint(reach.max(axis=1)).astype(int) + 1 - size)
    refuse_too_many_voxels((size + before + after).tolist(), volume.path)
    affine = volume.affine_ras_mm.copy()
    affine[:3, 3] -= affine[:3, :3] @ before
    values = np.pad(volume.values, list(zip(before, after, strict=True)))
    return replace(volume, values=values, affine_ras_mm=affine)


def slice_step_mm(frames: Sequence[Frame]) -> float:
    """The usual distance between the slices of a series along their normal, mm; of a single slice its depth."""
    if len(frames) < 2:
        return frames[0].depth_mm
    along = np.array([float(frame.position_lps_mm @ frames[0].normal) for frame in frames])
    return float(np.median(np.abs(np.diff(along))))


def mask_of_picture(path: Path, frame: Frame, chosen: Sequence[str] = ()) -> np.ndarray:
    """The mask of one slice from a PNG or NPY file with the slice's own rows and columns.

    Raises:
        ImageReadError: it cannot be read, has another size, or holds no mask, or labels of which none was chosen.
    """
    values = read_array(path) if path.suffix.lower() == ".npy" else read_picture(path)
    if values.shape != frame.shape_rc:
        raise ImageReadError(
            path,
            f"has shape {values.shape}, its slice {frame.shape_rc}",
            "Export the mask in grey values and in the slice's own rows and columns.",
        )
    return blood_of(values, path, chosen)
