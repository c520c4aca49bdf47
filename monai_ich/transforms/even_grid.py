# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Slices that no one affine holds, such as a thin base and a thick vertex, on an even grid for a viewer."""

from __future__ import annotations

import numpy as np

from monai_ich.reading.geometry import SliceGeometry
from monai_ich.reading.slice_places import SlicePlaces, slice_normal
from monai_ich.transforms.resizing import SourceVolume

# A grid has no more planes than this, or than there are slices, however near two slices lie.
MOST_PLANES = 1200
# Planes half-way between two slices all go to the lower one, whatever the last digits of the positions are.
_ROUNDING = 1e-6


def on_even_grid(slices: np.ndarray, geometry: SliceGeometry) -> SourceVolume:
    """Puts each slice on the planes of an even grid that lie within its extent, and on the one nearest to it.

    The planes lie as far apart as the two nearest slices. Each plane holds one slice or, in a gap, nothing: no values
    are mixed. Slices that are shifted within their planes, by a tilted gantry or a new field of view, are moved to the
    nearest pixel, and the grid is as large as all of them together.

    Args:
        slices: (N,H,W) labels or values in canonical orientation, of the slices of `geometry`, two at least.
        geometry: where they lie.

    Returns:
        The grid as NIfTI would hold a DICOM series, (columns, rows, planes), with axes at right angles.
    """
    places, affine = geometry.places, geometry.affine_ras_mm
    normal = slice_normal(affine)
    column, row = _right_angle(affine)
    heights = places.first_pixel_ras_mm @ normal
    planes, step_mm = _slice_of_plane(heights, places)
    from_first = places.first_pixel_ras_mm - places.first_pixel_ras_mm[0]
    shifts = np.stack([from_first @ row / (row @ row), from_first @ column / (column @ column)], axis=1)
    pixels = np.rint(shifts + _ROUNDING).astype(int)  # (N,2) rows and columns from the first slice
    corner = pixels.min(axis=0)
    rows, columns = np.array(slices.shape[1:]) + pixels.max(axis=0) - corner
    grid = np.zeros((max(planes) - min(planes) + 1, rows, columns), dtype=slices.dtype)
    for plane, number in planes.items():
        top, left = pixels[number] - corner
        grid[plane - min(planes), top : top + slices.shape[1], left : left + slices.shape[2]] = slices[number]
    lowest_mm = float(heights.min()) + min(planes) * step_mm - float(heights[0])
    origin = places.first_pixel_ras_mm[0] + corner[0] * row + corner[1] * column + lowest_mm * normal
    upright = np.eye(4)
    upright[:3] = np.column_stack([column, row, normal * step_mm, origin])
    return SourceVolume(grid.transpose(2, 1, 0), upright)


def _right_angle(affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Column and row steps of a canonical affine at a right angle, whatever was rounded in the header."""
    row, column = affine[:3, 1], affine[:3, 2]
    beside = row - (row @ column) / (column @ column) * column
    return column, beside * np.linalg.norm(row) / np.linalg.norm(beside)


def _slice_of_plane(heights: np.ndarray, places: SlicePlaces) -> tuple[dict[int, int], float]:
    """The slice of each plane, numbered from the lowest slice, that has one; and the distance of the planes, mm."""
    order = np.argsort(heights, kind="stable")
    steps = np.diff(heights[order])
    span_mm = float(steps.sum())
    step_mm = max(float(steps.min()), span_mm / (max(MOST_PLANES, len(heights)) - 1))
    from_lowest = heights - heights.min()
    found: dict[int, int] = {}
    for number in order.tolist():
        edges = from_lowest[number] + np.array([-places.below_mm[number], places.above_mm[number]])
        if np.isfinite(edges).all():
            first, last = np.ceil(edges / step_mm - _ROUNDING).astype(int)
            found.update(dict.fromkeys(range(first, last), number))
    for number in order.tolist():
        found[int(np.rint(from_lowest[number] / step_mm))] = number
    return found, step_mm
