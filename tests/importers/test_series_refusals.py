# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What is no readable axial CT is left out with its reason; the rest of the folder is imported."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from importer_support import SLICES, bleeding_patient, edit, files_by_fate, read, request, write_study
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from monai_ich.importers import ScanOptions, import_dicom
from monai_ich.importers.item_records import Refusal
from monai_ich.utils.errors import ConfigurationError, ManifestError

SHIPPED = Path(get_testdata_file("CT_small.dcm")).parent


@pytest.fixture
def with_spoilt(tmp_path: Path) -> Callable[..., list[Refusal]]:
    """Imports one good series and one that `change` spoils; returns the refusals of the latter."""

    def spoil(change: Callable[[Dataset, int], None], **settings: object) -> list[Refusal]:
        write_study(tmp_path / "export" / "good", bleeding_patient(1))
        write_study(tmp_path / "export" / "bad", bleeding_patient(2), change=change)
        result = import_dicom(request(tmp_path, **settings))
        table = pd.read_csv(result.reports / "refused.csv")
        assert list(table.columns) == ["path", "files", "reason", "remedy"]
        assert table["reason"].tolist() == [entry.reason for entry in result.refused]
        assert result.slices == SLICES * (1 if result.refused else 2)
        return list(result.refused)

    return spoil


def put(keyword: str, value: object) -> Callable[[Dataset, int], None]:
    return lambda data, _: setattr(data, keyword, value)


def secondary_capture(data: Dataset, _: int) -> None:
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage


def in_turn(keyword: str, *values: object) -> Callable[[Dataset, int], None]:
    """Two scans whose slices lie between one another."""
    return lambda data, index: setattr(data, keyword, values[index % 2])


def one_coronal(data: Dataset, index: int) -> None:
    if index == 2:
        data.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def one_of_another_spacing(data: Dataset, index: int) -> None:
    if index == 2:
        data.PixelSpacing = [0.9, 0.9]


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        (put("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), "is a localizer", "take it out"),
        (put("ImageType", ["DERIVED", "SECONDARY", "MPR"]), "is a derived image (DERIVED/SECONDARY/MPR)", "derived"),
        (put("BurnedInAnnotation", "YES"), "text is burnt into its pixels", "--allow-burnt-in"),
        (secondary_capture, "is a Secondary Capture Image Storage, not a CT image", "Export the original slices"),
        (put("PhotometricInterpretation", "MONOCHROME1"), "expected PhotometricInterpretation MONOCHROME2", "Export"),
        (lambda data, _: delattr(data, "RescaleSlope"), "RescaleSlope is missing", "Export the original CT slice"),
        (lambda data, _: delattr(data, "ImagePositionPatient"), "ImagePositionPatient is missing", "Export"),
        (put("Modality", "MR"), "expected Modality CT, got MR", "take the file out"),
        (lambda data, _: delattr(data, "SeriesInstanceUID"), "SeriesInstanceUID is missing", "Export the series again"),
        (put("ImageOrientationPatient", [1, 0, 0, 0, 0, -1]), "is a coronal slice", "Take the axial series"),
        (one_of_another_spacing, "differ in size, orientation or pixel spacing", "Separate them"),
        (in_turn("AcquisitionNumber", 1, 2), "belong to different acquisitions", "Keep one of the acquisitions"),
        (in_turn("AcquisitionTime", "100000", "101500"), "belong to different acquisitions", "Series Instance UID"),
        (in_turn("FrameOfReferenceUID", "1.2", "1.3"), "different frames of reference", "Keep one"),
        (lambda data, index: setattr(data, "PatientID", f"P{index // 2}"), "one series UID is used by 2", "again"),
    ],
)
def test_unfit_series_are_refused(
    with_spoilt: Callable[..., list[Refusal]], change: Callable[[Dataset, int], None], reason: str, remedy: str
) -> None:
    refused = with_spoilt(change)
    assert reason in refused[0].reason
    assert remedy.lower() in refused[0].remedy.lower()
    assert sum(entry.files for entry in refused) == SLICES


def test_what_was_looked_at_can_be_taken(with_spoilt: Callable[..., list[Refusal]]) -> None:
    def derived_with_text(data: Dataset, _: int) -> None:
        data.ImageType, data.BurnedInAnnotation = ["DERIVED", "SECONDARY"], "YES"

    assert with_spoilt(derived_with_text, scan=ScanOptions(allow_derived=True, allow_burnt_in=True)) == []


def test_one_coronal_slice_leaves_a_gap_in_its_series(with_spoilt: Callable[..., list[Refusal]]) -> None:
    refused = with_spoilt(one_coronal)
    assert "is a coronal slice" in refused[0].reason
    assert "mm apart where the series has" in refused[1].reason


def test_a_damaged_slice_is_refused_by_itself_where_gaps_are_allowed(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    paths[1].write_bytes(paths[1].read_bytes()[:-100])
    paths[2].write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 300)
    (tmp_path / "export" / "readme.txt").write_text("not a slice")
    result = import_dicom(request(tmp_path, allow_gaps=True))
    assert (result.slices, len(result.refused)) == (2, 2)
    assert all(entry.remedy for entry in result.refused)
    assert any("cut short" in entry.reason for entry in result.refused), [entry.reason for entry in result.refused]
    assert files_by_fate(result) == {"used": 2, "refused": 2, "passed over": 1}


def test_several_series_of_a_study_and_a_choice_among_them(tmp_path: Path) -> None:
    uid = generate_uid()
    patient = bleeding_patient(1)
    write_study(tmp_path / "export" / "soft", patient, change=put("SeriesDescription", "HEAD soft 5.0"))

    def bone(data: Dataset, index: int) -> None:
        data.SeriesInstanceUID, data.SeriesDescription = uid, "HEAD bone 5.0"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{uid}.{index}"[:64]

    write_study(tmp_path / "export" / "bone", patient, change=bone)
    both = read(import_dicom(request(tmp_path)).manifest).frame
    assert (len(both), both["study_id"].nunique(), both["key"].nunique()) == (2 * SLICES, 1, 2 * SLICES)
    one = import_dicom(request(tmp_path, scan=ScanOptions(description="(?i)soft")))
    assert one.slices == SLICES


def test_series_of_two_sizes_in_one_folder_cannot_be_referred_to(tmp_path: Path) -> None:
    patient = bleeding_patient(1)
    write_study(tmp_path / "export" / "a", patient)
    write_study(tmp_path / "other", patient, change=lambda d, n: setattr(d, "SeriesInstanceUID", "1.2.3"))
    for path in (tmp_path / "other").iterdir():

        def halve(data: Dataset) -> None:
            data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            data.decompress()
            data.set_pixel_data(data.pixel_array[::2], "MONOCHROME2", data.BitsStored, generate_instance_uid=False)

        edit(path, halve)
        shutil.move(path, tmp_path / "export" / "a" / f"half_{path.name}")
    refused = import_dicom(request(tmp_path, files="refer")).refused
    assert "another size" in refused[0].reason
    assert import_dicom(request(tmp_path, files="link")).refused == ()


def test_shipped_awkward_files(tmp_path: Path) -> None:
    """Real files of other kinds: none comes in, each has its reason, and the one real head CT slice does."""
    export = tmp_path / "export"
    export.mkdir()
    for name in ("J2K_pixelrep_mismatch", "MR_small_RLE", "rtdose", "rtplan", "CT_small", "MR_truncated", "JPEG2000"):
        shutil.copy(SHIPPED / f"{name}.dcm", export)
    shutil.copytree(SHIPPED / "dicomdirtests" / "77654033", export / "gappy")
    result = import_dicom(request(tmp_path, scan=ScanOptions(allow_derived=True)))
    frame = read(result.manifest).frame
    headers = [pydicom.dcmread(tmp_path / "out" / name) for name in frame["image"]]
    assert {str(header.Modality) for header in headers} == {"CT"}
    assert any(header.SOPInstanceUID == pydicom.dcmread(export / "J2K_pixelrep_mismatch.dcm").SOPInstanceUID
               for header in headers)  # fmt: skip
    assert any("mm apart where the series has" in entry.reason for entry in result.refused)
    fates = files_by_fate(result)
    assert (fates["used"], fates["refused"]) == (len(frame), sum(entry.files for entry in result.refused))
    assert sum(fates.values()) == len([path for path in export.rglob("*") if path.is_file()])


def test_requests_that_cannot_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        import_dicom(request(tmp_path, hospital="", files="move", masks=tmp_path / "none"))
    message = str(caught.value)
    assert f"source: there is no folder {tmp_path / 'export'}" in message
    assert f"masks: there is no folder {tmp_path / 'none'}" in message
    assert "files is 'move'; expected one of refer, link, copy" in message
    assert "no hospital: name it" in message


def test_a_folder_without_ct(tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "notes.txt").write_text("nothing")
    with pytest.raises(ManifestError, match=r"no slice is left, and 0 entries of .*refused\.csv"):
        import_dicom(request(tmp_path))
    assert not any((tmp_path / "manifests").glob("*"))


def test_the_directory_of_a_cd_is_no_fault(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    shutil.copy(get_testdata_file("DICOMDIR"), tmp_path / "export" / "DICOMDIR")
    result = import_dicom(request(tmp_path))
    assert (result.slices, result.refused) == (len(paths), ())
