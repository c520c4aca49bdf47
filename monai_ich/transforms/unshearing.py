# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A volume of a tilted gantry's slices on a grid of right angles, for programs that know no shear."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from monai_ich.transforms.resizing import SourceVolume

# ITK refuses a NIfTI file whose axes differ from right angles by more than 1e-4, as the cosine of the angle.
RIGHT_ANGLE_TOLERANCE = 5e-5


def is_sheared(affine_ras_mm: np.ndarray) -> bool:
    """Whether the axes of a (4,4) affine are not at right angles.

    >>> is_sheared(np.diag([0.5, 0.5, 5, 1])), is_sheared(np.diag([0.5, 0.5, 5, 1]) + np.eye(4, k=1))
    (False, True)
    """
    directions = affine_ras_mm[:3, :3] / np.linalg.norm(affine_ras_mm[:3, :3], axis=0)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() > RIGHT_ANGLE_TOLERANCE)


def unshear(volume: SourceVolume, slice_axis: int) -> SourceVolume:
    """Moves each slice within its own plane, to the nearest pixel, until the slices are stacked along their normal.

    Planes, pixel spacing and position in the patient stay; rows and columns are added for what moves out of the array.

    Args:
        volume: (A,B,C) labels, whose slices have rows and columns at right angles.
        slice_axis: the axis along which the slices are stacked.

    Returns:
        Labels of the same type, with an affine whose axes are at right angles.
    """
    affine = volume.affine_ras_mm
    inside = [axis for axis in range(3) if axis != slice_axis]
    upright = _upright(affine, inside, slice_axis)
    to_source = np.linalg.inv(affine) @ upright  # voxel of the new grid -> voxel of the old one, by its place
    count = volume.array.shape[slice_axis]
    last = -to_source[:3, slice_axis] * (count - 1)  # how far the last slice has moved; the first stays
    first_index, shape = np.zeros(3), np.array(volume.array.shape)
    for axis in inside:
        more = max(0, int(np.ceil(abs(last[axis]) - 0.499)))  # half a pixel is less than one
        shape[axis] += more
        first_index[axis] = -more if last[axis] < 0 else 0
    upright[:3, 3] += upright[:3, :3] @ first_index
    to_source = np.linalg.inv(affine) @ upright
    offset = to_source[:3, 3] + 1e-6  # pixels half-way between two all take the same side
    array = ndimage.affine_transform(
        volume.array, to_source[:3, :3], offset, tuple(shape), order=0, mode="grid-constant", cval=0
    )
    return SourceVolume(array, upright)


def _upright(affine: np.ndarray, inside: list[int], slice_axis: int) -> np.ndarray:
    """The affine with the slice axis along the normal, and rows at a right angle to columns, whatever was rounded."""
    first, second, step = (affine[:3, axis] for axis in (*inside, slice_axis))
    along = first / np.linalg.norm(first)
    beside = second - (second @ along) * along
    beside *= np.linalg.norm(second) / np.linalg.norm(beside)
    normal = np.cross(along, beside) / np.linalg.norm(beside)
    upright = affine.copy()
    upright[:3, inside[1]] = beside
    upright[:3, slice_axis] = normal * (normal @ step)
    return upright
