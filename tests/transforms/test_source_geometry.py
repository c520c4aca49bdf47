# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""A prediction comes back to the file's grid pixel by pixel, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from monai_ich.reading.geometry import Reorientation, SliceStack
from monai_ich.reading.slice_places import SlicePlaces
from monai_ich.transforms import to_source_geometry


def _stack(rows: int, columns: int, index: tuple[int, ...] = (0,), total: int = 1) -> SliceStack:
    """Slices of a file whose array is (slice, row, column) already."""
    return SliceStack(
        pixels=np.zeros((len(index), rows, columns), np.float32),
        slice_index=index,
        paths=(Path("a.nii"),) * len(index),
        reorientation=Reorientation((0, 1, 2), flip_rows=False, flip_columns=False),
        source_shape=(total, rows, columns),
        source_affine_ras_mm=np.diag([5.0, 0.5, 0.5, 1.0]),
        places=SlicePlaces.even(np.diag([5.0, 0.5, 0.5, 1.0]), [5.0] * total).take(index),
    )


@pytest.mark.parametrize("wide", [True, False])
def test_the_padding_is_cut_off_evenly_and_the_rest_halved_by_means_of_pairs(wide: bool) -> None:
    """8 x 8 of a slice of 2 x 4: four rows of padding, two on either side; each pixel is the mean of 2 x 2."""
    square = np.full((8, 8), 100.0, np.float32)
    content = np.arange(32.0).reshape(4, 8) ** 2
    square[2:6] = content
    expected = content.reshape(2, 2, 4, 2).mean(axis=(1, 3))
    rows, columns = (2, 4) if wide else (4, 2)
    volume = to_source_geometry((square if wide else square.T)[None], _stack(rows, columns))
    np.testing.assert_allclose(volume.array[0], expected if wide else expected.T, rtol=1e-6)
    assert volume.array.dtype == np.float32


def test_padding_of_an_odd_number_of_pixels_has_the_larger_part_after() -> None:
    square = np.zeros((8, 8), np.float32)
    square[1:6] = 1  # 5 of 8 rows hold the slice of 5 x 8: one before, two after
    np.testing.assert_array_equal(to_source_geometry(square[None], _stack(5, 8)).array[0], np.ones((5, 8)))


def test_slices_that_the_stack_does_not_hold_are_zero() -> None:
    volume = to_source_geometry(np.stack([np.full((4, 4), 2.0), np.full((4, 4), 3.0)]), _stack(4, 4, (3, 1), 5))
    assert volume.array[:, 0, 0].tolist() == [0, 3, 0, 2, 0]


@pytest.mark.parametrize("shape", [(2, 4, 4), (1, 4, 5), (4, 4), (1, 1, 4, 4)])
def test_what_is_not_one_square_a_slice_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"prediction: expected \(1, S, S\) for 1 slices"):
        to_source_geometry(np.zeros(shape), _stack(4, 4))
