# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Reads a whole CT series from a folder or a list of files, sorted by position in the patient."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage

from monai_ich.reading.acquisition_notes import refuse_lossy
from monai_ich.reading.acquisition_runs import SAME_POSITION_MM
from monai_ich.reading.dicom_frames import Frame, damage_refused, describe_frames, open_dicom
from monai_ich.reading.file_tree import files_below
from monai_ich.reading.functional_groups import parametric_units
from monai_ich.reading.geometry import SliceStack
from monai_ich.reading.hounsfield import HU, ValueCheck, ValueRule
from monai_ich.reading.open_series import OpenSeries, open_frames, open_volume_file
from monai_ich.reading.series_choice import FoundSeries, SeriesChoice, choose_scan
from monai_ich.reading.slice_reading import (
    EVEN_SPACING_TOLERANCE_MM,
    is_axial,
    refuse_unless_axial,
)
from monai_ich.reading.volumes import is_volume
from monai_ich.utils.errors import FaultList, ImageReadError

GAP_REMEDY = "Copy the missing slices, or accept uneven spacing with allow_gaps=True."

# What a data set without preamble begins with: group length, length to end, character set, image type, creation
# date and time, SOP class.
_FIRST_ELEMENTS = (0x0000, 0x0001, 0x0005, 0x0008, 0x0012, 0x0013, 0x0016)
_FIRST_REPRESENTATIONS = ("UL", "CS", "DA", "TM", "UI")
_MOST_FIRST = 256  # bytes of that element's value

CT_STORAGE = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)


def read_series(
    source: Path | Sequence[Path],
    series_uid: str | None = None,
    allow_gaps: bool = False,
    choice: SeriesChoice | None = None,
    values: ValueRule = HU,
    allow_lossy: bool = False,
) -> SliceStack:
    """Reads one CT series as HU, slices in order from foot to head.

    Args:
        source: a folder (searched with its subfolders), a list of DICOM files, or one file: DICOM or volume.
        series_uid: the Series Instance UID (0020,000E) to take where there are several; short for `choice`.
        allow_gaps: accept unevenly spaced slices (missing ones, or thinner slices at the skull base); the returned
            stack then carries a note, and `places` says where each slice lies.
        choice: which series, and which of its acquisitions.
        values: how its values are to be read.
        allow_lossy: take pixels that were compressed with loss at more than 15:1.

    Raises:
        ImageReadError: when there is no CT, several series and none chosen, two slices at one position, a gap, values
            that are no HU, too much lossy compression, or a file that cannot be read.
    """
    series = open_series(source, choice or SeriesChoice(series_uid or ""), allow_gaps, values, allow_lossy)
    stack = series.read(range(len(series)))
    if values.is_checked:
        check = ValueCheck()
        check.add(stack.pixels, stack.paths)
        check.refuse(source if isinstance(source, Path) else None)
    return stack


def open_series(
    source: Path | Sequence[Path],
    choice: SeriesChoice | None = None,
    allow_gaps: bool = False,
    values: ValueRule = HU,
    allow_lossy: bool = False,
) -> OpenSeries:
    """Finds the one CT series that `read_series` reads, with its geometry; its pixels are decoded later, in parts.

    Whoever decodes them looks at their values (`ValueCheck`).

    Raises:
        ImageReadError: see `read_series`; damaged pixels are found when they are decoded.
    """
    choice = choice or SeriesChoice()
    if not isinstance(source, Sequence):
        source = Path(source)
        if source.is_file() and is_volume(source):
            _refuse_choice(choice, source)
            return open_volume_file(source, values.offset_hu)
        files = _files_of(source)
    else:
        files = [Path(path) for path in source]
    where = source if isinstance(source, Path) else f"the list of {len(source)} files"
    frames = choose_scan(_group_by_series(files, strict=len(files) == 1), where, choice)
    frames = sort_by_position(frames)
    if not allow_gaps:
        refuse_gaps(frames)
    if not allow_lossy:
        worst = max(frames, key=lambda frame: frame.acquisition.ratio if frame.acquisition.ratio > 0 else 0.0)
        refuse_lossy(worst.acquisition, worst.path)
    return open_frames(frames, values.offset_hu)


def _refuse_choice(choice: SeriesChoice, source: Path) -> None:
    """Raises ImageReadError when a series is asked for of a file that knows none."""
    if not choice.is_open:
        raise ImageReadError(
            source,
            "is a volume, which holds no DICOM series to choose from",
            "Leave out --series-uid, --series-description and --acquisition.",
        )


def _files_of(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ImageReadError(source, "no such file or folder", "Correct the path.")
    return files_below(source)


def _group_by_series(files: Sequence[Path], strict: bool) -> dict[str, FoundSeries]:
    """Axial CT frames by Series Instance UID.

    What else lies in a study's folder (reports, localizers, reformats, text files) is passed over, unless `strict`:
    then its fault is raised. A damaged CT slice is always a fault, since a silent hole in a series is worse.
    """
    series: dict[str, FoundSeries] = {}
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
                description = str(dataset.get("SeriesDescription") or "")
        except ImageReadError as error:
            faults.add(str(error))
            continue
        if not strict and not is_axial(frames[0]):
            continue
        series.setdefault(uid, FoundSeries(uid, number, description)).frames.extend(frames)
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
