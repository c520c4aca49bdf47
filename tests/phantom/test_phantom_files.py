# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What the phantom writes: DICOM series, NIfTI masks, manifest and truth table, checked with pydicom and nibabel."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pydicom
import pytest
from phantom_cases import TINY, digests
from pydicom.pixels import apply_rescale

from monai_ich.phantom import PhantomSpec, generate_phantom, make_patient
from monai_ich.phantom.planned_studies import PlannedStudy
from monai_ich.phantom.study_files import write_mask, write_slice
from monai_ich.utils.errors import ConfigurationError
from monai_ich.utils.files import PARTIAL


def bleeding(spec: PhantomSpec, hospital: int) -> int:
    return next(number for number in range(50) if make_patient(spec, hospital, number).truth.ich)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    generate_phantom(root / "data", root / "manifests" / "phantom.csv", TINY, workers=1)
    return root


@pytest.mark.parametrize("syntax", ["explicit_vr_little_endian", "jpeg_ls_lossless"])
@pytest.mark.parametrize("hospital", [1, 2, 4, 7])
def test_dicom_is_valid_and_gives_back_the_hu(tmp_path: Path, hospital: int, syntax: str) -> None:
    patient = make_patient(PhantomSpec(matrix=64, transfer_syntax=syntax), hospital, 0)
    hu = patient.render(1).hu
    data = pydicom.dcmread(write_slice(tmp_path, patient, 1, hu))
    np.testing.assert_array_equal(apply_rescale(data.pixel_array, data), hu)
    assert data.file_meta.MediaStorageSOPClassUID == data.SOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
    assert data.file_meta.MediaStorageSOPInstanceUID == data.SOPInstanceUID
    assert data.file_meta.TransferSyntaxUID.is_compressed == (syntax == "jpeg_ls_lossless")
    assert (data.Modality, data.RescaleType, data.Rows, data.Columns) == ("CT", "HU", 64, 64)
    assert data.PatientID == f"PHANTOM-{hospital:02d}-0000"
    assert data.InstanceNumber == 2
    assert (data.WindowCenter, data.WindowWidth) == (40, 80)
    assert data.PixelRepresentation == int(patient.truth.site.signed)
    assert all(uid.is_valid for uid in (data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID))
    stored = data.pixel_array.astype(int)
    low = -(2 ** (data.BitsStored - 1)) if data.PixelRepresentation else 0
    assert stored.min() >= low
    assert stored.max() < low + 2**data.BitsStored
    if hospital == 7:
        assert data.PixelPaddingValue == -2000
        assert stored[0, 0] == -2000
    elements = [element for element in data.iterall() if element.VR == "DS" and element.value is not None]
    assert all(len(part) <= 16 for e in elements for part in str(e.value).strip("[]").replace("'", "").split(", "))


@pytest.mark.parametrize("hospital", [1, 2, 3, 4])
def test_mask_and_dicom_agree_in_world_coordinates(tmp_path: Path, hospital: int) -> None:
    spec = PhantomSpec(matrix=64, slices_per_study=5)
    patient = make_patient(spec, hospital, bleeding(spec, hospital))
    slices = [patient.render(index) for index in range(5)]
    headers = [pydicom.dcmread(write_slice(tmp_path, patient, k, s.hu)) for k, s in enumerate(slices)]
    write_mask(tmp_path / "mask.nii.gz", patient, [s.mask for s in slices])
    image = nib.load(tmp_path / "mask.nii.gz")
    volume = np.asarray(image.dataobj)
    assert sum(int(s.mask.sum()) for s in slices) == int(volume.sum()) > 0
    for k, (header, rendered) in enumerate(zip(headers, slices, strict=True)):
        row_step = np.array(header.ImageOrientationPatient[3:], dtype=float) * float(header.PixelSpacing[0])
        col_step = np.array(header.ImageOrientationPatient[:3], dtype=float) * float(header.PixelSpacing[1])
        rows, cols = np.nonzero(np.ones_like(rendered.mask))
        lps = np.array(header.ImagePositionPatient, dtype=float) + np.outer(rows, row_step) + np.outer(cols, col_step)
        voxels = nib.affines.apply_affine(np.linalg.inv(image.affine), lps * [-1, -1, 1])
        nearest = np.rint(voxels).astype(int)
        np.testing.assert_allclose(voxels, nearest, atol=5e-3)
        np.testing.assert_array_equal(volume[tuple(nearest.T)], rendered.mask.ravel())
        assert set(nearest[:, 2]) == {k}


@pytest.mark.parametrize("hospital", [1, 2, 8])
def test_series_geometry_is_consistent(tmp_path: Path, hospital: int) -> None:
    patient = make_patient(PhantomSpec(matrix=32), hospital, 0)
    headers = [pydicom.dcmread(write_slice(tmp_path, patient, k, patient.render(k).hu)) for k in (0, 1)]
    first = headers[0]
    row, column = np.array(first.ImageOrientationPatient, dtype=float).reshape(2, 3)
    assert np.linalg.norm(row) == pytest.approx(1, abs=1e-5)
    assert row @ column == pytest.approx(0, abs=1e-5)
    steps = np.subtract(*[np.array(h.ImagePositionPatient, dtype=float) for h in reversed(headers)])
    assert abs(steps @ np.cross(row, column)) == pytest.approx(float(first.SpacingBetweenSlices), abs=1e-4)
    assert abs(steps[2]) == pytest.approx(float(first.SliceThickness), abs=1e-5)  # the table moves along z
    assert np.rad2deg(np.arcsin(-column[2])) == pytest.approx(float(first.GantryDetectorTilt), abs=1e-3)
    assert (steps[2] > 0) == patient.truth.site.feet_first
    assert first.SeriesInstanceUID == headers[1].SeriesInstanceUID
    assert first.SOPInstanceUID != headers[1].SOPInstanceUID


def test_bytes_do_not_depend_on_workers(made: Path, tmp_path: Path) -> None:
    generate_phantom(tmp_path / "data", tmp_path / "manifests" / "phantom.csv", TINY, workers=2)
    assert digests(tmp_path) == digests(made)


def test_manifest_truth_and_files_agree(made: Path) -> None:
    table = pd.read_csv(made / "manifests" / "phantom.csv", dtype=str, keep_default_na=False)
    truth = pd.read_csv(made / "data" / "truth.csv").set_index("key")
    assert len(truth) == sum(TINY.studies) * 4
    assert set(table.split) == {"train", "val", "test_hospitals_1_4", "test_hospitals_5_11"}
    for row in table.itertuples():
        header = pydicom.dcmread(made / "data" / row.image, stop_before_pixels=True)
        fact = truth.loc[row.key]
        assert header.PatientID == row.patient_id == fact.patient_id
        assert header.InstanceNumber == fact.instance
        assert header.ConvolutionKernel == str(fact.kernel)
        assert int(row.hypodensity) == fact.hypodensity
        assert bool(row.mask) == (int(row.hospital) <= 4)
        if row.mask:
            volume = np.asarray(nib.load(made / "data" / row.mask).dataobj)
            area = volume[..., int(row.mask_slice)].sum() * float(header.PixelSpacing[0]) ** 2
            assert area == pytest.approx(fact.clot_area_mm2, abs=0.01)
    assert not list((made / "data").rglob(f"{PARTIAL}*"))
    assert {path.name for path in (made / "data" / "masks").iterdir()} == {f"hospital_0{n}" for n in (1, 2, 3, 4)}


def test_generation_goes_on_after_an_interruption(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import monai_ich.phantom.generate as module

    real, calls = module.make_study, []

    def failing(folder: Path, spec: PhantomSpec, study: PlannedStudy) -> Path:
        calls.append(study)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(folder, spec, study)

    manifest = tmp_path / "manifests" / "phantom.csv"
    monkeypatch.setattr(module, "make_study", failing)
    with pytest.raises(KeyboardInterrupt):
        generate_phantom(tmp_path / "data", manifest, TINY, workers=1)
    assert not manifest.exists()
    kept = next((tmp_path / "data").rglob("IM0001.dcm"))
    written = kept.stat().st_mtime_ns
    monkeypatch.setattr(module, "make_study", real)
    generate_phantom(tmp_path / "data", manifest, TINY, workers=1)
    assert kept.stat().st_mtime_ns == written  # finished studies are not made again
    assert digests(tmp_path) == digests(made)
    generate_phantom(tmp_path / "data", manifest, TINY, workers=1)
    assert kept.stat().st_mtime_ns == written


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigurationError, match=r"holds images without phantom.json: they are not a phantom's, or"):
        generate_phantom(tmp_path, tmp_path / "phantom.csv", TINY, workers=1)
