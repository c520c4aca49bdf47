# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a DICOM header says of when a slice was scanned, to tell the scans of one series apart."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pydicom.dataset import Dataset

from monai_ich.reading.functional_groups import find_attribute


@dataclass(frozen=True)
class ScanMark:
    """What tells the scans of a series apart.

    Attributes:
        frame_of_reference: Frame of Reference UID (0020,0052), "" where the header does not say.
        number: Acquisition Number (0020,0012), of an enhanced frame Frame Acquisition Number (0020,9156); or "".
        time: when the slice was acquired, (date, seconds of the day); None where unknown.
    """

    frame_of_reference: str = ""
    number: str = ""
    time: tuple[str, float] | None = None

    @classmethod
    def of(cls, dataset: Dataset, number: int) -> ScanMark:
        """The mark of one frame; what is malformed counts as not said, as no slice is lost for a remark."""
        acquisition = _text(dataset, number, "FrameAcquisitionNumber") or _text(dataset, number, "AcquisitionNumber")
        stamp = _text(dataset, number, "FrameAcquisitionDateTime") or _text(dataset, number, "AcquisitionDateTime")
        date, clock = _text(dataset, number, "AcquisitionDate"), _text(dataset, number, "AcquisitionTime")
        if not clock and len(stamp) > 8:
            date, clock = stamp[:8], stamp[8:].partition("+")[0].partition("-")[0]
        seconds = _seconds(clock)
        time = None if math.isnan(seconds) else (date, seconds)
        return cls(_text(dataset, number, "FrameOfReferenceUID"), acquisition, time)


def _text(dataset: Dataset, number: int, keyword: str) -> str:
    try:
        return str(find_attribute(dataset, number, keyword) or "").strip()
    except (TypeError, ValueError, LookupError, ArithmeticError, OSError):
        return ""


def _seconds(clock: str) -> float:
    """Seconds of the day from HHMMSS.FFFFFF, NaN where it is no time.

    >>> _seconds("101530.5"), _seconds("soon")
    (36930.5, nan)
    """
    hours, minutes, seconds = clock[:2], clock[2:4] or "0", clock[4:] or "0"
    try:
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return math.nan
