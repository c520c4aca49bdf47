# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How a DICOM slice was acquired and stored: what its header says besides the picture, and nothing of the patient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from monai_ich.reading.acquisition_notes import Acquisition
from monai_ich.reading.dicom_frames import damage_refused, open_dicom
from monai_ich.reading.volumes import is_volume

# What a network could read off a picture or its file without looking at the brain, with the DICOM attribute.
TEXT_ATTRIBUTES = {
    "manufacturer": "Manufacturer",  # (0008,0070)
    "scanner model": "ManufacturerModelName",  # (0008,1090)
    "kernel": "ConvolutionKernel",  # (0018,1210)
}
NUMBER_ATTRIBUTES = {
    "tube voltage (kVp)": "KVP",  # (0018,0060)
    "pixel spacing (mm)": "PixelSpacing",  # (0028,0030), between rows
    "slice thickness (mm)": "SliceThickness",  # (0018,0050)
    "window level (HU)": "WindowCenter",  # (0028,1050), the first one
    "window width (HU)": "WindowWidth",  # (0028,1051)
}
ACQUISITION_ATTRIBUTES = (*TEXT_ATTRIBUTES, *NUMBER_ATTRIBUTES)


def has_header(path: Path | str) -> bool:
    """Whether the file is a DICOM file by its name; volumes such as NIfTI say nothing of their acquisition."""
    return not is_volume(Path(path))


def read_acquisition(path: Path, frame: int | None = None) -> tuple[dict[str, str | float], Acquisition]:
    """Reads a slice's acquisition attributes, and what its values suffered, without its pixels.

    Args:
        path: a DICOM file.
        frame: of a multi-frame file, from 0; its functional groups are searched first.

    Returns:
        {attribute: value} for all of `ACQUISITION_ATTRIBUTES`; "" or NaN where the header does not say, or says what is
        no number. And whether it was compressed with loss, derived, or made with contrast.

    Raises:
        ImageReadError: the file is no DICOM file, or is damaged.
    """
    dataset = open_dicom(path, pixels=False)
    with damage_refused(path, "an attribute of its acquisition is malformed", "Copy the file again from its source."):
        groups = list(_groups(dataset, frame or 0))
        texts = {name: str(_first(groups, keyword) or "").strip() for name, keyword in TEXT_ATTRIBUTES.items()}
        numbers = {name: _number(_first(groups, keyword)) for name, keyword in NUMBER_ATTRIBUTES.items()}
        return {**texts, **numbers}, Acquisition.of(dataset, path)


def _groups(dataset: Dataset, frame: int) -> Iterator[Dataset]:
    """The frame's own functional groups, the shared ones, then the file (DICOM PS3.3 C.7.6.16)."""
    for keyword, position in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        sequence = dataset.get(keyword)
        if sequence and position < len(sequence):
            for macro in sequence[position]:
                if macro.VR == "SQ" and macro.value:
                    yield macro.value[0]
    yield dataset


def _first(groups: list[Dataset], keyword: str) -> object:
    """The first value of an attribute that is given at all; None where none is."""
    for group in groups:
        value = group.get(keyword)
        if value not in (None, "") and (not isinstance(value, MultiValue) or len(value) > 0):
            return value[0] if isinstance(value, MultiValue) else value
    return None


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
