# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""The slices of one series: each file decoded once, copies dropped, sorted from foot to head, gaps refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from monai_ich.reading.acquisition_runs import SAME_POSITION_MM, separate_scans
from monai_ich.reading.dicom_frames import Frame, describe_frames, open_dicom
from monai_ich.reading.hounsfield import ValueCheck
from monai_ich.reading.series import refuse_gaps, sort_by_position
from monai_ich.reading.slice_reading import decode_to_values, frames_affine, refuse_unless_alike, refuse_unless_axial
from monai_ich.utils.errors import ImageReadError


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice.

    Attributes:
        frame: its place in the patient.
        instance: token of the name that labels use.
        uid: SOP Instance UID (0008,0018); it is never written.
        is_multi_frame: whether its file holds several frames.
        frame_of_reference: Frame of Reference UID (0020,0052), empty when the file does not say; never written either.
    """

    frame: Frame
    instance: str
    uid: str
    is_multi_frame: bool = False
    frame_of_reference: str = ""


def read_slice_file(path: Path, offset_hu: float, check: ValueCheck) -> tuple[Dataset, list[Frame]]:
    """Decodes a file whole, which is what proves that training will be able to.

    The values, with `offset_hu` added, go to `check` and are let go.

    Returns:
        The header, and its frames.

    Raises:
        ImageReadError: the file is no axial CT in HU, or cannot be decoded.
    """
    dataset = open_dicom(path)
    frames = describe_frames(dataset, path, "image")
    for frame in frames:
        refuse_unless_axial(frame)
    values = decode_to_values(dataset, frames, "image", offset_hu)
    check.add(values, [path] * len(values))
    return dataset, frames


def series_order(slices: Sequence[Slice], allow_gaps: bool) -> tuple[list[Slice], list[str]]:
    """Sorts from foot to head along the slice normal, and drops copies: the same place with the same values.

    Returns:
        The slices, and notes: copies dropped, uneven spacing.

    Raises:
        ImageReadError: slices differ in size, orientation or spacing; two at one place differ in their values; several
            acquisitions overlap; a gap.
    """
    refuse_unless_alike([one.frame for one in slices])
    unique = _without_copies(slices)
    by_frame = {id(one.frame): one for one in unique}
    _refuse_several_scans([one.frame for one in unique])
    frames = sort_by_position([one.frame for one in unique])
    copies = len(slices) - len(unique)
    notes = [f"{copies} copies of slices left out"] if copies else []
    if not allow_gaps:
        refuse_gaps(frames)
    notes += frames_affine(frames)[1]
    return [by_frame[id(frame)] for frame in frames], notes


def _refuse_several_scans(frames: Sequence[Frame]) -> None:
    """Raises ImageReadError where one Series Instance UID holds several scans of the same place."""
    scans = separate_scans(frames)
    if len(scans) > 1:
        counts = " and ".join(str(len(scan)) for scan in scans)
        raise ImageReadError(
            scans[1][0].path,
            f"it and {scans[0][0].path} belong to different acquisitions, of {counts} slices, which overlap or have "
            "different frames of reference under one Series Instance UID",
            "Keep one of the acquisitions in the folder, or give each a Series Instance UID of its own.",
        )


def _without_copies(slices: Sequence[Slice]) -> list[Slice]:
    """Leaves one of the slices that lie at one place and hold the same values; only those are decoded a second time."""
    places: dict[int, list[Slice]] = {}
    for one in slices:
        place = round(float(one.frame.position_lps_mm @ slices[0].frame.normal) / SAME_POSITION_MM)
        places.setdefault(place, []).append(one)
    kept: list[Slice] = []
    for group in places.values():
        distinct: dict[bytes, Slice] = {}
        for one in group:
            distinct.setdefault(_values(one.frame) if len(group) > 1 else b"", one)
        kept.extend(distinct.values())
    return kept


def _values(frame: Frame) -> bytes:
    return decode_to_values(open_dicom(frame.path), [frame], "image").tobytes()
