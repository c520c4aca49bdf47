# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Draws the contours of an RT Structure Set onto the slices of a series: a pixel whose centre lies inside is blood."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from monai_ich.importers.mask_grids import GRID_TOLERANCE, Masks, PlacedMasks, slice_step_mm
from monai_ich.importers.mask_labels import OPTION, Segment, choose_segments
from monai_ich.importers.series_slices import Slice
from monai_ich.reading.dicom_frames import Frame, damage_refused
from monai_ich.utils.errors import ImageReadError

CONTOUR_STORAGE = (RTStructureSetStorage,)
# Contours of one region in one slice cut holes into each other; the newer type says so, the older one leaves it open.
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def series_of_contours(dataset: Dataset) -> tuple[list[str], str]:
    """Series Instance UIDs and the Frame of Reference UID that an RT Structure Set (PS3.3 A.19) was drawn in."""
    references = list(dataset.get("ReferencedFrameOfReferenceSequence") or ())
    series = [
        str(one.get("SeriesInstanceUID") or "")
        for reference in references
        for study in reference.get("RTReferencedStudySequence") or ()
        for one in study.get("RTReferencedSeriesSequence") or ()
    ]
    frames = [str(reference.get("FrameOfReferenceUID") or "") for reference in references]
    return series, next(filter(None, frames), str(dataset.get("FrameOfReferenceUID") or ""))


def masks_of_contours(dataset: Dataset, slices: Sequence[Slice], chosen: Sequence[str], path: Path) -> PlacedMasks:
    """The masks that closed contours make on the slices whose planes they lie in.

    Contours of one region in one slice are combined by exclusive or, so a contour within another is a hole. Regions are
    united. Every slice that the file refers to is annotated; without such a reference all are, and a note says so.

    Args:
        dataset: the file.
        slices: the series.
        chosen: ROI Names (3006,0026) or Numbers (3006,0022) that are blood.
        path: of the file.

    Raises:
        ImageReadError: nothing was chosen, as such a file holds all kinds of regions; a contour is not closed, lies in
            no slice's plane or outside the picture, or is malformed.
    """
    damaged = "a region or a contour is malformed", "Export the structures again."
    with damage_refused(path, *damaged):
        rois = [
            Segment(str(roi.get("ROIName") or ""), int(roi.ROINumber))
            for roi in dataset.get("StructureSetROISequence") or ()
        ]
        if not chosen:
            raise ImageReadError(
                path,
                f"holds contours of {len(rois)} regions, {', '.join(map(str, rois[:12]))}; nothing says which are "
                "blood",
                f"Name them: {OPTION}.",
            )
        wanted = {rois[place].number for place in choose_segments(rois, chosen, path)}
        referenced = _referenced_images(dataset)
        masks: Masks = [
            np.zeros(one.frame.shape_rc, np.uint8) if not referenced or one.uid in referenced else None
            for one in slices
        ]
        frames = [one.frame for one in slices]
        empty = 0
        for roi in dataset.get("ROIContourSequence") or ():
            if int(roi.ReferencedROINumber) in wanted:
                empty += _unite(masks, frames, list(roi.get("ContourSequence") or ()), path)
    notes = [] if referenced else ["the structure set does not say which slices were looked at: all were taken to be"]
    if empty:
        notes.append(f"{empty} contours are smaller than a pixel and hold the centre of none")
    return PlacedMasks(masks, notes=tuple(notes))


def _unite(masks: Masks, frames: Sequence[Frame], contours: Sequence[Dataset], path: Path) -> int:
    """Adds one region to the masks; returns how many of its contours hold no pixel's centre."""
    region: dict[int, np.ndarray] = {}
    empty = 0
    for contour in contours:
        kind = str(contour.get("ContourGeometricType") or "")
        points = np.array(contour.get("ContourData") or (), float)
        if kind not in _CLOSED or points.size < 9 or points.size % 3:
            raise ImageReadError(
                path,
                f"has a contour of type {kind or 'none'} with {points.size} numbers; expected {_CLOSED[0]} with three "
                "numbers for each of three or more points",
                "Export the blood as closed contours.",
            )
        number, places = _place(points.reshape(-1, 3), frames, path)
        inside = fill(places, frames[number].shape_rc)
        empty += not inside.any()
        region[number] = region.get(number, False) ^ inside
    for number, inside in region.items():
        before = masks[number]
        masks[number] = inside.astype(np.uint8) if before is None else before | inside
    return empty


def _place(points_lps_mm: np.ndarray, frames: Sequence[Frame], path: Path) -> tuple[int, np.ndarray]:
    """The slice that a contour lies in, and its points (n,2) as column and row.

    Raises:
        ImageReadError: it lies in no slice's plane, or wholly outside the picture.
    """
    tolerance_mm = GRID_TOLERANCE * slice_step_mm(frames)
    for number, frame in enumerate(frames):
        away = points_lps_mm - frame.position_lps_mm
        if np.abs(away @ frame.normal).max() > tolerance_mm:
            continue
        columns = away @ frame.row_direction / frame.spacing_mm_rc[1]
        rows = away @ frame.column_direction / frame.spacing_mm_rc[0]
        height, width = frame.shape_rc
        if columns.max() < -0.5 or rows.max() < -0.5 or columns.min() > width - 0.5 or rows.min() > height - 0.5:
            raise ImageReadError(path, "a contour lies outside its slice", "Check that it was drawn on this series.")
        return number, np.stack([columns, rows], axis=1)
    raise ImageReadError(
        path,
        "a contour lies in the plane of no slice of the series",
        "Check that it was drawn on this series, and that no slice is missing.",
    )


def fill(points: np.ndarray, shape_rc: tuple[int, int]) -> np.ndarray:
    """bool (rows, columns): pixels whose centre lies inside a closed polygon, by the even-odd rule.

    An edge that crosses a row of pixel centres turns all pixels behind the crossing over.

    Args:
        points: (n,2) column and row, pixel centres at whole numbers.
        shape_rc: rows, columns.

    >>> fill(np.array([(0.5, -0.5), (2.5, -0.5), (2.5, 1.5), (0.5, 1.5)]), (3, 4)).astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    rows, columns = shape_rc
    turned = np.zeros((rows, columns + 1), np.uint8)
    for (x, y), (next_x, next_y) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = min(y, next_y), max(y, next_y)
        crossed = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), rows))
        if len(crossed):
            where = x + (crossed - y) * (next_x - x) / (next_y - y)
            turned[crossed, np.clip(np.ceil(where), 0, columns).astype(int)] ^= 1
    return np.bitwise_xor.accumulate(turned, axis=1)[:, :columns].astype(bool)


def _referenced_images(dataset: Dataset) -> set[str]:
    """SOP Instance UIDs of all images of the referenced series; empty when the file does not say."""
    return {
        str(image.get("ReferencedSOPInstanceUID") or "")
        for reference in dataset.get("ReferencedFrameOfReferenceSequence") or ()
        for study in reference.get("RTReferencedStudySequence") or ()
        for one in study.get("RTReferencedSeriesSequence") or ()
        for image in one.get("ContourImageSequence") or ()
    } - {""}
