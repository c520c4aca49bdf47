# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Contours of RT Structure Sets become masks; which pixels lie inside is compared with matplotlib's paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from importer_support import SLICES, bleeding_patient, read, request, stored_pixels, write_study
from matplotlib.path import Path as Outline
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

from monai_ich.importers import ImportResult, import_dicom
from monai_ich.importers.mask_contours import fill

# (column, row): a ragged outline, a hole in it, and an island in the hole
OUTLINE = [(10.3, 8.2), (40.7, 12.1), (47.2, 33.6), (30.1, 22.4), (14.6, 44.9)]
HOLE = [(17.3, 15.4), (27.2, 16.1), (19.1, 28.7)]
ISLAND = [(19.2, 17.3), (22.8, 17.6), (20.3, 21.3)]


def inside(points: Sequence[tuple[float, float]], shape: tuple[int, int] = (64, 64)) -> np.ndarray:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    found = Outline([*points, points[0]], closed=True).contains_points(np.stack([columns, rows], -1).reshape(-1, 2))
    return found.reshape(shape)


def item(**values: Any) -> Dataset:
    data = Dataset()
    for name, value in values.items():
        setattr(data, name, value)
    return data


def in_patient(header: Dataset, points: Sequence[tuple[float, float]]) -> list[str]:
    row, column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    step_r, step_c = map(float, header.PixelSpacing)
    place = np.array(header.ImagePositionPatient, float)
    return [f"{v:.6f}" for c, r in points for v in place + c * step_c * row + r * step_r * column]


def write_structures(
    path: Path,
    images: list[Path],
    regions: dict[str, dict[int, list[Any]]],
    change: Callable[[Dataset], None] | None = None,
) -> None:
    """Regions: name -> number of an image -> contours."""
    headers = [pydicom.dcmread(image) for image in images]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, RTStructureSetStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = RTStructureSetStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PatientID = "RTSTRUCT", headers[0].PatientID
    data.StudyInstanceUID, data.SeriesInstanceUID = headers[0].StudyInstanceUID, generate_uid()
    referred = [item(ReferencedSOPClassUID=h.SOPClassUID, ReferencedSOPInstanceUID=h.SOPInstanceUID) for h in headers]
    series = item(SeriesInstanceUID=headers[0].SeriesInstanceUID, ContourImageSequence=DicomSequence(referred))
    study = item(RTReferencedSeriesSequence=DicomSequence([series]))
    reference = item(
        FrameOfReferenceUID=headers[0].FrameOfReferenceUID, RTReferencedStudySequence=DicomSequence([study])
    )
    data.ReferencedFrameOfReferenceSequence = DicomSequence([reference])
    data.StructureSetROISequence = DicomSequence(
        [item(ROINumber=n, ROIName=name) for n, name in enumerate(regions, start=1)]
    )
    drawn = []
    for number, contours in enumerate(regions.values(), start=1):
        several = [
            item(
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
                ContourData=in_patient(headers[image], points),
            )
            for image, of_image in contours.items()
            for points in of_image
        ]
        drawn.append(item(ReferencedROINumber=number, ContourSequence=DicomSequence(several)))
    data.ROIContourSequence = DicomSequence(drawn)
    if change is not None:
        change(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


def masks_by_uid(result: ImportResult) -> dict[str, np.ndarray | None]:
    manifest = read(result.manifest)
    pairs = zip(manifest.frame["image"], stored_pixels(manifest), strict=True)
    return {str(pydicom.dcmread(manifest.dataset_dir / image).SOPInstanceUID): mask for image, (_, mask) in pairs}


@pytest.mark.parametrize("points", [OUTLINE, HOLE, ISLAND, [(-9.5, -7.2), (90.1, 20.3), (5.2, 99.7)]])
def test_pixels_inside_agree_with_matplotlib(points: list[tuple[float, float]]) -> None:
    np.testing.assert_array_equal(fill(np.array(points), (64, 64)), inside(points))
    np.testing.assert_array_equal(fill(np.array(points[::-1]), (64, 64)), inside(points))


@pytest.mark.parametrize("folder", ["export", "masks"])
@pytest.mark.parametrize("hospital", [1, 2, 4])  # straight; tilted gantry; from head to foot
def test_contours_with_holes(tmp_path: Path, hospital: int, folder: str) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(hospital))
    regions = {"brain": {0: [OUTLINE]}, "Blood": {1: [OUTLINE, HOLE, ISLAND], 2: [ISLAND]}, "more": {1: [HOLE]}}
    write_structures(tmp_path / folder / "r.dcm", paths, regions)
    masks = tmp_path / folder
    result = import_dicom(request(tmp_path, masks=masks, mask_labels=("blood",)))
    assert (result.annotated, result.refused) == (SLICES, ())
    found = masks_by_uid(result)
    expected = np.zeros((SLICES, 64, 64), bool)
    expected[1], expected[2] = inside(OUTLINE) ^ inside(HOLE) ^ inside(ISLAND), inside(ISLAND)
    for path, mask in zip(paths, expected, strict=True):
        np.testing.assert_array_equal(found[str(pydicom.dcmread(path).SOPInstanceUID)], mask)
    result = import_dicom(request(tmp_path, masks=masks, mask_labels=("blood", "3")))
    expected[1] |= inside(HOLE)
    np.testing.assert_array_equal(masks_by_uid(result)[str(pydicom.dcmread(paths[1]).SOPInstanceUID)], expected[1])


def moved(millimetres: float, axis: int) -> Callable[[Dataset], None]:
    def change(data: Dataset) -> None:
        for contour in data.ROIContourSequence[0].ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            points[:, axis] += millimetres
            contour.ContourData = [f"{v:.5f}" for v in points.ravel()]

    return change


def without_series(data: Dataset) -> None:
    del data.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence


def open_contour(data: Dataset) -> None:
    data.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = "OPEN_PLANAR"


def cut_contour(data: Dataset) -> None:
    contour = data.ROIContourSequence[0].ContourSequence[0]
    contour.ContourData = list(contour.ContourData)[:-1]


@pytest.mark.parametrize(
    ("change", "chosen", "reason"),
    [
        (None, (), "nothing says which are blood"),
        (None, ("clot",), "holds no segment 'clot'; it has 'blood' (1)"),
        (moved(1.5, 2), ("blood",), "a contour lies in the plane of no slice"),
        (moved(900, 0), ("blood",), "a contour lies outside its slice"),
        (open_contour, ("blood",), "has a contour of type OPEN_PLANAR"),
        (cut_contour, ("blood",), "expected CLOSED_PLANAR with three numbers"),
        (lambda data: delattr(data.StructureSetROISequence[0], "ROINumber"), ("blood",), "is malformed"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, change: Any, chosen: tuple[str, ...], reason: str) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    write_structures(tmp_path / "export" / "r.dcm", paths, {"blood": {1: [OUTLINE]}}, change)
    result = import_dicom(request(tmp_path, mask_labels=chosen))
    assert result.annotated == 0
    (entry,) = result.refused
    assert reason in entry.reason


def test_without_a_series_the_frame_of_reference_says_where(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    write_structures(tmp_path / "export" / "r.dcm", paths, {"blood": {1: [OUTLINE]}}, without_series)
    result = import_dicom(request(tmp_path, mask_labels=("blood",)))
    assert (result.annotated, result.refused) == (SLICES, ())


def test_slices_that_are_not_referred_to_are_not_annotated(tmp_path: Path) -> None:
    paths, _ = write_study(tmp_path / "export", bleeding_patient(1))
    write_structures(tmp_path / "export" / "r.dcm", paths[1:3], {"blood": {0: [OUTLINE]}})
    frame = read(import_dicom(request(tmp_path, mask_labels=("blood",))).manifest).frame
    assert [bool(cell) for cell in frame["mask"]] == [False, True, True, False]
