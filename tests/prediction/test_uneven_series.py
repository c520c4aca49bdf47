# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Series that no one affine holds: volume, positions and mask against the headers, by DICOM's own equation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import itk
import nibabel as nib
import numpy as np
import pydicom
import pytest

Predict = Callable[..., SimpleNamespace]
AREA_MM2 = 0.5 * 0.8  # of a pixel
THIN_THICK = [2.5 * n for n in range(4)] + [12.5 + 7.5 * n for n in range(3)]
OWN = [2.5] * 4 + [7.5] * 3


def _pixels(number: int) -> int:
    return (5 + number) * 20


def _assert_in_place(folder: Path, mask: nib.Nifti1Image) -> None:
    """Every pixel of every slice, at its place by PS3.3 C.7.6.2.1.1, has the mask's nearest voxel."""
    values = np.asarray(mask.dataobj)
    to_voxel = np.linalg.inv(mask.affine)
    for path in folder.glob("*.dcm"):
        header = pydicom.dcmread(path)
        rows, columns = np.meshgrid(np.arange(header.Rows), np.arange(header.Columns), indexing="ij")
        orientation, spacing = np.array(header.ImageOrientationPatient, float), header.PixelSpacing
        lps = np.array(header.ImagePositionPatient, float) + columns[..., None] * orientation[:3] * spacing[1]
        lps = lps + rows[..., None] * orientation[3:] * spacing[0]
        voxels = np.rint(nib.affines.apply_affine(to_voxel, lps * [-1, -1, 1])).astype(int)
        np.testing.assert_array_equal(values[tuple(np.moveaxis(voxels, -1, 0))], header.pixel_array > 40)


def _millilitres(extent_mm: Sequence[float]) -> float:
    return sum(_pixels(n) * AREA_MM2 * own for n, own in enumerate(extent_mm)) / 1000


def test_a_thin_base_and_a_thick_vertex(predict_known: Predict, write_head: Any, tmp_path: Path) -> None:
    folder = write_head(tmp_path / "ct", [(-20, -30, z) for z in THIN_THICK], OWN)
    got = predict_known(folder)
    np.testing.assert_allclose(got.slices["z_mm"], THIN_THICK)
    np.testing.assert_allclose(got.slices["extent_mm"], [2.5, 2.5, 2.5, 3.75, 6.25, 7.5, 7.5])
    np.testing.assert_allclose(got.slices["haematoma_area_mm2"], [_pixels(n) * AREA_MM2 for n in range(7)])
    right = _millilitres([2.5, 2.5, 2.5, 3.75, 6.25, 7.5, 7.5])
    assert got.study["haematoma_volume_ml"] == pytest.approx(right, abs=1e-3)
    assert right == pytest.approx(_millilitres(OWN), rel=0.02)
    _assert_in_place(folder, got.mask)
    assert not (got.folder / "mask_unsheared.nii.gz").exists()
    notes = got.study["notes"]
    assert [note.partition(":")[0] for note in notes[:1]] == ["slices are not evenly spaced"]
    assert notes[1].startswith("mask.nii.gz lies on an even grid")
    assert len(notes) == 2
    itk.imread(str(got.folder / "mask.nii.gz"))


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_fields_of_view_that_were_centred_anew(
    predict_known: Predict, write_head: Any, tmp_path: Path, tilt: float
) -> None:
    """Shifts of whole pixels: nothing is moved at all. A tilted gantry shifts the slices within their planes too."""
    normal = np.cross([1, 0, 0], [0, np.cos(tilt), np.sin(tilt)])
    step = np.array([0, 0, 5.0])
    in_plane = step - (step @ normal) * normal
    rows = np.linalg.norm(in_plane) / 0.5
    scale = round(rows) / rows if rows else 1.0  # so that the tilt moves by whole pixels too
    positions = [
        np.array([-20, -30, 0.0]) + n * (normal * (step @ normal) + in_plane * scale) + [8.0 * (n > 2), 0, 0]
        for n in range(6)
    ]
    folder = write_head(tmp_path / "ct", positions, [5.0] * 6, (1, 0, 0, 0, np.cos(tilt), np.sin(tilt)))
    got = predict_known(folder)
    _assert_in_place(folder, got.mask)
    extent = 5.0 * np.cos(tilt)
    assert got.study["haematoma_volume_ml"] == pytest.approx(_millilitres([extent] * 6), abs=1e-3)
    assert int(np.asarray(got.mask.dataobj).sum()) == sum(map(_pixels, range(6)))
    axes = got.mask.affine[:3, :3]
    np.testing.assert_allclose(axes.T @ axes, np.diag([0.8**2, 0.5**2, extent**2]), atol=1e-4)


def test_a_missing_slice_is_not_filled_and_noted(predict_known: Predict, write_head: Any, tmp_path: Path) -> None:
    heights = [0, 5, 10, 20, 25]
    folder = write_head(tmp_path / "ct", [(0, 0, z) for z in heights], [5.0] * 5)
    got = predict_known(folder)
    assert got.study["haematoma_volume_ml"] == pytest.approx(_millilitres([5.0] * 5), abs=1e-3)
    assert any("1 gap(s) between slices, of up to 5.0 mm" in note for note in got.study["notes"])
    _assert_in_place(folder, got.mask)
    assert got.mask.shape[2] == 6
    assert int(np.asarray(got.mask.dataobj)[..., 3].sum()) == 0
    assert _volume_of(got) == pytest.approx(got.study["haematoma_volume_ml"], abs=1e-3)


def _volume_of(got: SimpleNamespace) -> float:
    """By the table alone."""
    return float((got.slices["haematoma_area_mm2"] * got.slices["extent_mm"]).sum()) / 1000


@pytest.mark.parametrize(("thickness_mm", "noted"), [(5.0, False), (2.0, True), (10.0, False)])
def test_even_slices_count_their_distance_whatever_their_thickness(
    predict_known: Predict, write_head: Any, tmp_path: Path, thickness_mm: float, noted: bool
) -> None:
    folder = write_head(tmp_path / "ct", [(0, 0, 5 * n) for n in range(4)], [thickness_mm] * 4)
    got = predict_known(folder)
    assert got.study["haematoma_volume_ml"] == pytest.approx(_millilitres([5.0] * 4), abs=1e-3)
    assert [n for n in got.study["notes"] if "3.0 mm that neither slice's thickness covers" in n] == (
        got.study["notes"] if noted else []
    )
    voxels = int(np.asarray(got.mask.dataobj).sum()) * abs(np.linalg.det(got.mask.affine[:3, :3])) / 1000
    assert got.study["haematoma_volume_ml"] == pytest.approx(voxels, abs=1e-3)
    _assert_in_place(folder, got.mask)


def test_a_single_slice_of_unknown_thickness_has_no_volume(
    predict_known: Predict, write_head: Any, tmp_path: Path
) -> None:
    got = predict_known(write_head(tmp_path / "ct", [(0, 0, 7)], [None]))
    assert "haematoma_volume_ml" in got.study
    assert got.study["haematoma_volume_ml"] is None
    assert any("thickness is unknown" in note for note in got.study["notes"])
    assert got.slices["extent_mm"].isna().all()
    assert got.slices["haematoma_area_mm2"].tolist() == [_pixels(0) * AREA_MM2]
    known = predict_known(write_head(tmp_path / "known", [(0, 0, 7)], [2.5]))
    assert known.study["haematoma_volume_ml"] == pytest.approx(_millilitres([2.5]), abs=1e-3)
    assert known.study["notes"] == []
