# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Files that are no CT slices in HU, or damaged, are refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import itk
import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from monai_ich.reading import read_slices
from monai_ich.utils.errors import ImageReadError

REAL_SLICE = Path(get_testdata_file("J2K_pixelrep_mismatch.dcm"))


def _delete(keyword: str) -> Callable[[Any], None]:
    return lambda dataset: delattr(dataset, keyword)


def _set(keyword: str, value: object) -> Callable[[Any], None]:
    return lambda dataset: setattr(dataset, keyword, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("Modality", "MR"), "expected Modality CT, got MR"),
        (_delete("RescaleSlope"), "RescaleSlope is missing; without it the values are not HU"),
        (_delete("RescaleIntercept"), "RescaleIntercept is missing; without it the values are not HU"),
        (_set("RescaleType", "Z_EFF"), "RescaleType is 'Z_EFF', expected HU"),
        (_set("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), "is a localizer"),
        (_set("PhotometricInterpretation", "MONOCHROME1"), "expected PhotometricInterpretation MONOCHROME2"),
        (_delete("ImageOrientationPatient"), "ImageOrientationPatient is missing; without it the orientation"),
        (_delete("ImagePositionPatient"), "ImagePositionPatient is missing"),
        (_set("PixelSpacing", [0.5]), "wrong number of values"),
        (_set("ImageOrientationPatient", [1, 0, 0, 0, 0, -1]), "is a coronal slice .* expected axial"),
        (_set("ImageOrientationPatient", [0, 1, 0, 0, 0, -1]), "is a sagittal slice"),
        (_delete("PixelData"), "pixel data cannot be decoded"),
    ],
)
def test_unfit_dicom_is_refused(
    tmp_path: Path, write_dicom: Callable[..., Path], change: Callable[[Any], None], message: str
) -> None:
    path = write_dicom(tmp_path / "bad.dcm", np.zeros((8, 8), np.int16), change=change)
    with pytest.raises(ImageReadError, match=rf"bad\.dcm: .*{message}"):
        read_slices(path)


@pytest.mark.parametrize("values", [np.float32(0.3), np.int16(-900)])
def test_what_is_no_mask_is_refused(tmp_path: Path, write_nifti: Callable[..., Path], values: np.generic) -> None:
    path = write_nifti(tmp_path / "m.nii", np.full((2, 8, 8), values))
    with pytest.raises(ImageReadError, match=r"m\.nii: expected a mask with whole labels.*not exchanged"):
        read_slices(path, kind="mask")


def test_frames_in_colours_are_no_mask(tmp_path: Path, write_enhanced: Callable[..., Path]) -> None:
    path = write_enhanced(tmp_path / "c.dcm", np.zeros((2, 4, 5), np.uint16), [np.zeros(3), np.ones(3)], [(1.0, 0.0)])
    dataset = pydicom.dcmread(path)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = bytes(2 * 4 * 5 * 3)
    dataset.save_as(path)
    with pytest.raises(ImageReadError, match=r"expected grey slices, got pixel data of shape \(2, 4, 5, 3\)"):
        read_slices(path, kind="mask")


@pytest.mark.parametrize("keep", [0.999, 0.6, 0.02])
@pytest.mark.parametrize("source", ["native.dcm", "jpeg2000.dcm", "v.nii", "v.nii.gz", "v.mha"])
def test_truncated_files(
    tmp_path: Path,
    ct_object: SimpleNamespace,
    write_nifti: Callable[..., Path],
    write_dicom: Callable[..., Path],
    source: str,
    keep: float,
) -> None:
    path = tmp_path / source
    if source == "native.dcm":
        write_dicom(path, ct_object.hu[0])
    elif source == "jpeg2000.dcm":
        path.write_bytes(REAL_SLICE.read_bytes())
    elif source == "v.mha":
        import itk

        itk.imwrite(itk.image_from_array(ct_object.hu), str(path), compression=False)
    else:
        write_nifti(path, ct_object.hu)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ImageReadError, match=source):
        read_slices(path)


def test_missing_empty_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(ImageReadError, match=r"none\.dcm: no such file"):
        read_slices(tmp_path / "none.dcm")
    (tmp_path / "empty.dcm").touch()
    with pytest.raises(ImageReadError, match=r"empty\.dcm: "):
        read_slices(tmp_path / "empty.dcm")
    (tmp_path / "notes.txt").write_text("not an image at all, but long enough to look at" * 10)
    with pytest.raises(ImageReadError, match=r"notes\.txt: (is not a DICOM file|cannot be parsed)"):
        read_slices(tmp_path / "notes.txt")


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1e3), ("meter", 1e-3), ("unknown", 1.0), ("mm", 1.0)])
def test_nifti_in_other_units_than_millimetres(tmp_path: Path, unit: str, factor: float) -> None:
    """As ITK does: the header's unit is turned into millimetres."""
    affine = np.diag([-0.5, -0.5, 6.0, 1.0])
    affine[:3, 3] = (10, 20, 30)
    image = nib.Nifti1Image(np.full((4, 5, 3), 40, np.int16), np.diag([factor, factor, factor, 1]) @ affine)
    image.header.set_xyzt_units(unit, "sec")
    nib.save(image, tmp_path / "v.nii.gz")
    stack = read_slices(tmp_path / "v.nii.gz")
    np.testing.assert_allclose(stack.source_affine_ras_mm, affine, atol=1e-4)
    if unit != "unknown":
        lps = itk.imread(str(tmp_path / "v.nii.gz"))
        np.testing.assert_allclose(np.asarray(itk.spacing(lps)), [0.5, 0.5, 6.0], rtol=1e-5)


def _with_forms(path: Path, sform: np.ndarray, qform: np.ndarray) -> Path:
    image = nib.Nifti1Image(np.full((40, 50, 9), 40, np.int16), sform)
    image.set_sform(sform, code=1)
    image.set_qform(qform, code=1)
    nib.save(image, path)
    return path


def test_nifti_whose_two_affines_agree(tmp_path: Path) -> None:
    upright = np.diag([-0.5, -0.5, 6.0, 1.0])
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]]
    tilted = upright.copy()
    tilted[1, 2] = 2.0  # what a gantry of 18 degrees does; a qform has no place for it
    for number, (sform, qform) in enumerate([(upright, upright), (turn @ upright, turn @ upright), (tilted, upright)]):
        stack = read_slices(_with_forms(tmp_path / f"{number}.nii", sform, qform))
        np.testing.assert_allclose(stack.source_affine_ras_mm, sform, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (np.diag([-1.0, 1, 1, 1]), "39.0 mm apart"),  # left and right exchanged: twice 39 steps of half a millimetre
        (np.array([[1.0, 0, 0, 1.1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "1.1 mm apart"),
        (np.diag([1.0, 1, 0.5, 1]), "24.0 mm apart"),
        (np.diag([1.0, 1, -1, 1]), "in opposite order"),
    ],
)
def test_nifti_whose_two_affines_differ(tmp_path: Path, change: np.ndarray, told: str) -> None:
    affine = np.diag([-0.5, -0.5, 6.0, 1.0])
    with pytest.raises(ImageReadError) as caught:
        read_slices(_with_forms(tmp_path / "v.nii", affine, change @ affine))
    assert told in str(caught.value)
    nearly = np.eye(4)
    nearly[0, 3] = 0.9
    assert read_slices(_with_forms(tmp_path / "n.nii", affine, nearly @ affine)).pixels.shape == (9, 50, 40)


def test_nifti_in_a_unit_that_does_not_exist(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.full((4, 5, 3), 40, np.int16), np.diag([1.0, 1, 6, 1]))
    image.header["xyzt_units"] = 5
    nib.save(image, tmp_path / "v.nii.gz")
    with pytest.raises(ImageReadError, match="unit of length as number 5"):
        read_slices(tmp_path / "v.nii.gz")


def test_nifti_without_orientation_or_with_nan_is_refused(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((8, 8, 2), np.float32), np.eye(4))
    image.set_sform(None, code=0)
    image.set_qform(None, code=0)
    nib.save(image, tmp_path / "v.nii")
    with pytest.raises(ImageReadError, match=r"neither sform nor qform is set"):
        read_slices(tmp_path / "v.nii")
    nib.save(nib.Nifti1Image(np.full((8, 8, 2), np.nan, np.float32), np.eye(4)), tmp_path / "n.nii")
    with pytest.raises(ImageReadError, match=r"n\.nii: holds values that are not numbers"):
        read_slices(tmp_path / "n.nii")
    nib.save(nib.Nifti1Image(np.zeros((8, 8, 2, 3), np.float32), np.eye(4)), tmp_path / "t.nii")
    with pytest.raises(ImageReadError, match=r"expected one grey value a voxel"):
        read_slices(tmp_path / "t.nii")
