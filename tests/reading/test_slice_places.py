# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Each slice has its own place and extent; what is known by no header is not made up. Worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset

from monai_ich.reading import SliceStack, read_series, read_slices
from monai_ich.reading.slice_places import SlicePlaces

NORMAL = np.array([0.0, 0.0, 1.0])


def _places(heights_mm: Sequence[float], thickness_mm: Sequence[float | None]) -> SlicePlaces:
    positions = np.array([[3.0, 4.0, height] for height in heights_mm])
    return SlicePlaces.single(positions, NORMAL, [math.nan if t is None else t for t in thickness_mm])


@pytest.mark.parametrize(
    ("heights_mm", "thickness_mm", "extent_mm", "gaps_mm"),
    [
        # thin base, thick vertex: edges at the midpoints, the outer halves as the steps beside them
        ([0, 2.5, 5, 10, 17.5, 25], [2.5, 2.5, 2.5, 7.5, 7.5, 7.5], [2.5, 2.5, 3.75, 6.25, 7.5, 7.5], ()),
        ([0, 2.5, 5, 10, 17.5, 25], [None] * 6, [2.5, 2.5, 3.75, 6.25, 7.5, 7.5], ()),
        # reconstructions that overlap count nothing twice
        ([0, 2.5, 5, 8], [5] * 4, [2.5, 2.5, 2.75, 3], ()),
        # a missing slice is not filled; an overlapping neighbour covers half of it
        ([0, 5, 15, 20], [5] * 4, [5, 5, 5, 5], (5.0,)),
        ([0, 5, 15, 20], [None] * 4, [5, 5, 5, 5], (5.0,)),
        ([0, 2.5, 12.5, 15], [5] * 4, [2.5, 3.75, 3.75, 2.5], (5.0,)),
        # two of one kind: known by their thickness alone
        ([0, 50], [5, 5], [5, 5], (45.0,)),
        ([0, 5], [None, None], [5, 5], ()),
        # no neighbour within reach and no thickness
        ([0, 50, 55, 60], [None] * 4, [math.nan, 5, 5, 5], None),
        ([7], [2.5], [2.5], ()),
        ([7], [None], [math.nan], ()),
    ],
)
def test_extents_reach_to_the_midpoints_and_gaps_are_not_filled(
    heights_mm: list[float], thickness_mm: list[float | None], extent_mm: list[float], gaps_mm: tuple[float, ...] | None
) -> None:
    for order in (range(len(heights_mm)), range(len(heights_mm))[::-1]):
        places = _places([heights_mm[n] for n in order], [thickness_mm[n] for n in order])
        np.testing.assert_allclose(places.extent_mm, [extent_mm[n] for n in order])
        if gaps_mm is not None:
            assert places.gaps_mm == pytest.approx(gaps_mm)


@pytest.mark.parametrize(("step_mm", "is_gap"), [(6.24, False), (6.26, True)])
def test_a_gap_begins_at_a_quarter_more_than_usual(step_mm: float, is_gap: bool) -> None:
    places = _places([0, 5, 5 + step_mm, 10 + step_mm], [5] * 4)
    assert places.gaps_mm == pytest.approx((step_mm - 5,) if is_gap else ())
    assert places.extent_mm.sum() == pytest.approx(20 if is_gap else 15 + step_mm)


@pytest.mark.parametrize(("thickness_mm", "thinly_mm"), [(5.0, 5.0), (8.01, 0.0), (7.99, 2.01), (10.0, 0.0)])
def test_thin_slices_far_apart_are_known_as_such(thickness_mm: float, thinly_mm: float) -> None:
    """Evenly spaced: no slice is missing, but the volume counts what nobody scanned."""
    affine = np.diag([10.0, -0.5, -0.5, 1.0])
    places = SlicePlaces.even(affine, [thickness_mm] * 4)
    assert places.thinly_mm == pytest.approx(thinly_mm)
    assert places.extent_mm.tolist() == [10.0] * 4


def _series(
    folder: Path,
    write_dicom: Callable[..., Path],
    positions: Sequence[tuple[float, float, float]],
    thickness_mm: Sequence[float | str | None],
) -> SliceStack:
    folder.mkdir()
    for number, (position, own) in enumerate(zip(positions, thickness_mm, strict=True)):

        def change(dataset: Dataset, own: float | str | None = own) -> None:
            if own is None:
                del dataset.SliceThickness
            else:
                dataset.SliceThickness = own

        name = folder / f"{(7 * number + 3) % 11}.dcm"
        write_dicom(name, np.full((8, 6), number, np.int16), position, change=change)
    return read_series(folder, allow_gaps=True)


def test_a_series_keeps_each_slice_s_place_and_thickness(tmp_path: Path, write_dicom: Callable[..., Path]) -> None:
    heights, own = [0, 2.5, 5, 10, 17.5], [2.5, 2.5, 2.5, 7.5, 7.5]
    shifts = [0, 0, 0, 12, 12]  # the field of view was centred anew
    positions = [(-10.0 + shift, -20.0, height) for shift, height in zip(shifts, heights, strict=True)]
    stack = _series(tmp_path / "ct", write_dicom, positions, own)
    np.testing.assert_array_equal(stack.pixels[:, 0, 0], range(5))
    np.testing.assert_allclose(stack.places.thickness_mm, own)
    np.testing.assert_allclose(stack.places.extent_mm, [2.5, 2.5, 3.75, 6.25, 7.5])
    row_mm, column_mm = stack.spacing_mm_rc
    by_hand = [[10.0 - s - 2.5 * column_mm, 20.0 - 3.5 * row_mm, z] for s, z in zip(shifts, heights, strict=True)]
    np.testing.assert_allclose(stack.centres_ras_mm(), by_hand, atol=1e-9)
    assert (stack.places.is_even, len(stack.notes)) == (False, 1)
    one = stack.take([3])
    np.testing.assert_allclose(one.centres_ras_mm(), by_hand[3:4], atol=1e-9)
    assert (one.pixels.shape, one.places.extent_mm.tolist()) == ((1, 8, 6), [6.25])


def test_a_shift_of_the_field_alone_is_noted(tmp_path: Path, write_dicom: Callable[..., Path]) -> None:
    positions = [(12.0 * (height > 5), 0.0, height) for height in (0.0, 5.0, 10.0, 15.0)]
    stack = _series(tmp_path / "ct", write_dicom, positions, [5.0] * 4)
    assert not stack.places.is_even
    assert "not in one straight line: one affine for all would be off by up to 4.0 mm" in stack.notes[0]
    np.testing.assert_allclose(stack.places.extent_mm, 5)


@pytest.mark.parametrize("stated", [None, "", 0])
def test_a_single_slice_without_thickness_has_no_extent(
    tmp_path: Path, write_dicom: Callable[..., Path], stated: float | str | None
) -> None:
    stack = _series(tmp_path / "ct", write_dicom, [(0.0, 0.0, 7.0)], [stated])
    assert np.isnan(stack.places.extent_mm).all()
    assert np.isnan(stack.places.thickness_mm).all()
    assert stack.centres_ras_mm()[0, 2] == 7
    known = _series(tmp_path / "known", write_dicom, [(0.0, 0.0, 7.0)], [2.5])
    assert known.places.extent_mm.tolist() == [2.5]


def test_a_volume_s_extent_is_its_third_spacing_and_a_picture_has_none(tmp_path: Path) -> None:
    affine = np.diag([-0.5, -0.5, 4.0, 1.0])
    nib.save(nib.Nifti1Image(np.zeros((6, 8, 3), np.int16), affine), tmp_path / "v.nii")
    nib.save(nib.Nifti1Image(np.zeros((6, 8), np.int16), affine), tmp_path / "s.nii")
    volume = read_slices(tmp_path / "v.nii", [2, 0])
    assert volume.places.extent_mm.tolist() == [4.0, 4.0]
    assert volume.centres_ras_mm()[:, 2].tolist() == [8.0, 0.0]
    assert np.isnan(read_slices(tmp_path / "s.nii").places.extent_mm).all()


def test_frames_of_one_file_keep_their_own_places(tmp_path: Path, write_enhanced: Callable[..., Path]) -> None:
    heights = [0.0, 5.0, 20.0, 25.0]
    hu = np.zeros((4, 8, 6), np.int16)
    path = write_enhanced(tmp_path / "e.dcm", hu, [np.array([0.0, 0.0, z]) for z in heights], [(1.0, 0.0)])
    stack = read_slices(path, [2, 1])
    assert stack.centres_ras_mm()[:, 2].tolist() == [20.0, 5.0]
    np.testing.assert_allclose(stack.places.extent_mm, [5, 5])
    assert stack.places.gaps_mm == pytest.approx((10.0,))
