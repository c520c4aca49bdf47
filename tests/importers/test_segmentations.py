# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""DICOM Segmentations of every type, written by highdicom, come onto the slices by their geometry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from importer_support import (
    SLICES,
    bleeding_patient,
    edit,
    files_by_fate,
    read,
    request,
    stored_pixels,
    turned,
    write_seg,
    write_study,
)
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, generate_uid

from monai_ich.importers import ImportResult, import_dicom

KINDS = ["BINARY", "FRACTIONAL", "LABELMAP"]


def write_series(folder: Path, hospital: int = 1, change: Any = None) -> tuple[list[Path], list[np.ndarray]]:
    """A series with blood on some slices only; returns its files, and the masks as they are stored in them."""
    paths, rendered = write_study(folder / "export", bleeding_patient(hospital), change=change)
    masks = [one.mask for one in rendered]
    masks[0], masks[1] = np.zeros_like(masks[0]), masks[1] | np.eye(len(masks[1]), dtype=np.uint8)
    return paths, [mask[::-1, ::-1] for mask in masks] if change is turned else masks


def imported(folder: Path, **settings: Any) -> ImportResult:
    return import_dicom(request(folder, **settings))


def assert_masks(result: ImportResult, paths: list[Path], masks: list[np.ndarray]) -> None:
    """Every slice has its own mask, by the SOP Instance UID of its file, in the canonical orientation."""
    assert (result.refused, result.annotated) == ((), SLICES)
    manifest = read(result.manifest)
    by_uid = {pydicom.dcmread(path).SOPInstanceUID: mask for path, mask in zip(paths, masks, strict=True)}
    for image, (_, found) in zip(manifest.frame["image"], stored_pixels(manifest), strict=True):
        header = pydicom.dcmread(manifest.dataset_dir / image)
        columns_to_left, rows_to_back = header.ImageOrientationPatient[0] > 0, header.ImageOrientationPatient[4] > 0
        expected = by_uid[header.SOPInstanceUID][:: 1 if rows_to_back else -1, :: 1 if columns_to_left else -1]
        np.testing.assert_array_equal(found, expected)


# hospital 1: straight; 2: tilted gantry; 4: from head to foot
@pytest.mark.parametrize(("hospital", "change"), [(1, None), (1, turned), (2, None), (2, turned), (4, None)])
@pytest.mark.parametrize("kind", KINDS)
def test_each_type_is_pixel_identical(tmp_path: Path, kind: str, hospital: int, change: Any) -> None:
    paths, masks = write_series(tmp_path, hospital, change)
    assert not masks[0].any()
    write_seg(tmp_path / "export" / "s.dcm", paths, {"haematoma": masks}, kind)
    stored = pydicom.dcmread(tmp_path / "export" / "s.dcm")
    assert (stored.SegmentationType, int(stored.NumberOfFrames) < SLICES) == (kind, True)
    assert_masks(imported(tmp_path), paths, masks)


@pytest.mark.parametrize("kind", KINDS)
def test_one_segment_among_several(tmp_path: Path, kind: str) -> None:
    paths, masks = write_series(tmp_path)
    oedema = [np.roll(mask, 9, axis=0) & ~mask & 1 for mask in masks]
    write_seg(tmp_path / "export" / "s.dcm", paths, {"oedema": oedema, "haematoma": masks}, kind)
    (entry,) = imported(tmp_path).refused
    assert "holds 2 segments; it has 'oedema' (1), 'haematoma' (2)" in entry.reason
    assert "--mask-labels" in entry.remedy
    assert_masks(imported(tmp_path, mask_labels=("haematoma",)), paths, masks)
    assert_masks(imported(tmp_path, mask_labels=("oedema",)), paths, oedema)


@pytest.mark.parametrize("kind", KINDS)
def test_segments_of_one_label_are_one_haematoma(tmp_path: Path, kind: str) -> None:
    paths, masks = write_series(tmp_path)
    right = [mask * (np.arange(mask.shape[1]) < 32) for mask in masks]
    left = [mask * (np.arange(mask.shape[1]) >= 32) for mask in masks]
    write_seg(tmp_path / "export" / "s.dcm", paths, {"haematoma#1": right, "haematoma#2": left}, kind)
    assert_masks(imported(tmp_path), paths, masks)


COLOURS = highdicom.PaletteColorLUTTransformation.from_combined_lut(np.arange(9, dtype=np.uint8).reshape(3, 3))


@pytest.mark.parametrize(
    "settings",
    [{}, {"transfer_syntax_uid": RLELossless}, {"palette_color_lut_transformation": COLOURS}],
    ids=["plain", "RLE", "palette"],
)
def test_a_label_map_agrees_with_highdicom_s_own_reader(tmp_path: Path, settings: dict[str, Any]) -> None:
    paths, masks = write_series(tmp_path, 2)
    oedema = [np.roll(mask, 9, axis=0) & ~mask & 1 for mask in masks]
    write_seg(tmp_path / "export" / "s.dcm", paths, {"oedema": oedema, "haematoma": masks}, "LABELMAP", **settings)
    segmentation = highdicom.seg.segread(tmp_path / "export" / "s.dcm")
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in paths]
    pixels = segmentation.get_pixels_by_source_instance(
        uids, segment_numbers=[2], assert_missing_frames_are_empty=True, ignore_spatial_locations=True
    )
    assert_masks(imported(tmp_path, mask_labels=("haematoma",)), paths, list(pixels[..., 0]))


def test_half_of_the_highest_fraction_is_blood(tmp_path: Path) -> None:
    paths, masks = write_series(tmp_path)
    probabilities = [np.where(mask, 0.5, 0.49) for mask in masks]
    write_seg(
        tmp_path / "export" / "s.dcm", paths, {"haematoma": probabilities}, "FRACTIONAL", max_fractional_value=200
    )
    assert_masks(imported(tmp_path), paths, masks)


def test_slices_that_it_does_not_refer_to_are_not_annotated(tmp_path: Path) -> None:
    paths, masks = write_series(tmp_path)
    write_seg(tmp_path / "export" / "s.dcm", paths[1:3], {"haematoma": masks[1:3]}, "LABELMAP")
    assert [bool(cell) for cell in read(imported(tmp_path).manifest).frame["mask"]] == [False, True, True, False]


def test_a_segmentation_of_a_series_that_is_not_there_is_named(tmp_path: Path) -> None:
    paths, masks = write_series(tmp_path)
    write_seg(tmp_path / "masks" / "s.dcm", paths, {"haematoma": masks}, "LABELMAP")
    edit(
        tmp_path / "masks" / "s.dcm",
        lambda data: setattr(data.ReferencedSeriesSequence[0], "SeriesInstanceUID", generate_uid()),
    )
    result = imported(tmp_path, masks=tmp_path / "masks")
    assert result.annotated == 0
    (entry,) = result.refused
    assert "belongs to no series that was read" in entry.reason
    assert entry.path.startswith("mask [")


def without_series(data: Dataset) -> None:
    """As the type (1C) of Referenced Series Sequence allows; frames keep the images that they were made from."""
    del data.ReferencedSeriesSequence


def without_any_image(data: Dataset) -> None:
    del data.ReferencedSeriesSequence
    for groups in data.PerFrameFunctionalGroupsSequence:
        groups.pop("DerivationImageSequence", None)
    data.pop("SourceImageSequence", None)


@pytest.mark.parametrize("hospital", [1, 2, 4])
@pytest.mark.parametrize("change", [without_series, without_any_image])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("folder", ["export", "masks"])
def test_a_file_that_names_no_series_is_placed_by_its_frames(
    tmp_path: Path, folder: str, kind: str, change: Any, hospital: int
) -> None:
    paths, masks = write_series(tmp_path, hospital)
    write_seg(tmp_path / folder / "s.dcm", paths, {"haematoma": masks}, kind)
    edit(tmp_path / folder / "s.dcm", change)
    result = imported(tmp_path, masks=tmp_path / folder)
    assert_masks(result, paths, masks)
    assert "does not say which slices were looked at" in (result.reports / "series.csv").read_text()
    assert files_by_fate(result) == {"used": SLICES + 1, "refused": 0, "passed over": 0}


def second_series(folder: Path, move_mm: float = 0.0) -> list[Path]:
    """Another series of the same study and frame of reference, moved along the patient's left."""
    uid = generate_uid()
    paths = []
    for number, path in enumerate(sorted((folder / "export").glob("*.dcm"))):
        data = pydicom.dcmread(path)
        data.SeriesInstanceUID = uid
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.ImagePositionPatient = [float(data.ImagePositionPatient[0]) + move_mm, *data.ImagePositionPatient[1:]]
        paths.append(folder / "export" / "second" / f"{number}.dcm")
        paths[-1].parent.mkdir(exist_ok=True)
        data.save_as(paths[-1])
    return paths


@pytest.mark.parametrize(
    ("change", "move_mm", "annotated"),
    [
        (without_any_image, 0.0, 2 * SLICES),  # both have its pixels
        (without_any_image, 3.3, SLICES),
        (without_series, 0.0, SLICES),  # its images tell
    ],
)
def test_of_several_series_in_one_frame_of_reference_those_that_fit_take_it(
    tmp_path: Path, change: Any, move_mm: float, annotated: int
) -> None:
    paths, masks = write_series(tmp_path)
    second_series(tmp_path, move_mm)
    write_seg(tmp_path / "masks" / "s.dcm", paths, {"haematoma": masks})
    edit(tmp_path / "masks" / "s.dcm", change)
    result = imported(tmp_path, masks=tmp_path / "masks")
    assert (result.slices, result.annotated, result.refused) == (2 * SLICES, annotated, ())


def in_another_frame(data: Dataset) -> None:
    without_series(data)
    data.FrameOfReferenceUID = generate_uid()


def in_no_frame(data: Dataset) -> None:
    without_series(data)
    del data.FrameOfReferenceUID


def off_all_slices(data: Dataset) -> None:
    off_the_slices(data)
    without_any_image(data)


def of_other_images(data: Dataset) -> None:
    without_series(data)
    for groups in data.PerFrameFunctionalGroupsSequence:
        groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID = generate_uid()
    data.pop("SourceImageSequence", None)


@pytest.mark.parametrize("where", ["export", "masks"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (in_another_frame, "belongs to no series that was read"),
        (in_no_frame, "names neither the series that it was drawn on"),
        (off_all_slices, "lies on the pixels of no slice"),
        (of_other_images, "names source images that are none of the series"),
    ],
)
def test_one_that_fits_no_series_is_named_once(tmp_path: Path, where: str, change: Any, reason: str) -> None:
    paths, masks = write_series(tmp_path)
    second_series(tmp_path, 3.3)
    write_seg(tmp_path / where / "s.dcm", paths, {"haematoma": masks})
    edit(tmp_path / where / "s.dcm", change)
    result = imported(tmp_path, masks=tmp_path / where)
    assert (result.annotated, len(result.refused)) == (0, 1)
    assert reason in result.refused[0].reason
    assert files_by_fate(result) == {"used": 2 * SLICES, "refused": 1, "passed over": 0}


def off_the_slices(data: Dataset) -> None:
    for groups in data.PerFrameFunctionalGroupsSequence:
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        position[0] += 0.5 * float(data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing[1])


def not_a_number(data: Dataset) -> None:
    del data.SegmentSequence[0].SegmentNumber


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("LABELMAP", lambda data: setattr(data, "FrameOfReferenceUID", generate_uid()), "another frame of reference"),
        ("LABELMAP", off_the_slices, "lies on the pixels of no slice"),
        ("BINARY", off_the_slices, "lies on the pixels of no slice"),
        ("BINARY", lambda data: setattr(data, "SegmentationType", "SURFACE"), "has SegmentationType SURFACE"),
        ("FRACTIONAL", lambda data: delattr(data, "MaximumFractionalValue"), "what is half is unknown"),
        ("LABELMAP", not_a_number, "a segment or its type is malformed"),
        ("LABELMAP", lambda data: setattr(data, "SegmentSequence", []), "holds 0 segments; it has none"),
        ("LABELMAP", lambda data: setattr(data, "PixelData", data.PixelData[:-2000]), "pixel data"),
    ],
)
def test_what_cannot_be_placed_or_read_is_refused(
    tmp_path: Path, kind: str, change: Callable[[Dataset], None], reason: str
) -> None:
    paths, masks = write_series(tmp_path)
    write_seg(tmp_path / "export" / "s.dcm", paths, {"haematoma": masks}, kind)
    edit(tmp_path / "export" / "s.dcm", change)
    result = imported(tmp_path)
    assert (result.slices, result.annotated) == (SLICES, 0)
    assert [reason in entry.reason for entry in result.refused] == [True], result.refused
    assert result.refused[0].remedy.endswith(".")
