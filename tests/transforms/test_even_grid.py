# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Uneven slices on an even grid, voxel by voxel, worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from monai_ich.reading.geometry import Reorientation, SliceGeometry
from monai_ich.reading.slice_places import SlicePlaces
from monai_ich.transforms import even_grid, on_even_grid

HEAD = np.array([0.0, 0.0, 1.0])


def _geometry(first_pixels: Sequence[Sequence[float]], thickness_mm: float) -> SliceGeometry:
    """Canonical slices of 3 x 4 pixels of 0.5 x 2 mm: rows run to the back, columns to the left."""
    positions = np.array(first_pixels, dtype=float)
    affine = np.array([[0, -2, 0, 0], [0, 0, -0.5, 0], [1, 0, 0, 0], [0, 0, 0, 1.0]])  # (slice, column, row)
    affine[:3, 3] = positions[0]
    return SliceGeometry(
        slice_index=tuple(range(len(positions))),
        paths=(Path("a.dcm"),) * len(positions),
        reorientation=Reorientation((0, 2, 1), flip_rows=False, flip_columns=False),
        source_shape=(len(positions), 4, 3),
        source_affine_ras_mm=affine,
        places=SlicePlaces.single(positions, HEAD, [thickness_mm] * len(positions)),
    )


def _slices(count: int) -> np.ndarray:
    return np.arange(1, 1 + count * 12, dtype=np.uint8).reshape(count, 3, 4)


def test_each_plane_holds_the_slice_in_whose_extent_it_lies() -> None:
    heights = [0, 2, 4, 10, 16]  # extents: -1 to 1, to 3, to 7, to 13, to 19
    slices = _slices(5)
    volume = on_even_grid(slices, _geometry([(7, 9, z) for z in heights], 6.0))
    owners = [0, 1, 2, 2, 3, 3, 3, 4, 4, 4]  # planes at 0, 2, ..., 18; the first one's extent ends below 2
    assert volume.array.shape == (4, 3, len(owners))
    np.testing.assert_array_equal(volume.array.transpose(2, 1, 0), slices[owners])
    np.testing.assert_allclose(volume.affine_ras_mm, [[-2, 0, 0, 7], [0, -0.5, 0, 9], [0, 0, 2, 0], [0, 0, 0, 1]])
    assert volume.array.dtype == np.uint8


def test_a_gap_is_empty_and_slices_beside_it_keep_their_thickness() -> None:
    slices = _slices(4)
    volume = on_even_grid(slices, _geometry([(0, 0, z) for z in (0, 2, 10, 12)], 2.0))
    assert volume.array[0, 0].tolist() == [slices[0, 0, 0], slices[1, 0, 0], 0, 0, 0, *slices[2:, 0, 0].tolist()]


def test_shifts_enlarge_the_grid_and_go_to_the_nearest_pixel() -> None:
    """The second slice lies one column to the left and one row to the front; a third of a pixel more is not seen."""
    slices = _slices(2)
    volume = on_even_grid(slices, _geometry([(0, 0, 0), (-2.6, 0.6, 3)], 3.0))
    assert volume.array.shape == (5, 4, 2)
    np.testing.assert_array_equal(volume.array[:4, 1:, 0].T, slices[0])
    np.testing.assert_array_equal(volume.array[1:, :3, 1].T, slices[1])
    assert volume.array.sum() == slices.sum()
    corner = nib.affines.apply_affine(volume.affine_ras_mm, [0, 1, 0])
    np.testing.assert_allclose(corner, [0, 0, 0], atol=1e-9)


@pytest.mark.parametrize(("most", "planes"), [(41, 41), (1200, 101)])
def test_the_number_of_planes_is_limited(monkeypatch: pytest.MonkeyPatch, most: int, planes: int) -> None:
    monkeypatch.setattr(even_grid, "MOST_PLANES", most)
    volume = on_even_grid(_slices(3), _geometry([(0, 0, z) for z in (0, 0.1, 10)], 0.1))
    assert volume.array.shape[2] == planes
    assert volume.affine_ras_mm[2, 2] == pytest.approx(10 / (planes - 1))
