# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""What a DICOM header says of how a slice was made that makes its values less than plain HU."""

from __future__ import annotations

import math

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

_LOSSY_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)


def contrast_of(dataset: Dataset) -> str:
    """Whether a contrast agent is stated: "yes", "no", or "" where the header says nothing. Its name is not kept."""
    agent = str(dataset.get("ContrastBolusAgent") or "").strip().lower()
    return "" if not agent else "no" if agent in ("no", "none", "n") else "yes"


def lossy_of(dataset: Dataset) -> str:
    """Whether pixels were ever compressed with loss: "yes", "no", or "" where the header says nothing."""
    syntax = getattr(getattr(dataset, "file_meta", None), "TransferSyntaxUID", None)
    stated = {"00": "no", "01": "yes"}.get(str(dataset.get("LossyImageCompression") or ""), "")
    return "yes" if syntax in _LOSSY_SYNTAXES else stated


def lossy_ratio(dataset: Dataset) -> float:
    """Lossy Image Compression Ratio (0028,2112), of several steps their product; NaN where it is not stated."""
    stated = dataset.get("LossyImageCompressionRatio")
    if stated in (None, ""):
        return math.nan
    return math.prod(map(float, stated)) if isinstance(stated, MultiValue) else float(stated)


def acquisition_notes(dataset: Dataset) -> tuple[str, ...]:
    """What a reader of the result has to know, in words: lossy compression, a derived image, a contrast agent."""
    notes = []
    if lossy_of(dataset) == "yes":
        ratio = lossy_ratio(dataset)
        by = "" if math.isnan(ratio) else f" at {ratio:g}:1"
        notes.append(f"pixels were compressed with loss{by}: fine differences of density may be gone")
    image_type = [str(part).upper() for part in dataset.get("ImageType") or ()]
    if "DERIVED" in image_type[:1]:
        notes.append("the image is derived, such as a reformat or a projection, and was not acquired so")
    if contrast_of(dataset) == "yes":
        notes.append("a contrast agent was given: vessels may look like blood")
    return tuple(notes)
