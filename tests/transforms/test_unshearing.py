# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""An un-sheared volume shows what lies at each place of the patient, by formula, and has right angles."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from monai_ich.transforms import SourceVolume, is_sheared, unshear

SHAPE = (60, 64, 13)


def tilted_affine(degrees: float, step_mm: float = 5.0) -> np.ndarray:
    """Slices of 2 mm pixels that lean forwards, stacked along the table."""
    angle = np.deg2rad(degrees)
    affine = np.eye(4)
    affine[:3, 0] = [-2, 0, 0]
    affine[:3, 1] = [0, -2 * np.cos(angle), -2 * np.sin(angle)]
    affine[:3, 2] = [0, 0, step_mm]
    affine[:3, 3] = [59, 70, -12]
    return affine


def ball(affine: np.ndarray, shape: tuple[int, ...], centre_mm: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return (np.linalg.norm(nib.affines.apply_affine(affine, index) - centre_mm, axis=-1) < 22).astype(np.uint8)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize(("degrees", "step_mm"), [(18, 5), (-18, 5), (25, -5)])
def test_content_stays_in_place(degrees: float, step_mm: float, axes: tuple[int, int, int]) -> None:
    affine = tilted_affine(degrees, step_mm)
    centre = nib.affines.apply_affine(affine, (np.array(SHAPE) - 1) / 2)
    stored = ball(affine, SHAPE, centre).transpose(axes)
    sheared = SourceVolume(stored, affine[:, [*axes, 3]])
    upright = unshear(sheared, slice_axis=axes.index(2))
    assert is_sheared(sheared.affine_ras_mm)
    assert not is_sheared(upright.affine_ras_mm)
    assert (upright.array.sum(), upright.array.dtype) == (stored.sum(), stored.dtype)
    expected = ball(upright.affine_ras_mm, upright.array.shape, centre)
    assert 2 * (upright.array & expected).sum() / (upright.array.sum() + expected.sum()) > 0.95
    centroid = nib.affines.apply_affine(upright.affine_ras_mm, np.argwhere(upright.array).mean(axis=0))
    assert np.linalg.norm(centroid - centre) < 0.5


@pytest.mark.parametrize("degrees", [20, -20])
def test_nothing_falls_off_the_edge(degrees: float) -> None:
    full = SourceVolume(np.ones(SHAPE, np.uint8), tilted_affine(degrees))
    upright = unshear(full, slice_axis=2)
    assert upright.array.sum() == full.array.sum()
    assert upright.array[:, 0].any()
    assert upright.array[:, -1].any()


def test_a_straight_volume_is_left_alone() -> None:
    straight = SourceVolume(ball(tilted_affine(0), SHAPE, np.zeros(3)), tilted_affine(0))
    assert not is_sheared(straight.affine_ras_mm)
    upright = unshear(straight, slice_axis=2)
    np.testing.assert_array_equal(upright.array, straight.array)
    np.testing.assert_allclose(upright.affine_ras_mm, straight.affine_ras_mm, atol=1e-12)
