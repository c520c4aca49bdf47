# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Masks drawn on another grid than a tilted series land where they were drawn, or are refused.

The haematoma is a shape with a formula in the patient, so that what every voxel and every pixel should hold is computed
from positions alone: nothing here is resampled.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from importer_support import read, stored_pixels
from pydicom.uid import generate_uid
from tilted_series import SLICES, Tilted

from monai_ich.importers import ImportResult


@pytest.fixture
def tilted(tmp_path: Path) -> Tilted:
    series = Tilted(tmp_path)
    assert series.tilt > 10
    assert (series.truth().any(axis=(1, 2))).sum() >= 6
    return series


def masks_of(result: ImportResult) -> np.ndarray:
    """(N, rows, columns) as training reads them; the series is stored as it is read."""
    return np.stack([mask for _, mask in stored_pixels(read(result.manifest)) if mask is not None])


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def centroid_mm(tilted: Tilted, masks: np.ndarray) -> np.ndarray:
    number, row, column = np.argwhere(masks).mean(axis=0)
    return (tilted.affine @ [column, row, number, 1])[:3]


@pytest.mark.parametrize("grid", [Tilted.unsheared, Tilted.isotropic, Tilted.finer_and_cropped])
def test_a_mask_on_another_grid_stays_where_it_was_drawn(
    tilted: Tilted, grid: Callable[[Tilted], tuple[np.ndarray, tuple[int, ...]]]
) -> None:
    affine, shape = grid(tilted)
    tilted.add_mask(tilted.blood(affine, shape), affine)
    result = tilted.imported()
    assert (result.refused, result.annotated) == ((), SLICES)
    masks, truth = masks_of(result), tilted.truth()
    assert dice(masks, truth) > 0.95
    assert np.linalg.norm(centroid_mm(tilted, masks) - centroid_mm(tilted, truth)) < 0.5
    assert min(dice(mask, real) for mask, real in zip(masks, truth, strict=True) if real.sum() > 50) > 0.85
    said = "The masks of 1 series (14 slices) were drawn on another grid and resampled"
    assert any(said in note for note in result.notes)
    assert said in json.loads(result.manifest.with_suffix(".json").read_text())["description"]
    assert pd.read_csv(result.reports / "series.csv")["mask_grid"].tolist() == ["resampled"]


@pytest.mark.parametrize("grid", [Tilted.unsheared, Tilted.isotropic])
def test_axes_in_another_order_change_nothing(
    tilted: Tilted, grid: Callable[[Tilted], tuple[np.ndarray, tuple[int, ...]]]
) -> None:
    affine, shape = grid(tilted)
    image = nib.Nifti1Image(tilted.blood(affine, shape), affine)
    tilted.add_mask(np.asarray(image.dataobj), affine)
    straight = masks_of(tilted.imported())
    turned = image.as_reoriented(np.array([[2, -1], [0, -1], [1, 1]]))
    tilted.add_mask(np.asarray(turned.dataobj), turned.affine)
    np.testing.assert_array_equal(masks_of(tilted.imported()), straight)


@pytest.mark.parametrize("turn", [[[0, 1], [1, 1], [2, 1]], [[0, -1], [1, -1], [2, -1]], [[2, 1], [0, -1], [1, 1]]])
def test_the_slices_own_pixels_are_copied(tilted: Tilted, turn: list[list[int]]) -> None:
    image = nib.Nifti1Image(tilted.blood(tilted.affine, tilted.size), tilted.affine).as_reoriented(np.array(turn))
    tilted.add_mask(np.asarray(image.dataobj), image.affine)
    result = tilted.imported()
    np.testing.assert_array_equal(masks_of(result), tilted.truth())
    assert pd.read_csv(result.reports / "series.csv")["mask_grid"].tolist() == ["own"]
    assert "resampled" not in json.loads(result.manifest.with_suffix(".json").read_text())["description"]


@pytest.mark.parametrize("turn", [[[0, 1], [1, 1], [2, 1]], [[0, 1], [1, -1], [2, 1]], [[1, 1], [0, 1], [2, -1]]])
def test_the_short_slice_step_of_dcm2niix_is_put_right(tilted: Tilted, turn: list[list[int]]) -> None:
    """Of this series dcm2niix 1.0.20260724 writes the step (0, 0, 4.89 mm) where the slices lie (0, 0, 5 mm) apart."""
    affine = tilted.affine.copy()
    affine[:3, 2] *= abs(tilted.normal @ tilted.step) / np.linalg.norm(tilted.step)
    image = nib.Nifti1Image(tilted.blood(tilted.affine, tilted.size), affine).as_reoriented(np.array(turn))
    tilted.add_mask(np.asarray(image.dataobj), image.affine)
    result = tilted.imported()
    np.testing.assert_array_equal(masks_of(result), tilted.truth())
    series = pd.read_csv(result.reports / "series.csv").iloc[0]
    assert series["mask_grid"] == "own"
    assert "too short by the cosine of the gantry tilt" in series["notes"]


def test_some_slices_on_the_series_own_grid(tilted: Tilted) -> None:
    affine = tilted.affine.copy()
    affine[:3, 3] = (tilted.affine @ [0, 0, 3, 1])[:3]
    tilted.add_mask(tilted.blood(tilted.affine, tilted.size)[..., 3:9], affine)
    result = tilted.imported()
    assert [bool(cell) for cell in read(result.manifest).frame["mask"]] == [3 <= n < 9 for n in range(SLICES)]
    np.testing.assert_array_equal(masks_of(result), tilted.truth()[3:9])


def without_shear(tilted: Tilted) -> tuple[np.ndarray, np.ndarray]:
    """The slices as they are, under the affine of a program that knows no shear (ITK's reading of the qform)."""
    affine = tilted.affine.copy()
    affine[:3, 2] = tilted.unsheared()[0][:3, 2]
    return tilted.blood(tilted.affine, tilted.size), affine


def far_away(tilted: Tilted) -> tuple[np.ndarray, np.ndarray]:
    affine, shape = tilted.isotropic()
    return tilted.blood(affine, shape), affine + np.array([[0, 0, 0, 0], [0] * 4, [0, 0, 0, 500], [0] * 4])


def place_lost(tilted: Tilted) -> tuple[np.ndarray, np.ndarray]:
    affine, shape = tilted.isotropic()
    values = tilted.blood(affine, shape)
    affine[:2, 3] = 0
    return values, affine


def half_the_series(tilted: Tilted) -> tuple[np.ndarray, np.ndarray]:
    affine, shape = tilted.isotropic()
    affine[2, 3] += 55
    return np.zeros(shape, np.uint8), affine


def cut_through(tilted: Tilted) -> tuple[np.ndarray, np.ndarray]:
    affine, shape = tilted.isotropic()
    top = int((np.linalg.inv(affine) @ [*(tilted.centre * [-1, -1, 1]), 1])[2]) + 18
    return tilted.blood(affine, shape)[..., :top], affine


def of_elsewhere(tilted: Tilted) -> tuple[np.ndarray, np.ndarray]:
    affine, shape = tilted.isotropic()
    affine = affine @ np.array([[1, 0, 0, -30], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    shape = (shape[0] + 60, *shape[1:])
    return tilted.blood(affine, shape, moved_mm=(120, 0, 0)), affine


def between_slices(tilted: Tilted) -> tuple[np.ndarray, np.ndarray]:
    affine = tilted.affine @ np.diag([1, 1, 0.2, 1])
    values = np.zeros((*tilted.size[:2], 5 * (SLICES - 1) + 1), np.uint8)
    values[60:66, 60:66, 32:34] = 1
    return values, affine


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (without_shear, "has as many voxels as the series, but they do not lie on its pixels"),
        (far_away, "lies on none of the 14 slices"),
        (place_lost, "overlaps it too little: it reaches 14 of 14 slices"),
        (half_the_series, "overlaps it too little: it reaches"),
        (cut_through, "ends within"),
        (of_elsewhere, "of its haematoma lies outside the slices"),
        (between_slices, "lies between the slices of the series"),
    ],
)
def test_a_doubtful_place_is_refused(
    tilted: Tilted, made: Callable[[Tilted], tuple[np.ndarray, np.ndarray]], reason: str
) -> None:
    tilted.add_mask(*made(tilted))
    result = tilted.imported()
    assert result.annotated == 0
    assert [reason in entry.reason for entry in result.refused] == [True], result.refused
    assert result.refused[0].remedy.endswith(".")


def test_a_mask_that_lies_nowhere_is_refused(tilted: Tilted) -> None:
    affine, shape = tilted.isotropic()
    values = tilted.blood(affine, shape)
    affine[2] = affine[1]
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.uint8)
    header["sform_code"] = 1
    header["srow_x"], header["srow_y"], header["srow_z"] = affine[:3]
    (tilted.folder / "masks").mkdir()
    nib.save(nib.Nifti1Image(values, None, header), tilted.folder / "masks" / f"{tilted.patient_id}.nii.gz")
    assert "its affine is degenerate" in tilted.imported().refused[0].reason


def mask_grids(result: ImportResult) -> list[str]:
    """What series.csv says of each series, the longer one first."""
    table = pd.read_csv(result.reports / "series.csv", keep_default_na=False)
    return table.sort_values("slices", ascending=False)["mask_grid"].tolist()


def test_every_series_of_a_study_takes_the_mask_on_its_own_pixels(tilted: Tilted) -> None:
    size = (*tilted.size[:2], SLICES - 1)
    other = tilted.add_series((1.1, 0, 2.3), SLICES - 1)
    tilted.add_mask(tilted.blood(tilted.affine, tilted.size), tilted.affine)
    assert mask_grids(tilted.imported()) == ["own", "resampled"]
    tilted.add_mask(tilted.blood(other, size), other, name=f"{tilted.patient_id}_thin")
    result = tilted.imported()
    assert (mask_grids(result), result.refused) == (["own", "own"], ())


def test_a_mask_that_may_be_of_another_examination_is_not_resampled(tilted: Tilted) -> None:
    tilted.add_series((1.1, 3.3, 2.3), SLICES - 1, StudyInstanceUID=generate_uid(), FrameOfReferenceUID=generate_uid())
    tilted.add_mask(tilted.blood(tilted.affine, tilted.size), tilted.affine)
    result = tilted.imported()
    assert mask_grids(result) == ["own", ""]
    assert ["share no frame of reference" in entry.reason for entry in result.refused] == [True]
    affine, shape = tilted.unsheared()
    tilted.add_mask(tilted.blood(affine, shape), affine)
    result = tilted.imported()
    assert mask_grids(result) == ["", ""]
    assert ["share no frame of reference" in entry.reason for entry in result.refused] == [True, True]
    (tilted.folder / "masks" / f"{tilted.patient_id}.nii.gz").unlink()
    uid = pydicom.dcmread(next((tilted.folder / "export").glob("*.dcm"))).SeriesInstanceUID
    tilted.add_mask(tilted.blood(affine, shape), affine, name=uid)
    result = tilted.imported()
    assert (mask_grids(result), result.refused) == (["resampled", ""], ())
