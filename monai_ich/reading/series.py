# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads a whole CT series from a folder or a list of files, sorted by position in the patient."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from monai_ich.reading.dicom_frames import Frame, damage_refused, describe_frames, open_dicom
from monai_ich.reading.file_tree import files_below
from monai_ich.reading.functional_groups import parametric_units
from monai_ich.reading.geometry import SliceStack
from monai_ich.reading.slice_reading import (
    EVEN_SPACING_TOLERANCE_MM,
    decode_to_values,
    is_axial,
    read_slices,
    refuse_unless_alike,
    refuse_unless_axial,
    stack_frames,
)
from monai_ich.reading.volumes import is_volume
from monai_ich.utils.errors import FaultList, ImageReadError

# Two slices nearer than this are the same slice, mm.
SAME_POSITION_MM = 0.01

GAP_REMEDY = "Copy the missing slices, or accept uneven spacing with allow_gaps=True."

# What a data set without preamble begins with: group length, length to end, character set, image type, creation
# date and time, SOP class.
_FIRST_ELEMENTS = (0x0000, 0x0001, 0x0005, 0x0008, 0x0012, 0x0013, 0x0016)
_FIRST_REPRESENTATIONS = ("UL", "CS", "DA", "TM", "UI")
_MOST_FIRST = 256  # bytes of that element's value

CT_STORAGE = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)


def read_series(source: Path | Sequence[Path], series_uid: str | None = None, allow_gaps: bool = False) -> SliceStack:
    """Reads one CT series as HU, slices in order from foot to head.

    Args:
        source: a folder (searched with its subfolders), a list of DICOM files, or one file: DICOM or volume.
        series_uid: the Series Instance UID (0020,000E) to take where there are several.
        allow_gaps: accept unevenly spaced slices (missing ones, or thinner slices at the skull base); the returned
            stack then carries a note, and its affine is the even one between the first and the last slice.

    Raises:
        ImageReadError: when there is no CT, several series and none chosen, two slices at one position, a gap, or
            a file that cannot be read.
    """
    if not isinstance(source, Sequence):
        source = Path(source)
        if source.is_file() and is_volume(source):
            return read_slices(source)
        files = _files_of(source)
    else:
        files = [Path(path) for path in source]
    frames = _choose_series(_group_by_series(files, strict=len(files) == 1), source, series_uid)
    frames = sort_by_position(frames)
    refuse_unless_alike(frames)
    if not allow_gaps:
        refuse_gaps(frames)
    return stack_frames(frames, range(len(frames)), _decode(frames))


@dataclass
class _Series:
    number: str
    frames: list[Frame]


def _files_of(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ImageReadError(source, "no such file or folder", "Correct the path.")
    return files_below(source)


def _group_by_series(files: Sequence[Path], strict: bool) -> dict[str, _Series]:
    """Axial CT frames by Series Instance UID.

    What else lies in a study's folder (reports, localizers, reformats, text files) is passed over, unless `strict`:
    then its fault is raised. A damaged CT slice is always a fault, since a silent hole in a series is worse.
    """
    series: dict[str, _Series] = {}
    faults = FaultList("CT slices of the series cannot be read")
    for path in files:
        try:
            if not strict and not starts_like_dicom(path):
                continue
            dataset = open_dicom(path, pixels=False)
            if not strict and not _is_ct_slice(dataset, path):
                continue
            frames = describe_frames(dataset, path, "image")
            with damage_refused(path, "its series is malformed", "Export the original CT slice."):
                uid, number = str(dataset.get("SeriesInstanceUID", "")), str(dataset.get("SeriesNumber", "?"))
        except ImageReadError as error:
            faults.add(str(error))
            continue
        if not strict and not is_axial(frames[0]):
            continue
        series.setdefault(uid, _Series(number, [])).frames.extend(frames)
    faults.raise_if_any(ImageReadError)
    return series


def starts_like_dicom(path: Path) -> bool:
    """True after a DICOM preamble, for the name `.dcm`, and for what begins as a data set without preamble does."""
    with damage_refused(path, "cannot be opened", "Correct its permissions."), path.open("rb") as file:
        start = file.read(132)
    return start[128:] == b"DICM" or path.suffix.lower() == ".dcm" or _starts_like_data_set(start)


def _starts_like_data_set(start: bytes) -> bool:
    """Whether the first element is of group 0008, with a value representation or a small length (PS3.5 7.1).

    >>> _starts_like_data_set(b"\\x08\\x00\\x05\\x00CS\\x0a\\x00ISO_IR 100"), _starts_like_data_set(b"GIF89a..........")
    (True, False)
    """
    if len(start) < 12:
        return False
    for order in "<>":
        group, element = struct.unpack_from(f"{order}HH", start)
        (length,) = struct.unpack_from(f"{order}I", start, 4)
        explicit = start[4:6].decode("latin-1") in _FIRST_REPRESENTATIONS
        if group == 0x0008 and element in _FIRST_ELEMENTS and (explicit or (order == "<" and length <= _MOST_FIRST)):
            return True
    return False


def _is_ct_slice(dataset: Dataset, path: Path) -> bool:
    """False for other objects of a CT study: reports, secondary captures, scout views, perfusion maps."""
    with damage_refused(path, "its kind is malformed", "Export the original CT slice."):
        localizer = "LOCALIZER" in (dataset.get("ImageType") or ())
        return dataset.SOPClassUID in CT_STORAGE and not localizer and not parametric_units(dataset)


def _choose_series(series: dict[str, _Series], source: Path | Sequence[Path], series_uid: str | None) -> list[Frame]:
    where = source if isinstance(source, Path) else f"the list of {len(source)} files"
    if not series:
        raise ImageReadError(where, "holds no axial CT slice in DICOM", "Give a folder of CT slices, or a volume file.")
    known = "\n".join(
        f"  - {uid} (series number {entry.number}, {len(entry.frames)} slices)" for uid, entry in series.items()
    )
    if series_uid is None:
        if len(series) > 1:
            raise ImageReadError(
                where, f"holds {len(series)} CT series:\n{known}\nOne must be chosen", "Name it by its series_uid."
            )
        series_uid = next(iter(series))
    if series_uid not in series:
        raise ImageReadError(where, f"holds no CT series {series_uid}; it holds:\n{known}\nOne of them is expected")
    return series[series_uid].frames


def sort_by_position(frames: Sequence[Frame]) -> list[Frame]:
    """From foot to head along the slice normal; file names and instance numbers do not count.

    Raises:
        ImageReadError: when a slice is not axial, or two lie at one position.
    """
    for frame in frames:
        refuse_unless_axial(frame)
    normal = frames[0].normal * np.sign(frames[0].normal[2])
    ordered = sorted(frames, key=lambda frame: float(frame.position_lps_mm @ normal))
    for one, other in itertools.pairwise(ordered):
        if float((other.position_lps_mm - one.position_lps_mm) @ normal) < SAME_POSITION_MM:
            raise ImageReadError(
                one.path,
                f"it and {other.path} lie at the same position {one.position_lps_mm.tolist()} mm of one series",
                "Remove the copy, or separate the acquisitions.",
            )
    return ordered


def refuse_gaps(frames: Sequence[Frame]) -> None:
    """Raises ImageReadError when sorted slices are not evenly spaced along their normal."""
    if len(frames) < 3:
        return
    normal = frames[0].normal * np.sign(frames[0].normal[2])
    steps = np.diff([float(frame.position_lps_mm @ normal) for frame in frames])
    usual = float(np.median(steps))
    worst = int(np.argmax(np.abs(steps - usual)))
    if abs(steps[worst] - usual) > max(EVEN_SPACING_TOLERANCE_MM, 0.02 * usual):
        raise ImageReadError(
            frames[worst].path,
            f"it and {frames[worst + 1].path} lie {steps[worst]:.2f} mm apart where the series has {usual:.2f} mm",
            GAP_REMEDY,
        )


def _decode(frames: Sequence[Frame]) -> np.ndarray:
    """(N,H,W) HU in the order of `frames`; each file is opened once, and all damaged ones are reported together."""
    by_file: dict[Path, list[int]] = {}
    for position, frame in enumerate(frames):
        by_file.setdefault(frame.path, []).append(position)
    values = np.empty((0, *frames[0].shape_rc), dtype=np.float32)
    faults = FaultList(f"{len(by_file)} files make up the series; some cannot be decoded")
    for path, positions in by_file.items():
        try:
            decoded = decode_to_values(open_dicom(path), [frames[p] for p in positions], "image")
            if not len(values):  # the first file has proved its size, so the header may be believed
                values = np.empty((len(frames), *frames[0].shape_rc), dtype=np.float32)
            values[positions] = decoded
        except ImageReadError as error:
            faults.add(str(error))
    faults.raise_if_any(ImageReadError)
    return values
