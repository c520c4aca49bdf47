# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Brings a DICOM Segmentation (binary, fractional, a label map) or contours onto a series' slices, or refuses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID, SegmentationStorage

from monai_ich.importers.mask_contours import CONTOUR_STORAGE, masks_of_contours, series_of_contours
from monai_ich.importers.mask_grids import GRID_TOLERANCE, Masks, MaskVolume, PlacedMasks, slice_step_mm
from monai_ich.importers.mask_labels import Segment, choose_segments
from monai_ich.importers.series_slices import Slice
from monai_ich.reading.dicom_frames import Frame, damage_refused, decode_frames, describe_frames, open_dicom
from monai_ich.reading.slice_reading import frames_affine
from monai_ich.utils.errors import ImageReadError

# Label Map Segmentation Storage (DICOM 2024d), which pydicom 3.0 does not name.
LABEL_MAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
SEGMENTATION_STORAGE = (SegmentationStorage, LABEL_MAP_STORAGE)


@dataclass(frozen=True)
class _Coding:
    """Which frames of a file may hold the haematoma, and which of their values are blood."""

    holds: Callable[[int], bool]
    is_blood: Callable[[np.ndarray], np.ndarray]


def masks_of_segmentation(path: Path, slices: Sequence[Slice], chosen: Sequence[str] = ()) -> PlacedMasks:
    """The masks of a DICOM Segmentation (PS3.3 A.51), or RT Structure Set, for the slices of a series.

    A frame without blood may be left out of the file, so every slice that the file refers to is annotated. A file that
    refers to no series is placed by its frames; all slices of a series that it fits are annotated, and a note says so.

    Args:
        path: the file. Contours, see `masks_of_contours`; binary; fractional, where half the Maximum Fractional Value
            (0062,000E) and more is blood, whether it is a probability or an occupancy; or a label map.
        slices: the series.
        chosen: Segment Labels (0062,0005) or Numbers (0062,0004) that are blood; empty when the file has one label.

    Raises:
        ImageReadError: several segments and none chosen, another frame of reference, source images of another series,
            or a frame that lies on no slice.
    """
    dataset = open_dicom(path)
    if dataset.SOPClassUID in CONTOUR_STORAGE:
        _refuse_other_reference(series_of_contours(dataset)[1], slices, path)
        return masks_of_contours(dataset, slices, chosen, path)
    _refuse_other_reference(str(dataset.get("FrameOfReferenceUID") or ""), slices, path)
    with damage_refused(path, "a segment or its type is malformed", "Export the segmentation again."):
        coding = _coding(dataset, _segment_numbers(dataset, path, chosen), path)
        held = [frame for frame in describe_frames(dataset, path, "mask") if coding.holds(frame.number)]
        referenced = _referenced_instances(dataset)
        sources = _source_instances(dataset)
    if not referenced and sources and sources.isdisjoint(one.uid for one in slices):
        raise ImageReadError(
            path,
            "names source images that are none of the series in its frame of reference",
            "Import the series that it was drawn on.",
        )
    stored = decode_frames(dataset, path, [frame.number for frame in held]) if held else np.zeros((0, 1, 1))
    frames = [one.frame for one in slices]
    masks: Masks = [
        np.zeros(one.frame.shape_rc, np.uint8) if not referenced or one.uid in referenced else None for one in slices
    ]
    for frame, values in zip(held, stored, strict=True):
        _place(masks, frames, frame, coding.is_blood(values).astype(np.uint8))
    notes = () if referenced else ("the segmentation does not say which slices were looked at: all were taken to be",)
    return PlacedMasks(masks, notes=notes)


def _refuse_other_reference(own: str, slices: Sequence[Slice], path: Path) -> None:
    """Raises ImageReadError when Frame of Reference UID (0020,0052) says that positions cannot be compared."""
    known = {one.frame_of_reference for one in slices} - {""}
    if own and known and own not in known:
        raise ImageReadError(
            path,
            "has another frame of reference than the series that it refers to, so positions in the two "
            "cannot be compared",
            "Export image and segmentation again, together.",
        )


def _coding(dataset: Dataset, wanted: Sequence[int], path: Path) -> _Coding:
    """By Segmentation Type (0062,0001).

    Raises:
        ImageReadError: the type is unknown, or a fractional file does not say what its highest value is.
    """
    kind = str(dataset.get("SegmentationType") or "")
    if kind == "LABELMAP":
        return _Coding(lambda number: True, lambda values: np.isin(values, wanted))
    if kind not in ("BINARY", "FRACTIONAL"):
        raise ImageReadError(
            path,
            f"has SegmentationType {kind or 'none'}; expected BINARY, FRACTIONAL or LABELMAP",
            "Export the segmentation as one of them.",
        )
    highest = 1
    if kind == "FRACTIONAL":
        highest = int(dataset.get("MaximumFractionalValue") or 0)
        if highest < 1:
            raise ImageReadError(
                path,
                "is fractional, but MaximumFractionalValue is missing, so what is half is unknown",
                "Export it as BINARY.",
            )
    return _Coding(lambda number: _segment_of(dataset, number) in wanted, lambda values: values >= 0.5 * highest)


def _place(masks: Masks, frames: Sequence[Frame], source: Frame, values: np.ndarray) -> None:
    """Adds one frame of a segmentation to the slice whose pixels it has."""
    step_mm = slice_step_mm(frames)
    affine, _ = frames_affine([replace(source, thickness_mm=step_mm)])
    volume = MaskVolume(source.path, values.T[..., None], affine)
    for number, frame in enumerate(frames):
        distance_mm = abs(float((frame.position_lps_mm - source.position_lps_mm) @ source.normal))
        if distance_mm <= GRID_TOLERANCE * step_mm and volume.has_pixels_of(frame):
            before, found = masks[number], volume.sample(frame)
            masks[number] = found if before is None else np.maximum(before, found)
            return
    raise ImageReadError(
        source.path,
        f"frame {source.number} lies on the pixels of no slice of the series that it refers to",
        "Check that the segmentation was drawn on this series, and on its own grid.",
    )


def _segment_numbers(dataset: Dataset, path: Path, chosen: Sequence[str]) -> list[int]:
    """The segments that are blood; a label map's background (Pixel Padding Value) is none.

    Raises:
        ImageReadError: none of those chosen is there, or several labels are and none was chosen.
    """
    background = int(dataset.get("PixelPaddingValue") or 0)
    segments = [
        Segment(str(segment.get("SegmentLabel", "")), int(segment.SegmentNumber))
        for segment in dataset.get("SegmentSequence") or ()
        if int(segment.SegmentNumber) != background
    ]
    return [segments[place].number for place in choose_segments(segments, chosen, path)]


def _segment_of(dataset: Dataset, number: int) -> int:
    for groups in (
        dataset.PerFrameFunctionalGroupsSequence[number : number + 1],
        dataset.SharedFunctionalGroupsSequence[:1],
    ):
        for group in groups:
            if "SegmentIdentificationSequence" in group:
                return int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
    return 1


def _referenced_instances(dataset: Dataset) -> set[str]:
    """SOP Instance UIDs of the images that were segmented; empty when the file does not say."""
    return {
        str(instance.ReferencedSOPInstanceUID)
        for series in dataset.get("ReferencedSeriesSequence") or ()
        for instance in series.get("ReferencedInstanceSequence") or ()
    }


def _source_instances(dataset: Dataset) -> set[str]:
    """SOP Instance UIDs of the images that frames were made from: Derivation Image (0008,9124)."""
    groups = [dataset, *(dataset.get("SharedFunctionalGroupsSequence") or ())]
    groups += dataset.get("PerFrameFunctionalGroupsSequence") or ()
    derived = [one for group in groups for one in group.get("DerivationImageSequence") or ()]
    return {
        str(image.get("ReferencedSOPInstanceUID") or "")
        for one in (dataset, *derived)
        for image in one.get("SourceImageSequence") or ()
    } - {""}
