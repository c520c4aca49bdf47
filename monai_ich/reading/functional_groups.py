# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""Finds the attributes of a frame, which multi-frame DICOM objects keep in functional groups."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

# Where an enhanced multi-frame object keeps an attribute: its functional group macro (DICOM PS3.3 C.7.6.16.2).
_MACRO = {
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "ImagePositionPatient": "PlanePositionSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "RescaleType": "PixelValueTransformationSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "FrameAcquisitionDateTime": "FrameContentSequence",
}


def find_attribute(dataset: Dataset, number: int, keyword: str) -> object | None:
    """The attribute of one frame: from its own functional groups, the shared ones, or the file; None when nowhere."""
    groups = []
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence")
    if per_frame and number < len(per_frame):
        groups.append(per_frame[number])
    if shared := dataset.get("SharedFunctionalGroupsSequence"):
        groups.append(shared[0])
    for group in groups:
        macro = group.get(_MACRO[keyword]) if keyword in _MACRO else None
        if macro and macro[0].get(keyword) is not None:
            return macro[0].get(keyword)
    return dataset.get(keyword)


# Hounsfield units in the code scheme UCUM (DICOM PS3.16, context group 82), and as some programs write them.
_HOUNSFIELD = ("[hnsf'U]", "HU")


def parametric_units(dataset: Dataset) -> tuple[str, ...]:
    """The units of a parametric map (blood flow, say) in a CT object; empty when its values are HU or it names no unit.

    Such maps have a rescale like any CT, and Rescale Type US (unspecified) as some plain CT has; only the Real World
    Value Mapping (0040,9096) tells what they measure.
    """
    units = dict.fromkeys(_units(dataset))
    return () if any(unit in _HOUNSFIELD for unit in units) else tuple(units)


def _units(dataset: Dataset) -> Iterator[str]:
    shared, per_frame = dataset.get("SharedFunctionalGroupsSequence"), dataset.get("PerFrameFunctionalGroupsSequence")
    for group in (dataset, *(shared or ()), *(per_frame or ())):
        for mapping in group.get("RealWorldValueMappingSequence") or ():
            for unit in mapping.get("MeasurementUnitsCodeSequence") or ():
                if code := unit.get("CodeValue") or unit.get("LongCodeValue"):
                    yield str(code)
